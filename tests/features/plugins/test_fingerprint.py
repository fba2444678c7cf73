from __future__ import annotations

import textwrap

import numpy as np
import pytest

from patchtst_har.features import compute_plugin_features, register_feature
from patchtst_har.features.plugins.fingerprint import fingerprint
from patchtst_har.features.plugins.registry import selected

SOURCE = """
from enum import Enum

import numpy as np
from numba import njit, vectorize

SCALE = 2.0
TABLE = np.array([1.0, 2.0])
TABLES = (np.zeros(5000), TABLE)

class Mode(Enum):
    SLOW = 1
    FAST = 2

def helper(value):
    return value + 1

@njit
def compiled(value):
    return value * 3

@vectorize
def elementwise(value):
    return value * 5

HELPERS = (compiled, helper)

def maker(offset):
    def inner(window, sr):
        return window[0, 0] + offset
    return inner

def feature(window, sr):
    return helper(window[0, 0]) * SCALE + TABLE[0]

def other(window, sr):
    return elementwise(window[0, 0]) + HELPERS[0](TABLES[0][2500]) + Mode.FAST.value

closed = maker(3.0)
"""


def functions(source):
    names = {"__name__": "made"}
    exec(textwrap.dedent(source), names)  # noqa: S102
    return names


def of(source, name="feature", outputs=("a",)):
    return fingerprint(functions(source)[name], outputs)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("* SCALE", "/ SCALE"),
        ("SCALE = 2.0", "SCALE = 2.5"),
        ("[1.0, 2.0]", "[1.0, 2.5]"),
        ("value + 1", "value + 2"),
        ("value + 1", "value - 1"),
    ],
)
def test_whatever_the_value_depends_on_changes_it(before, after):
    assert of(SOURCE) != of(SOURCE.replace(before, after))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("value * 3", "value * 4"),
        ("value * 5", "value * 6"),
        ("np.zeros(5000)", "1.0 * (np.arange(5000) == 2500)"),
        ("FAST = 2", "FAST = 3"),
    ],
)
def test_compiled_helpers_long_tables_in_tuples_and_enumerations_change_it(before, after):
    assert of(SOURCE, "other") != of(SOURCE.replace(before, after), "other")


def test_closures_and_outputs_change_it():
    assert of(SOURCE, "closed") != of(SOURCE.replace("maker(3.0)", "maker(4.0)"), "closed")
    assert of(SOURCE) != of(SOURCE, outputs=("b",))


def test_comments_and_places_do_not_change_it():
    moved = "\n\n# moved\n" + SOURCE.replace("SCALE = 2.0", "SCALE = 2.0  # twice")
    for name in ("feature", "other", "closed"):
        assert of(SOURCE, name) == of(moved, name)


@pytest.mark.usefixtures("registry")
@pytest.mark.slow
def test_a_changed_helper_in_another_file_is_not_answered_from_the_old_compiled_code(tmp_path, monkeypatch):
    """numba's own cache looks at the feature's file only."""
    monkeypatch.syspath_prepend(str(tmp_path))
    import sys

    from patchtst_har.features import unregister_feature

    helper = "from numba import njit\n\n@njit\ndef shift(x):\n    return x + {}\n"
    feature = "from shifting import shift\n\ndef shifted(window, sr):\n    return shift(window[0, 0])\n"
    (tmp_path / "shifted.py").write_text(feature)
    values, prints = [], []
    for amount in (1, 22):
        (tmp_path / "shifting.py").write_text(helper.format(amount))
        for name in ("shifted", "shifting"):
            sys.modules.pop(name, None)
        from shifted import shifted

        register_feature("shifted", outputs=["shifted"])(shifted)
        values.append(compute_plugin_features(np.zeros((2, 3), np.float32), ["shifted"])[0])
        prints.append(selected(["shifted"])[0].fingerprint)
        unregister_feature("shifted")
    assert values == [1, 22]
    assert prints[0] != prints[1]
    assert list((tmp_path / "__pycache__").glob("*shifted*.nbc"))
