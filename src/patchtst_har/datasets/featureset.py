"""Everything that a model is trained or tested on, as aligned arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from patchtst_har.config import DataConfig, ExperimentConfig
from patchtst_har.data.times import check_clock, time_features
from patchtst_har.datasets.feature_cache import FeatureCache, Features
from patchtst_har.datasets.prepared import ParticipantWindows, PreparedDataset
from patchtst_har.errors import DataError
from patchtst_har.support.progress import OnProgress


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Windows of some people with their features and labels; row i is the same window everywhere.

    People follow each other in the order asked for, each one's windows in order of time.
    """

    windows: NDArray[np.float32]
    """(n, T, 3) acceleration in g."""
    times: NDArray[np.float32]
    """(n, 5), see `patchtst_har.data.times`."""
    stats: NDArray[np.float32]
    """(n, statistical features), and then the values of the plug-ins, if any are selected."""
    topo: NDArray[np.float32]
    """(n, 24)."""
    topo_engines: NDArray[np.str_]
    """(n,) what computed each row of `topo`, see `patchtst_har.features.TopologyResult`."""
    labels: NDArray[np.int64]
    """(n,) index into `classes`."""
    participants: NDArray[np.str_]
    """(n,)."""
    start_ns: NDArray[np.int64]
    """(n,) stamp of the first sample, ns since 1970."""
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        n_windows = len(self.windows)
        for name in ("times", "stats", "topo", "topo_engines", "labels", "participants", "start_ns"):
            length = len(getattr(self, name))
            if length != n_windows:
                raise DataError(f"feature set: {name} has {length} rows, but there are {n_windows} windows")

    def __len__(self) -> int:
        return len(self.windows)


def load_feature_set(
    dataset: PreparedDataset,
    participants: Sequence[str],
    config: ExperimentConfig,
    on_progress: OnProgress | None = None,
) -> FeatureSet:
    """Load people's windows and compute or fetch their features.

    Features are computed once a person and kept in `config.features.cache_dir` (None: `features_cache` in
    the data set's folder), whatever the model then uses of them.

    Parameters
    ----------
    dataset : PreparedDataset
        The windows.
    participants : sequence of str
        Whom to load, at least one, each once.
    config : ExperimentConfig
        Its sections `data` and `features`, and `model.n_time_features`: unless it is 0, the data's clock has
        to fit `data.timezone`.
    on_progress : callable, optional
        Called with the number of people done, their total, and the participant.

    Raises
    ------
    DataError
        If nobody is asked for, a person is unknown or asked for twice, a file is damaged, the windows have
        another length or rate than the configuration says, or the hour of the day cannot be known
        (`patchtst_har.data.times.check_clock`).
    OSError
        If the cache cannot be written.
    """
    if not participants:
        raise DataError("no participants were asked for")
    twice = [name for name in dict.fromkeys(participants) if participants.count(name) > 1]
    if twice:
        raise DataError(f"participants asked for more than once: {', '.join(map(repr, twice))}")
    _check_preparation(dataset, config.data)
    if config.model.n_time_features:
        check_clock(dataset.clock, config.data.timezone, str(dataset.folder))
    cache = FeatureCache(config.features.cache_dir or dataset.folder / "features_cache")
    parts: list[tuple[ParticipantWindows, NDArray[np.float32], Features]] = []
    for done, participant in enumerate(participants, start=1):
        person = dataset.load(participant)
        if person.windows.shape[1] != config.data.window_size:
            raise DataError(
                f"{dataset.path(participant)}: windows have {person.windows.shape[1]} samples, "
                f"data.window_size is {config.data.window_size}"
            )
        # Before the features, which take long: an unknown zone is found here.
        times = time_features(person.start_ns, config.data.timezone)
        features = cache.features(person.windows, config.data.sample_rate_hz, config.features)
        parts.append((person, times, features))
        if on_progress is not None:
            on_progress(done, len(participants), participant)
    people = [person for person, _, _ in parts]
    return FeatureSet(
        windows=np.concatenate([person.windows for person in people]),
        times=np.concatenate([times for _, times, _ in parts]),
        stats=np.concatenate([features.stats for _, _, features in parts]),
        topo=np.concatenate([features.topo for _, _, features in parts]),
        topo_engines=np.concatenate([features.topo_engines for _, _, features in parts]),
        labels=np.concatenate([person.labels for person in people]),
        participants=np.repeat(np.asarray(participants, np.str_), [len(person) for person in people]),
        start_ns=np.concatenate([person.start_ns for person in people]),
        classes=dataset.classes,
    )


def _check_preparation(dataset: PreparedDataset, config: DataConfig) -> None:
    """Refuse data that says it was prepared otherwise than the configuration assumes."""
    for name in ("sample_rate_hz", "window_size", "hop_size"):
        recorded = (dataset.preparation or {}).get(name)
        wanted = getattr(config, name)
        if recorded is not None and recorded != wanted:
            raise DataError(f"{dataset.folder}: was prepared with {name} {recorded}, data.{name} is {wanted}")
