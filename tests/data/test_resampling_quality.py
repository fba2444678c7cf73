"""What resampling does to a wave by its frequency, beside SciPy; and the compiled interpolation."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import resample_poly

from patchtst_har import _core
from patchtst_har.data.resample import resample_recording

SECONDS, AMPLITUDE, INNER = 40, 0.5, slice(300, -300)


def wave(time_s: np.ndarray, hz: float) -> np.ndarray:
    return AMPLITUDE * np.sin(2 * np.pi * hz * time_s[:, None] + [0.0, 1.0, 2.0]) + [0.1, 0.2, 0.9]


def resampled(rate_hz: float, hz: float) -> np.ndarray:
    time_s = np.arange(SECONDS * rate_hz) / rate_hz
    stamps = pd.DatetimeIndex(np.rint(time_s * 1e9).astype("datetime64[ns]"), name="time")
    recording = pd.DataFrame(wave(time_s, hz).astype(np.float32), index=stamps, columns=["x", "y", "z"])
    (segment,) = resample_recording(recording, 100.0)
    return segment.samples.astype(np.float64)


def by_scipy(rate_hz: float, hz: float) -> np.ndarray:
    ratio = Fraction(100 / rate_hz).limit_denominator(1000)
    offset = np.array([0.1, 0.2, 0.9])
    samples = wave(np.arange(SECONDS * rate_hz) / rate_hz, hz) - offset
    return resample_poly(samples, ratio.numerator, ratio.denominator, axis=0) + offset


def gain_and_rest(points: np.ndarray, hz: float) -> tuple[float, float]:
    """Return by how much of its amplitude a wave is larger, and the rest besides the wave in dB of it."""
    points = points[INNER]
    phase = 2 * np.pi * hz * np.arange(len(points)) / 100
    basis = np.stack([np.sin(phase), np.cos(phase), np.ones_like(phase)], axis=1)
    fitted, *_ = np.linalg.lstsq(basis, points, rcond=None)
    rest = np.sqrt(2 * np.square(points - basis @ fitted).mean()) / AMPLITUDE
    return float(np.hypot(fitted[0], fitted[1]).mean() / AMPLITUDE - 1), 20 * np.log10(rest + 1e-12)


@pytest.mark.parametrize("rate_hz", [112.0, 128.0, 200.0])
def test_a_faster_device_has_a_flat_pass_band_and_low_aliases(rate_hz: float) -> None:
    for hz in (1.0, 5.0, 10.0, 20.0, 30.0):
        gain, rest_db = gain_and_rest(resampled(rate_hz, hz), hz)
        assert abs(gain) < 0.005, hz
        assert rest_db < -40, hz
        theirs, _ = gain_and_rest(by_scipy(rate_hz, hz), hz)
        assert abs(gain - theirs) < 0.006, hz
    for hz in (60.0, 63.0, 70.0, 90.0):
        if hz < rate_hz / 2:
            alias = resampled(rate_hz, hz)[INNER]
            assert (alias - [0.1, 0.2, 0.9]).std() < 0.01 * AMPLITUDE, hz


@pytest.mark.parametrize(
    ("hz", "lost", "rest_db"),
    [(1.0, 0.00033, -76), (3.0, 0.003, -57), (10.0, 0.033, -36), (20.0, 0.127, -24)],
)
def test_linear_interpolation_costs_what_the_page_on_data_says(
    hz: float, lost: float, rest_db: float
) -> None:
    gain, found_db = gain_and_rest(resampled(99.3, hz), hz)
    assert -gain == pytest.approx(lost, rel=0.1)
    assert found_db == pytest.approx(rest_db, abs=1.5)


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=40),
    st.lists(st.integers(-5, 65), max_size=40),
    st.integers(0),
)
def test_compiled_interpolation_is_numpys_bit_for_bit(known: list[int], wanted: list[int], seed: int) -> None:
    stamps, grid = np.sort(np.array(known, np.int64)), np.sort(np.array(wanted, np.int64))
    samples = np.random.default_rng(seed).normal(size=(len(stamps), 3)).astype(np.float32)
    origin = 1_700_000_000_123_456_789
    found = _core.interpolate(stamps + origin, samples, grid + origin)
    expected = [np.interp(grid, stamps, samples[:, axis]) for axis in range(3)]
    np.testing.assert_array_equal(found, np.stack(expected, axis=1))


def test_compiled_interpolation_refuses_other_shapes() -> None:
    stamps, samples = np.arange(3), np.zeros((3, 3), np.float32)
    with pytest.raises(ValueError, match="stamps_ns must have shape"):
        _core.interpolate(stamps[:2], samples, stamps)
    with pytest.raises(ValueError, match="samples must have shape"):
        _core.interpolate(stamps[:0], samples[:0], stamps)
    with pytest.raises(TypeError):
        _core.interpolate(stamps, samples.astype(np.float64), stamps)  # type: ignore[arg-type]
