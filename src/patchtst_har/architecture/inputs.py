"""Names and shapes of a model's inputs."""

from __future__ import annotations

from collections.abc import Sequence

from patchtst_har.config import ModelConfig

INPUT_NAMES = ("patches", "times", "stats", "topo")


def input_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of each input for one window, in the order of `INPUT_NAMES`; (0,): not used."""
    patches = (config.channels, config.n_patches, config.patch_len)
    vectors = ((n,) for n in (config.n_time_features, config.n_stat_features, config.n_topo_features))
    return dict(zip(INPUT_NAMES, (patches, *vectors), strict=True))


def check_cut(shape: Sequence[int], patch_len: int, patch_stride: int) -> None:
    """Raise a `ValueError` unless `shape` is (n, T, C) and patches cover T samples exactly."""
    n_samples = shape[1] if len(shape) == 3 else 0
    if n_samples < patch_len or (n_samples - patch_len) % patch_stride:
        raise ValueError(
            f"windows must be (n, T, C) with T = {patch_len} + a multiple of {patch_stride}, "
            f"got {tuple(shape)}"
        )
