"""No number and no array that the compiled extension is given leads outside of its memory or out of time."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import hostile_calls
from patchtst_har import _core


def callables() -> set[str]:
    """Return every function of the extension, and of each class what does not begin with an underscore."""
    names = set()
    for name, value in vars(_core).items():
        if inspect.isclass(value) and not issubclass(value, Exception):
            methods = {key for key, method in vars(value).items() if callable(method) and key[0] != "_"}
            names |= {name, *(f"{name}.{key}" for key in methods)}
        elif callable(value) and not inspect.isclass(value):
            names.add(name)
    return names


def test_the_table_of_hostile_calls_leaves_nothing_out():
    covered = {name.partition(" ")[0] for name in hostile_calls.TARGETS} - {"attention"}
    assert callables() == covered | hostile_calls.ALSO | hostile_calls.WITHOUT


@pytest.mark.spawns
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs the size of this process")
def test_hostile_numbers_are_refused_or_harmless():
    command = [sys.executable, hostile_calls.__file__]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"ended by {done.returncode} in: {done.stdout[-300:]}{done.stderr[-2000:]}"
    lines = done.stdout.splitlines()
    assert lines[-1] == "done"
    assert sum(line.endswith("Error") for line in lines) > 500


@pytest.mark.parametrize("number", [2**31, 2**33, 2**62, 2**64 - 1])
def test_an_embedding_larger_than_its_window_is_refused(number):
    windows, out = hostile_calls.WINDOWS, hostile_calls.ones(2, 24)
    for embedding in ((number, 1, 1), (1, number, 1), (1, 1, number), (1, number, number)):
        with pytest.raises(ValueError, match=r"must be at most|too many points"):
            _core.topological_features(windows, *embedding, out)


@pytest.mark.parametrize("stride", [2**61, 2**62, 2**63])
def test_rows_whose_distance_overflows_are_refused(stride):
    """Four times 2**62 is 0: the rows seemed to lie in their buffer."""
    engine = hostile_calls.engine()
    with pytest.raises(ValueError, match="beyond their buffer"):
        hostile_calls.linear(engine, source=(0, 0, stride, 1), rows=(2**64 // stride + 1, 1))


def test_a_step_added_later_finds_its_memory():
    hostile_calls.add_buffer(16)
