"""The compiled engine against the float64 reference and against torch."""

from __future__ import annotations

import json
import math
import os
import pickle
import platform
import re
import shutil
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch

import reference_model
from architectures import ARCHITECTURES, random_inputs, randomise
from experiments import small_config
from patchtst_har import Recognizer, _core
from patchtst_har.config import N_STATISTICAL_FEATURES, ModelConfig, TrainingConfig
from patchtst_har.errors import DataError, ModelFolderError
from patchtst_har.inference import NativeClassifier
from patchtst_har.models import PatchTSTClassifier
from patchtst_har.models.batches import to_tensors
from patchtst_har.models.folder import load_model
from patchtst_har.training import PatchTSTTrainer
from without_torch import run_without_torch

ISAS = _core.available_isas()
SIZES = (1, 2, 3, 5, 7, 8, 15, 16, 17, 33)


@pytest.fixture(params=ISAS)
def isa(request):
    """Use one instruction set after the other; afterwards the active one again."""
    active = _core.active_isa()
    _core.select_isa(request.param)
    yield request.param
    _core.select_isa(active)


@pytest.fixture
def every_isa():
    """Return the available instruction sets; afterwards the active one is active again."""
    active = _core.active_isa()
    yield ISAS
    _core.select_isa(active)


def model_of(config, num_classes=5, seed=0):
    torch.manual_seed(seed)
    return randomise(PatchTSTClassifier(config, num_classes), seed).eval()


def arrays_of(config, n, seed=0):
    return [tensor.numpy() for tensor in random_inputs(config, n, seed)]


@pytest.mark.parametrize("options", ARCHITECTURES.values(), ids=ARCHITECTURES)
@pytest.mark.slow
def test_every_architecture_equals_the_reference_and_torch(options, every_isa):
    config = ModelConfig(**options)
    model = model_of(config)
    inputs = arrays_of(config, 9)
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    reference = reference_model.logits(config, weights, *(array[:1] for array in inputs))
    with torch.no_grad():
        expected = model(*random_inputs(config, 9)).numpy()
    for isa in every_isa:
        _core.select_isa(isa)
        got = NativeClassifier.from_torch(model).logits(*inputs)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got[:1], reference, rtol=1e-5, atol=5e-6, err_msg=isa)
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=5e-6, err_msg=isa)


@pytest.mark.slow
@pytest.mark.parametrize("options", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_the_logits_are_the_heads_of_the_embedding(options, every_isa):
    config = ModelConfig(**options)
    model = model_of(config)
    inputs = arrays_of(config, 9)
    head = [model.state_dict()[f"head.project.{name}"].numpy() for name in ("weight", "bias")]
    with torch.no_grad():
        expected = model.embed(*random_inputs(config, 9)).numpy()
    for isa in every_isa:
        _core.select_isa(isa)
        native = NativeClassifier.from_torch(model)
        logits, embeddings = native.embed(*inputs)
        np.testing.assert_array_equal(logits, native.logits(*inputs))
        np.testing.assert_allclose(embeddings, expected, rtol=1e-5, atol=5e-6, err_msg=isa)
        np.testing.assert_allclose(embeddings @ head[0].T + head[1], logits, rtol=1e-4, atol=1e-5)


def test_every_option_is_among_the_architectures():
    """Whoever adds an option to `ModelConfig` is to hold the engine against torch with it."""
    varied = {name for options in ARCHITECTURES.values() for name in options}
    of_training_only = {"dropout", "gradient_checkpointing"}
    assert set(ModelConfig.model_fields) - varied == of_training_only


@pytest.mark.parametrize("name", ["dropout", "gradient_checkpointing"])
def test_options_of_training_change_nothing(name):
    value = {"dropout": 0.0, "gradient_checkpointing": True}[name]
    weights = {key: tensor.numpy() for key, tensor in model_of(ModelConfig()).state_dict().items()}
    inputs = arrays_of(ModelConfig(), 3)
    results = [
        NativeClassifier(config, 5, weights).logits(*inputs)
        for config in (ModelConfig(), ModelConfig(**{name: value}))
    ]
    assert results[0].tobytes() == results[1].tobytes()


@pytest.mark.parametrize("sizes", [(2, 1, 1), (4, 2, 3), (10, 5, 16), (16, 1, 17), (18, 3, 31), (34, 1, 33)])
@pytest.mark.slow
def test_widths_around_the_lanes(sizes, every_isa):
    width, n_heads, hidden = sizes
    for n_patches in SIZES:
        config = ModelConfig(
            window_size=3 * n_patches, patch_len=3, d_model=width, n_heads=n_heads, d_ff=hidden, n_layers=1
        )
        model = model_of(config, num_classes=n_patches + 1)
        inputs = random_inputs(config, 3)
        with torch.no_grad():
            expected = model(*inputs).numpy()
        for isa in every_isa:
            _core.select_isa(isa)
            got = NativeClassifier.from_torch(model).logits(*(tensor.numpy() for tensor in inputs))
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=5e-6, err_msg=f"{isa} {n_patches}")


@pytest.mark.parametrize("options", [{}, ARCHITECTURES["everything"], ARCHITECTURES["narrow"]])
@pytest.mark.slow
def test_a_window_does_not_depend_on_its_batch_or_its_thread(options, isa):
    config = ModelConfig(**options)
    native = NativeClassifier.from_torch(model_of(config))
    inputs = arrays_of(config, 300)
    whole = native.logits(*inputs)
    for n in (1, 2, 3, 7, 8, 9, 31, 256):
        for first in (0, 5, 40):
            part = native.logits(*(array[first : first + n] for array in inputs))
            assert part.tobytes() == whole[first : first + n].tobytes(), (n, first)
    for n_threads in (2, 3, 2000):
        assert native.logits(*inputs, n_threads=n_threads).tobytes() == whole.tobytes()
    assert native.logits(*(array[:0] for array in inputs)).shape == (0, 5)


def test_the_sets_agree_to_rounding(every_isa):
    config = ModelConfig()
    model, inputs = model_of(config), arrays_of(config, 50)
    results = []
    for isa in every_isa:
        _core.select_isa(isa)
        results.append(NativeClassifier.from_torch(model).logits(*inputs))
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], rtol=1e-5, atol=2e-6)


def test_an_engine_keeps_to_the_set_it_was_made_for(every_isa):
    config = ModelConfig()
    native, inputs = NativeClassifier.from_torch(model_of(config)), arrays_of(config, 5)
    expected = native.logits(*inputs)
    for isa in every_isa:
        _core.select_isa(isa)
        assert native.logits(*inputs).tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", ["default", "everything", "attention pooling post-norm relu"])
@pytest.mark.parametrize("position", range(4))
@pytest.mark.slow
def test_a_value_that_is_not_finite_spoils_its_own_window_as_in_torch(position, name, every_isa):
    config = ModelConfig(**ARCHITECTURES[name])
    model, inputs = model_of(config), arrays_of(config, 20)
    engines = {}
    for isa in every_isa:
        _core.select_isa(isa)
        native = NativeClassifier.from_torch(model)
        engines[isa] = native, native.logits(*inputs)
    for value in (np.nan, np.inf, -np.inf):
        inputs[position].reshape(20, -1)[3, 2] = value
        with torch.no_grad():
            expected = model(*(torch.from_numpy(array) for array in inputs)).numpy()
        # An engine keeps to the set it was made for.
        for isa, (native, clean) in engines.items():
            got = native.logits(*inputs)
            np.testing.assert_array_equal(np.isfinite(got), np.isfinite(expected), err_msg=isa)
            others = [np.delete(logits, 3, axis=0) for logits in (got, clean)]
            np.testing.assert_array_equal(*others, err_msg=isa)


@pytest.mark.parametrize("fill", [0.0, 1.0, 1e-40, 1e15])
@pytest.mark.slow
def test_constant_and_extreme_windows(fill, isa):
    config = ModelConfig()
    model = model_of(config)
    inputs = [np.full_like(array, fill) for array in arrays_of(config, 2)]
    with torch.no_grad():
        expected = model(*(torch.from_numpy(array) for array in inputs)).numpy()
    scale = max(1.0, np.abs(expected).max())
    got = NativeClassifier.from_torch(model).logits(*inputs)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5 * scale)


def test_exponential_and_error_function(isa):
    x = np.linspace(-87, 87, 50_001).astype(np.float32)
    exact = np.array([math.exp(value) for value in x.astype(np.float64)])
    np.testing.assert_allclose(_core.exponential(x), exact, rtol=2.5e-7)
    x = np.r_[np.linspace(-9, 9, 50_001), np.linspace(-1e-3, 1e-3, 101)].astype(np.float32)
    exact = np.array([math.erf(value / math.sqrt(2)) for value in x.astype(np.float64)])
    np.testing.assert_allclose(_core.error_function(x), exact, rtol=5e-7, atol=1e-30)
    for n in SIZES:
        np.testing.assert_array_equal(_core.error_function(x[:n]), _core.error_function(x)[:n])
    edges = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 0.0], np.float32)
    np.testing.assert_array_equal(_core.error_function(edges), [np.nan, 1, -1, 1, -1, 0])
    powers = _core.exponential(edges)
    assert np.isnan(powers[0])
    assert (powers[[1, 3]] > 1e38).all()
    assert (powers[[2, 4]] < 1.3e-38).all()
    assert powers[5] == 1


def test_probabilities_are_the_softmax_of_the_logits(isa):
    config = ModelConfig()
    native, inputs = NativeClassifier.from_torch(model_of(config)), arrays_of(config, 30)
    logits = native.logits(*inputs).astype(np.float64)
    expected = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    out = np.empty((30, 5), np.float32)
    got = native.probabilities(*inputs, out=out, n_threads=2)
    assert got is out
    np.testing.assert_allclose(got, expected, rtol=1e-5)
    with pytest.raises(ValueError, match="rows must have shape"):
        _core.softmax(np.empty((3, 0), np.float32))


def test_real_windows_get_the_logits_and_labels_of_torch(small_run, isa):
    folder = small_run.folder / "model"
    model, classes, config = load_model(folder)
    native = NativeClassifier.from_pretrained(folder)
    assert (native.config, native.num_classes) == (config.model, len(classes))
    inputs = to_tensors(small_run.trainer.data.train.select(slice(None), config.model))
    with torch.inference_mode():
        expected = model(*inputs).numpy()
    got = native.logits(*(np.ascontiguousarray(tensor) for tensor in inputs))
    assert len(got) > 100
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(got.argmax(axis=1), expected.argmax(axis=1))


@pytest.mark.spawns
def test_it_runs_where_torch_cannot_be_imported(small_run, tmp_path):
    folder = small_run.folder / "model"
    native = NativeClassifier.from_pretrained(folder)
    inputs = arrays_of(native.config, 4)
    np.savez(tmp_path / "inputs.npz", *inputs)
    code = f"""
import numpy as np
from patchtst_har.inference import NativeClassifier
with np.load({str(tmp_path / "inputs.npz")!r}) as stored:
    inputs = [stored[name] for name in stored.files]
native = NativeClassifier.from_pretrained({str(folder)!r})
np.save({str(tmp_path / "out.npy")!r}, native.probabilities(*inputs, n_threads=2))
"""
    run_without_torch(code)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), native.probabilities(*inputs))


def test_nothing_is_allocated_after_the_first_call(isa):
    config = ModelConfig()
    native = NativeClassifier.from_torch(model_of(config))
    inputs, out = arrays_of(config, 20), np.empty((20, 5), np.float32)
    assert native.n_workspaces_made == 0
    native.probabilities(*inputs, out=out)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(50):
        native.probabilities(*inputs, out=out)
    grown, peak = (size - before for size in tracemalloc.get_traced_memory())
    tracemalloc.stop()
    assert native.n_workspaces_made == 1
    assert grown < 2000
    assert peak < 5000


COUNTED = """
import ctypes
import numpy as np
from patchtst_har.inference import NativeClassifier

count = ctypes.CDLL(None).n_allocations
native = NativeClassifier.from_pretrained({folder!r})
shapes = ((3, 10, 100), (5,), ({n_stats},), (24,))
for n in (1, 20):
    inputs = [np.zeros((n, *shape), np.float32) for shape in shapes]
    out = np.empty((n, native.num_classes), np.float32)
    native.probabilities(*inputs, out=out)
    before = count()
    for _ in range(100):
        native.probabilities(*inputs, out=out)
    print(count() - before)
np.empty(100_000)
assert count() > before
"""


@pytest.mark.compiles
@pytest.mark.spawns
def test_nothing_is_asked_of_the_c_library_after_the_first_call(small_run, tmp_path):
    """Not by the engine, its binding or Python: with a `malloc` that counts in place of the C library's."""
    compiler = shutil.which("cc")
    if compiler is None or platform.libc_ver()[0] != "glibc":
        pytest.skip("no C compiler, or not the GNU C library")
    library = tmp_path / "count.so"
    source = Path(__file__).parent / "count_allocations.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", source, "-o", library], check=True)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            COUNTED.format(folder=str(small_run.folder / "model"), n_stats=N_STATISTICAL_FEATURES),
        ],
        env={**os.environ, "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", "0"]


def test_threads_may_share_one_classifier():
    config = ModelConfig()
    native, inputs = NativeClassifier.from_torch(model_of(config)), arrays_of(config, 64)
    expected = native.logits(*inputs)
    results = [[] for _ in range(4)]

    def work(mine):
        mine.extend(native.logits(*inputs).tobytes() for _ in range(20))

    threads = [threading.Thread(target=work, args=(mine,)) for mine in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {value for mine in results for value in mine} == {expected.tobytes()}
    assert 1 <= native.n_workspaces_made <= 4


def test_it_can_be_sent_to_another_process():
    config = ModelConfig(**ARCHITECTURES["everything"])
    native, inputs = NativeClassifier.from_torch(model_of(config)), arrays_of(config, 3)
    received = pickle.loads(pickle.dumps(native))  # noqa: S301 - its own
    np.testing.assert_array_equal(received.logits(*inputs), native.logits(*inputs))


def test_unused_inputs_may_be_anything():
    config = ModelConfig(n_stat_features=0, n_topo_features=0, n_time_features=0)
    native, patches = NativeClassifier.from_torch(model_of(config)), arrays_of(config, 3)[0]
    expected = native.logits(patches, *(np.empty((3, 0), np.float32),) * 3)
    np.testing.assert_array_equal(native.logits(patches, None, None, np.zeros(2)), expected)
    np.testing.assert_array_equal(native.logits(patches, None, None, None, n_threads=2), expected)


def unaligned(shape):
    """Return zeros of float32 that begin one byte after a number's place."""
    return np.zeros(4 * int(np.prod(shape)) + 1, np.uint8)[1:].view(np.float32).reshape(shape)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize(
    ("position", "change", "message"),
    [
        (0, lambda x: x[:, :, :9], r"patches must have shape \(4, 3, 10, 100\), not \(4, 3, 9, 100\)"),
        (0, lambda x: x.swapaxes(1, 2).copy(), r"patches must have shape .*, not \(4, 10, 3, 100\)"),
        (0, lambda x: x[0], r"patches must have shape \(3, 3, 10, 100\), not \(3, 10, 100\)"),
        (0, lambda x: np.asfortranarray(x), r"patches must be C-ordered and aligned"),
        (0, lambda x: x.astype(np.float64), "patches must be float32, not float64"),
        (0, lambda x: x.tolist(), "patches must be a numpy array, not list"),
        (1, lambda x: x[:3], r"times must have shape \(4, 5\), not \(3, 5\)"),
        (
            2,
            lambda x: x[:, :-1],
            rf"stats must have shape \(4, {N_STATISTICAL_FEATURES}\), not \(4, \d+\)",
        ),
        (2, lambda x: x.astype(">f4"), "stats must be float32, not >f4"),
        (3, lambda x: None, "topo must be a numpy array, not NoneType"),
        (3, lambda x: np.zeros((24, 4), np.float32).T, "topo must be C-ordered"),
        (3, lambda x: unaligned(x.shape), "topo must be C-ordered and aligned"),
    ],
)
@pytest.mark.slow
def test_a_wrong_input_is_named(position, change, message, n_threads):
    native, inputs = NativeClassifier.from_torch(model_of(ModelConfig())), arrays_of(ModelConfig(), 4)
    inputs[position] = change(inputs[position])
    with pytest.raises(DataError, match=message):
        native.logits(*inputs, n_threads=n_threads)


def test_a_wrong_target_or_number_of_threads_is_named():
    native, inputs = NativeClassifier.from_torch(model_of(ModelConfig())), arrays_of(ModelConfig(), 4)
    for out, message in (
        (np.empty((4, 6), np.float32), r"out must have shape \(4, 5\), not \(4, 6\)"),
        (np.empty((4, 5)), "out must be float32, not float64"),
        (np.empty((5, 4), np.float32).T, "out must be C-ordered"),
        (unaligned((4, 5)), "out must be C-ordered and aligned"),
        ([], "out must be a numpy array, not list"),
    ):
        with pytest.raises(DataError, match=message):
            native.logits(*inputs, out=out)
    locked = np.empty((4, 5), np.float32)
    locked.flags.writeable = False
    with pytest.raises(DataError, match="out is read-only"):
        native.logits(*inputs, out=locked)
    with pytest.raises(DataError, match="n_threads must be at least 1, not 0"):
        native.logits(*inputs, n_threads=0)


def test_only_the_module_itself_is_converted():
    class Changed(PatchTSTClassifier):
        pass

    with pytest.raises(TypeError, match="must be a PatchTSTClassifier, not Changed"):
        NativeClassifier.from_torch(Changed(ModelConfig(), 3))
    with pytest.raises(TypeError, match="not Linear"):
        NativeClassifier.from_torch(torch.nn.Linear(2, 3))
    model = PatchTSTClassifier(ModelConfig(), 3)
    model.head.project = torch.nn.Linear(56, 3, bias=False)
    with pytest.raises(ValueError, match=r"misses head\.project\.bias"):
        NativeClassifier.from_torch(model)
    model.head.project = torch.nn.Linear(56, 4)
    with pytest.raises(ValueError, match=r"head\.project\.weight must have shape \(3, 56\), has \(4, 56\)"):
        NativeClassifier.from_torch(model)
    model.head.project = torch.nn.Sequential(torch.nn.Linear(56, 3))
    with pytest.raises(ValueError, match=r"misses .* has unknown head\.project\.0\.bias"):
        NativeClassifier.from_torch(model)


def test_weights_that_are_not_finite_are_named():
    model = PatchTSTClassifier(ModelConfig(), 3)
    with torch.no_grad():
        model.layers[1].out.bias[3] = torch.inf
    with pytest.raises(ValueError, match=r"layers\.1\.out\.bias has values that are not finite"):
        NativeClassifier.from_torch(model)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("stat_embedding.scale.std", 0.0, "has values that are not positive"),
        ("patch_embedding.scale.std", -1.0, "has values that are not positive"),
        ("patch_embedding.stem.0.1.running_var", -1e-9, "has negative values"),
    ],
)
def test_an_impossible_spread_is_named(name, value, message):
    model = PatchTSTClassifier(ModelConfig(**ARCHITECTURES["one convolution"]), 3)
    model.state_dict()[name][1] = value
    with pytest.raises(ValueError, match=f"{re.escape(name)} {message}"):
        NativeClassifier.from_torch(model)


def test_a_folder_whose_tensors_do_not_fit_is_refused(small_run, tmp_path):
    folder = shutil.copytree(small_run.folder / "model", tmp_path / "model")
    tensors = safetensors.numpy.load_file(folder / "model.safetensors")
    tensors["head.project.bias"] = np.zeros(9, np.float32)
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ModelFolderError, match=r"does not fit config\.json: head\.project\.bias must have"):
        NativeClassifier.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelFolderError, match=r"model\.safetensors: missing"):
        NativeClassifier.from_pretrained(folder)


def test_a_folder_from_before_the_options_loads(small_run, tmp_path):
    folder = shutil.copytree(small_run.folder / "model", tmp_path / "model")
    values = json.loads((folder / "config.json").read_text())
    new = ("patch_stride", "stem", "norm", "activation", "pooling", "n_stat_tokens", "n_topo_tokens")
    for name in new:
        del values["model"][name]
    (folder / "config.json").write_text(json.dumps(values))
    inputs = arrays_of(ModelConfig(), 3)
    expected = NativeClassifier.from_pretrained(small_run.folder / "model").logits(*inputs)
    np.testing.assert_array_equal(NativeClassifier.from_pretrained(folder).logits(*inputs), expected)
    with torch.no_grad():
        old = load_model(folder)[0](*(torch.from_numpy(array) for array in inputs)).numpy()
    np.testing.assert_allclose(old, expected, atol=1e-4)


def test_a_step_that_leaves_its_buffers_is_refused():
    weights, bias = np.zeros((8, 10), np.float32), np.zeros(8, np.float32)
    one, whole = (1, 1), (1, 10, 0)

    def add(**changes):
        engine = _core.Engine([(10,), (0,), (0,), (0,)], 4)
        target = engine.add_buffer(16)
        arguments = {
            "weights": weights,
            "bias": bias,
            "source": (0, 0, 0, 0),
            "target": (target, 0, 0, 0),
            "rows": one,
            "segments": whole,
            "activation": "none",
            "adds": False,
        }
        engine.add_linear(**{**arguments, **changes})

    add()
    for changes, message in (
        ({"source": (0, 1, 0, 0)}, "rows reach beyond their buffer"),
        ({"source": (9, 0, 0, 0)}, "no such buffer"),
        ({"target": (0, 0, 0, 0)}, "inputs are read only"),
        ({"rows": (2, 1), "source": (0, 0, 1, 0)}, "rows reach beyond"),
        ({"rows": (0, 1)}, "no rows"),
        ({"segments": (2, 10, 0)}, "segments must hold n_values values"),
        ({"segments": (2, 5, 6)}, "rows reach beyond"),
        ({"bias": bias[:7]}, "bias must have shape"),
        ({"activation": "tanh"}, "activation must be none, relu or gelu"),
    ):
        with pytest.raises(ValueError, match=message):
            add(**changes)


@pytest.mark.spawns
def test_the_refusal_of_torch_works():
    with pytest.raises(subprocess.CalledProcessError):
        run_without_torch("import torch")


@pytest.mark.slow
def test_what_the_trainer_makes_of_other_options_runs_as_in_torch(prepared, tmp_path):
    options = {**ARCHITECTURES["two convolutions, overlap, relu"], "pooling": "attention", "n_layers": 1}
    config = small_config(
        prepared,
        output_dir=tmp_path,
        model=ModelConfig(n_stat_tokens=2, norm="post", **options),
        training=TrainingConfig(epochs=1, n_threads=1),
    )
    trainer = PatchTSTTrainer(config)
    trainer.train()
    test = trainer.data.test
    native, torch_based = (
        Recognizer.from_pretrained(config.run_dir / "model", engine=engine).predict(
            test.windows[:], test.start_ns
        )
        for engine in ("native", "torch")
    )
    np.testing.assert_allclose(native.probabilities, torch_based.probabilities, atol=1e-5)
    np.testing.assert_array_equal(native.labels, torch_based.labels)
