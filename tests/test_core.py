from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import patchtst_har
import reference
from elf import Elf
from patchtst_har import _core
from patchtst_har.config import N_STATISTICAL_FEATURES

ROOT = Path(__file__).parents[1]


def run_python(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, **environment},
    )


def test_the_version_is_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == importlib.metadata.version("patchtst-har")
    assert project["version"] == patchtst_har.__version__ == _core.__version__


@pytest.mark.spawns
def test_a_subnormal_survives_the_import():
    # Parsed from text at run time: a constant product would be folded when the line is compiled.
    code = (
        "import patchtst_har.features, numpy; print(numpy.float32(1e-40) / 2 > 0, float('1e-308') / 1e5 > 0)"
    )
    assert run_python("-c", code).stdout.split() == ["True", "True"]


def test_a_subnormal_survives_the_kernels():
    windows = np.random.default_rng(0).normal(size=(2, 100, 3)).astype(np.float32)
    _core.statistical_features(windows, 100.0, np.empty((2, N_STATISTICAL_FEATURES), np.float32))
    assert np.float32(1e-40) * np.float32(0.5) > 0


@pytest.mark.skipif(sys.platform != "linux", reason="not an ELF platform")
def test_the_extension_is_hardened():
    extension = Elf(Path(_core.__file__))
    assert extension.binds_at_load()
    assert extension.seals_relocations()
    assert "__stack_chk_fail" in extension.names()


def test_stub_and_extension_have_the_same_arguments():
    stub = ast.parse((ROOT / "src/patchtst_har/_core.pyi").read_text(encoding="utf-8"))
    functions = [node for node in stub.body if isinstance(node, ast.FunctionDef)]
    assert functions
    for function in functions:
        signature = getattr(_core, function.name).__doc__.splitlines()[0]
        assert re.findall(r"(\w+): ", signature) == [argument.arg for argument in function.args.args]


def test_magnitude_rounds_to_float32_at_every_step():
    window = np.random.default_rng(1).normal(size=(5000, 3)).astype(np.float32)
    window[17, 2] = np.nan
    np.testing.assert_array_equal(_core.magnitude(window), reference.magnitude(window))


def test_nothing_is_converted_at_the_boundary():
    good, out = np.zeros((2, 9, 3), np.float32), np.empty((2, N_STATISTICAL_FEATURES), np.float32)
    for windows in (good.astype(np.float64), good.tolist(), good.astype(">f4")):
        with pytest.raises(TypeError, match="incompatible function arguments"):
            _core.statistical_features(windows, 100.0, out)
    for windows in (good[:, ::2], np.asfortranarray(good), good[:, ::-1]):
        with pytest.raises(ValueError, match="windows must each be contiguous"):
            _core.statistical_features(windows, 100.0, out)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        _core.window_statistics(good[0, ::2], 100.0)
    for target in (out.astype(np.float64), np.empty((N_STATISTICAL_FEATURES, 2), np.float32).T):
        with pytest.raises(TypeError, match="incompatible function arguments"):
            _core.statistical_features(good, 100.0, target)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        _core.magnitude(good[0].astype(np.float64))


def test_shapes_that_would_leave_memory_are_refused():
    out = np.empty((2, N_STATISTICAL_FEATURES), np.float32)
    for shape in ((2, 9), (2, 9, 2), (2, 0, 3)):
        with pytest.raises(ValueError, match="windows must have shape"):
            _core.statistical_features(np.zeros(shape, np.float32), 100.0, out)
    good = np.zeros((2, 9, 3), np.float32)
    for shape in (
        (1, N_STATISTICAL_FEATURES),
        (2, N_STATISTICAL_FEATURES - 1),
        (2 * N_STATISTICAL_FEATURES,),
    ):
        with pytest.raises(ValueError, match="out must have shape"):
            _core.statistical_features(good, 100.0, np.empty(shape, np.float32))
    for rate_hz in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="sr must be positive and finite"):
            _core.statistical_features(good, rate_hz, out)
    for shape in ((9,), (9, 2), (0, 3)):
        with pytest.raises(ValueError, match="window must have shape"):
            _core.magnitude(np.zeros(shape, np.float32))
    out.flags.writeable = False
    with pytest.raises(ValueError, match="not writeable"):
        _core.statistical_features(good, 100.0, out)
