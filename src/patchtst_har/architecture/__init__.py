"""What a `ModelConfig` means: inputs, layers, tensors, operations.

May import `smoothing`, `config` and everything below, but neither torch nor pydantic.
"""

from patchtst_har.architecture.inputs import INPUT_NAMES, cut_patches, input_shapes
from patchtst_har.architecture.rotation import rotation_tables
from patchtst_har.architecture.walk import (
    checked_weights,
    expected_complexity,
    expected_tensors,
    walk_layers,
)

__all__ = [
    "INPUT_NAMES",
    "checked_weights",
    "cut_patches",
    "expected_complexity",
    "expected_tensors",
    "input_shapes",
    "rotation_tables",
    "walk_layers",
]
