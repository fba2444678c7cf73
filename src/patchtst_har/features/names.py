"""Names of the features, in the order of the columns."""

from __future__ import annotations

from typing import Final

from patchtst_har import _core

STATISTICAL_FEATURE_NAMES: Final[tuple[str, ...]] = _core.STATISTICAL_FEATURE_NAMES
"""The columns of `compute_statistical_features_batch`: the table of ``csrc/statistics/columns.hpp``."""

MOVEMENT_FEATURE_NAMES: Final[tuple[str, ...]] = _core.MOVEMENT_FEATURE_NAMES
"""The columns of `compute_movement_features_batch`: in the same file."""

TOPOLOGICAL_FEATURE_NAMES: Final[tuple[str, ...]] = (
    *("h0_life_1", "h0_life_2", "h0_life_3"),
    *("h0_total", "h0_mean", "h0_std", "h0_q50", "h0_q90", "h0_entropy"),
    *("h1_life_1", "h1_life_2", "h1_life_3"),
    *("h1_total", "h1_mean", "h1_std", "h1_entropy", "h1_count"),
    *("h1_birth_longest", "h1_death_longest", "h1_birth_max", "h1_death_max", "h1_l2"),
    *("enclosing_radius", "periodicity"),
)
"""The 24 columns of `compute_topological_features_batch`."""

SIMPLIFIED_TOPOLOGICAL_FEATURE_NAMES: Final[tuple[str, ...]] = (
    *("valley_life_1", "valley_life_2", "valley_life_3"),
    *("valley_total", "valley_mean", "valley_std", "valley_q50", "valley_q90", "valley_entropy"),
    *("peak_life_1", "peak_life_2", "peak_life_3"),
    *("peak_total", "peak_mean", "peak_std", "peak_entropy", "peak_count"),
    *("peak_birth_longest", "peak_death_longest", "peak_birth_max", "peak_death_max", "peak_l2"),
    *("magnitude_range", "peak_life_1_fraction"),
)
"""What `compute_simplified_topological_features` writes to the 24 columns."""
