"""Everything that a model is trained or tested on, as aligned arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from patchtst_har.config import DataConfig, ExperimentConfig
from patchtst_har.data.times import check_clock, time_features
from patchtst_har.datasets.feature_cache import FeatureCache
from patchtst_har.datasets.inputs import ModelInputs
from patchtst_har.datasets.prepared import PreparedDataset
from patchtst_har.datasets.window_store import WindowArray, WindowStore
from patchtst_har.errors import DataError
from patchtst_har.support.names import repeated
from patchtst_har.support.progress import OnProgress


@dataclass(frozen=True, eq=False)
class FeatureSet(ModelInputs):
    """Windows of some participants with their features and labels.

    Participants follow each other in the order asked for, each one's windows in order of time.
    """

    topo_engines: NDArray[np.str_]
    """(n,) what computed each row of `topo`, see `patchtst_har.datasets.feature_cache.Features`."""
    labels: NDArray[np.int64]
    """(n,) index into `classes`."""
    participants: NDArray[np.str_]
    """(n,)."""
    start_ns: NDArray[np.int64]
    """(n,) stamp of the first sample, ns since 1970."""
    classes: tuple[str, ...]
    """In the order of `labels`."""

    def __post_init__(self) -> None:
        n_windows = len(self.windows)
        for name in ("times", "stats", "topo", "topo_engines", "labels", "participants", "start_ns"):
            length = len(getattr(self, name))
            if length != n_windows:
                raise DataError(f"feature set: {name} has {length} rows, but there are {n_windows} windows")


def load_feature_set(
    dataset: PreparedDataset,
    participants: Sequence[str],
    config: ExperimentConfig,
    on_progress: OnProgress | None = None,
    *,
    in_memory: bool = True,
) -> FeatureSet:
    """Load the windows of participants and compute or fetch their features.

    Features are computed once per participant and kept in `config.features.cache_dir` (None:
    `features_cache` in the data set's folder), whatever the model then uses of them.

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
        Called with the number of participants done, their total, and the participant.
    in_memory : bool
        Load all windows into one array. If not, they stay on disk (`PreparedDataset.stored`), and
        `FeatureSet.windows` reads those that it is indexed with.

    Returns
    -------
    FeatureSet
        Windows, features and labels of all of them.

    Raises
    ------
    DataError
        If nobody is asked for, a participant is unknown or asked for twice, a file is damaged, the windows
        have another length or rate than the configuration says, or the hour of the day cannot be known
        (`patchtst_har.data.times.check_clock`).
    OSError
        If the cache cannot be written.
    """
    if not participants:
        raise DataError("no participants were asked for")
    if twice := repeated(participants):
        raise DataError(f"participants asked for more than once: {', '.join(map(repr, twice))}")
    check_preparation(dataset, config.data)
    if config.model.n_time_features:
        check_clock(dataset.clock, config.data.timezone, str(dataset.folder))
    cache = FeatureCache(cache_folder(dataset, config))
    parts: list[FeatureSet] = []
    for done, participant in enumerate(participants, start=1):
        cut = (
            dataset.load(participant)
            if in_memory
            else dataset.stored(participant, windows_folder(dataset, config))
        )
        if cut.windows.shape[1] != config.data.window_size:
            raise DataError(
                f"{dataset.path(participant)}: windows have {cut.windows.shape[1]} samples, "
                f"data.window_size is {config.data.window_size}"
            )
        # Before the features, which take long: an unknown zone is found here.
        times = time_features(cut.start_ns, config.data.timezone)
        features = cache.features(cut.windows, config.data.sample_rate_hz, config.features)
        parts.append(
            FeatureSet(
                windows=cut.windows,
                times=times,
                stats=features.stats,
                topo=features.topo,
                topo_engines=features.topo_engines,
                labels=_class_indices(np.asarray(cut.labels, np.str_), dataset.classes),
                participants=np.full(len(cut), participant),
                start_ns=cut.start_ns,
                classes=dataset.classes,
            )
        )
        if on_progress is not None:
            on_progress(done, len(participants), participant)
    return join_features(parts)


def cache_folder(dataset: PreparedDataset, config: ExperimentConfig) -> Path:
    """Return where the features of a data set are kept."""
    return config.features.cache_dir or dataset.folder / "features_cache"


def windows_folder(dataset: PreparedDataset, config: ExperimentConfig) -> Path:
    """Return where the windows of compressed files are kept (`PreparedDataset.stored`)."""
    return cache_folder(dataset, config) / "windows"


def join_features(parts: list[FeatureSet]) -> FeatureSet:
    """Return feature sets as one; `parts` is emptied, so that nothing large is held twice."""
    names = [field.name for field in fields(FeatureSet) if field.name not in ("windows", "classes")]
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    classes = parts[0].classes
    return FeatureSet(windows=_join_windows(parts), classes=classes, **columns)


def _join_windows(parts: list[FeatureSet]) -> WindowArray:
    stores = [part.windows for part in parts if isinstance(part.windows, WindowStore)]
    if len(stores) == len(parts):
        return WindowStore.join(stores)
    end = sum(map(len, parts))
    windows = np.empty((end, *parts[0].windows.shape[1:]), np.float32)
    while parts:
        part = parts.pop()
        windows[end - len(part) : end] = part.windows[:]
        end -= len(part)
    return windows


def _class_indices(labels: NDArray[np.str_], classes: tuple[str, ...]) -> NDArray[np.int64]:
    """Return the place of each label in `classes`."""
    present, position = np.unique(labels, return_inverse=True)
    indices = np.array([classes.index(str(name)) for name in present], np.int64)
    return indices[position]


def check_preparation(dataset: PreparedDataset, config: DataConfig) -> None:
    """Refuse data that says it was prepared otherwise than the configuration assumes."""
    for name in ("sample_rate_hz", "window_size", "hop_size"):
        recorded = (dataset.preparation or {}).get(name)
        wanted = getattr(config, name)
        if recorded is not None and recorded != wanted:
            raise DataError(f"{dataset.folder}: was prepared with {name} {recorded}, data.{name} is {wanted}")
