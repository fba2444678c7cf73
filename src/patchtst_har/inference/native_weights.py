"""The tensors of a model, checked against its configuration. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchtst_har.architecture import expected_tensors
from patchtst_har.config import ModelConfig


def checked_weights(
    tensors: Mapping[str, Any], config: ModelConfig, num_classes: int
) -> dict[str, NDArray[np.float64]]:
    """Return the tensors as float64.

    Raises
    ------
    ValueError
        If a tensor is missing, unknown, of another shape than the configuration asks for, not finite, or a
        spread that is not positive.
    """
    expected = expected_tensors(config, num_classes)
    missing, unknown = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    if missing or unknown:
        named = (("misses", missing), ("has unknown", unknown))
        listed = "; ".join(f"{what} {', '.join(names)}" for what, names in named if names)
        raise ValueError(f"the model {listed}")
    weights = {}
    for name, spec in expected.items():
        values = np.asarray(tensors[name], np.float64)
        if values.shape != spec.shape:
            raise ValueError(f"{name} must have shape {spec.shape}, has {values.shape}")
        if not np.isfinite(values).all():
            raise ValueError(f"{name} has values that are not finite")
        if spec.least == "positive" and not (values > 0).all():
            raise ValueError(f"{name} has values that are not positive")
        if spec.least == "zero" and (values < 0).any():
            raise ValueError(f"{name} has negative values")
        weights[name] = values
    return weights
