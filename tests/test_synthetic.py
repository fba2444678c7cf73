"""Simulated samples: their form, their kinds, and that a seed decides them."""

import numpy as np
import pandas as pd
import pytest

from patchtst_har import synthetic
from patchtst_har.errors import DataError
from without_torch import run_without_torch


@pytest.mark.parametrize("kind", [*synthetic.KINDS, "mixed"])
def test_windows_have_their_shape_and_are_the_same_for_the_same_seed(kind):
    made = synthetic.windows(kind, 6, window_size=200, sample_rate_hz=50.0)
    assert (made.shape, made.dtype) == ((6, 200, 3), np.float32)
    assert made.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(made, synthetic.windows(kind, 6, window_size=200, sample_rate_hz=50.0))
    assert not np.array_equal(made, synthetic.windows(kind, 6, window_size=200, seed=1))
    assert len(np.unique(made, axis=0)) == 6


def test_mixed_windows_take_the_kinds_in_turn():
    mixed = synthetic.windows("mixed", 7)
    for place, kind in enumerate(synthetic.KINDS):
        alone = synthetic.windows(kind, 3)
        np.testing.assert_array_equal(mixed[place::3], alone[: len(mixed[place::3])])


def arm_swing_hz(samples, sample_rate_hz):
    """Return the strongest frequency below 1.3 Hz of the second axis: the arm swings once in two steps."""
    power = np.abs(np.fft.rfft(samples[:, 1] - samples[:, 1].mean()))
    frequencies = np.fft.rfftfreq(len(samples), 1 / sample_rate_hz)
    return frequencies[power[frequencies < 1.3].argmax()]


def test_kinds_are_what_they_say():
    still, walking, noise = (synthetic.windows(kind, 8) for kind in ("still", "walking", "noise"))
    np.testing.assert_array_equal(still * 64, np.round(still * 64))
    assert np.linalg.norm(still, axis=2).std(axis=1).max() < 0.02
    np.testing.assert_allclose(noise.std(axis=1), 0.3, atol=0.03)
    for window in walking:
        assert 0.75 <= arm_swing_hz(window, 100.0) <= 1.2


def test_walking_has_the_pace_that_is_asked_for_at_any_rate():
    samples = synthetic.signal("walking", 3200, np.random.default_rng(0), sample_rate_hz=32.0, step_hz=1.9)
    assert arm_swing_hz(samples, 32.0) == pytest.approx(1.9 / 2, abs=0.05)


def test_bouts_of_one_activity_differ():
    rng = np.random.default_rng(0)
    swings = {
        activity: [
            np.linalg.norm(synthetic.bout(activity, 1000, rng).astype(float), axis=1).std() for _ in range(3)
        ]
        for activity in synthetic.ACTIVITIES
    }
    assert max(swings["sitting"]) < min(swings["walking"]) <= max(swings["walking"]) < min(swings["running"])
    assert len({round(swing, 6) for swing in swings["walking"]}) == 3


def test_a_recording_has_stamps_and_annotations():
    frame = synthetic.recording((("sitting", 2.0), (None, 1.0)), sample_rate_hz=50.0, start="2024-01-01")
    assert list(frame.columns) == ["x", "y", "z", "annotation"]
    assert frame.index.name == "time"
    assert frame.index[0] == pd.Timestamp("2024-01-01")
    assert frame.index[-1] == pd.Timestamp("2024-01-01 00:00:02.98")
    assert frame["x"].dtype == np.float32
    assert frame["annotation"].isna().sum() == 50


def bouts_of(activity, rate_hz=100.0):
    """Return six bouts of 10 s."""
    n = round(10 * rate_hz)
    rng = np.random.default_rng(0)
    return np.stack([synthetic.daily_bout(activity, n, rng, sample_rate_hz=rate_hz) for _ in range(6)])


def test_daily_activities_have_the_posture_and_movement_of_a_wrist():
    bouts = {activity: bouts_of(activity) for activity in synthetic.DAILY_ACTIVITIES}
    for activity, samples in bouts.items():
        assert samples.dtype == np.float32
        np.testing.assert_array_equal(samples * 64, np.round(samples * 64))
        posture = samples.mean(axis=(0, 1))
        expected = np.array(synthetic._DAILY[activity].posture)
        np.testing.assert_allclose(posture, expected / np.linalg.norm(expected), atol=0.1)
    moved = {name: samples.std(axis=1).mean() for name, samples in bouts.items()}
    order = ("lying", "standing", "walking", "stairs", "running")
    assert [moved[name] for name in order] == sorted(moved[name] for name in order)
    assert moved["sitting"] == pytest.approx(moved["lying"], rel=0.2)


@pytest.mark.parametrize("rate_hz", [25.0, 100.0])
def test_daily_walking_has_its_pace_at_any_rate(rate_hz):
    for samples in bouts_of("walking", rate_hz):
        power = np.abs(np.fft.rfft(samples[:, 1] - samples[:, 1].mean()))
        strongest = np.fft.rfftfreq(len(samples), 1 / rate_hz)[power.argmax()]
        assert 1.5 <= strongest <= 2.2


def test_a_daily_recording_is_the_same_for_the_same_seed():
    bouts = (("lying", 3.0), ("stairs", 2.0), (None, 1.0))
    first, again, other = (
        synthetic.recording(bouts, make=synthetic.daily_bout, seed=seed) for seed in (0, 0, 1)
    )
    pd.testing.assert_frame_equal(first, again)
    assert not first[["x", "y", "z"]].equals(other[["x", "y", "z"]])
    assert first["annotation"].dropna().value_counts().to_dict() == {"lying": 300, "stairs": 200}


@pytest.mark.parametrize("call", [synthetic.signal, synthetic.bout, synthetic.daily_bout])
def test_what_is_unknown_is_named(call):
    with pytest.raises(DataError, match=r"must be one of .*, is 'swimming'"):
        call("swimming", 10, np.random.default_rng(0))


@pytest.mark.spawns
def test_signals_need_numpy_alone():
    run_without_torch(
        "from patchtst_har import synthetic\n"
        "synthetic.windows('mixed', 3)\n"
        "assert 'pandas' not in sys.modules"
    )
