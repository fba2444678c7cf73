import numpy as np
import pandas as pd
import pytest

from patchtst_har.data.rate import measure_rate_hz
from patchtst_har.synthetic import bout
from studies.changes import CHANGES, Person, rotation

AXES = ["x", "y", "z"]


@pytest.fixture
def recording():
    rng = np.random.default_rng(0)
    samples = np.concatenate([bout("running", 3000, rng) * 10, bout("sitting", 3000, rng)])
    stamps = np.arange(6000) * 10_000_000
    stamps[3000:] += 60 * 10**9
    frame = pd.DataFrame(samples, index=pd.DatetimeIndex(stamps, name="time"), columns=AXES)
    return frame.assign(annotation=pd.Categorical(np.repeat(["running", "sitting"], 3000)))


def changed(recording, name, forearm="x"):
    return CHANGES[name](recording, Person(np.random.default_rng(1), forearm))


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_leaves_a_recording(recording, name):
    before = recording.copy()
    after = changed(recording, name)
    assert recording.equals(before)
    assert list(after.columns) == [*AXES, "annotation"]
    assert after.index.is_monotonic_increasing
    assert np.isfinite(after[AXES].to_numpy()).all()
    assert not after[AXES].equals(recording[AXES])
    assert (after["annotation"] == "running").sum() == pytest.approx(len(after) / 2, rel=0.05)


@pytest.mark.parametrize("name", [name for name in CHANGES if "turned" in name or "reversed" in name])
def test_a_turned_sensor_measures_the_same_magnitude(recording, name):
    lengths = (np.linalg.norm(frame[AXES], axis=1) for frame in (recording, changed(recording, name)))
    np.testing.assert_allclose(*lengths, rtol=1e-5)


@pytest.mark.parametrize(("forearm", "first", "second"), [("x", "y", "z"), ("y", "z", "x")])
def test_a_turn_about_the_forearm_leaves_its_axis_and_turns_gravity_by_its_angle(
    recording, forearm, first, second
):
    after = changed(recording, "turned 30 degrees about the forearm", forearm)
    np.testing.assert_allclose(after[forearm], recording[forearm], atol=1e-6)
    before, turned = (np.arctan2(frame[second].mean(), frame[first].mean()) for frame in (recording, after))
    assert np.rad2deg(turned - before) % 360 == pytest.approx(30, abs=0.01)


@pytest.mark.parametrize("degrees", [15, 90, 180])
def test_a_rotation_is_orthogonal_keeps_its_axis_and_has_its_angle(degrees):
    axis = np.array([1.0, -2.0, 0.5])
    matrix = rotation(axis, degrees)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(matrix @ axis, axis, atol=1e-12)
    assert np.trace(matrix) == pytest.approx(1 + 2 * np.cos(np.deg2rad(degrees)))
    assert np.linalg.det(matrix) == pytest.approx(1)


@pytest.mark.parametrize(("forearm", "across"), [("x", "y"), ("y", "x")])
def test_the_other_wrist_is_a_mirror_image(recording, forearm, across):
    after = changed(recording, "the other wrist (mirrored)", forearm)
    np.testing.assert_array_equal(after[across], -recording[across])
    np.testing.assert_array_equal(after[[forearm, "z"]], recording[[forearm, "z"]])


@pytest.mark.parametrize("rate_hz", [25, 50, 80])
def test_another_rate_keeps_gaps_and_annotations(recording, rate_hz):
    after = changed(recording, f"{rate_hz} Hz")
    assert measure_rate_hz(after.index.as_unit("ns").asi8) == pytest.approx(rate_hz, rel=1e-3)
    gaps = np.diff(after.index.as_unit("ns").asi8) > 10**9
    assert gaps.sum() == 1
    row = int(np.flatnonzero(gaps)[0])
    assert after["annotation"].iloc[[row, row + 1]].tolist() == ["running", "sitting"]


def test_faults_do_what_they_say(recording):
    assert changed(recording, "clipped at 2 g")[AXES].abs().to_numpy().max() == 2
    assert recording[AXES].abs().to_numpy().max() > 2
    assert changed(recording, "axis y stuck")["y"].nunique() == 1
    assert len(changed(recording, "5 % of the samples missing")) == pytest.approx(5700, rel=0.01)
    np.testing.assert_allclose(changed(recording, "9 % too large")[AXES], recording[AXES] * 1.09, rtol=1e-6)
