"""What is said of recordings that are unlike those that a model was trained on."""

import json
import shutil

import numpy as np
import pytest

from patchtst_har import Recognizer
from patchtst_har.data import write_recording
from patchtst_har.data.units import SignalWarning
from patchtst_har.errors import DataError, ModelFolderError
from patchtst_har.inference.familiarity import FeatureRange, UnfamiliarWarning, range_doubt, rate_doubt
from patchtst_har.inference.label_file import label_file
from patchtst_har.model_folder import TrainedOn, read_trained_on
from patchtst_har.synthetic import recording as make_recording


@pytest.fixture(scope="module")
def recognizer(small_run):
    return Recognizer.from_pretrained(small_run.folder / "model")


@pytest.mark.parametrize(
    ("rate_hz", "trained_on", "doubtful"),
    [
        (100.0, None, False),
        (60.0, None, False),
        (59.0, None, True),
        (None, None, False),
        (30.0, TrainedOn(5, (50.0, 100.0)), False),
        (29.0, TrainedOn(5, (50.0, 100.0)), True),
        # Sources faster than the windows were low-passed.
        (60.0, TrainedOn(5, (200.0, 200.0)), False),
    ],
)
def test_a_rate_is_compared_with_what_the_model_was_trained_on(rate_hz, trained_on, doubtful):
    assert bool(rate_doubt(rate_hz, 100.0, trained_on)) == doubtful


def test_both_rates_are_named():
    (text,) = rate_doubt(5.0, 100.0, TrainedOn(5, (50.0, 100.0)))
    assert "has 5 samples per second, the model was trained on recordings of 50 to 100 Hz" in text


def test_windows_like_the_training_windows_are_familiar_and_others_are_not(recognizer, small_run):
    usual = FeatureRange.of(recognizer.model)
    for part in (small_run.trainer.data.train, small_run.trainer.data.test):
        assert range_doubt(usual.n_unfamiliar(part), len(part)) == []
    noise = np.random.default_rng(0).normal(0, 3, (4, 1000, 3)).astype(np.float32)
    assert usual.n_unfamiliar(recognizer.inputs(noise, np.arange(4) * 10**10)) == 4
    torch_model = Recognizer.from_pretrained(small_run.folder / "model", engine="torch").model
    for ours, theirs in zip(FeatureRange.of(torch_model).stats, usual.stats, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_model_without_features_calls_nothing_unfamiliar(recognizer, small_run):
    assert FeatureRange(None, None).n_unfamiliar(small_run.trainer.data.test) == 0
    assert range_doubt(0, 10) == range_doubt(4, 10) == []
    assert "5 of 10 windows (50%) are far from all" in range_doubt(5, 10)[0]


def test_a_foreign_recording_is_counted_and_said(small_run, recognizer, tmp_path):
    recording = make_recording(bouts=(("sitting", 60.0),), start="2024-01-01")
    rng = np.random.default_rng(0)
    recording[["x", "y", "z"]] = rng.normal(0, 3, (len(recording), 3)).astype(np.float32)
    with pytest.warns(UnfamiliarWarning, match=r"6 of 6 windows \(100%\)"):
        labelled = recognizer.label_recording(recording)
    assert labelled.counts["n_unfamiliar"] == labelled.counts["n_windows"] == 6
    write_recording(tmp_path / "a.csv", recording)
    with pytest.warns(SignalWarning):
        told = label_file(tmp_path / "a.csv", small_run.folder / "model")
    assert any("far from all that the model was trained on" in text for text in told.warnings)


def test_a_window_with_a_marker_gets_no_label(recognizer, small_run):
    test = small_run.trainer.data.test
    windows, starts = test.windows[:3].copy(), test.start_ns[:3]
    expected = recognizer.predict(windows, starts)
    windows[1, 500, 1] = -9999.0
    with pytest.warns(SignalWarning, match=r"1 of 3 hold samples beyond 50 g.*first is window 1"):
        found = recognizer.predict(windows, starts)
    assert found.labels.tolist() == [expected.labels[0], "", expected.labels[2]]
    np.testing.assert_array_equal(found.probabilities[[0, 2]], expected.probabilities[[0, 2]])
    np.testing.assert_array_equal(found.probabilities[1], 0.0)
    with pytest.warns(SignalWarning):
        assert recognizer.predict(np.full_like(windows, 3.4e38), starts).labels.tolist() == [""] * 3


def test_a_recording_of_markers_alone_says_so(recognizer):
    recording = make_recording(bouts=(("sitting", 30.0),))
    recording.iloc[:, :3] = np.float32(3.4e38)
    with pytest.raises(DataError, match="of 3,000 samples, unusable are 3,000 beyond 50 g"):
        recognizer.label_recording(recording)


def test_no_probability_is_nan_around_markers(recognizer):
    recording = make_recording(bouts=(("walking", 60.0),))
    recording.iloc[2000:2500, :3] = np.float32(3.4e38)
    labelled = recognizer.label_recording(recording)
    assert labelled.counts["n_out_of_range"] == 500
    assert np.isfinite(labelled.windows.select_dtypes("number")).all(axis=None)
    assert len(labelled.windows) == len(labelled.timeline) == 5


@pytest.mark.parametrize("rates", [[0, 50], [50], ["a", "b"], [100, 50]])
def test_damaged_rates_of_sources_are_named(small_run, tmp_path, rates):
    model = shutil.copytree(small_run.folder / "model", tmp_path / "model")
    path = model / "provenance.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "source_rates_hz": [50, 100]}))
    assert read_trained_on(model) == TrainedOn(3, (50.0, 100.0))
    path.write_text(json.dumps({**document, "source_rates_hz": rates}))
    with pytest.raises(ModelFolderError, match="source_rates_hz"):
        read_trained_on(model)
