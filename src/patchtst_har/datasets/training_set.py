"""What a network is trained on: windows as places in a continuous signal, with features and labels."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from patchtst_har.config import ExperimentConfig
from patchtst_har.data.times import time_features
from patchtst_har.datasets.feature_cache import FeatureCache
from patchtst_har.datasets.featureset import FeatureSet, cache_folder
from patchtst_har.datasets.prepared import PreparedDataset
from patchtst_har.datasets.stretches import Cuts, CutWindows, Stretches
from patchtst_har.errors import DataError
from patchtst_har.support.progress import OnProgress

logger = logging.getLogger(__name__)

_NS_PER_S = 1e9


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Training windows; row i is the same window everywhere. Windows that overlap share their samples.

    Attributes
    ----------
    stretches : Stretches
        The signal.
    cuts : Cuts
        Where the windows are in it.
    times, stats, topo : ndarray of float32, shape (n, ...)
        As in `ModelInputs`, of the windows as they are in the signal.
    topo_engines : ndarray of str, shape (n,)
        What computed each row of `topo`.
    labels : ndarray of int64, shape (n,)
        Index into `classes`.
    participants : ndarray of str, shape (n,)
    start_ns : ndarray of int64, shape (n,)
        Stamp of the first sample.
    classes : tuple of str
    sample_rate_hz : float
    teachers : ndarray of float32, shape (n, K), optional
        Class probabilities to learn in addition to the labels.
    """

    stretches: Stretches
    cuts: Cuts
    times: NDArray[np.float32]
    stats: NDArray[np.float32]
    topo: NDArray[np.float32]
    topo_engines: NDArray[np.str_]
    labels: NDArray[np.int64]
    participants: NDArray[np.str_]
    start_ns: NDArray[np.int64]
    classes: tuple[str, ...]
    sample_rate_hz: float
    teachers: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of(
        cls, features: FeatureSet, sample_rate_hz: float, stretches: Stretches | None = None
    ) -> TrainingSet:
        """Take prepared windows as they are, with nothing around them unless their `stretches` are given."""
        stretches = stretches or Stretches.apart(features)
        names = ("times", "stats", "topo", "topo_engines", "labels", "participants", "start_ns", "classes")
        columns = {name: getattr(features, name) for name in names}
        return cls(stretches, stretches.prepared(), **columns, sample_rate_hz=sample_rate_hz)


def load_training_set(
    dataset: PreparedDataset,
    features: FeatureSet,
    config: ExperimentConfig,
    on_progress: OnProgress | None = None,
) -> TrainingSet:
    """Return prepared windows as they are, or, with ``training.hop_s``, windows cut anew from their signal.

    The features of new windows are computed once per participant and cached, as those of prepared ones.

    Parameters
    ----------
    dataset : PreparedDataset
        Where the windows are from.
    features : FeatureSet
        The prepared windows of the training participants.
    config : ExperimentConfig
        Its sections `data`, `features` and `training`.
    on_progress : callable, optional
        Called with the number of participants done, their total, and the participant.

    Raises
    ------
    DataError
        If prepared windows overlap and are not of one signal, or no stretch of one label is as long as a
        window.
    OSError
        If the cache cannot be written.
    """
    data, training = config.data, config.training
    rate_hz = data.sample_rate_hz
    if training.hop_s is None and not (training.augmentation.shift_s or training.augmentation.time_warp):
        return TrainingSet.of(features, rate_hz)
    stretches = Stretches.of(features, data.hop_size, rate_hz)
    if training.hop_s is None:
        return TrainingSet.of(features, rate_hz, stretches)
    cuts = stretches.cut(round(training.hop_s * rate_hz))
    if not len(cuts):
        raise DataError(
            f"{dataset.folder}: no stretch of the training participants with one label is as long as a "
            "window; training.hop_s cannot be used"
        )
    logger.info("training windows: %d, cut from %d prepared ones", len(cuts), len(features))
    if not stretches.n_joined:
        logger.warning(
            "%s: no prepared window goes on where the one before it ends (data.hop_size is %d): "
            "training.hop_s gives no more windows",
            dataset.folder,
            data.hop_size,
        )
    late_ns = (cuts.starts - stretches.firsts[cuts.rows]) * (_NS_PER_S / rate_hz)
    start_ns = features.start_ns[cuts.rows] + np.rint(late_ns).astype(np.int64)
    stats, topo, engines = _features(stretches, cuts, features.participants, dataset, config, on_progress)
    return TrainingSet(
        stretches,
        cuts,
        times=time_features(start_ns, data.timezone),
        stats=stats,
        topo=topo,
        topo_engines=engines,
        labels=features.labels[cuts.rows],
        participants=features.participants[cuts.rows],
        start_ns=start_ns,
        classes=features.classes,
        sample_rate_hz=rate_hz,
    )


def blocks_of(participants: NDArray[np.str_]) -> Iterator[tuple[slice, str]]:
    """Yield the rows of each participant, whose windows stand together."""
    first = np.flatnonzero(np.append(True, participants[1:] != participants[:-1]))
    for begin, end in zip(first.tolist(), [*first[1:].tolist(), len(participants)], strict=True):
        yield slice(begin, end), str(participants[begin])


def _features(
    stretches: Stretches,
    cuts: Cuts,
    participants: NDArray[np.str_],
    dataset: PreparedDataset,
    config: ExperimentConfig,
    on_progress: OnProgress | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.str_]]:
    """Compute or fetch stats, topo and engines, one participant after another."""
    cache = FeatureCache(cache_folder(dataset, config))
    n, widths = len(cuts), (config.features.n_stat_features, config.features.n_topo_features)
    stats, topo = (np.empty((n, width), np.float32) for width in widths)
    engines, blocks = [], list(blocks_of(participants[cuts.rows]))
    for done, (rows, participant) in enumerate(blocks, start=1):
        windows = CutWindows(stretches.signal, cuts.starts[rows], stretches.window_size)
        found = cache.features(windows, config.data.sample_rate_hz, config.features)
        stats[rows], topo[rows] = found.stats, found.topo
        engines.append(found.topo_engines)
        if on_progress is not None:
            on_progress(done, len(blocks), participant)
    return stats, topo, np.concatenate(engines)
