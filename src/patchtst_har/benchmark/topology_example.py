"""One real window with its cloud of points, diagrams and features: what the report draws."""

from __future__ import annotations

import numpy as np

from patchtst_har import _core
from patchtst_har.config import TopologyConfig
from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.features import (
    TOPOLOGICAL_FEATURE_NAMES,
    compute_topological_features,
    rips_persistence,
    takens_embedding,
)
from patchtst_har.features.checks import Float32Array
from patchtst_har.features.embedding import decimate, embedding_plan
from patchtst_har.records.run import TopologyExample

_PERIODICITY = TOPOLOGICAL_FEATURE_NAMES.index("periodicity")


def topology_example(
    window: Float32Array, sample_rate_hz: float, config: TopologyConfig, label: str, participant: str
) -> TopologyExample:
    """Return the stages from a window to its features.

    Parameters
    ----------
    window : ndarray of float32, shape (n_samples, 3)
        In g.
    sample_rate_hz : float
        Its sampling rate.
    config : TopologyConfig
        Settings of the features.
    label, participant : str
        Activity and wearer of the window.

    Returns
    -------
    TopologyExample
        Among others ``magnitude`` (n_samples,); ``factor`` of the decimation and the ``series`` after it,
        centred; ``points`` (n, dimension); ``h0``, ``h1`` (k, 2); ``features`` by name.
    """
    magnitude = _core.magnitude(window)
    plan = config.max_points, config.dimension, config.delay_s
    factor, delay = embedding_plan(len(magnitude), sample_rate_hz, *plan)
    series = decimate(magnitude, factor)
    series = (series - series.mean()).astype(np.float32)
    points = np.ascontiguousarray(takens_embedding(series, config.dimension, delay))
    h0, h1 = rips_persistence(points)
    features = compute_topological_features(window, sample_rate_hz, config)
    named = dict(zip(TOPOLOGICAL_FEATURE_NAMES, features.tolist(), strict=True))
    arrays = {"magnitude": magnitude, "series": series, "points": points, "h0": h0, "h1": h1}
    return TopologyExample(
        participant=participant,
        label=label,
        sample_rate_hz=sample_rate_hz,
        factor=factor,
        radius=named["enclosing_radius"],
        features=named,
        **{name: array.tolist() for name, array in arrays.items()},
    )


def typical_window(features: FeatureSet) -> int:
    """Return the row of a typical window of a periodic activity.

    It is of the first class whose name holds "walk", or, if none with windows does, of the class with the
    highest median periodicity; of that class, the window whose periodicity is nearest to the median.
    """
    periodicity = features.topo[:, _PERIODICITY].astype(np.float64)
    labels = np.unique(features.labels).tolist()
    rows_of = {label: np.flatnonzero(features.labels == label) for label in labels}
    medians = {label: float(np.median(periodicity[rows])) for label, rows in rows_of.items()}
    walking = [label for label in labels if "walk" in features.classes[label].lower()]
    rows = rows_of[walking[0] if walking else max(medians, key=medians.__getitem__)]
    return int(rows[np.argmin(np.abs(periodicity[rows] - np.median(periodicity[rows])))])
