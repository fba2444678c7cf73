import re

import numpy as np
import pandas as pd
import pytest

import signal_reference
from patchtst_har.config import DataConfig
from patchtst_har.data.calibration import NotCalibrated, SensorCalibration, fit_calibration
from patchtst_har.data.windows import WindowBatches, cut_windows
from patchtst_har.errors import DataError

SCALE, OFFSET = np.array([1.05, 0.94, 1.02]), np.array([0.03, -0.05, 0.02])
RATE_HZ = 25.0


def on_sphere(n: int, seed: int = 0) -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=(n, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def measured(true: np.ndarray) -> np.ndarray:
    """Return what a sensor shows whose calibration is `SCALE` and `OFFSET`."""
    return (true - OFFSET) / SCALE


def recording_of(postures: np.ndarray, *, each_s: float = 20.0, noise_g: float = 0.002) -> pd.DataFrame:
    """Return a recording that holds each posture (n, 3) still for a while, with movement in between."""
    rng = np.random.default_rng(1)
    n_still, n_moving = round(each_s * RATE_HZ), round(20 * RATE_HZ)
    parts = []
    for posture in postures:
        parts += [posture + rng.normal(0, noise_g, (n_still, 3)), posture + rng.normal(0, 0.3, (n_moving, 3))]
    samples = np.concatenate(parts).astype(np.float32)
    index = pd.date_range("2024-05-01", periods=len(samples), freq=pd.Timedelta(1 / RATE_HZ, "s"), unit="ns")
    return pd.DataFrame(samples, index=index.rename("time"), columns=["x", "y", "z"])


@pytest.fixture(scope="module")
def turned() -> pd.DataFrame:
    """A sensor out of calibration that was turned a lot, for half an hour."""
    return recording_of(measured(on_sphere(60)))


def test_scale_and_offset_are_found_again() -> None:
    found = fit_calibration(measured(on_sphere(200)))
    assert isinstance(found, SensorCalibration)
    np.testing.assert_allclose(found.scale, SCALE, atol=1e-4)
    np.testing.assert_allclose(found.offset_g, OFFSET, atol=1e-4)
    assert found.error_before_mg > 20
    assert found.error_after_mg < 0.1
    assert found.n_windows == 200


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_fit_is_that_of_the_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    means = measured(on_sphere(80, seed)) + rng.normal(0, 0.004, (80, 3))
    found = fit_calibration(means)
    assert isinstance(found, SensorCalibration)
    scale, offset = signal_reference.calibrate(means, rounds=300)
    np.testing.assert_allclose(found.scale, scale, atol=2e-4)
    np.testing.assert_allclose(found.offset_g, offset, atol=2e-4)


def test_a_sensor_without_error_keeps_its_values() -> None:
    means = on_sphere(300) + np.random.default_rng(5).normal(0, 0.002, (300, 3))
    found = fit_calibration(means)
    if isinstance(found, SensorCalibration):
        np.testing.assert_allclose(found.applied(means), means, atol=0.002)
    else:
        assert "must fall" in found.reason


@pytest.mark.parametrize(
    ("means", "reason"),
    [
        (np.empty((0, 3)), "0 stationary windows of 10 s, at least 50 are needed"),
        (on_sphere(49), "49 stationary windows"),
        (np.abs(on_sphere(200)) * [1, -1, 1], r"too little of the sphere \(x from \+0"),
        (np.tile([0.0, 0.0, 1.0], (100, 1)), r"y from \+0.00 to \+0.00 g"),
        (on_sphere(200) * np.random.default_rng(0).uniform(0.6, 1.4, (200, 1)), "must fall, to below 10 mg"),
    ],
)
def test_what_cannot_be_calibrated_says_why(means: np.ndarray, reason: str) -> None:
    found = fit_calibration(means)
    assert isinstance(found, NotCalibrated)
    assert re.search(reason, found.reason), found.reason
    assert found.n_windows == len(means)
    assert (found.error_mg is None) == (len(means) == 0)


def test_windows_are_calibrated(turned: pd.DataFrame) -> None:
    plain = cut_windows(turned)
    assert plain.info["calibration"] == {"policy": "off", "applied": False}
    cut = cut_windows(turned, DataConfig(calibration="auto"))
    facts = cut.info["calibration"]
    assert facts["applied"]
    assert facts["error_before_mg"] > 25
    assert facts["error_after_mg"] < 3
    np.testing.assert_allclose(facts["scale"], SCALE, atol=0.01)
    expected = plain.windows * np.array(facts["scale"]) + np.array(facts["offset_g"])
    np.testing.assert_allclose(cut.windows, expected, atol=1e-5)
    batches = WindowBatches(turned, DataConfig(calibration="auto")).batches(64)
    np.testing.assert_array_equal(np.concatenate([windows for _, windows in batches]), cut.windows)


def test_a_refusal_is_recorded_or_an_error() -> None:
    table = recording_of(np.tile([0.0, 0.0, 1.04], (60, 1)))
    cut = cut_windows(table, DataConfig(calibration="auto"))
    np.testing.assert_array_equal(cut.windows, cut_windows(table).windows)
    facts = cut.info["calibration"]
    assert not facts["applied"]
    assert facts["error_before_mg"] == pytest.approx(40, abs=1)
    assert "too little of the sphere" in facts["reason"]
    with pytest.raises(DataError, match=r"^cannot be calibrated: orientations at rest"):
        cut_windows(table, DataConfig(calibration="require"))


@pytest.mark.parametrize("idle", ["repeats", "zeros", "nan", "not worn"])
def test_time_without_wear_has_no_part_in_it(turned: pd.DataFrame, idle: str) -> None:
    """A sensor that sleeps shows its last value, or a wrong one: calibration must not follow it."""
    rng = np.random.default_rng(2)
    n_idle = round(2 * 3600 * RATE_HZ)
    wrong = {"zeros": [0.0, 0.0, 0.0], "nan": [np.nan] * 3}.get(idle, [0.0, 0.6, 1.1])
    sleep = np.tile(np.float32(wrong), (n_idle, 1))
    if idle == "not worn":
        sleep += rng.normal(0, 0.003, sleep.shape).astype(np.float32)
    samples = np.concatenate([turned.to_numpy()[:22_500], sleep, turned.to_numpy()[22_500:]])
    index = pd.date_range("2024-05-01", periods=len(samples), freq=pd.Timedelta(1 / RATE_HZ, "s"), unit="ns")
    table = pd.DataFrame(samples, index=index.rename("time"), columns=["x", "y", "z"])
    for wearing in ("auto", "off"):
        facts = cut_windows(table, DataConfig(calibration="require", non_wear=wearing)).info["calibration"]
        np.testing.assert_allclose(facts["scale"], SCALE, atol=0.012)
        np.testing.assert_allclose(facts["offset_g"], OFFSET, atol=0.012)
        assert facts["n_windows"] <= 120, "some of the idle hours were taken"


@pytest.mark.parametrize(
    "samples",
    [
        np.empty((0, 3)),
        np.ones((1, 3)),
        np.full((400, 3), np.nan),
        np.full((400, 3), np.inf),
        np.zeros((400, 3)),
        np.full((4000, 3), 0.577),
        np.full((4000, 3), 1e-30),
    ],
)
def test_degenerate_recordings_are_refused_in_words(samples: np.ndarray) -> None:
    index = pd.date_range("2024-05-01", periods=len(samples), freq="10ms", unit="ns")
    table = pd.DataFrame(samples.astype(np.float32), index=index.rename("time"), columns=["x", "y", "z"])
    cut = cut_windows(table, DataConfig(calibration="auto"))
    assert "stationary windows" in cut.info["calibration"]["reason"]
    with pytest.raises(DataError, match=r"cannot be calibrated: \d stationary windows"):
        cut_windows(table, DataConfig(calibration="require"))
