import numpy as np
import pytest

from patchtst_har.data.rate import measure_rate_hz
from patchtst_har.data.units import rest_magnitude
from patchtst_har.synthetic import bout as activity_signal


def test_rest_is_found_between_movement() -> None:
    rng = np.random.default_rng(0)
    signal = np.concatenate([activity_signal(name, 3000, rng) for name in ("running", "sitting", "running")])
    rest = rest_magnitude(signal * np.float32(1.05), 100.0)
    assert rest is not None
    assert rest.basis == "still"
    assert rest.value_g == pytest.approx(1.05, abs=0.01)


def test_without_rest_the_whole_is_used() -> None:
    rest = rest_magnitude(activity_signal("walking", 3000, np.random.default_rng(0)), 100.0)
    assert rest is not None
    assert rest.basis == "all"
    assert rest.plausible


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_signals_without_usable_samples_give_none(value: float) -> None:
    assert rest_magnitude(np.full((1000, 3), value, np.float32), 100.0) is None
    assert rest_magnitude(np.empty((0, 3), np.float32), 100.0) is None


def test_a_scale_that_fits_no_unit_is_implausible() -> None:
    signal = activity_signal("sitting", 3000, np.random.default_rng(0)) / np.float32(16)
    rest = rest_magnitude(signal, 100.0)
    assert rest is not None
    assert not rest.plausible


def test_rate_of_jittered_batched_and_interrupted_stamps() -> None:
    rng = np.random.default_rng(0)
    ideal = np.arange(20_000) * 1e9 / 104.26
    jittered = np.sort(ideal + rng.normal(0, 1e6, 20_000)).astype(np.int64)
    batched = np.repeat(ideal[::10], 10).astype(np.int64)
    paused = ideal.astype(np.int64) + (np.arange(20_000) // 700) * 60 * 10**9
    for stamps in (jittered, batched, paused):
        assert measure_rate_hz(stamps) == pytest.approx(104.26, rel=0.01)


def test_rate_needs_two_stamps_that_belong_together() -> None:
    assert measure_rate_hz(np.empty(0, np.int64)) is None
    assert measure_rate_hz(np.array([5])) is None
    assert measure_rate_hz(np.array([5, 5])) is None
    assert measure_rate_hz(np.array([0, 10**12])) is None
    assert measure_rate_hz(np.array([0, 10**7])) == pytest.approx(100)
