from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "pandas", "numba", "scipy", "sklearn", "matplotlib", "ripser", "pydantic", "hmmlearn"}


def imported_by(statement):
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


@pytest.mark.parametrize("module", ["patchtst_har", "patchtst_har.features"])
def test_importing_is_light(module):
    modules = imported_by(f"import {module}")
    assert "patchtst_har" in modules
    assert not modules & HEAVY


def test_computing_all_features_needs_no_torch():
    modules = imported_by(
        "import numpy, patchtst_har.features as f; f.feature_frame(numpy.ones((2, 300, 3), 'f4'))"
    )
    assert "pandas" in modules
    assert "torch" not in modules
