"""Statistical and topological features of raw tri-axial acceleration.

Importing this package loads neither torch nor pandas nor the persistence engine.
"""

from patchtst_har.features.embedding import takens_embedding
from patchtst_har.features.frame import feature_frame
from patchtst_har.features.names import STATISTICAL_FEATURE_NAMES, TOPOLOGICAL_FEATURE_NAMES
from patchtst_har.features.persistence import rips_persistence
from patchtst_har.features.statistics import compute_statistical_features, compute_statistical_features_batch
from patchtst_har.features.topology import compute_topological_features, compute_topological_features_batch

__all__ = [
    "STATISTICAL_FEATURE_NAMES",
    "TOPOLOGICAL_FEATURE_NAMES",
    "compute_statistical_features",
    "compute_statistical_features_batch",
    "compute_topological_features",
    "compute_topological_features_batch",
    "feature_frame",
    "rips_persistence",
    "takens_embedding",
]
