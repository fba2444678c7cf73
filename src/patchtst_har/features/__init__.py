"""One window to feature vectors: statistics, movement, topology, plug-ins.

Of this package, it imports only `support` and `errors`.

Importing this package loads neither torch nor pandas, numba, scikit-learn nor the persistence engine.
"""

from typing import TYPE_CHECKING

from patchtst_har.features.embedding import takens_embedding
from patchtst_har.features.extended import (
    compute_extended_statistics,
    compute_extended_statistics_batch,
    extended_statistics_names,
    feature_frame,
)
from patchtst_har.features.fallback import (
    TopologyResult,
    compute_simplified_topological_features,
    compute_topology,
    safe_compute_topo_features,
)
from patchtst_har.features.landmarks import LandmarkDiagrams, landmark_persistence
from patchtst_har.features.movement import compute_movement_features, compute_movement_features_batch
from patchtst_har.features.names import (
    MOVEMENT_FEATURE_NAMES,
    SIMPLIFIED_TOPOLOGICAL_FEATURE_NAMES,
    STATISTICAL_FEATURE_NAMES,
    TOPOLOGICAL_FEATURE_NAMES,
)
from patchtst_har.features.persistence import rips_persistence, rips_persistence_of_distances
from patchtst_har.features.plugins import (
    compute_plugin_features,
    compute_plugin_features_batch,
    feature_outputs,
    register_feature,
    registered_features,
    unregister_feature,
)
from patchtst_har.features.statistics import compute_statistical_features, compute_statistical_features_batch
from patchtst_har.features.topology import compute_topological_features, compute_topological_features_batch
from patchtst_har.support.lazy import lazy_exports

if TYPE_CHECKING:
    from patchtst_har.features.extractor import FeatureExtractor
else:
    __getattr__, __dir__, _ = lazy_exports(
        __name__, {"patchtst_har.features.extractor": ["FeatureExtractor"]}
    )

__all__ = [
    "MOVEMENT_FEATURE_NAMES",
    "SIMPLIFIED_TOPOLOGICAL_FEATURE_NAMES",
    "STATISTICAL_FEATURE_NAMES",
    "TOPOLOGICAL_FEATURE_NAMES",
    "FeatureExtractor",
    "LandmarkDiagrams",
    "TopologyResult",
    "compute_extended_statistics",
    "compute_extended_statistics_batch",
    "compute_movement_features",
    "compute_movement_features_batch",
    "compute_plugin_features",
    "compute_plugin_features_batch",
    "compute_simplified_topological_features",
    "compute_statistical_features",
    "compute_statistical_features_batch",
    "compute_topological_features",
    "compute_topological_features_batch",
    "compute_topology",
    "extended_statistics_names",
    "feature_frame",
    "feature_outputs",
    "landmark_persistence",
    "register_feature",
    "registered_features",
    "rips_persistence",
    "rips_persistence_of_distances",
    "safe_compute_topo_features",
    "takens_embedding",
    "unregister_feature",
]
