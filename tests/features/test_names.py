from __future__ import annotations

import re
from pathlib import Path

from patchtst_har.config import N_STATISTICAL_FEATURES, N_TOPOLOGICAL_FEATURES
from patchtst_har.features import STATISTICAL_FEATURE_NAMES, TOPOLOGICAL_FEATURE_NAMES

PAGE = Path(__file__).parents[2] / "docs/features.md"
EXPECTED_TOPOLOGICAL = """
h0_life_1 h0_life_2 h0_life_3 h0_total h0_mean h0_std h0_q50 h0_q90 h0_entropy
h1_life_1 h1_life_2 h1_life_3 h1_total h1_mean h1_std h1_entropy h1_count
h1_birth_longest h1_death_longest h1_birth_max h1_death_max h1_l2 enclosing_radius periodicity
"""


def test_names_stand_in_the_published_order():
    table = PAGE.read_text(encoding="utf-8").split("## The statistical features", 1)[1].split("\n## ", 1)[0]
    columns = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert tuple(re.findall(r"`(\w+)`", " ".join(columns))) == STATISTICAL_FEATURE_NAMES
    assert tuple(EXPECTED_TOPOLOGICAL.split()) == TOPOLOGICAL_FEATURE_NAMES


def test_there_are_as_many_names_as_the_model_expects():
    assert len(STATISTICAL_FEATURE_NAMES) == N_STATISTICAL_FEATURES
    assert len(TOPOLOGICAL_FEATURE_NAMES) == N_TOPOLOGICAL_FEATURES
    both = [*STATISTICAL_FEATURE_NAMES, *TOPOLOGICAL_FEATURE_NAMES]
    assert len(set(both)) == len(both)
