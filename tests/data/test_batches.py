"""Stamps in batches, whole seconds, with jitter, at rates that change: rate, grid and signal as they were."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from patchtst_har.data.batches import spread_batches
from patchtst_har.data.rate import measure_rate_hz, rate_pieces
from patchtst_har.data.recording import ReadingWarning, read_recording, write_recording
from patchtst_har.data.resample import clean_samples, resample_recording
from patchtst_har.errors import DataError

START_NS = 1_714_557_600 * 10**9


def signal(t: np.ndarray) -> np.ndarray:
    """Return a movement (n, 3) in g whose steepest axis changes by 2.5 g per second."""
    phases = [(0.3, 1.3, 0.0), (0.2, 0.7, 1.0), (0.1, 2.1, 2.0)]
    gravity = np.array([0, 0, 1])
    return np.stack([a * np.sin(2 * np.pi * f * t + p) for a, f, p in phases], 1) + gravity


def recording_of(t: np.ndarray, stamps_s: np.ndarray) -> pd.DataFrame:
    stamps_ns = np.rint(stamps_s * 1e9).astype(np.int64) + START_NS
    index = pd.DatetimeIndex(stamps_ns.view("datetime64[ns]"), name="time")
    return pd.DataFrame(signal(t).astype(np.float32), index=index, columns=list("xyz"))


def batched(t: np.ndarray, length_s: float, jitter_s: float) -> np.ndarray:
    number = np.floor(t / length_s + 1e-9).astype(int)
    jitter = np.random.default_rng(0).uniform(-jitter_s, jitter_s, number.max() + 1)
    return (np.arange(number.max() + 1) * length_s + jitter)[number]


def largest_error_s(t: np.ndarray, stamps_s: np.ndarray, rate_hz: float) -> float:
    """Return how far the samples' times are off, a constant shift aside; check rate and grid on the way."""
    recording = recording_of(t, stamps_s)
    clean = clean_samples(recording, 1.0)
    assert clean.sample_rate_hz == pytest.approx(rate_hz, rel=0.002)
    error_s = (clean.time_ns - START_NS) * 1e-9 - t
    shift_s = np.median(error_s)
    segments = resample_recording(recording)
    assert len(segments) == 1
    grid = (segments[0].start_ns - START_NS) * 1e-9 + np.arange(len(segments[0].samples)) / 100 - shift_s
    worst = np.abs(segments[0].samples - signal(grid))[5:-5].max()
    assert worst < 0.02 + 2.5 * np.abs(error_s - shift_s).max()
    return float(np.abs(error_s - shift_s).max())


@pytest.mark.parametrize("rate_hz", [30, 50.3, 60, 64, 100])
@pytest.mark.parametrize(("step_s", "most_s"), [(0.001, 0.0006), (0.01, 0.0101)])
def test_rounded_stamps(rate_hz: float, step_s: float, most_s: float) -> None:
    t = np.arange(int(60 * rate_hz)) / rate_hz
    assert largest_error_s(t, np.floor(t / step_s + 0.5) * step_s, rate_hz) < most_s


@pytest.mark.parametrize("rate_hz", [20, 31.25, 64.3, 100, 100.3, 102.4])
@pytest.mark.parametrize("begin_s", [0.0, 0.63])
def test_whole_seconds_at_any_rate_and_a_first_second_that_is_not_whole(
    rate_hz: float, begin_s: float
) -> None:
    t = begin_s + np.arange(int(60 * rate_hz)) / rate_hz
    assert largest_error_s(t, np.floor(t + 1e-9), rate_hz) < 1.1 / rate_hz


@pytest.mark.parametrize(
    ("length_s", "jitter_s"), [(0.25, 0.003), (1, 0.003), (1, 0.02), (2, 0.02), (10, 0.02)]
)
def test_batches_with_jitter(length_s: float, jitter_s: float) -> None:
    t = np.arange(12_000) / 100
    assert largest_error_s(t, batched(t, length_s, jitter_s), 100) < max(0.7 * jitter_s, 0.003)


def test_lost_batches_leave_a_hole_and_bend_nothing() -> None:
    t = np.arange(12_000) / 100
    stamps = batched(t, 1, 0.003)
    kept = (t < 50) | (t >= 52)
    clean = clean_samples(recording_of(t[kept], stamps[kept]), 1.0)
    assert np.abs((clean.time_ns - START_NS) * 1e-9 - t[kept]).max() < 0.004
    assert clean.bounds == [(0, 5000), (5000, 11_800)]
    part = ~((t >= 50.4) & (t < 51))
    clean = clean_samples(recording_of(t[part], stamps[part]), 0.3)
    assert np.abs((clean.time_ns - START_NS) * 1e-9 - t[part]).max() < 0.004
    assert clean.bounds == [(0, 5040), (5040, 11_940)]


def test_a_batch_that_was_sent_twice_is_dropped(tmp_path: Path) -> None:
    t = np.arange(6000) / 100
    twice = np.r_[:3000, 2900:6000]
    recording = recording_of(t[twice], np.floor(t[twice] + 1e-9))
    write_recording(tmp_path / "a.csv", recording)
    with pytest.warns(ReadingWarning, match=r"100 samples of batches that are there twice, dropped"):
        found, info = read_recording(tmp_path / "a.csv")
    np.testing.assert_allclose(found.to_numpy(), signal(t), atol=1e-5)
    assert info["sample_rate_hz"] == pytest.approx(100)


@pytest.mark.parametrize("rates_hz", [(50, 200), (100, 25), (200, 50)])
@pytest.mark.parametrize("whole_seconds", [False, True])
@pytest.mark.slow
def test_a_rate_that_changes(tmp_path: Path, rates_hz: tuple[int, int], whole_seconds: bool) -> None:
    t = np.concatenate(
        [np.arange(90 * rates_hz[0]) / rates_hz[0], 90 + np.arange(90 * rates_hz[1]) / rates_hz[1]]
    )
    recording = recording_of(t, np.floor(t + 1e-9) if whole_seconds else t)
    clean = clean_samples(recording, 1.0)
    assert np.abs((clean.time_ns - START_NS) * 1e-9 - t).max() < 1e-6
    rows, rates = zip(*rate_pieces(clean.time_ns, clean.sample_rate_hz), strict=True)
    assert rates == pytest.approx(rates_hz, rel=0.01)
    assert rows[1] == pytest.approx(90 * rates_hz[0], abs=600)
    # Where the device is faster than the grid, what the grid cannot hold is filtered.
    noise = recording.copy()
    noise["x"] += np.where(np.arange(len(t)) >= 90 * rates_hz[0], np.sin(2 * np.pi * 80 * t), 0)
    if max(rates_hz) == rates_hz[1] == 200:
        after = resample_recording(noise)[0].samples[9100:-100, 0]
        plain = resample_recording(recording)[0].samples[9100:-100, 0]
        assert np.std(after - plain) < 0.02
    write_recording(tmp_path / "a.csv", recording)
    with pytest.warns(
        ReadingWarning, match=rf"rate changes: {rates_hz[0]} Hz, {rates_hz[1]} Hz from 2024-05-01T"
    ):
        read_recording(tmp_path / "a.csv")


def test_few_samples_and_odd_forms_do_not_fail() -> None:
    for stamps in ([], [5], [5, 5], [5, 5, 5, 9], [1, 1, 2, 2, 2, 90, 90], [0] * 50 + [10**9] * 3):
        times = spread_batches(np.array(stamps, np.int64))
        assert len(times) == len(stamps)
        assert (np.diff(times) >= 0).all()
        assert len(rate_pieces(times, measure_rate_hz(times))) <= 1


def test_random_batches_stay_in_order() -> None:
    random = np.random.default_rng(1)
    for _ in range(200):
        counts = random.integers(1, 9, random.integers(2, 60))
        stamps = np.cumsum(random.integers(1, 10 ** random.integers(1, 10), len(counts)))
        times = spread_batches(np.repeat(stamps, counts))
        assert (np.diff(times) >= 0).all()


@pytest.mark.parametrize(
    ("first_ns", "counts"),
    [
        (0, [1] * 9 + [40]),
        (-3 * 10**18, [2] * 9 + [13]),
        (0, [40] * 9 + [4000]),
        (1 - 2**63, [40] * 3 + [1] + [40] * 9),
    ],
)
def test_batches_that_would_lie_where_no_stamp_can_be_are_refused(tmp_path, first_ns, counts):
    """One batch in 19 years; those that are larger than usual would last for centuries."""
    stamps_ns = np.repeat(first_ns + 6 * 10**17 * np.arange(len(counts)), counts)
    path = tmp_path / "centuries.npz"
    np.savez(path, time_ns=stamps_ns, acc=np.ones((len(stamps_ns), 3), np.float32))
    with pytest.raises(
        DataError, match=r"centuries\.npz: samples that share a stamp would last for centuries"
    ):
        read_recording(path)
