"""The compiled engine in bfloat16: against products of rounded factors, and against float32."""

from __future__ import annotations

import math
import pickle
import re

import numpy as np
import pytest
import torch

from architectures import ARCHITECTURES, random_inputs, randomise
from patchtst_har import Recognizer, _core
from patchtst_har.config import ModelConfig
from patchtst_har.errors import PatchTSTHARError, PrecisionError
from patchtst_har.inference import NativeClassifier
from patchtst_har.models import PatchTSTClassifier

PRESENT = "avx512" in _core.available_isas() and _core.cpu_features()["avx512_bf16"]
SIZES = (1, 2, 3, 5, 6, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 129)
GELU_ERROR = 8e-5
"""Of x Phi(x), times |x|."""


@pytest.fixture
def bfloat16():
    """Use the instruction set that has it, or skip."""
    if not PRESENT:
        pytest.skip("this processor has no avx512_bf16")
    active = _core.active_isa()
    _core.select_isa("avx512")
    yield
    _core.select_isa(active)


def model_of(config, seed=0):
    torch.manual_seed(seed)
    return randomise(PatchTSTClassifier(config, 5), seed).eval()


def arrays_of(config, n, seed=0):
    return [tensor.numpy() for tensor in random_inputs(config, n, seed)]


def rounded(values):
    """Return float64 of the nearest bfloat16."""
    return torch.from_numpy(values).bfloat16().double().numpy()


def product(values, weights, bias, *, segments=None, activation="none", adds=False, n_rows=1):
    """Run one linear step on rows that lie back to back; what it may add to are ones."""
    n, n_columns = len(values), len(weights)
    width = -(-n_columns // 16) * 16
    engine = _core.Engine([(n_rows, values.shape[1] // n_rows), (0,), (0,), (0,)], 3, "bfloat16")
    target = engine.add_buffer(n_rows * width)
    engine.add_constant(np.ones(n_rows * width, np.float32), (target, 0, 0, 0))
    segments = segments or (1, weights.shape[1], 0)
    row = values.shape[1] // n_rows
    engine.add_linear(
        weights, bias, (0, 0, row, 0), (target, 0, width, 0), (n_rows, 1), segments, activation, adds
    )
    engine.set_outputs((target, 0, 0, 0), n_rows * width)
    out = np.empty((n, n_rows * width), np.float32)
    none = np.empty(0, np.float32)
    engine.run(values.reshape(n, n_rows, row), none, none, none, out)
    return out.reshape(n, n_rows, width)[..., :n_columns]


@pytest.mark.parametrize("n_values", SIZES)
@pytest.mark.parametrize("n_rows", [1, 2, 3, 4, 5, 6, 7])
@pytest.mark.slow
def test_a_product_is_that_of_rounded_factors(bfloat16, n_values, n_rows):
    rng = np.random.default_rng(n_values)
    values = rng.normal(size=(2, n_rows * n_values)).astype(np.float32)
    for n_columns in SIZES:
        weights = rng.normal(size=(n_columns, n_values)).astype(np.float32)
        bias = rng.normal(size=n_columns).astype(np.float32)
        rows = rounded(values).reshape(2, n_rows, n_values)
        expected = rows @ rounded(weights).T + bias + 1
        got = product(values, weights, bias, adds=True, n_rows=n_rows)
        tolerance = 1e-6 * (np.abs(rows) @ np.abs(rounded(weights)).T + np.abs(bias) + 1)
        assert (np.abs(got - expected) <= tolerance).all(), n_columns


@pytest.mark.parametrize(
    "segments", [(3, 100, 101), (2, 5, 9), (7, 1, 3), (4, 33, 40), (5, 32, 33), (3, 31, 31)]
)
def test_a_row_may_lie_in_stretches(bfloat16, segments):
    count, length, stride = segments
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4, count * stride)).astype(np.float32)
    weights = rng.normal(size=(20, count * length)).astype(np.float32)
    rows = rounded(values).reshape(4, count, stride)[:, :, :length].reshape(4, -1)
    got = product(values, weights, np.zeros(20, np.float32), segments=segments)
    np.testing.assert_allclose(got[:, 0], rows @ rounded(weights).T, rtol=0, atol=1e-4)


def test_activations(bfloat16):
    x = rounded(np.concatenate([np.linspace(-9, 9, 4001), [0.0, 50.0, -50.0, 1e4, -1e4]]).astype(np.float32))
    values, one, zero = x.astype(np.float32)[:, None], np.ones((1, 1), np.float32), np.zeros(1, np.float32)
    exact = x * np.vectorize(math.erfc)(-x / math.sqrt(2)) / 2
    errors = np.abs(product(values, one, zero, activation="gelu").ravel() - exact)
    assert (errors <= GELU_ERROR * np.abs(x)).all()
    np.testing.assert_array_equal(product(values, one, zero, activation="relu").ravel(), np.maximum(x, 0))


@pytest.mark.parametrize("options", ARCHITECTURES.values(), ids=ARCHITECTURES)
@pytest.mark.slow
def test_every_architecture_is_close_to_float32(options, bfloat16):
    config = ModelConfig(**options)
    model, inputs = model_of(config), arrays_of(config, 9)
    expected = NativeClassifier.from_torch(model).logits(*inputs)
    native = NativeClassifier.from_torch(model, "bfloat16")
    got = native.logits(*inputs)
    # Rounding is seen, and nothing but rounding.
    errors = np.abs(got - expected)
    assert 0 < errors.max() <= 0.04 * np.abs(expected).max()
    assert np.sqrt(np.mean(errors**2)) <= 0.01 * np.abs(expected).max()
    native.logits(*inputs, out=got)
    assert native.n_workspaces_made == 1


@pytest.mark.parametrize("options", [{}, ARCHITECTURES["everything"], ARCHITECTURES["narrow"]])
def test_a_window_does_not_depend_on_its_batch_or_its_thread(options, bfloat16):
    config = ModelConfig(**options)
    native = NativeClassifier.from_torch(model_of(config), precision="bfloat16")
    inputs = arrays_of(config, 300)
    whole = native.logits(*inputs)
    for n in (1, 2, 3, 7, 31):
        part = native.logits(*(array[5 : 5 + n] for array in inputs))
        assert part.tobytes() == whole[5 : 5 + n].tobytes(), n
    assert native.logits(*inputs, n_threads=3).tobytes() == whole.tobytes()


@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize("position", range(4))
def test_what_is_not_finite_makes_its_window_nan_and_no_other(bfloat16, position, activation):
    config = ModelConfig(activation=activation)
    native = NativeClassifier.from_torch(model_of(config), precision="bfloat16")
    inputs = arrays_of(config, 20)
    expected = native.logits(*inputs)
    inputs[position][11].flat[-1] = np.nan
    got = native.logits(*inputs)
    assert np.isnan(got[11]).all()
    others = np.arange(20) != 11
    np.testing.assert_array_equal(got[others], expected[others])


def test_it_keeps_its_precision_in_another_process(bfloat16):
    config = ModelConfig()
    native, inputs = NativeClassifier.from_torch(model_of(config), "bfloat16"), arrays_of(config, 3)
    received = pickle.loads(pickle.dumps(native))  # noqa: S301 - its own
    assert received.precision == "bfloat16"
    np.testing.assert_array_equal(received.logits(*inputs), native.logits(*inputs))


def test_a_recogniser_takes_the_precision(bfloat16, small_run):
    folder = small_run.folder / "model"
    windows = np.random.default_rng(0).normal(size=(30, 1000, 3)).astype(np.float32)
    exact, coarse = (Recognizer.from_pretrained(folder, precision=name) for name in ("float32", "bfloat16"))
    assert (exact.model.precision, coarse.model.precision) == ("float32", "bfloat16")
    inputs = exact.inputs(windows, np.arange(30) * 10**10)
    errors = np.abs(exact.probabilities(inputs) - coarse.probabilities(inputs))
    assert 0 < errors.max() < 0.02


def test_float32_is_what_one_gets_unasked():
    assert NativeClassifier.from_torch(model_of(ModelConfig())).precision == "float32"


def test_torch_is_refused_another_precision(small_run):
    with pytest.raises(ValueError, match="precision: bfloat16 is for the native engine"):
        Recognizer.from_pretrained(small_run.folder / "model", engine="torch", precision="bfloat16")


def test_an_unknown_precision_is_refused(small_run):
    with pytest.raises(PrecisionError, match="precision must be float32 or bfloat16"):
        NativeClassifier.from_pretrained(small_run.folder / "model", precision="int8")


@pytest.mark.parametrize("isa", _core.available_isas())
def test_it_is_refused_where_it_is_not_to_be_had(small_run, isa):
    """No other precision is used instead, in no instruction set."""
    if isa == "avx512" and PRESENT:
        pytest.skip("it is to be had")
    reason = f"the instruction set in use is {isa}" if _core.cpu_features().get("avx512_bf16") else "has none"
    message = re.escape("bfloat16 needs the instruction set avx512 and a processor with avx512_bf16; ")
    active = _core.active_isa()
    _core.select_isa(isa)
    try:
        for load in (NativeClassifier.from_pretrained, Recognizer.from_pretrained):
            with pytest.raises(PatchTSTHARError, match=f"{message}.*{reason}"):
                load(small_run.folder / "model", precision="bfloat16")
    finally:
        _core.select_isa(active)
