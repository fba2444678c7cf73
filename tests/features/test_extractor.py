from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted, validate_data

from patchtst_har.config import N_STATISTICAL_FEATURES, TopologyConfig
from patchtst_har.errors import DataError, FeatureError
from patchtst_har.features import (
    MOVEMENT_FEATURE_NAMES,
    STATISTICAL_FEATURE_NAMES,
    TOPOLOGICAL_FEATURE_NAMES,
    FeatureExtractor,
    compute_movement_features_batch,
    compute_plugin_features_batch,
    compute_statistical_features_batch,
    compute_topological_features_batch,
)
from patchtst_har.synthetic import ACTIVITIES as CLASSES
from patchtst_har.synthetic import bout as activity_signal

SMALL = TopologyConfig(max_points=32)


class OnTables(FeatureExtractor):
    """Takes the tables that scikit-learn's checks feed, each row as a window with three equal channels."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = True, False
        return tags

    def fit(self, X, y=None):  # noqa: N803
        return super().fit(self._windows_of(X, reset=True), y)

    def transform(self, X):  # noqa: N803
        check_is_fitted(self)
        return super().transform(self._windows_of(X, reset=False))

    def _windows_of(self, X, *, reset):  # noqa: N803
        table = validate_data(self, X, reset=reset, ensure_all_finite=False)
        # Twice each sample: a window of three samples would be ambiguous.
        return np.repeat(np.repeat(table, 2, axis=1)[:, :, np.newaxis], 3, axis=2)


# scikit-learn generates tables only, so nothing can be checked on the transformer itself: it refuses them.
@pytest.mark.slow
@parametrize_with_checks(
    [
        OnTables(),
        OnTables(statistical=False, topology=SMALL, n_threads=2),
        OnTables(topological=False, plugins=("hjorth",)),
    ]
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("shape", [(30, 3), (20, 5), (100,)])
def test_the_transformer_itself_refuses_tables(shape):
    with pytest.raises(DataError, match=r"X must have shape \(n_windows, n_samples, 3\), not"):
        FeatureExtractor().fit(np.zeros(shape))


def test_the_tags_tell_scikit_learn():
    tags = get_tags(FeatureExtractor()).input_tags
    assert (tags.two_d_array, tags.three_d_array, tags.allow_nan, tags.sparse) == (False, True, True, False)


@pytest.fixture
def windows():
    return np.random.default_rng(0).normal(0, 0.3, (6, 200, 3)).astype(np.float32)


def test_the_columns_are_those_of_the_functions(windows):
    extractor = FeatureExtractor(50.0, plugins=("jerk_rms", "hjorth"), topology=SMALL)
    values = extractor.fit_transform(windows)
    parts = [
        compute_statistical_features_batch(windows, 50.0),
        compute_topological_features_batch(windows, 50.0, SMALL),
        compute_plugin_features_batch(windows, ["jerk_rms", "hjorth"], 50.0),
    ]
    np.testing.assert_array_equal(values, np.hstack(parts))
    names = extractor.get_feature_names_out()
    plugins = ("jerk_rms", "hjorth_mobility", "hjorth_complexity")
    assert tuple(names) == (*STATISTICAL_FEATURE_NAMES, *TOPOLOGICAL_FEATURE_NAMES, *plugins)
    assert names.dtype == object


def test_movement_comes_between_statistics_and_topology(windows):
    extractor = FeatureExtractor(50.0, topology=SMALL, movement=True)
    values = extractor.fit_transform(windows)
    names = (*STATISTICAL_FEATURE_NAMES, *MOVEMENT_FEATURE_NAMES, *TOPOLOGICAL_FEATURE_NAMES)
    assert tuple(extractor.get_feature_names_out()) == names
    first = len(STATISTICAL_FEATURE_NAMES)
    movement = compute_movement_features_batch(windows, 50.0)
    np.testing.assert_array_equal(values[:, first : first + movement.shape[1]], movement)
    with pytest.raises(TypeError, match="movement must be True or False, not 'yes'"):
        FeatureExtractor(movement="yes").fit(windows)


@pytest.mark.parametrize(
    ("parameters", "n_features"),
    [
        ({"topological": False}, N_STATISTICAL_FEATURES),
        ({"statistical": False}, 24),
        ({"statistical": False, "topological": False, "movement": True}, len(MOVEMENT_FEATURE_NAMES)),
        ({"statistical": False, "topological": False}, 1),
    ],
)
def test_parts_can_be_left_out(windows, parameters, n_features):
    plugins = ("jerk_rms",) if n_features == 1 else ()
    extractor = FeatureExtractor(topology=SMALL, plugins=plugins, **parameters)
    assert extractor.fit_transform(windows).shape == (6, n_features)
    assert len(extractor.get_feature_names_out()) == n_features


def test_the_other_layout_gives_the_same(windows):
    expected = FeatureExtractor(topological=False).fit_transform(windows)
    turned = np.ascontiguousarray(windows.transpose(0, 2, 1))
    for array in (turned, turned.astype(np.float64), windows.transpose(0, 2, 1)):
        values = FeatureExtractor(topological=False, layout="nct").fit_transform(array)
        np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("layout", ["ntc", "nct"])
def test_ambiguous_windows_are_refused(layout):
    with pytest.raises(DataError, match=r"shape \(4, 3, 3\) is ambiguous"):
        FeatureExtractor(layout=layout).fit(np.zeros((4, 3, 3)))


@pytest.mark.parametrize(
    ("array", "parameters", "error", "message"),
    [
        (np.zeros((4, 3, 50)), {}, DataError, r"for layout='ntc', not \(4, 3, 50\); pass layout='nct'"),
        (np.zeros((4, 50, 3)), {"layout": "nct"}, DataError, r"not \(4, 50, 3\); pass layout='ntc'"),
        (np.zeros((4, 50, 2)), {}, DataError, r"for layout='ntc', not \(4, 50, 2\)$"),
        (np.zeros((0, 50, 3)), {}, DataError, r"0 windows \(shape \(0, 50, 3\)\)"),
        (np.zeros((4, 0, 3)), {}, DataError, r"must have 1 to 1048576 samples, has shape \(4, 0, 3\)"),
        (np.zeros((4, 50, 3), complex), {}, TypeError, "must hold real numbers, not complex128"),
        (np.full((4, 50, 3), "a"), {}, TypeError, "must hold real numbers, not <U1"),
        (np.ma.zeros((4, 50, 3)), {}, TypeError, r"X must not be masked: pass X\.filled\(np\.nan\)"),
        (
            np.zeros((4, 50, 3)),
            {"statistical": "no"},
            TypeError,
            "statistical must be True or False, not 'no'",
        ),
        (
            np.zeros((4, 50, 3)),
            {"topological": None},
            TypeError,
            "topological must be True or False, not None",
        ),
        (np.zeros((4, 50, 3)), {"sr": -1.0}, DataError, "sr must be positive"),
        (np.zeros((4, 50, 3)), {"n_threads": 0}, DataError, "n_threads must be at least 1"),
        (np.zeros((4, 50, 3)), {"layout": "tnc"}, DataError, "layout must be 'ntc' or 'nct', not 'tnc'"),
        (np.zeros((4, 50, 3)), {"topology": {}}, TypeError, "topology must be a TopologyConfig, not dict"),
        (np.zeros((4, 50, 3)), {"plugins": ("absent",)}, FeatureError, "'absent': is not registered"),
        (
            np.zeros((4, 50, 3)),
            {"plugins": "hjorth"},
            TypeError,
            "plugins must be a tuple or list of names, not str",
        ),
        (
            np.zeros((4, 50, 3)),
            {"plugins": None},
            TypeError,
            "plugins must be a tuple or list of names, not None",
        ),
        (
            np.zeros((4, 50, 3)),
            {"statistical": False, "topological": False},
            DataError,
            "nothing to compute: set statistical, movement, topological or plugins",
        ),
    ],
)
def test_fit_refuses_what_cannot_be_used(array, parameters, error, message):
    with pytest.raises(error, match=message):
        FeatureExtractor(**parameters).fit(array)


def test_transform_wants_fit_and_the_same_length(windows):
    with pytest.raises(NotFittedError):
        FeatureExtractor().transform(windows)
    with pytest.raises(NotFittedError):
        FeatureExtractor().get_feature_names_out()
    extractor = FeatureExtractor(topological=False).fit(windows)
    with pytest.raises(DataError, match="windows of 100 samples, but FeatureExtractor was fitted on 200"):
        extractor.transform(windows[:, :100])


def test_set_output_gives_named_columns(windows):
    extractor = FeatureExtractor(topological=False, plugins=("hjorth",))
    values = extractor.fit_transform(windows)
    frame = clone(extractor).set_output(transform="pandas").fit_transform(windows)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == [*STATISTICAL_FEATURE_NAMES, "hjorth_mobility", "hjorth_complexity"]
    np.testing.assert_array_equal(frame, values)


def test_clone_and_pickle(windows):
    extractor = FeatureExtractor(50.0, topology=SMALL, plugins=("jerk_rms",), n_threads=2)
    fitted = clone(extractor).fit(windows)
    assert fitted.get_params() == extractor.get_params()
    assert not hasattr(extractor, "n_samples_")
    again = pickle.loads(pickle.dumps(fitted))  # noqa: S301
    np.testing.assert_array_equal(again.transform(windows), fitted.transform(windows))
    assert clone(extractor).set_params(plugins=(), sr=20.0).get_params()["sr"] == 20.0


@pytest.mark.compiles
def test_a_pickle_does_not_carry_a_plug_in(windows):
    from patchtst_har.features import register_feature, unregister_feature

    register_feature("leaving", outputs=["leaving"])(lambda window, sr: window[0, 0])
    data = pickle.dumps(FeatureExtractor(topological=False, plugins=("leaving",)).fit(windows))
    unregister_feature("leaving")
    with pytest.raises(FeatureError, match="'leaving': is not registered"):
        pickle.loads(data).transform(windows)  # noqa: S301


def test_windows_with_holes_are_repaired(windows):
    windows[2, 5:9, 1] = np.nan
    values = FeatureExtractor(topological=False, plugins=("hjorth",)).fit_transform(windows)
    assert np.isfinite(values).all()


def test_a_pipeline_learns_activities():
    rng = np.random.default_rng(1)
    labels = np.array([*CLASSES] * 12)
    windows = np.stack([activity_signal(label, 500, rng) for label in labels])
    forest = RandomForestClassifier(50, random_state=0)
    pipeline = make_pipeline(FeatureExtractor(topological=False, plugins=("jerk_rms",)), forest)
    pipeline.fit(windows[:24], labels[:24])
    assert pipeline.score(windows[24:], labels[24:]) == 1.0
