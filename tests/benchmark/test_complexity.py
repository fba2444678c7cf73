import pytest
import torch
from torch import nn

from architectures import ARCHITECTURES, random_inputs
from patchtst_har.architecture import expected_complexity
from patchtst_har.benchmark.complexity import model_complexity
from patchtst_har.config import ModelConfig
from patchtst_har.errors import DataError
from patchtst_har.models import PatchTSTClassifier

N_TOKENS, WIDTH, N_CLASSES = 12, 56, 5


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        weights = (q @ k.transpose(1, 2)).softmax(dim=-1)
        return weights @ v


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = Attention()
        self.norm = nn.BatchNorm1d(N_TOKENS)
        self.head = nn.Linear(WIDTH, N_CLASSES, bias=False)
        self.head.weight.requires_grad_(False)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x, bias):
        return self.head(self.dropout(self.norm(self.attention(x))).mean(dim=1)) + bias


INPUTS = (torch.zeros(1, N_TOKENS, WIDTH), torch.zeros(1, N_CLASSES))


@pytest.mark.slow
def test_flops_equal_the_closed_form_with_attentions_products():
    found = model_complexity(Small(), INPUTS)
    qkv = 2 * N_TOKENS * WIDTH * 3 * WIDTH
    products = 2 * (2 * N_TOKENS * N_TOKENS * WIDTH)
    head = 2 * WIDTH * N_CLASSES
    assert found["flops"] == qkv + products + head
    rows = {row["name"]: row for row in found["modules"]}
    assert rows["attention"]["flops"] == qkv + products
    assert rows["attention.qkv"]["flops"] == qkv
    assert rows["head"]["flops"] == head
    assert rows["norm"]["flops"] == 0
    assert rows[""]["flops"] == found["flops"]
    assert rows[""]["type"] == "Small"


@pytest.mark.parametrize("needs_gradient", [False, True])
def test_attention_of_torch_is_counted_on_the_cpu(needs_gradient):
    class Attends(nn.Module):
        def forward(self, x):
            return nn.functional.scaled_dot_product_attention(x, x, x)

    x = torch.zeros(1, 2, N_TOKENS, 28, requires_grad=needs_gradient)
    assert model_complexity(Attends(), (x,))["flops"] == 2 * (2 * 2 * N_TOKENS * N_TOKENS * 28)


def test_parameters_and_bytes():
    found = model_complexity(Small(), INPUTS)
    expected = WIDTH * 3 * WIDTH + 3 * WIDTH + 2 * N_TOKENS + WIDTH * N_CLASSES
    assert found["parameters"] == expected
    assert found["trainable_parameters"] == expected - WIDTH * N_CLASSES
    assert found["parameter_bytes_float32"] == 4 * expected
    assert found["buffer_bytes"] == 2 * N_TOKENS * 4 + 8


def test_module_is_left_as_it_was():
    module = Small().train()
    module.norm.eval()
    before = module.norm.running_mean.clone()
    model_complexity(module, INPUTS)
    assert module.training
    assert module.dropout.training
    assert not module.norm.training
    torch.testing.assert_close(module.norm.running_mean, before)
    assert all(parameter.grad is None for parameter in module.parameters())


def test_a_batch_is_refused():
    with pytest.raises(DataError, match=r"inputs\[0\]: needs one window \(1, ...\), has \(2, 12, 56\)"):
        model_complexity(Small(), (torch.zeros(2, N_TOKENS, WIDTH), torch.zeros(1, N_CLASSES)))


def test_an_error_in_forward_restores_the_mode():
    module = Small().train()
    with pytest.raises(RuntimeError):
        model_complexity(module, (torch.zeros(1, N_TOKENS, WIDTH + 1), torch.zeros(1, N_CLASSES)))
    assert module.dropout.training


@pytest.mark.parametrize("options", ARCHITECTURES.values(), ids=ARCHITECTURES)
@pytest.mark.slow
def test_the_model_has_the_parameters_and_flops_of_the_closed_form(options):
    config = ModelConfig(**options)
    found = model_complexity(PatchTSTClassifier(config, 5), random_inputs(config, 1))
    assert {name: found[name] for name in ("parameters", "flops")} == expected_complexity(config, 5)
