"""A window in one compiled call: the bits of the parts called one by one, or the parts where it cannot be."""

import gc
import pickle
import threading

import numpy as np
import pytest

from patchtst_har import Recognizer, _core
from patchtst_har.config import N_MOVEMENT_FEATURES, N_STATISTICAL_FEATURES, FeatureConfig, TopologyConfig
from patchtst_har.errors import ModelFolderError
from patchtst_har.inference.native import NativeClassifier
from patchtst_har.inference.window_classifier import SingleWindowClassifier
from streams import CLASSES, make_samples, small_recognizer, with_familiarity

START_NS = 1_700_000_000_000_000_000


def some_windows(n=6):
    samples, _ = make_samples(2 * n + 1)
    windows = np.stack([samples[170 * k : 170 * k + 200] for k in range(n)])
    windows[1:2] = [0.25, 0.5, 0.75]  # at rest, exactly
    windows[2:3] = np.round(windows[2:3] * 64) / 64
    return windows


@pytest.mark.parametrize("n_time_features", [0, 5])
@pytest.mark.parametrize("n_topo_features", [0, 24])
@pytest.mark.parametrize("n_stat_features", [0, N_STATISTICAL_FEATURES])
def test_one_call_gives_the_bits_of_its_parts(n_stat_features, n_topo_features, n_time_features):
    recognizer = small_recognizer(
        n_stat_features=n_stat_features, n_topo_features=n_topo_features, n_time_features=n_time_features
    )
    classify = SingleWindowClassifier(recognizer)
    assert classify.is_one_call
    for k, window in enumerate(some_windows()):
        start_ns = START_NS + k * 10**13
        probabilities, stage_ns, distance = classify(window, start_ns)
        assert np.isnan(distance)
        expected = recognizer.predict(window[np.newaxis], np.array([start_ns])).probabilities[0]
        np.testing.assert_array_equal(probabilities, expected)
        np.testing.assert_array_equal(classify.step_by_step(window, start_ns)[0], expected)
        assert (stage_ns[0] > 0) >= (n_stat_features > 0)
        assert (stage_ns[1] > 0) >= (n_topo_features > 0)
        assert stage_ns[2] > 0


@pytest.mark.parametrize(
    "model",
    [{"n_topo_features": 24}, {"features_as": "branch", "stem_over": "window", "pooling": "mean_max"}],
)
def test_the_distance_comes_with_the_same_call(model):
    if "stem_over" in model:
        layers = ({"channels": 8, "kernel": 16, "stride": 8, "padding": 8},)
        model = {**model, "stem": layers, "patch_len": 200, "d_model": 8, "n_heads": 2}
    recognizer = with_familiarity(small_recognizer(**model))
    classify = SingleWindowClassifier(recognizer)
    assert classify.is_one_call
    windows = some_windows()
    together = recognizer.predict(windows)
    for window, expected in zip(windows, together.distances, strict=True):
        alone = recognizer.predict(window[np.newaxis])
        assert classify(window, 0)[2] == classify.step_by_step(window, 0)[2] == alone.distances[0]
        assert alone.distances[0] == pytest.approx(expected, rel=1e-4)
        np.testing.assert_array_equal(classify(window, 0)[0], alone.probabilities[0])
    # The probabilities do not depend on whether distances are asked for.
    bare = SingleWindowClassifier(recognizer.replace(familiarity=None))
    np.testing.assert_array_equal(bare(windows[0], 0)[0], classify(windows[0], 0)[0])
    eager = recognizer.replace(model=recognizer.torch_module()).predict(windows)
    np.testing.assert_allclose(eager.distances, together.distances, rtol=1e-2)


@pytest.mark.parametrize("isa", _core.available_isas())
@pytest.mark.parametrize(
    "patch", [{"patch_len": 20}, {"patch_len": 40, "patch_stride": 20}, {"patch_len": 200}]
)
def test_patches_of_any_length_and_overlap_in_every_instruction_set(isa, patch):
    active = _core.active_isa()
    _core.select_isa(isa)
    try:
        recognizer = small_recognizer(n_topo_features=24, **patch)
        classify = SingleWindowClassifier(recognizer)
        for window in some_windows(3):
            expected = recognizer.predict(window[np.newaxis]).probabilities[0]
            np.testing.assert_array_equal(classify(window, 0)[0], expected)
    finally:
        _core.select_isa(active)


@pytest.mark.parametrize("n_topo_features", [0, 24])
def test_movement_is_part_of_the_one_call(n_topo_features):
    groups = ("statistical", "movement") + (("topological",) if n_topo_features else ())
    recognizer = small_recognizer(
        n_stat_features=N_STATISTICAL_FEATURES + N_MOVEMENT_FEATURES,
        n_topo_features=n_topo_features,
        features=FeatureConfig(groups=groups),
    )
    classify = SingleWindowClassifier(recognizer)
    assert classify.is_one_call
    for window in some_windows(3):
        expected = recognizer.predict(window[np.newaxis]).probabilities[0]
        np.testing.assert_array_equal(classify(window, 0)[0], expected)
        np.testing.assert_array_equal(classify.step_by_step(window, 0)[0], expected)


@pytest.mark.parametrize(
    "features",
    [
        {"plugins": ("hjorth",)},
        {"topology": TopologyConfig(engine="ripser")},
        {"topology": TopologyConfig(on_error="fallback")},
    ],
)
def test_where_a_part_is_not_compiled_the_parts_are_called(features):
    recognizer = small_recognizer(n_topo_features=24, features=FeatureConfig(**features))
    classify = SingleWindowClassifier(recognizer)
    assert not classify.is_one_call
    window = some_windows(1)[0]
    expected = recognizer.predict(window[np.newaxis]).probabilities[0]
    np.testing.assert_array_equal(classify(window, 0)[0], expected)


def test_a_torch_model_is_called_part_by_part():
    native = small_recognizer()
    eager = Recognizer(native.torch_module(), CLASSES, native.config, native.smoother)
    classify = SingleWindowClassifier(eager)
    assert not classify.is_one_call
    window = some_windows(1)[0]
    expected = SingleWindowClassifier(native)(window, 0)[0]
    np.testing.assert_allclose(classify(window, 0)[0], expected, atol=1e-5)


def test_64_threads_share_one_classifier():
    recognizer = small_recognizer(n_topo_features=24)
    classify, windows = SingleWindowClassifier(recognizer), some_windows()
    expected = [classify(window, 0)[0].tobytes() for window in windows]
    failures = []

    def hammer():
        for _ in range(4):
            got = [classify(window, 0)[0].tobytes() for window in windows]
            failures.extend(k for k in range(len(got)) if got[k] != expected[k])

    threads = [threading.Thread(target=hammer) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_nothing_is_allocated_for_windows_like_those_before():
    recognizer = with_familiarity(small_recognizer(n_topo_features=24))
    classify, windows = SingleWindowClassifier(recognizer), some_windows()
    classify(windows[0], 0)
    made = _core.n_plans_made(), recognizer.model.n_workspaces_made
    for window in windows:
        classify(window, 0)
    assert (_core.n_plans_made(), recognizer.model.n_workspaces_made) == made


def test_engine_and_familiarity_outlive_the_model_that_made_them():
    classify = SingleWindowClassifier(with_familiarity(small_recognizer()))
    window = some_windows(1)[0]
    expected = classify(window, 0)
    compiled = classify._compiled
    del classify
    gc.collect()
    found = compiled.classify(window, np.empty((1, 0), np.float32))
    np.testing.assert_array_equal(found[0], expected[0])
    assert found[2] == expected[2]


def test_what_does_not_fit_is_refused_before_memory_is_touched():
    recognizer = small_recognizer()
    engine, none = recognizer.model.engine, np.empty((1, 0), np.float32)
    for patch_len, patch_hop, uses_statistics, uses_movement, embedding in (
        (30, 10, True, False, None),
        (20, 10, True, False, None),
        (20, 20, False, False, None),
        (20, 20, True, True, None),
        (20, 20, False, True, None),
        (20, 20, True, False, (2, 3, 5)),
        (0, 20, True, False, None),
        (20, 0, True, False, None),
        (201, 20, True, False, None),
        (20, 20, True, False, (0, 3, 5)),
    ):
        with pytest.raises(ValueError, match=r"engine's inputs|patches must lie|must be at least 1"):
            _core.WindowClassifier(
                engine, 100.0, 200, patch_len, patch_hop, uses_statistics, uses_movement, embedding
            )
    with pytest.raises(ValueError, match="sr must be positive"):
        _core.WindowClassifier(engine, float("nan"), 200, 20, 20, True, False, None)
    other = _core.Familiarity(*(np.ones(shape, np.float32) for shape in ((3,), (2, 3), (4, 2))))
    with pytest.raises(ValueError, match="embedding is not that of the familiarity"):
        _core.WindowClassifier(engine, 100.0, 200, 20, 20, True, False, None, other)
    compiled = _core.WindowClassifier(engine, 100.0, 200, 20, 20, True, False, None)
    with pytest.raises(ValueError, match="window must have shape"):
        compiled.classify(np.zeros((199, 3), np.float32), none)
    with pytest.raises(ValueError, match="times must have shape"):
        compiled.classify(np.zeros((200, 3), np.float32), np.zeros((1, 5), np.float32))
    with pytest.raises(TypeError):
        compiled.classify(np.zeros((200, 3)), none)


def test_probabilities_are_the_softmax_of_the_logits():
    logits = np.random.default_rng(0).normal(0, 30, (50, 7)).astype(np.float32)
    logits[3] = 1e30
    logits[4, 2] = np.nan
    shifted = np.exp(logits.astype(np.longdouble) - logits.max(axis=1, keepdims=True))
    with np.errstate(invalid="ignore"):
        expected = shifted / shifted.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(_core.probabilities(logits), expected.astype(float), rtol=1e-14, atol=1e-300)
    assert _core.probabilities(np.empty((0, 3), np.float32)).shape == (0, 3)


def test_a_recogniser_of_another_process_has_its_own_engine():
    model = small_recognizer().model
    assert pickle.loads(pickle.dumps(model)).engine is not model.engine  # noqa: S301


def test_a_model_that_overflows_gives_an_error_and_no_label():
    recognizer = small_recognizer()
    huge = {name: np.full_like(values, 3e38) for name, values in recognizer.model.tensors.items()}
    model = NativeClassifier(recognizer.config.model, len(CLASSES), huge)
    recognizer = with_familiarity(recognizer).replace(model=model)
    windows = some_windows()
    samples, stamps = make_samples(10)
    for call in (
        lambda: SingleWindowClassifier(recognizer)(windows[0], START_NS),
        lambda: SingleWindowClassifier(recognizer).step_by_step(windows[0], START_NS),
        lambda: recognizer.predict(windows),
        lambda: recognizer.replace(familiarity=None).predict(windows),
        lambda: recognizer.stream(smoothing="none").push(samples, stamps),
    ):
        with pytest.raises(ModelFolderError, match="weights are so large that its probabilities are no num"):
            call()
