"""The instruction sets give the same bits, and their units keep to themselves."""

from __future__ import annotations

import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest

from patchtst_har import _core
from patchtst_har.features import (
    compute_movement_features,
    compute_movement_features_batch,
    compute_statistical_features,
    compute_statistical_features_batch,
)
from patchtst_har.synthetic import bout as activity_signal
from sweeps import native_sweep

ROOT = Path(__file__).parents[2]
SIZES = [*range(1, 36), 47, 48, 49, 63, 64, 65, 97, 100, 127, 128, 129, 250, 255, 256, 257]
SIZES += [499, 500, 512, 625, 729, 997, 999, 1000, 1001, 1024, 2048, 3000, 4097, 30011, 2**16]
BATCHES = (compute_statistical_features_batch, compute_movement_features_batch)
ENTRY = {
    "baseline": "kBaselineKernels",
    "avx2": "kAvx2Kernels",
    "avx512": "kAvx512Kernels",
    "avx512_bf16": "kAvx512Bf16Kernels",
}


@pytest.fixture
def every_isa():
    """Return the available instruction sets; afterwards the active one is active again."""
    active = _core.active_isa()
    yield _core.available_isas()
    _core.select_isa(active)


def signals(n_samples):
    rng = np.random.default_rng(n_samples)
    noise = rng.normal([0.3, 0.5, 0.8], 0.3, (n_samples, 3))
    invalid = noise.copy()
    invalid[rng.random((n_samples, 3)) < 0.2] = np.nan
    yield noise
    yield activity_signal("walking", n_samples, rng)
    yield np.round((noise * 0.02 + [0, 0, 1]) * 64) / 64
    yield np.tile([0.6, 0, 0.8], (n_samples, 1))
    yield np.where(rng.random((n_samples, 1)) < 0.5, noise * 1e-12, [[0, 0, 1]])
    yield np.clip(noise * 1e19, -1e19, 1e19)
    yield invalid


@pytest.mark.slow
@pytest.mark.parametrize("sr", [12.5, 100.0])
def test_every_set_gives_the_same_bits_at_every_size(every_isa, sr):
    for n_samples in SIZES:
        windows = np.stack([signal.astype(np.float32) for signal in signals(n_samples)])
        results = {}
        for isa in every_isa:
            _core.select_isa(isa)
            assert _core.active_isa() == isa
            features = [compute(windows, sr) for compute in BATCHES]
            results[isa] = np.hstack(features)
            assert np.isfinite(results[isa]).all()
        for isa, features in results.items():
            assert features.tobytes() == results["baseline"].tobytes(), (isa, n_samples)


def test_every_set_gives_the_same_magnitude(every_isa):
    for n_samples in (1, 7, 16, 31, 1000, 1001):
        window = np.random.default_rng(n_samples).normal(size=(n_samples, 3)).astype(np.float32)
        results = set()
        for isa in every_isa:
            _core.select_isa(isa)
            results.add(_core.magnitude(window).tobytes())
        assert len(results) == 1


def test_selecting_an_unknown_set_names_the_choices():
    active = _core.active_isa()
    with pytest.raises(ValueError, match=r"no instruction set is called 'avx1024', choose one of .*baseline"):
        _core.select_isa("avx1024")
    assert _core.active_isa() == active


def test_nothing_is_allocated_for_lengths_that_were_seen(every_isa):
    windows = [np.random.default_rng(n).normal(size=(n, 3)).astype(np.float32) for n in (1000, 997, 250)]
    for isa in every_isa:
        _core.select_isa(isa)
        for window in windows:
            compute_statistical_features(window)
            compute_movement_features(window)
        before = _core.n_plans_made()
        for _ in range(5):
            for window in windows:
                compute_statistical_features(window)
                compute_movement_features(window)
        assert _core.n_plans_made() == before
    compute_statistical_features(np.zeros((1003, 3), np.float32))
    assert _core.n_plans_made() == before + 1


@pytest.mark.compiles
def test_no_memory_is_allocated_after_the_first_window(tmp_path):
    """The sweep program, with counting allocators of its own, fails at an allocation."""
    program = native_sweep("size_sweep", tmp_path)
    result = subprocess.run([program, "short"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "the same bits" in result.stdout


def test_every_thread_plans_for_itself():
    counts = []

    def count():
        compute_statistical_features(np.zeros((1000, 3), np.float32))
        counts.append(_core.n_plans_made())

    for _ in range(2):
        thread = threading.Thread(target=count)
        thread.start()
        thread.join()
    assert counts == [1, 1]


def test_a_window_of_a_ring_buffer_is_read_in_place():
    ring = np.random.default_rng(0).normal(size=(2500, 3)).astype(np.float32)
    for start in (0, 1, 7, 333, 1500):
        window = ring[start : start + 1000]
        assert window.base is ring
        expected = compute_statistical_features(window.copy())
        np.testing.assert_array_equal(compute_statistical_features(window), expected)


def object_files():
    files = list((ROOT / "build").glob("cp*/CMakeFiles/*.dir/csrc/*/kernel/*.o"))
    if not files:
        pytest.skip("no build folder with object files")
    return files


def symbols(path):
    if shutil.which("nm") is None:
        pytest.skip("nm is not installed")
    output = subprocess.run(["nm", "--format=posix", path], capture_output=True, text=True, check=True).stdout
    return [tuple(line.split()[:2]) for line in output.splitlines()]


@pytest.mark.slow
def test_a_unit_defines_nothing_but_its_table():
    for path in object_files():
        folder = next(parent.name for parent in path.parents if parent.suffix == ".dir")
        isa = folder.rpartition("_")[0]
        visible = [name for name, kind in symbols(path) if (kind.isupper() and kind != "U") or kind in "uvw"]
        assert len(visible) == 1, (path, visible)
        assert ENTRY[isa] in visible[0]


@pytest.mark.slow
def test_a_unit_calls_nothing_but_the_c_and_the_compilers_library():
    allowed = {"atan2", "log", "memcpy", "memset", "memmove", "__popcountdi2", "__stack_chk_fail"}
    for path in object_files():
        needed = {name for name, kind in symbols(path) if kind == "U"}
        assert needed <= allowed, (path, needed)
