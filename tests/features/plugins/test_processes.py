"""Compiled code and numba's threads in other processes, and where nothing can be cached."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.spawns

SCRIPT = """
import multiprocessing
import os
import sys

import numpy as np

from patchtst_har.features import compute_plugin_features_batch, register_feature

WINDOWS = np.random.default_rng(0).normal(size=(8, 100, 3)).astype(np.float32)


@register_feature("own", outputs=["own_mean"])
def own(window, sr):
    return window.mean()


def compute(n_threads):
    values = compute_plugin_features_batch(WINDOWS, ["jerk_rms", "own"], n_threads=n_threads)
    return values.tobytes()


if __name__ == "__main__":
    expected = [compute(1), compute(2)]
    assert expected[0] == expected[1]
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        assert pool.map_async(compute, [1, 2, 1, 2]).get(100) == expected * 2
    print("the same")
"""


def run(*arguments, stdin=None, **environment):
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command,
        input=stdin,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """The script in a file: what the first of the tests compiles, the others find."""
    path = tmp_path_factory.mktemp("script") / "script.py"
    path.write_text(SCRIPT)
    return path


@pytest.mark.parametrize(
    ("method", "layer"),
    [("spawn", "default"), ("forkserver", "default"), ("fork", "default"), ("fork", "workqueue")],
)
def test_other_processes_compute_the_same(script, method, layer):
    if method == "fork" and sys.platform == "darwin":
        pytest.skip("fork is not safe on macOS")
    done = run(script, method, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS="2")
    assert (done.returncode, done.stdout) == (0, "the same\n"), done.stderr
    assert ("computing in one thread" in done.stderr) == (method == "fork")


def test_threads_may_compute_at_the_same_time():
    """numba's simplest threading layer would end the process."""
    code = """
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from patchtst_har.features import compute_plugin_features_batch as compute
windows = np.random.default_rng(0).normal(size=(64, 200, 3)).astype(np.float32)
expected = compute(windows, ["hjorth"])
with ThreadPoolExecutor(4) as pool:
    jobs = [pool.submit(compute, windows, ["hjorth"], n_threads=2) for _ in range(40)]
    assert all((job.result() == expected).all() for job in jobs)
"""
    done = run("-c", code, NUMBA_THREADING_LAYER="workqueue", NUMBA_NUM_THREADS="2")
    assert done.returncode == 0, done.stderr


def test_a_function_typed_into_an_interpreter_works_without_a_cache():
    code = """
import numpy as np
from patchtst_har.features import compute_plugin_features, register_feature
@register_feature("typed", outputs=["typed"])
def typed(window, sr):
    return window[0, 0] * 2

print(compute_plugin_features(np.ones((3, 3), np.float32), ["typed"])[0])
"""
    done = run("-", stdin=code)
    assert (done.returncode, done.stdout) == (0, "2.0\n"), done.stderr


KEPT = """
from patchtst_har.features import register_feature
from patchtst_har.features.plugins.registry import selected
@register_feature("kept", outputs=["kept"])
def kept(window, sr):
    return window[0, 0]
kernel = selected(["kept"])[0].kernel
parts = (kernel._compiled, kernel._guarded, kernel._serial, kernel._parallel)
print(*(sum(part.stats.cache_hits.values()) for part in parts))
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A script that has run once, with its compiled code beside it. Copy it."""
    script = tmp_path_factory.mktemp("kept") / "script.py"
    script.write_text(KEPT)
    assert run(script).stdout == "0 0 0 0\n"
    return script


def test_the_second_process_finds_compiled_code(kept):
    assert run(kept).stdout == "1 1 1 1\n"


@pytest.mark.parametrize(("files", "error"), [("*.nbi", "EOFError"), ("*.nbc", "UnpicklingError")])
def test_damaged_compiled_code_is_named_and_not_used(kept, tmp_path, files, error):
    """A full disk leaves such files."""
    folder = shutil.copytree(kept.parent, tmp_path / "copy")
    script = folder / "script.py"
    damaged = list((folder / "__pycache__").glob(files))
    assert damaged
    for path in damaged:
        path.write_bytes(path.read_bytes()[: 0 if error == "EOFError" else 100])
    done = run(script)
    assert (done.returncode, done.stdout) == (0, "0 0 0 0\n"), done.stderr
    assert "kept.kept" in done.stderr
    assert f"compiled code in {folder}" in done.stderr
    assert error in done.stderr
