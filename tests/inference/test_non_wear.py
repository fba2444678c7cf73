import json
import shutil
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from device_writers import PARAMETERS, START, activity, gt3x, log_record, parameters, seconds_1970, walk
from patchtst_har import Recognizer
from patchtst_har.data.units import SignalWarning
from patchtst_har.errors import ConfigError, DataError
from patchtst_har.inference.label_file import label_file
from patchtst_har.reports.prediction_files import write_prediction
from streams import make_samples, recording_of, small_recognizer

RATE_HZ = 80.0
MINUTE = round(60 * RATE_HZ)


@pytest.fixture(scope="module")
def recognizer():
    return small_recognizer()


def shifted(recording: pd.DataFrame, minutes: float) -> pd.DataFrame:
    return recording.set_axis(recording.index + pd.Timedelta(minutes, "min"))


def worn(minutes: float, seed: int) -> pd.DataFrame:
    return recording_of(*make_samples(60 * minutes, RATE_HZ, jitter_ms=0, seed=seed))


@pytest.fixture(scope="module")
def taken_off() -> dict[str, pd.DataFrame]:
    """A wearer who takes the sensor off for 75 minutes, and the two parts in which it was worn."""
    rng = np.random.default_rng(0)
    before, after = worn(15, 1), shifted(worn(10, 2), 90)
    quiet = np.array([0.0, 0.1, -1.0]) + rng.normal(0, 0.003, (75 * MINUTE, 3))
    stamps = before.index[0].as_unit("ns").value + (15 * MINUTE + np.arange(len(quiet))) * round(
        1e9 / RATE_HZ
    )
    table = recording_of(quiet.astype(np.float32), stamps)
    return {"whole": pd.concat([before, table, after]), "before": before, "after": after}


def test_time_without_wear_is_a_state_of_its_own(recognizer, taken_off):
    labelled = recognizer.label_recording(taken_off["whole"])
    timeline, windows = labelled.timeline, labelled.windows
    unworn = timeline["label"] == "non_wear"
    assert timeline["probability"].isna().equals(unworn)
    begin = taken_off["before"].index[0]
    assert timeline["start"][unworn].min() - begin == pd.Timedelta("15min")
    assert timeline["end"][unworn].max() - begin == pd.Timedelta("90min")
    lasted = timeline["end"] - timeline["start"]
    assert lasted[unworn].sum() == pd.Timedelta("75min")
    assert lasted[unworn].max() == pd.Timedelta("2s")
    assert (timeline["start"].iloc[1:].to_numpy() >= timeline["end"].iloc[:-1].to_numpy()).all()
    assert windows["label"].equals(timeline["label"])
    assert windows.filter(regex="raw").loc[unworn].isna().all(axis=None)
    assert labelled.counts["n_windows"] == (~unworn).sum()
    assert set(timeline["label"][~unworn]) <= set(recognizer.classes)
    assert labelled.signal["non_wear"]["non_wear_s"] == pytest.approx(75 * 60)


def test_smoothing_restarts_after_it_and_it_is_no_evidence(recognizer, taken_off):
    """Each worn part has the labels and probabilities that it has alone."""
    whole = recognizer.predict_recording(taken_off["whole"])
    whole = whole[whole["label"] != "non_wear"].reset_index(drop=True)
    alone = [recognizer.predict_recording(taken_off[name]) for name in ("before", "after")]
    pd.testing.assert_frame_equal(whole, pd.concat(alone, ignore_index=True))
    plain = recognizer.replace(smoother=None).predict_recording(taken_off["before"])
    assert not plain["label"].equals(alone[0]["label"]), "the smoother has nothing to do here"


def test_smoothing_restarts_after_a_gap(recognizer):
    first, second = worn(1, 1), shifted(worn(1, 2), 1.5)
    joined = recognizer.predict_recording(pd.concat([first, second]))
    alone = [recognizer.predict_recording(part) for part in (first, second)]
    pd.testing.assert_frame_equal(joined, pd.concat(alone, ignore_index=True))
    bridged = small_recognizer(max_gap_s=100).predict_recording(pd.concat([first, second]))
    assert not bridged["probability"].equals(joined["probability"])


def test_non_wear_can_be_switched_off(recognizer, taken_off):
    off = recognizer.with_data(non_wear="off")
    timeline = off.predict_recording(taken_off["whole"])
    assert "non_wear" not in set(timeline["label"])
    assert len(timeline) == 100 * 30
    assert recognizer.with_data(non_wear=None, calibration=None) is recognizer
    with pytest.raises(ConfigError, match="non_wear"):
        recognizer.with_data(non_wear="maybe")


def test_a_window_that_reaches_into_it_keeps_its_time(recognizer):
    """The last grid point of a window may lie half a sample behind the last sample that was worn."""
    n_worn = 2000 * 30 + 13
    rng = np.random.default_rng(0)
    samples = 0.5 + rng.normal(0, 0.2, (n_worn + 4000 * 30, 3))
    samples[n_worn:] = [0.1, 0.2, 0.9]
    stamps = 10**18 + np.arange(len(samples)) * round(1e9 / 62.5)
    labelled = recognizer.label_recording(recording_of(samples.astype(np.float32), stamps))
    timeline = labelled.timeline
    assert (timeline["start"].iloc[1:].to_numpy() >= timeline["end"].iloc[:-1].to_numpy()).all()
    assert (timeline["end"] > timeline["start"]).all()


def test_overlapping_windows(taken_off):
    timeline = small_recognizer(hop_size=50).predict_recording(taken_off["whole"])
    unworn = timeline["label"] == "non_wear"
    assert (timeline["end"] - timeline["start"])[unworn].sum() == pd.Timedelta("75min")
    assert (timeline["start"].iloc[1:].to_numpy() >= timeline["end"].iloc[:-1].to_numpy()).all()


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_a_recording_that_nobody_wore(recognizer, zone):
    table = recording_of(
        np.tile(np.float32([0.0, 0.1, -1.0]), (70 * MINUTE, 1)), 10**18 + np.arange(70 * MINUTE) * 12_500_000
    )
    if zone is not None:
        table = table.tz_localize(zone)
    labelled = recognizer.label_recording(table)
    assert set(labelled.timeline["label"]) == {"non_wear"}
    assert labelled.timeline["start"].dtype == table.index.as_unit("ns").dtype
    assert labelled.counts["n_windows"] == 0


@pytest.mark.draws
@pytest.mark.filterwarnings("ignore::patchtst_har.inference.familiarity.UnfamiliarWarning")
@pytest.mark.parametrize("minutes", [0, 15])
def test_files_say_it(small_run, taken_off, tmp_path, minutes):
    """Labels, windows, summary and report of a recording that was worn in part, or hardly."""
    whole = taken_off["whole"].iloc[: len(taken_off["before"]) + 75 * MINUTE]
    if not minutes:
        whole = whole.iloc[len(taken_off["before"]) :]
    path = tmp_path / "a.npz"
    np.savez(path, time_ns=whole.index.as_unit("ns").asi8, acc=whole.to_numpy())
    labelled = label_file(path, small_run.folder / "model")
    written = write_prediction(tmp_path, labelled)
    labels, windows = pd.read_csv(written.labels), pd.read_csv(written.windows)
    assert len(labels) == len(windows)
    assert (labels["label"] == "non_wear").sum() == 75 * 6
    assert "non_wear,\n" in written.labels.read_text()
    summary = json.loads(written.summary.read_text())
    assert summary["non_wear_minutes"] == pytest.approx(75)
    assert "non_wear" not in summary["minutes"]
    assert summary["n_windows"] == (90 if minutes else 0)
    assert summary["signal"]["non_wear"]["applied"]
    page = written.report.read_text()
    assert "<b>1 h 15 min</b><span>not worn, or the sensor slept</span>" in page
    assert ">non_wear<" in page
    assert ("Nothing was classified" in page) == (not minutes)
    assert "75.0 min in 1 span" in page


@pytest.mark.draws
@pytest.mark.filterwarnings("ignore::patchtst_har.inference.familiarity.UnfamiliarWarning")
def test_a_class_of_its_name_is_an_activity(small_run, taken_off, tmp_path):
    """A model may have learned from annotations that say so; what it labels has a probability."""
    path = tmp_path / "a.npz"
    whole = taken_off["whole"].iloc[: len(taken_off["before"]) + 75 * MINUTE]
    np.savez(path, time_ns=whole.index.as_unit("ns").asi8, acc=whole.to_numpy())
    labelled = label_file(path, small_run.folder / "model")
    classes = ("non_wear", *labelled.classes[1:])
    renamed = replace(labelled, classes=classes, timeline=labelled.timeline.assign(label="non_wear"))
    summary = json.loads(write_prediction(tmp_path, renamed).summary.read_text())
    assert summary["non_wear_minutes"] == pytest.approx(75)
    assert summary["minutes"]["non_wear"] == pytest.approx(15)


@pytest.mark.filterwarnings("ignore::patchtst_har.inference.familiarity.UnfamiliarWarning")
def test_a_device_that_sleeps_is_not_worn(small_run, tmp_path):
    """ActiGraph writes nothing in idle sleep, and lists when it slept."""
    seconds, first = (0, 4000), seconds_1970(START)
    records = [log_record(PARAMETERS, first, parameters(sleep_mode=True))]
    for second in seconds:
        records += activity(walk(450), start=START + timedelta(seconds=second))
    path = tmp_path / "a.gt3x"
    path.write_bytes(gt3x(records))
    labelled = label_file(path, small_run.folder / "model")
    assert labelled.timeline["label"].eq("non_wear").tolist() == [False, *[True] * 399, False]
    unworn = labelled.timeline[labelled.timeline["label"] == "non_wear"]
    begin = pd.Timestamp(START)
    assert (unworn["start"].min() - begin).total_seconds() == 15
    assert (unworn["end"].max() - begin).total_seconds() == 4000
    assert labelled.recording_info["reading"]["n_idle_sleep"] == 1
    assert "idle_sleep" not in labelled.recording_info["reading"]


def test_models_stored_without_the_fields_are_loaded(small_run, tmp_path):
    model = shutil.copytree(small_run.folder / "model", tmp_path / "model")
    config = json.loads((model / "config.json").read_text())
    for name in ("calibration", "non_wear"):
        del config["data"][name]
    (model / "config.json").write_text(json.dumps(config))
    data = Recognizer.from_pretrained(model).config.data
    assert (data.calibration, data.non_wear) == ("off", "auto")


def test_a_stream_of_a_model_of_calibrated_recordings_says_that_it_is_not(recognizer):
    recognizer.stream()
    with pytest.warns(SignalWarning, match="and a stream is not"):
        recognizer.with_data(calibration="auto").stream()


def test_calibration_of_a_prediction(recognizer, taken_off, tmp_path, small_run):
    calibrating = recognizer.with_data(calibration="auto")
    with pytest.warns(SignalWarning, match="Not calibrated: orientations at rest|stationary windows"):
        labelled = calibrating.label_recording(taken_off["before"])
    assert labelled.warnings[0].startswith("Not calibrated: ")
    pd.testing.assert_frame_equal(labelled.timeline, recognizer.predict_recording(taken_off["before"]))
    path = tmp_path / "a.npz"
    np.savez(path, time_ns=taken_off["before"].index.as_unit("ns").asi8, acc=taken_off["before"].to_numpy())
    with pytest.raises(DataError, match=r"a\.npz: cannot be calibrated: 0 stationary"):
        label_file(path, small_run.folder / "model", calibration="require")
