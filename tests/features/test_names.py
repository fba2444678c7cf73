from __future__ import annotations

import re
from pathlib import Path

from patchtst_har.config import N_STATISTICAL_FEATURES, N_TOPOLOGICAL_FEATURES
from patchtst_har.features import (
    MOVEMENT_FEATURE_NAMES,
    STATISTICAL_FEATURE_NAMES,
    TOPOLOGICAL_FEATURE_NAMES,
)

PAGE = Path(__file__).parents[2] / "docs/features.md"
EXPECTED_TOPOLOGICAL = """
h0_life_1 h0_life_2 h0_life_3 h0_total h0_mean h0_std h0_q50 h0_q90 h0_entropy
h1_life_1 h1_life_2 h1_life_3 h1_total h1_mean h1_std h1_entropy h1_count
h1_birth_longest h1_death_longest h1_birth_max h1_death_max h1_l2 enclosing_radius periodicity
"""


def published(title):
    """Return the names in the first column of a section's table."""
    table = PAGE.read_text(encoding="utf-8").split(f"## {title}", 1)[1].split("\n## ", 1)[0]
    columns = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return re.findall(r"`(\w+)`", " ".join(columns))


def test_names_stand_in_the_published_order():
    assert tuple(published("The statistical features")) == STATISTICAL_FEATURE_NAMES
    assert tuple(EXPECTED_TOPOLOGICAL.split()) == TOPOLOGICAL_FEATURE_NAMES


def test_names_of_movement_stand_in_the_published_order():
    names = published("The movement features")
    of_channel = [name for name in names if name.startswith("c_")]
    of_direction = [name for name in names if name.startswith("d_")]
    expected = [c + name[1:] for c in ("x", "y", "z", "mag") for name in of_channel]
    expected += [name for name in names if name[:2] not in ("c_", "d_")]
    expected += [d + name[1:] for d in ("vertical", "horizontal") for name in of_direction]
    assert tuple(expected) == MOVEMENT_FEATURE_NAMES


def test_there_are_as_many_names_as_the_model_expects():
    assert len(STATISTICAL_FEATURE_NAMES) == N_STATISTICAL_FEATURES
    assert len(TOPOLOGICAL_FEATURE_NAMES) == N_TOPOLOGICAL_FEATURES
    all_names = [*STATISTICAL_FEATURE_NAMES, *MOVEMENT_FEATURE_NAMES, *TOPOLOGICAL_FEATURE_NAMES]
    assert len(set(all_names)) == len(all_names)
