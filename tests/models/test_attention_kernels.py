"""The compiled kernels of rotary attention in every instruction set, against a float64 reference."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import attention_reference
from patchtst_har import _core

ROOT = Path(__file__).parents[2]
# Around the edges of blocks of lanes (16), of keys (4) and of tiles (128).
SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 15, 16, 17, 23, 31, 32, 33, 47, 48, 49, 63, 64, 65, 127, 128, 129]
WIDTHS = [2, 4, 6, 14, 16, 18, 28, 30, 32, 34, 48, 62, 64, 66]
P_THIRD = 21845
SEED = 0x9E3779B97F4A7C15


@pytest.fixture(params=_core.available_isas())
def isa(request):
    active = _core.active_isa()
    _core.select_isa(request.param)
    yield request.param
    _core.select_isa(active)


def tables(n_tokens, width):
    angles = np.arange(n_tokens)[:, None] * 10000.0 ** (-np.arange(0, width, 2) / width)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def arrays(n, n_tokens, n_heads, width, scale=1.0):
    rng = np.random.default_rng([n, n_tokens, n_heads, width])
    qkv = (scale * rng.normal(size=(n, n_tokens, 3, n_heads, width))).astype(np.float32)
    return qkv, *tables(n_tokens, width), rng.normal(size=(n, n_tokens, n_heads, width)).astype(np.float32)


def run(qkv, cos, sin, grad_out, threshold=0, n_threads=1, seed=SEED):
    n, n_tokens, _, n_heads, width = qkv.shape
    out, lse = np.full_like(grad_out, 7), np.full((n, n_heads, n_tokens), 7, np.float32)
    grad_qkv = np.full_like(qkv, 7)
    shape = (n, n_tokens, n_heads, width)
    inputs = tuple(array.ctypes.data for array in (qkv, cos, sin))
    _core.attention_forward(shape, inputs, seed, threshold, out.ctypes.data, lse.ctypes.data, n_threads)
    saved = tuple(array.ctypes.data for array in (grad_out, out, lse))
    _core.attention_backward(shape, inputs, seed, threshold, saved, grad_qkv.ctypes.data, n_threads)
    return out, lse, grad_qkv


def expected(qkv, cos, sin, grad_out, factors=1.0):
    with np.errstate(all="ignore"):
        return attention_reference.attention(*(a.astype(float) for a in (qkv, cos, sin, grad_out)), factors)


def assert_close(got, wanted, tolerance=2e-6):
    for name, a, b in zip(("out", "lse", "grad_qkv"), got, wanted, strict=True):
        # Sums cancel: an error is small against the largest terms.
        limit = tolerance * max(1.0, np.abs(b).max(initial=0.0))
        np.testing.assert_allclose(a, b, rtol=0, atol=limit, err_msg=name)


@pytest.mark.parametrize("n_tokens", SIZES)
@pytest.mark.slow
def test_every_number_of_tokens(isa, n_tokens):
    width = WIDTHS[SIZES.index(n_tokens) % len(WIDTHS)]
    inputs = arrays(2, n_tokens, 3, width)
    assert_close(run(*inputs), expected(*inputs))


@pytest.mark.parametrize("width", [*WIDTHS, 128, 130])
def test_every_width(isa, width):
    inputs = arrays(2, 12, 2, width)
    assert_close(run(*inputs), expected(*inputs))


@pytest.mark.parametrize("shape", [(0, 5, 2, 4), (3, 0, 2, 4), (2, 5, 0, 4)])
def test_nothing_to_do(isa, shape):
    assert [array.size for array in run(*arrays(*shape), n_threads=2)] == [0, 0, 0]


def test_scores_that_exponentials_cannot_hold(isa):
    inputs = arrays(2, 40, 2, 6, scale=60.0)
    wanted = expected(*inputs)
    assert np.abs(wanted[1]).max() > 1000
    # A score of thousands is itself rounded to about 1e-4.
    assert_close(run(*inputs), wanted, tolerance=2e-3)


def test_constant_input_spreads_the_weights_evenly(isa):
    qkv = np.ones((1, 20, 3, 1, 4), np.float32)
    cos, sin = np.ones((20, 2), np.float32), np.zeros((20, 2), np.float32)
    out, lse, grad_qkv = run(qkv, cos, sin, np.ones((1, 20, 1, 4), np.float32))
    np.testing.assert_allclose(out, 1, rtol=1e-6)
    np.testing.assert_allclose(lse, 2 + np.log(20), rtol=1e-6)
    np.testing.assert_allclose(grad_qkv[:, :, :2], 0, atol=1e-6)
    np.testing.assert_allclose(grad_qkv[:, :, 2], 1, rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("n_tokens", [12, 150])
def test_what_is_not_finite_goes_where_arithmetic_takes_it(isa, n_tokens, part, value):
    qkv, cos, sin, grad_out = arrays(2, n_tokens, 2, 6, scale=0.5)
    clean = run(qkv, cos, sin, grad_out)
    qkv[1, 5, part, 0, 3] = value
    got, wanted = run(qkv, cos, sin, grad_out), expected(qkv, cos, sin, grad_out)
    for a, b in zip(got[:2], wanted[:2], strict=True):
        np.testing.assert_array_equal(np.isfinite(a), np.isfinite(b))
    assert not np.isfinite(got[0]).all()
    for index in ((0,), (1, slice(None), 1)):  # the other batch row, the other head
        np.testing.assert_array_equal(got[0][index], clean[0][index])
    np.testing.assert_array_equal(got[2][0], clean[2][0])
    assert not np.isfinite(got[2][1, :, :, 0]).all()


def test_a_tile_of_hopeless_keys_changes_nothing(isa):
    """Scores of -inf throughout the first tile of keys: all weight goes to the rest."""
    qkv, cos, sin, grad_out = arrays(1, 140, 1, 2, scale=0.5)
    cos[:], sin[:] = 1, 0
    qkv[0, :, 0, 0] = (10, 0)
    qkv[0, :130, 1, 0] = (-3e38, 0)
    out, lse, _ = run(qkv, cos, sin, grad_out)
    scores = 10 * qkv[0, 130:, 1, 0, 0].astype(float) / np.sqrt(2)
    weights = np.exp(scores - scores.max())
    np.testing.assert_allclose(out[0, 0, 0], weights @ qkv[0, 130:, 2, 0] / weights.sum(), rtol=1e-5)
    np.testing.assert_allclose(lse[0, 0, 0], np.log(np.exp(scores).sum()), rtol=1e-5)


@pytest.mark.slow
def test_four_thousand_tokens(isa):
    """Of the many queries only some have a gradient, so that the reference stays small."""
    n_tokens, width, some = 4096, 8, [0, 1, 15, 16, 127, 128, 2047, 4094, 4095]
    qkv, cos, sin, grad_out = arrays(1, n_tokens, 1, width)
    grad_out[:, np.setdiff1d(np.arange(n_tokens), some)] = 0
    out, lse, grad_qkv = run(qkv, cos, sin, grad_out, n_threads=2)
    c, s, whole = cos.astype(float), sin.astype(float), qkv[0, :, :, 0].astype(float)
    q, k = (attention_reference.rotated(whole[:, part], c, s) for part in (0, 1))
    scores = q[some] @ k.T / np.sqrt(width)
    weights = np.exp(scores)
    np.testing.assert_allclose(lse[0, 0, some], np.log(weights.sum(axis=1)), rtol=1e-6)
    weights /= weights.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(out[0, some, 0], weights @ qkv[0, :, 2, 0], atol=1e-6)
    grad = grad_out[0, some, 0].astype(float)
    np.testing.assert_allclose(grad_qkv[0, :, 2, 0], weights.T @ grad, atol=1e-6)
    grad_weights = grad @ qkv[0, :, 2, 0].T
    grad_scores = weights * (grad_weights - (weights * grad_weights).sum(axis=1, keepdims=True))
    grad_k = attention_reference.rotated(grad_scores.T @ q[some] / np.sqrt(width), c, -s)
    np.testing.assert_allclose(grad_qkv[0, :, 1, 0], grad_k, atol=1e-6)


def test_generator_gives_the_published_numbers():
    """Known answers of Random123 (kat_vectors, philox4x32 10)."""
    ones = 0xFFFFFFFF
    assert attention_reference.philox((0, 0, 0, 0), (0, 0)) == [
        0x6627E8D5,
        0xE169C58D,
        0xBC57AC4C,
        0x9B00DBD8,
    ]
    assert attention_reference.philox((ones,) * 4, (ones,) * 2) == [
        0x408F276D,
        0x41C83B0E,
        0xA20BC7C6,
        0x6D5451FD,
    ]


dropout_factors = functools.cache(attention_reference.dropout_factors)


@pytest.mark.parametrize("seed", [0, 1, SEED, 2**64 - 1])
def test_dropout_pattern_is_the_documented_one(isa, seed):
    """Scores of 0 and values that say which key they belong to: outputs are the factors, divided by N."""
    n_tokens = 37
    qkv, cos, sin, grad_out = arrays(1, n_tokens, 3, n_tokens + 1)
    qkv[:] = 0
    qkv[0, :, 2] = np.eye(n_tokens, n_tokens + 1)[:, None]
    out, _, _ = run(qkv, cos, sin, grad_out, P_THIRD, seed=seed)
    got = out[0, :, :, :n_tokens].transpose(1, 0, 2)  # head, query, key
    np.testing.assert_allclose(got, dropout_factors(3, n_tokens, seed, P_THIRD) / n_tokens, rtol=1e-6)


@pytest.mark.parametrize("n_tokens", [1, 12, 33, 130])
@pytest.mark.parametrize("threshold", [P_THIRD, 65535])
@pytest.mark.slow
def test_dropout_forward_and_backward(isa, n_tokens, threshold):
    inputs = arrays(2, n_tokens, 2, 6)
    factors = dropout_factors(4, n_tokens, SEED, threshold).reshape(2, 2, n_tokens, n_tokens)
    assert_close(run(*inputs, threshold=threshold), expected(*inputs, factors))


@pytest.mark.slow
def test_dropout_drops_its_share_everywhere():
    factors = dropout_factors(64, 64, SEED, round(0.3 * 65536))
    dropped = factors == 0
    assert abs(dropped.mean() - 0.3) < 4 * np.sqrt(0.21 / dropped.size)
    for axes in ((0, 1), (0, 2), (1, 2)):
        shares = dropped.mean(axis=axes)
        assert np.abs(shares - 0.3).max() < 5 * np.sqrt(0.21 * len(shares) / dropped.size)
    # Neighbours know nothing of each other.
    centred = dropped - 0.3
    for axis in range(3):
        product = (centred * np.roll(centred, 1, axis)).mean() / 0.21
        assert abs(product) < 5 / np.sqrt(dropped.size)


@pytest.mark.parametrize("n_threads", [2, 3, 8, 1000])
def test_threads_change_no_bit(isa, n_threads):
    inputs = arrays(33, 40, 3, 28)
    one = run(*inputs, threshold=P_THIRD)
    for _ in range(3):
        for a, b in zip(one, run(*inputs, threshold=P_THIRD, n_threads=n_threads), strict=True):
            assert a.tobytes() == b.tobytes()


def test_a_row_does_not_depend_on_the_other_rows(isa):
    qkv, cos, sin, grad_out = arrays(5, 12, 2, 28)
    batch = run(qkv, cos, sin, grad_out)
    for row in range(5):
        alone = run(qkv[row : row + 1].copy(), cos, sin, grad_out[row : row + 1].copy())
        for a, b in zip(batch, alone, strict=True):
            assert a[row].tobytes() == b[0].tobytes()


def test_calls_from_several_threads_at_once(isa):
    inputs = arrays(33, 40, 3, 28)
    wanted = [array.tobytes() for array in run(*inputs)]
    wrong = []

    def call():
        for _ in range(5):
            got = [array.tobytes() for array in run(*inputs, n_threads=2)]
            wrong.extend(a != b for a, b in zip(got, wanted, strict=True))

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(wrong) == 4 * 5 * 3
    assert not any(wrong)


CHILD_AFTER_THREADS = """
import multiprocessing, sys
sys.path[:0] = [{support!r}, {here!r}]
from test_attention_kernels import arrays, run
inputs = arrays(33, 40, 3, 28)

def work():
    run(*inputs, n_threads=2)

if __name__ == "__main__":
    work()
    for method in ("fork", "spawn", "forkserver"):
        child = multiprocessing.get_context(method).Process(target=work)
        child.start()
        child.join(60)
        assert child.exitcode == 0, method
"""


@pytest.mark.spawns
def test_children_of_a_process_with_threads_compute(tmp_path):
    script = tmp_path / "child.py"
    here = Path(__file__).parent
    script.write_text(CHILD_AFTER_THREADS.format(support=str(here.parent / "support"), here=str(here)))
    subprocess.run([sys.executable, script], check=True, timeout=120)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="head_dim must be even"):
        _core.attention_forward((1, 1, 1, 3), (0, 0, 0), 0, 0, 0, 0, 1)
    with pytest.raises(ValueError, match="threshold must be below 65536"):
        _core.attention_forward((1, 1, 1, 2), (0, 0, 0), 0, 65536, 0, 0, 1)


def object_files():
    files = list((ROOT / "build").glob("cp*/CMakeFiles/*.dir/csrc/attention/kernel/*.o"))
    if not files or shutil.which("nm") is None:
        pytest.skip("no build folder with object files, or no nm")
    return files


@pytest.mark.spawns
def test_a_unit_defines_nothing_but_its_table_and_needs_the_c_library_only():
    for path in object_files():
        listing = subprocess.run(["nm", "--format=posix", path], capture_output=True, text=True, check=True)
        symbols = [tuple(line.split()[:2]) for line in listing.stdout.splitlines()]
        visible = [name for name, kind in symbols if (kind.isupper() and kind != "U") or kind in "uvw"]
        assert len(visible) == 1, (path.name, visible)
        assert "Kernels" in visible[0]
        needed = {name for name, kind in symbols if kind == "U"}
        assert needed <= {"memcpy", "memset", "memmove", "sqrtf", "__stack_chk_fail"}, (path.name, needed)
