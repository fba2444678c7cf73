"""`patchtst_har::dropout` against the generator's reference, and the module around it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.checkpoint import checkpoint

import attention_reference
from patchtst_har import _core
from patchtst_har.models.dropout import Dropout

OP = torch.ops.patchtst_har.dropout.default
P_THIRD = 21845
SEED = 2**62 + 12345


def factors(n):
    """Value i takes the number of key i // 16 and query i % 16 of head 0."""
    numbers = [attention_reference.random_number(SEED, 0, i // 16, i % 16) for i in range(n)]
    return np.array([65536 / (65536 - P_THIRD) if number >= P_THIRD else 0.0 for number in numbers])


@pytest.mark.parametrize("isa", _core.available_isas())
@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 63, 64, 65, 300])
def test_pattern_is_the_documented_one(isa, n):
    active = _core.active_isa()
    x = np.random.default_rng(n).normal(size=n).astype(np.float32)
    result = np.full_like(x, 7)
    try:
        _core.select_isa(isa)
        _core.drop_values(x.ctypes.data, n, SEED, P_THIRD, result.ctypes.data, 1)
    finally:
        _core.select_isa(active)
    np.testing.assert_allclose(result, x * factors(n), rtol=1e-6)


def test_threads_change_no_bit():
    x = np.random.default_rng(0).normal(size=200_001).astype(np.float32)
    results = [np.full_like(x, 7) for _ in range(3)]
    for n_threads, result in zip((1, 2, 5), results, strict=True):
        _core.drop_values(x.ctypes.data, x.size, SEED, P_THIRD, result.ctypes.data, n_threads)
    assert results[0].tobytes() == results[1].tobytes() == results[2].tobytes()
    share = (results[0] == 0).mean()
    assert abs(share - 1 / 3) < 5 * np.sqrt(2 / 9 / x.size)


def test_what_is_not_finite_stays_where_it_is_kept():
    x = torch.full((640,), float("nan"))
    dropped = OP(x, torch.tensor([SEED]), P_THIRD / 65536)
    assert dropped.isnan().all()  # 0 * nan, as in torch
    assert OP(torch.full((640,), float("inf")), torch.tensor([SEED]), P_THIRD / 65536).isinf().any()


@pytest.mark.compiles
def test_opcheck():
    x = torch.randn(5, 7, requires_grad=True)
    torch.library.opcheck(OP, (x, torch.tensor([3]), 0.4))
    torch.library.opcheck(OP, (x.detach().T, torch.tensor([3]), 0.4))


def test_gradient_is_the_same_pattern_and_can_be_differentiated_again():
    x, seed = torch.randn(200, requires_grad=True), torch.tensor([9])
    pattern = OP(torch.ones(200), seed, 0.4)
    assert pattern.unique().tolist() == pytest.approx([0.0, 65536 / (65536 - 26214)])
    out = OP(x, seed, 0.4)
    torch.testing.assert_close(out, x * pattern)
    (grad,) = torch.autograd.grad((out**3).sum(), x, create_graph=True)
    torch.testing.assert_close(grad, 3 * x**2 * pattern**3)
    torch.testing.assert_close(torch.autograd.grad(grad.sum(), x)[0], 6 * x * pattern**3)


def test_module_follows_torchs_generator_and_its_own_mode():
    module, x = Dropout(0.3), torch.randn(40, 50)
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(module(x))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    state = torch.get_rng_state()
    assert module.eval()(x) is x
    assert Dropout(0.0).train()(x) is x
    assert torch.equal(torch.get_rng_state(), state)


def test_what_the_operator_does_not_do_goes_to_torch():
    for x, p in ((torch.ones(1000, dtype=torch.float64), 0.5), (torch.ones(1000, dtype=torch.bfloat16), 0.5)):
        torch.manual_seed(0)
        mine = Dropout(p)(x)
        torch.manual_seed(0)
        assert torch.equal(mine, torch.nn.functional.dropout(x, p))
    assert (Dropout(1.0)(torch.ones(10)) == 0).all()


@pytest.mark.compiles
def test_checkpointing_and_compiling_meet_the_same_pattern():
    module, x = Dropout(0.5), torch.randn(30, 4)
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    runs = (module, lambda leaf: checkpoint(module, leaf, use_reentrant=False), compiled)
    results = []
    for run in runs:
        leaf = x.clone().requires_grad_()
        torch.manual_seed(3)
        run(leaf).square().sum().backward()
        results.append(leaf.grad)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.parametrize(
    ("x", "seed", "p", "message"),
    [
        (torch.ones(2, dtype=torch.float64), torch.tensor([1]), 0.5, "x must be float32"),
        (torch.ones(2), torch.tensor([1, 2]), 0.5, "seed must be one int64 number"),
        (torch.ones(2), torch.tensor([1]), 1.0, "p must be at least 0 and below 1, got 1.0"),
    ],
)
def test_bad_arguments_are_refused_by_name(x, seed, p, message):
    with pytest.raises(ValueError, match=message):
        OP(x, seed, p)
