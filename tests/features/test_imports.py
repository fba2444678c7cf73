from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.spawns

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


def test_numba_and_sklearn_are_imported_when_they_are_used():
    windows = "import numpy, patchtst_har.features as f; w = numpy.ones((2, 300, 3), 'f4'); "
    assert "numba" in imported_by(windows + "f.compute_plugin_features_batch(w, ['hjorth'])")
    everything = imported_by(windows + "f.compute_extended_statistics_batch(w); f.registered_features()")
    assert not everything & {"numba", "sklearn"}
    assert "sklearn" in imported_by("import patchtst_har.features as f; f.FeatureExtractor")


def test_the_configuration_needs_no_numba_without_plug_ins():
    assert "numba" not in imported_by("from patchtst_har.config import *; ExperimentConfig()")


def test_lazy_names_are_listed_and_unknown_ones_refused():
    import patchtst_har.features as features

    assert "FeatureExtractor" in dir(features)
    with pytest.raises(AttributeError, match="no attribute 'FeatureExtractors'"):
        features.FeatureExtractors  # noqa: B018
