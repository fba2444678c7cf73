"""Features that users add: a plain function of one window becomes a compiled, threaded batch feature.

May import the rest of `features`, `support` and `errors`. Importing this package does not import numba;
registering or using a plug-in does.
"""

from patchtst_har.features.plugins.registry import (
    feature_origins,
    feature_outputs,
    register_feature,
    registered_features,
    unregister_feature,
)
from patchtst_har.features.plugins.windows import compute_plugin_features, compute_plugin_features_batch

__all__ = [
    "compute_plugin_features",
    "compute_plugin_features_batch",
    "feature_origins",
    "feature_outputs",
    "register_feature",
    "registered_features",
    "unregister_feature",
]
