from itertools import pairwise

import numpy as np
import pytest

import signal_reference
from patchtst_har.data.epochs import constant_runs, measure_epochs

NS = 10**9


def segments_of(time_s: np.ndarray, max_gap_s: float) -> list[tuple[int, int]]:
    edges = [0, *(np.flatnonzero(np.diff(time_s) > max_gap_s) + 1).tolist(), len(time_s)]
    return list(pairwise(edges))


def walk(n_samples: int, rate_hz: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return times with gaps and pauses, and samples that often stay the same."""
    rng = np.random.default_rng(seed)
    steps_s = np.full(n_samples, 1 / rate_hz)
    steps_s[rng.choice(n_samples, 6, replace=False)] += rng.uniform(0.5, 40.0, 6)
    time_s = 5.0 + np.cumsum(steps_s)
    samples = np.round(
        np.cumsum(rng.normal(0, 0.1, (n_samples, 3)) * (rng.random((n_samples, 1)) < 0.05), axis=0), 1
    )
    return np.round(time_s, 6), samples.astype(np.float32)


@pytest.mark.parametrize("rate_hz", [0.02, 0.3, 20.0, 100.0])
@pytest.mark.parametrize("block", [1, 777, 2**15])
def test_epochs_are_those_of_the_definition(
    rate_hz: float, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("patchtst_har.data.epochs._BLOCK_SAMPLES", block)
    time_s, samples = walk(400 if rate_hz < 1 else 4000, rate_hz)
    segments = segments_of(time_s, max(1.0, 60.0 / rate_hz if rate_hz < 1 else 1.0))
    found = measure_epochs(np.rint(time_s * NS).astype(np.int64), samples, segments)
    expected = signal_reference.epochs(time_s, samples, segments)
    assert found.begin_ns == round(time_s[0] * NS)
    assert found.number.tolist() == [row[0] for row in expected]
    assert found.n_samples.tolist() == [row[1] for row in expected]
    for name, column, tolerance in (
        ("mean", 2, 1e-12),
        ("std", 3, 1e-6),
        ("lowest", 4, 0),
        ("highest", 5, 0),
    ):
        np.testing.assert_allclose(
            getattr(found, name), [row[column] for row in expected], rtol=0, atol=tolerance, err_msg=name
        )


def test_no_samples_have_no_epochs() -> None:
    found = measure_epochs(np.empty(0, np.int64), np.empty((0, 3), np.float32), [])
    assert len(found) == 0
    assert found.mean.shape == found.std.shape == (0, 3)
    assert constant_runs(np.empty(0, np.int64), np.empty((0, 3), np.float32), [], found, 60).shape == (0, 2)


def test_a_deviation_is_exact_far_from_zero() -> None:
    rng = np.random.default_rng(0)
    samples = (40 + rng.normal(0, 0.001, (1000, 3))).astype(np.float32)
    found = measure_epochs(np.arange(1000) * 10**7, samples, [(0, 1000)])
    np.testing.assert_allclose(found.std[0], samples.astype(np.float64).std(axis=0), atol=1e-7)


@pytest.mark.parametrize("rate_hz", [0.05, 1.0, 20.0])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.slow
def test_constant_runs_are_those_found_sample_by_sample(rate_hz: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, int(150 * rate_hz) + 4, 30)
    values = rng.integers(0, 2, (30, 3)) / 8
    samples = np.repeat(values, lengths, axis=0).astype(np.float32)
    samples[:, 2] += np.repeat(rng.random(30) < 0.5, lengths) * rng.normal(0, 1, len(samples))
    time_s = np.arange(len(samples)) / rate_hz
    time_s[len(samples) // 2 :] += 90.0 / min(rate_hz, 1.0)
    segments = segments_of(time_s, 30.0 / min(rate_hz, 1.0))
    time_ns = np.rint(time_s * NS).astype(np.int64)
    found = constant_runs(time_ns, samples, segments, measure_epochs(time_ns, samples, segments), 60.0)
    expected = []
    for first, stop in segments:
        begin = first
        for row in range(first + 1, stop + 1):
            if row == stop or (samples[row] != samples[begin]).any():
                if time_ns[row - 1] - time_ns[begin] >= 60 * NS:
                    expected.append([time_ns[begin], time_ns[row - 1]])
                begin = row
    assert found.tolist() == expected
    assert len(expected) > 0
