import itertools

import numpy as np
import pytest
import scipy.stats
import torch

import reference_model
from architectures import ARCHITECTURES, random_inputs, randomise
from patchtst_har.config import N_STATISTICAL_FEATURES, ModelConfig
from patchtst_har.models import (
    PatchTSTClassifier,
    RoPETransformerEncoderLayer,
    cut_patches,
    precompute_freqs_cis,
)
from patchtst_har.models.components.embedding import QuantileNormal, Standardizer


def test_forward_pass_of_the_reference_configuration():
    config = ModelConfig()
    model = PatchTSTClassifier(config, 6).eval()
    with torch.no_grad():
        logits = model(*random_inputs(config, 8))
    assert logits.shape == (8, 6)
    assert logits.isfinite().all()
    assert logits.std(dim=0).min() > 0, "the logits must depend on the input"


def test_attention_shape_and_normalisation():
    config = ModelConfig()
    n_tokens = config.n_patches + 2
    layer = RoPETransformerEncoderLayer(config.d_model, 2, 0.1).eval()
    freqs_cis = precompute_freqs_cis(config.d_model // 2, n_tokens)
    x = torch.randn(4, n_tokens, config.d_model)
    output = layer(x, freqs_cis, return_attn=True)
    assert output.shape == x.shape
    assert layer.last_attn is not None
    assert layer.last_attn.shape == (4, 2, n_tokens, n_tokens)
    torch.testing.assert_close(layer.last_attn.sum(-1), torch.ones(4, 2, n_tokens))
    torch.testing.assert_close(layer(x, freqs_cis), output)
    assert layer.last_attn is None


def test_return_attn_reaches_every_layer():
    config = ModelConfig(n_layers=3)
    model = PatchTSTClassifier(config, 4).eval()
    model(*random_inputs(config, 2), return_attn=True)
    assert [tuple(layer.last_attn.shape) for layer in model.layers] == [(2, 2, 12, 12)] * 3


@pytest.mark.parametrize(
    ("stat", "topo", "time"), list(itertools.product((0, N_STATISTICAL_FEATURES), (0, 24), (0, 5)))
)
@pytest.mark.slow
def test_every_set_of_feature_tokens(stat, topo, time):
    config = ModelConfig(n_stat_features=stat, n_topo_features=topo, n_time_features=time)
    model = PatchTSTClassifier(config, 5).eval()
    assert model(*random_inputs(config, 3)).shape == (3, 5)
    assert config.n_tokens == 10 + (stat > 0) + (topo > 0)
    assert model.rope_cos.shape == (config.n_tokens, 14)


def test_gradients_are_finite_and_reach_every_parameter():
    config = ModelConfig(dropout=0.0)
    model = PatchTSTClassifier(config, 6)
    # The time embedding starts at zero, which blocks the gradient of nothing but makes it worth a check.
    torch.nn.functional.cross_entropy(model(*random_inputs(config, 8)), torch.arange(8) % 6).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.slow
def test_checkpointing_changes_neither_output_nor_gradients():
    inputs = random_inputs(ModelConfig(), 4)
    results = []
    for checkpointing in (False, True):
        torch.manual_seed(3)
        model = PatchTSTClassifier(ModelConfig(gradient_checkpointing=checkpointing), 6).train()
        torch.manual_seed(4)
        logits = model(*inputs)
        logits.square().sum().backward()
        results.append((logits.detach(), [parameter.grad for parameter in model.parameters()]))
    torch.testing.assert_close(results[0][0], results[1][0], rtol=0, atol=0)
    for plain, recomputed in zip(results[0][1], results[1][1], strict=True):
        torch.testing.assert_close(plain, recomputed, rtol=0, atol=0)


@pytest.mark.slow
def test_checkpointing_recomputes_the_layers():
    config = ModelConfig(gradient_checkpointing=True)
    model = PatchTSTClassifier(config, 6).train()
    calls = []
    model.layers[0].register_forward_pre_hook(lambda *_: calls.append(1))
    model(*random_inputs(config, 2)).sum().backward()
    assert len(calls) == 2


def test_scaling_comes_from_the_training_set_and_travels_with_the_weights():
    config = ModelConfig()
    model = PatchTSTClassifier(config, 6).eval()
    rng = torch.Generator().manual_seed(0)
    windows = 2 * torch.randn(40, 1000, 3, generator=rng) + torch.tensor([0.0, 1.0, -1.0])
    stats, topo = (
        torch.randn(40, N_STATISTICAL_FEATURES, generator=rng) * 5 + 3,
        torch.rand(40, 24, generator=rng),
    )
    model.fit_scaling(windows, stats, topo)
    scale = model.patch_embedding.scale
    torch.testing.assert_close(scale.mean, windows.mean((0, 1)), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(scale.std, windows.std((0, 1), correction=0), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(model.stat_embedding.scale.mean, stats.mean(0), rtol=1e-4, atol=1e-4)

    other = PatchTSTClassifier(config, 6).eval()
    other.load_state_dict(model.state_dict())
    inputs = random_inputs(config, 3)
    torch.testing.assert_close(other(*inputs), model(*inputs), rtol=0, atol=0)


def test_posture_and_intensity_reach_the_model():
    """Two windows that differ only in offset or only in scale must not look the same."""
    config = ModelConfig(n_stat_features=0, n_topo_features=0, n_time_features=0)
    model = PatchTSTClassifier(config, 6).eval()
    patches, *rest = random_inputs(config, 1)
    assert not torch.allclose(model(patches, *rest), model(patches + 1.0, *rest), atol=1e-3)
    assert not torch.allclose(model(patches, *rest), model(patches * 2.0, *rest), atol=1e-3)


def test_patches_keep_order_and_axes():
    windows = torch.arange(2 * 1000 * 3, dtype=torch.float32).reshape(2, 1000, 3)
    patches = cut_patches(windows, 100)
    assert patches.shape == (2, 3, 10, 100)
    for axis, patch in ((0, 0), (1, 4), (2, 9)):
        expected = windows[1, patch * 100 : (patch + 1) * 100, axis]
        assert torch.equal(patches[1, axis, patch], expected)


@pytest.mark.parametrize("shape", [(2, 999, 3), (1000, 3)])
def test_windows_that_cannot_be_cut_are_refused(shape):
    with pytest.raises(ValueError, match="windows must be"):
        cut_patches(torch.zeros(shape), 100)


@pytest.mark.parametrize(
    ("position", "name", "shape"),
    [(0, "patches", (2, 3, 10, 99)), (1, "times", (2, 4)), (2, "stats", (2, 55)), (3, "topo", (3, 24))],
)
def test_wrong_input_shapes_are_named(position, name, shape):
    model = PatchTSTClassifier(ModelConfig(), 6)
    inputs = list(random_inputs(ModelConfig(), 2))
    inputs[position] = torch.zeros(shape)
    with pytest.raises(ValueError, match=f"{name} must have shape .*got \\({shape[0]}, {shape[1]}"):
        model(*inputs)


def test_fewer_than_two_classes_are_refused():
    with pytest.raises(ValueError, match="at least 2, got 1"):
        PatchTSTClassifier(ModelConfig(), 1)


@pytest.mark.parametrize(("d_model", "n_heads"), [(56, 3), (6, 2)])
def test_layer_refuses_impossible_heads(d_model, n_heads):
    with pytest.raises(ValueError, match="d_model / n_heads"):
        RoPETransformerEncoderLayer(d_model, n_heads)


def test_standardizer_keeps_constant_features_finite_and_clips_freaks():
    scale = Standardizer(2, limit=10.0)
    scale.fit(torch.tensor([[1.0, 0.0], [1.0, 2.0]]))
    np.testing.assert_allclose(scale.std.numpy(), [1.0, 1.0])
    assert scale(torch.tensor([[1.0, 1e9]])).tolist() == [[0.0, 10.0]]


def test_standardizer_equals_one_pass_over_everything():
    x = torch.randn(3000, 7, 3, dtype=torch.float64).float() * 3 + 100
    scale = Standardizer(3)
    scale.fit(x)
    flat = x.double().reshape(-1, 3)
    torch.testing.assert_close(scale.mean.double(), flat.mean(0), rtol=1e-6, atol=0)
    torch.testing.assert_close(scale.std.double(), flat.std(0, correction=0), rtol=1e-5, atol=0)


def test_standardizer_refuses_nothing_to_fit():
    with pytest.raises(ValueError, match="needs"):
        Standardizer(3).fit(torch.empty(0, 3))


@pytest.mark.parametrize("options", ARCHITECTURES.values(), ids=ARCHITECTURES)
@pytest.mark.slow
def test_every_architecture_equals_the_reference(options):
    config = ModelConfig(**options)
    model = randomise(PatchTSTClassifier(config, 5)).eval()
    inputs = random_inputs(config, 3)
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    expected = reference_model.logits(config, weights, *(tensor.numpy() for tensor in inputs))
    with torch.no_grad():
        np.testing.assert_allclose(model(*inputs).numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", ARCHITECTURES.values(), ids=ARCHITECTURES)
@pytest.mark.slow
def test_gradients_reach_every_parameter_of_every_architecture(options):
    config = ModelConfig(dropout=0.0, **options)
    model = randomise(PatchTSTClassifier(config, 5)).train()
    labels = torch.arange(8) % 5
    all_logits = model.all_logits(*random_inputs(config, 8))
    sum(torch.nn.functional.cross_entropy(logits, labels) for logits in all_logits).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_weights_of_the_default_architecture_have_the_names_they_always_had():
    names = set(PatchTSTClassifier(ModelConfig(), 5).state_dict())
    assert {"patch_embedding.project.weight", "stat_embedding.project.2.bias", "head.norm.weight"} <= names
    assert not {name for name in names if "stem" in name or "token" in name or "query" in name}


def test_the_query_starts_at_the_mean():
    torch.manual_seed(0)
    config = ModelConfig(pooling="attention")
    model = PatchTSTClassifier(config, 5).eval()
    plain = PatchTSTClassifier(ModelConfig(), 5).eval()
    plain.load_state_dict({name: value for name, value in model.state_dict().items() if "query" not in name})
    inputs = random_inputs(config, 3)
    torch.testing.assert_close(model(*inputs), plain(*inputs))


def test_overlapping_patches_keep_order_and_axes():
    windows = torch.arange(2 * 100 * 3, dtype=torch.float32).reshape(2, 100, 3)
    patches = cut_patches(windows, 40, 20)
    assert patches.shape == (2, 3, 4, 40)
    for patch in range(4):
        assert torch.equal(patches[1, 2, patch], windows[1, 20 * patch : 20 * patch + 40, 2])
    with pytest.raises(ValueError, match=r"T = 40 \+ a multiple of 25"):
        cut_patches(windows, 40, 25)


def test_a_patch_is_embedded_from_itself_alone():
    """Also behind the stem: its convolutions do not reach into the neighbours."""
    config = ModelConfig(**ARCHITECTURES["two convolutions"])
    embedding = randomise(PatchTSTClassifier(config, 5)).eval().patch_embedding
    patches = random_inputs(config, 1)[0]
    changed = patches.clone()
    changed[:, :, 3] += 1
    moved = (embedding(changed) != embedding(patches)).any(dim=-1)[0]
    assert moved.nonzero().flatten().tolist() == [3]


def quantile_normal(values):
    scale = QuantileNormal(values.shape[1])
    scale.fit(torch.from_numpy(values))
    return scale


def test_features_are_mapped_to_normal_quantiles():
    values = np.random.default_rng(0).gamma(0.3, size=(5000, 2)).astype(np.float32) * [1e-3, 1e4]
    values = values.astype(np.float32)
    got = quantile_normal(values)(torch.from_numpy(values)).numpy()
    expected = scipy.stats.norm.ppf((scipy.stats.rankdata(values, axis=0) - 0.5) / len(values))
    np.testing.assert_allclose(got, expected.clip(-2.5, 2.5), atol=0.06)


def test_quantiles_of_equal_values_are_their_middle_rank():
    values = np.zeros((1000, 3), np.float32)
    values[:500, 0] = 7.0
    values[:, 1] = 1e6
    values[:100, 2] = [-0.1] * 50 + [0.1] * 50
    scale = quantile_normal(values)
    got = scale(torch.tensor([[0.0, 1e6, 0.0], [7.0, 1e6, 5.0], [99.0, 2e6, -9.0]])).numpy()
    low, high = scipy.stats.norm.ppf([0.25, 0.75])
    # The map ends at the quantiles of ± 2.5 and has 40 steps between.
    np.testing.assert_allclose(got[0], [low, 0.0, 0.0], atol=0.15)
    np.testing.assert_allclose(got[1], [high, 0.0, 2.5], atol=0.6)
    np.testing.assert_allclose(got[2], [2.5, 2.5, -2.5], atol=1e-4)


@pytest.mark.parametrize("shape", [(0, 3), (4, 2), (4,)])
def test_quantiles_need_values(shape):
    with pytest.raises(ValueError, match="to fit, got"):
        QuantileNormal(3).fit(torch.zeros(shape))


def test_one_window_can_be_a_training_batch():
    config = ModelConfig(**ARCHITECTURES["window stem, branch, mean and maximum"])
    model = PatchTSTClassifier(config, 5).train()
    model(*random_inputs(config, 1)).sum().backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in model.parameters())


def test_the_branch_is_noisy_in_training_only():
    config = ModelConfig(
        dropout=0.0, features_as="branch", branch={"input_dropout": 0, "hidden_dropout": 0, "drop": 0.5}
    )
    model = randomise(PatchTSTClassifier(config, 5))
    inputs = random_inputs(config, 64)
    model.eval()
    assert torch.equal(model(*inputs), model(*inputs))
    model.train()
    assert not torch.equal(model(*inputs), model(*inputs))
