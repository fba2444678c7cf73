from __future__ import annotations

import re
import sys

import numpy as np
import pytest

from patchtst_har.config import ExperimentConfig
from patchtst_har.errors import ConfigError, FeatureError
from patchtst_har.features import (
    compute_plugin_features,
    feature_outputs,
    register_feature,
    registered_features,
    unregister_feature,
)
from patchtst_har.features.plugins import feature_origins, registry

pytestmark = pytest.mark.usefixtures("registry")

SOURCE = """
from patchtst_har.features import register_feature

@register_feature("packaged", outputs=["packaged_first"])
def packaged(window, sr):
    return window[0, 0] + sr
"""


def one(window, sr):
    return 1.0


def three(window, sr):
    return np.array([1.0, 2.0, 3.0])


def too_far(window, sr):
    return window[len(window), 0]


def writes(window, sr):
    window[0, 0] = 1.0
    return 0.0


def text(window, sr):
    return "text"


def perhaps(window, sr):
    return window[0, 0] if len(window) > 3 else None


def logarithm(window, sr):
    return np.log(np.std(window[:, 0]))


def overflow(window, sr):
    return 1e39


def unknown_function(window, sr):
    return np.polyfit(window)


def imports(window, sr):
    import math

    return math.sqrt(sr)


def at_random(window, sr):
    return np.random.random()  # noqa: NPY002


def unset():
    def inner(window, sr):
        return later + 1.0

    yield inner
    later = 1.0


@pytest.mark.compiles
@pytest.mark.parametrize(
    ("function", "outputs", "message"),
    [
        (three, ["a", "b"], r"returns 3 values, outputs names 2 \(a, b\) \(a window of movement\)"),
        (one, ["a", "b"], r"returns 1 values, outputs names 2 \(a, b\)"),
        (too_far, ["a"], r"raises IndexError: index is out of bounds \(a window of movement\)"),
        (logarithm, ["a"], r".*not finite in float32: a = -inf \(a window of a still sensor\)"),
        (overflow, ["a"], r".*not finite in float32: a = 1e\+39 \(a window of movement\)"),
        (writes, ["a"], "numba cannot compile it: .*readonly array"),
        (unknown_function, ["a"], "numba cannot compile it: .*polyfit"),
        (imports, ["a"], "numba cannot compile it: .*IMPORT_NAME"),
        (next(unset()), ["a"], "numba cannot compile it: .*[Cc]ell"),
        (at_random, ["a"], r"returns \[.*\] and then \[.*\] for the same window \(a window of movement\)"),
        (text, ["a"], r"must return a number, a tuple of numbers or a one-dimensional array, returns .*str"),
        (perhaps, ["a"], r"must return a number, .* returns OptionalType"),
        (lambda window: 1.0, ["a"], r"needs a function of \(window, sr\), has \(window\)"),
        (lambda window, sr, *more: 1.0, ["a"], r"needs a function of \(window, sr\), has"),
        (np.mean, ["a"], "needs a plain function, not"),
    ],
)
def test_a_bad_function_is_refused_by_name_at_registration(function, outputs, message):
    with pytest.raises(FeatureError, match=f"^feature 'bad': {message}"):
        register_feature("bad", outputs=outputs)(function)
    assert "bad" not in registered_features()


@pytest.mark.parametrize("name", ["", "Upper", "1st", "with-dash", "a" * 65, "../x", 5, None])
def test_bad_names_are_refused(name):
    with pytest.raises(FeatureError, match="a name needs the form"):
        register_feature(name, outputs=["a"])


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ([], "outputs must name at least one value"),
        ("text", "outputs must name at least one value, is 'text'"),
        (["a", "a"], "output 'a' stands more than once"),
        (["A"], "output 'A' needs the form"),
        (["mag_mean"], "output 'mag_mean' is the name of a built-in feature"),
    ],
)
def test_bad_outputs_are_refused(outputs, message):
    with pytest.raises(FeatureError, match=f"feature 'good': {message}"):
        register_feature("good", outputs=outputs)


@pytest.mark.compiles
def test_the_decorated_function_stays_a_plain_function():
    assert register_feature("mine", outputs=["mine_one"])(one) is one
    assert "mine" in registered_features()
    assert feature_outputs(["mine", "jerk_rms"]) == ("mine_one", "jerk_rms")


@pytest.mark.compiles
def test_a_name_is_taken_once_and_can_be_given_back():
    register_feature("mine", outputs=["a"])(one)
    with pytest.raises(FeatureError, match=r"'mine': is already registered \(.*one\).*unregister_feature"):
        register_feature("mine", outputs=["a"])(three)
    unregister_feature("mine")
    register_feature("mine", outputs=["a", "b", "c"])(three)
    window = np.zeros((5, 3), np.float32)
    np.testing.assert_array_equal(compute_plugin_features(window, ["mine"]), [1, 2, 3])


def test_shipped_names_cannot_be_taken_or_given_back():
    with pytest.raises(FeatureError, match="'hjorth': the name belongs to the package patchtst_har"):
        register_feature("hjorth", outputs=["a"])(one)
    with pytest.raises(FeatureError, match="'hjorth': comes with an installed package"):
        unregister_feature("hjorth")
    with pytest.raises(FeatureError, match="'nothing': is not registered"):
        unregister_feature("nothing")


def test_unknown_and_repeated_selections_are_named():
    with pytest.raises(FeatureError, match="'nothing': is not registered; known are hjorth, jerk_rms"):
        feature_outputs(["nothing"])
    with pytest.raises(FeatureError, match="'jerk_rms': is selected more than once"):
        feature_outputs(["jerk_rms", "jerk_rms"])
    with pytest.raises(FeatureError, match="plugins must be a sequence of names, not the text 'hjorth'"):
        feature_outputs("hjorth")


@pytest.mark.compiles
def test_two_features_with_a_common_column_are_refused_together():
    register_feature("first", outputs=["same"])(one)
    register_feature("second", outputs=["same"])(one)
    assert feature_outputs(["second"]) == ("same",)
    with pytest.raises(FeatureError, match="'first' and 'second' both have an output 'same'"):
        feature_outputs(["first", "second"])


@pytest.mark.compiles
def test_an_installed_package_brings_a_feature_that_is_loaded_when_asked_for(entry_points):
    entry_points("brings_one", SOURCE, {"packaged": "brings_one"})
    assert "packaged" in registered_features()
    assert "brings_one" not in sys.modules
    window = np.full((4, 3), 2, np.float32)
    assert compute_plugin_features(window, ["packaged"], 50.0) == np.float32(52)
    assert "brings_one" in sys.modules
    with pytest.raises(FeatureError, match="'packaged': comes with an installed package"):
        unregister_feature("packaged")
    del registry._registered["packaged"], sys.modules["brings_one"]


@pytest.mark.parametrize(
    ("source", "value", "message"),
    [
        ("raise OSError('no disk')", "broken", r"cannot be loaded \(OSError: no disk\)"),
        ("raise SystemExit(3)", "broken", r"cannot be loaded \(SystemExit: 3\)"),
        ("", "broken:missing", r"cannot be loaded \(AttributeError: .*missing"),
        ("", "no_such_module_at_all", r"cannot be loaded \(ModuleNotFoundError: .*no_such_module_at_all"),
        ("", "broken", "did not register a feature of that name"),
    ],
)
def test_a_failing_entry_point_is_named(entry_points, source, value, message):
    entry_points("broken", source, {"faulty": value})
    expected = rf"feature 'faulty': entry point 'faulty' = '{value}' of broken {message}"
    with pytest.raises(FeatureError, match=expected):
        feature_outputs(["faulty"])


@pytest.mark.compiles
def test_the_origins_of_all_features_are_told_and_the_broken_ones_named(entry_points):
    entry_points("brings_one", SOURCE, {"packaged": "brings_one"})
    entry_points("broken_one", "raise OSError('no disk')", {"faulty": "broken_one"})
    origins = feature_origins()
    assert origins["hjorth"] == "shipped with patchtst-har"
    assert origins["packaged"] == "package brings_one"
    assert origins["faulty"].startswith("error: feature 'faulty': entry point 'faulty' = 'broken_one'")
    assert "OSError: no disk" in origins["faulty"]


def test_a_name_that_two_packages_declare_is_refused(entry_points):
    entry_points("left", "", {"shared": "left"})
    entry_points("right", "", {"shared": "right"})
    with pytest.raises(FeatureError, match=r"'shared': is declared by more than one .*: (left|right) and"):
        feature_outputs(["shared"])
    with pytest.raises(FeatureError, match=r"'shared': the name belongs to the package (left|right)"):
        register_feature("shared", outputs=["a"])(one)


@pytest.mark.parametrize(
    "name", ["hatchery", "hatchery.egg", "hatchery:egg", "hatchery.egg:hatch", "os.path"]
)
@pytest.mark.slow
def test_the_name_of_a_module_is_never_imported(tmp_path, monkeypatch, name):
    """A model folder's configuration names plug-ins: it may come from anyone."""
    (tmp_path / "hatchery").mkdir()
    for module in ("__init__", "egg"):
        (tmp_path / "hatchery" / f"{module}.py").write_text("open(__file__ + '.hatched', 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(FeatureError, match=re.escape(name)):
        feature_outputs([name])
    with pytest.raises(ConfigError, match=re.escape(name)):
        ExperimentConfig.from_mapping({"features": {"plugins": [name]}})
    assert not list(tmp_path.rglob("*.hatched"))
    assert "hatchery" not in sys.modules
