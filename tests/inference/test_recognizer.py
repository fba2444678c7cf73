import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

import patchtst_har
from patchtst_har import Recognizer, models
from patchtst_har.config import DataConfig, ExperimentConfig, ModelConfig
from patchtst_har.errors import DataError, ModelFolderError
from patchtst_har.inference.inputs import cut_patches
from patchtst_har.inference.native import NativeClassifier
from patchtst_har.models import PatchTSTClassifier
from patchtst_har.models.folder import load_model
from patchtst_har.synthetic import recording as make_recording
from without_torch import run_without_torch


@pytest.fixture(scope="module")
def recognizer(small_run):
    return Recognizer.from_pretrained(small_run.folder / "model")


@pytest.fixture
def timeless():
    """Return a maker of untrained recognisers that do not use the hour."""

    def make(**data) -> Recognizer:
        model = ModelConfig(n_time_features=0, n_topo_features=0)
        config = ExperimentConfig(data=DataConfig(**data), model=model)
        return Recognizer(PatchTSTClassifier(config.model, 2), ("a", "b"), config)

    return make


@pytest.fixture
def model_dir(small_run, tmp_path):
    return shutil.copytree(small_run.folder / "model", tmp_path / "model")


def test_predicts_windows_as_the_trainer_did(recognizer, small_run):
    held_out = small_run.trainer.held_out
    test = small_run.trainer.data.test
    prediction = recognizer.predict(test.windows[:], test.start_ns)
    np.testing.assert_allclose(prediction.probabilities, held_out.decisions.probabilities, atol=1e-5)
    assert (prediction.labels == np.array(recognizer.classes)[held_out.decisions.raw]).all()


def test_a_window_does_not_depend_on_its_neighbours(recognizer, small_run):
    test = small_run.trainer.data.test
    together = recognizer.predict(test.windows[:8], test.start_ns[:8]).probabilities
    alone = [
        recognizer.predict(test.windows[i : i + 1], test.start_ns[i : i + 1]).probabilities for i in range(8)
    ]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-6)


def test_save_and_load_give_the_same_object(recognizer, small_run, tmp_path):
    again = Recognizer.from_pretrained(recognizer.save_pretrained(tmp_path / "copy"))
    test = small_run.trainer.data.test
    first, second = (one.predict(test.windows[:5], test.start_ns[:5]) for one in (recognizer, again))
    np.testing.assert_array_equal(first.probabilities, second.probabilities)
    np.testing.assert_array_equal(again.smoother.transition_matrix, recognizer.smoother.transition_matrix)


def test_labelling_computes_no_causal_lags(recognizer, monkeypatch):
    monkeypatch.setattr("patchtst_har.smoothing.HMMSmoother.fixed_lags_proba", None)
    recording = make_recording(bouts=(("walking", 60.0),), seed=4, start="2023-11-14 22:20:00")
    assert len(recognizer.predict_recording(recording))


def test_timeline_of_a_recording(recognizer):
    bouts = (("walking", 60.0), ("sitting", 60.0), ("running", 40.0))
    # At the hour of the training data: this model uses the time of day.
    recording = make_recording(bouts=bouts, seed=4, start="2023-11-14 22:20:00")
    timeline = recognizer.predict_recording(recording)
    assert list(timeline.columns) == ["start", "end", "label", "probability"]
    assert (timeline["end"] > timeline["start"]).all()
    assert (timeline["start"].iloc[1:].to_numpy() == timeline["end"].iloc[:-1].to_numpy()).all()
    assert timeline["start"].iloc[0] == recording.index[0]
    assert timeline["probability"].between(0, 1).all()
    middle = timeline["start"] + (timeline["end"] - timeline["start"]) / 2
    second = (middle - recording.index[0]).dt.total_seconds()
    truth = np.where(second < 60, "walking", np.where(second < 120, "sitting", "running"))
    assert (timeline["label"] == truth).mean() > 0.85


def test_a_gap_in_the_recording_is_a_gap_in_the_timeline(recognizer):
    first = make_recording(bouts=(("walking", 40.0),), seed=1, start="2024-05-01 08:00:00")
    second = make_recording(bouts=(("sitting", 40.0),), seed=2, start="2024-05-01 09:00:00")
    timeline = recognizer.predict_recording(pd.concat([first, second]))
    jumps = timeline["start"].iloc[1:].to_numpy() - timeline["end"].iloc[:-1].to_numpy()
    assert (jumps > np.timedelta64(30, "m")).sum() == 1


def test_the_zone_of_the_recording_is_kept(timeless):
    recording = make_recording(bouts=(("walking", 30.0),), seed=1, start="2024-05-01 08:00:00")
    timeline = timeless().predict_recording(recording.tz_localize("Europe/Berlin"))
    assert str(timeline["start"].dt.tz) == "Europe/Berlin"
    assert timeline["start"].iloc[0].hour == 8


def test_an_unknown_zone_is_refused_also_where_no_model_needs_it(timeless):
    with pytest.raises(DataError, match="'Mars/Base' is not an IANA zone"):
        timeless().in_zone("Mars/Base")
    recording = make_recording(bouts=(("sitting", 30.0),)).tz_localize("UTC")
    with pytest.raises(DataError, match="'Mars/Base' is not an IANA zone"):
        timeless(timezone="Mars/Base").predict_recording(recording)


def test_universal_time_is_shown_in_the_wearers_zone(timeless):
    recording = make_recording(bouts=(("walking", 30.0),), seed=1, start="2024-05-01 08:00:00")
    timeline = timeless(timezone="Europe/Berlin").predict_recording(recording.tz_localize("UTC"))
    assert timeline["start"].iloc[0].hour == 10


def test_a_model_that_uses_the_hour_refuses_an_unknown_clock(recognizer):
    recording = make_recording(bouts=(("walking", 30.0),), seed=1, start="2024-05-01 08:00:00")
    with pytest.raises(DataError, match=r"data\.timezone"):
        recognizer.predict_recording(recording.tz_localize("UTC"))


def test_annotations_in_the_file_do_not_decide_what_is_predicted(recognizer):
    bouts = (("walking", 40.0), ("sitting", 40.0))
    recording = make_recording(bouts=bouts, seed=4, start="2023-11-14 22:20:00")
    expected = recognizer.predict_recording(recording.drop(columns="annotation"))
    for annotation in (None, "swimming"):
        other = recording.assign(
            annotation=pd.Series([annotation] * len(recording), recording.index, dtype=object)
        )
        pd.testing.assert_frame_equal(recognizer.predict_recording(other), expected)
    pd.testing.assert_frame_equal(recognizer.predict_recording(recording), expected)


def test_a_long_recording_is_classified_in_parts(recognizer, monkeypatch):
    recording = make_recording(bouts=(("walking", 100.0),), seed=4, start="2023-11-14 22:20:00")
    whole = recognizer.predict_recording(recording)
    monkeypatch.setattr("patchtst_har.inference.labelling.BATCH_SIZE", 3)
    steps = []
    parts = recognizer.predict_recording(recording, lambda *step: steps.append(step))
    pd.testing.assert_frame_equal(parts, whole, rtol=1e-5)
    assert steps == [(n, 10, "windows") for n in (3, 6, 9, 10)]


def test_read_only_windows_are_accepted(recognizer, small_run):
    test = small_run.trainer.data.test
    windows = test.windows[:2].copy()
    windows.flags.writeable = False
    got = recognizer.predict(windows, test.start_ns[:2]).probabilities
    np.testing.assert_array_equal(got, recognizer.predict(test.windows[:2], test.start_ns[:2]).probabilities)


def test_starts_of_another_number_of_windows_are_named(recognizer):
    with pytest.raises(DataError, match=r"start_ns: needs shape \(2,\), one for each window, has \(5,\)"):
        recognizer.predict(np.zeros((2, 1000, 3), np.float32), np.zeros(5, np.int64))


def test_too_short_a_recording_is_an_error(recognizer):
    with pytest.raises(DataError, match="no uninterrupted segment of 10 s"):
        recognizer.predict_recording(make_recording(bouts=(("walking", 5.0),), seed=1, start="2024-05-01"))


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        (np.zeros((2, 1000, 3)), "needs a float32 array, is float64"),
        ([[0.0]], "needs a float32 array, is list"),
        (np.zeros((2, 3, 1000), np.float32), r"needs shape \(n, 1000, 3\), has \(2, 3, 1000\)"),
        (np.zeros((1000, 3), np.float32), r"has \(1000, 3\)"),
    ],
)
def test_wrong_windows_are_named(recognizer, windows, message):
    with pytest.raises(DataError, match=message):
        recognizer.predict(windows, np.zeros(2, np.int64))


def test_a_window_with_nan_is_named(recognizer):
    windows = np.zeros((3, 1000, 3), np.float32)
    windows[1, 5, 2] = np.nan
    with pytest.raises(DataError, match="window 1 has values that are not finite"):
        recognizer.predict(windows, np.arange(3))


def test_a_model_that_uses_the_hour_asks_for_it(recognizer):
    with pytest.raises(DataError, match="start_ns: this model uses the time of day"):
        recognizer.predict(np.zeros((1, 1000, 3), np.float32))


def test_a_model_without_the_hour_does_not(timeless):
    assert timeless().predict(np.zeros((1, 1000, 3), np.float32)).probabilities.shape == (1, 2)


def test_no_windows_give_no_labels(recognizer):
    prediction = recognizer.predict(np.zeros((0, 1000, 3), np.float32), np.zeros(0, np.int64))
    assert prediction.probabilities.shape == (0, 3)
    assert len(prediction.labels) == 0


def test_a_smoother_of_other_classes_is_refused(model_dir):
    path = model_dir / "smoothing.json"
    values = json.loads(path.read_text())
    values["n_classes"] = 2
    values["start_probabilities"] = [0.5, 0.5]
    values["transition_matrix"] = values["emission_matrix"] = [[0.5, 0.5], [0.5, 0.5]]
    path.write_text(json.dumps(values))
    with pytest.raises(ModelFolderError, match=r"smoothing\.json: n_classes is 2, the model has 3"):
        Recognizer.from_pretrained(model_dir)


def test_a_smoother_of_another_hop_is_refused(model_dir):
    path = model_dir / "smoothing.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "hop_s": 5.0}))
    with pytest.raises(ModelFolderError, match=r"hop_s is 5\.0, the model has 10\.0"):
        Recognizer.from_pretrained(model_dir)


def test_a_missing_smoother_is_named(model_dir):
    (model_dir / "smoothing.json").unlink()
    with pytest.raises(ModelFolderError, match=r"smoothing\.json"):
        Recognizer.from_pretrained(model_dir)


@pytest.mark.spawns
def test_neither_the_package_nor_the_recogniser_imports_torch():
    code = (
        "import sys, patchtst_har; assert 'torch' not in sys.modules; "
        "patchtst_har.Recognizer; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert "Recognizer" in dir(patchtst_har)
    with pytest.raises(AttributeError, match="has no attribute 'recogniser'"):
        patchtst_har.recogniser  # noqa: B018


def test_the_engines_give_the_same_labels(small_run):
    folder, test = small_run.folder / "model", small_run.trainer.data.test
    native, torch_based = (Recognizer.from_pretrained(folder, engine=name) for name in ("native", "torch"))
    assert isinstance(native.model, NativeClassifier)
    assert isinstance(torch_based.model, PatchTSTClassifier)
    first, second = (one.predict(test.windows[:], test.start_ns) for one in (native, torch_based))
    np.testing.assert_array_equal(first.labels, second.labels)
    np.testing.assert_allclose(first.probabilities, second.probabilities, atol=1e-5)
    with pytest.raises(ValueError, match="engine must be one of native, torch, not 'onnx'"):
        Recognizer.from_pretrained(folder, engine="onnx")


MODEL_FILES = (
    "model.safetensors",
    "config.json",
    "classes.json",
    "smoothing.json",
    "familiarity.safetensors",
    "provenance.json",
    "MODEL_CARD.md",
)


def test_a_native_recogniser_writes_the_folder_it_came_from(small_run, tmp_path):
    folder = small_run.folder / "model"
    copy = Recognizer.from_pretrained(folder).save_pretrained(tmp_path / "copy")
    for name in MODEL_FILES:
        assert (copy / name).read_bytes() == (folder / name).read_bytes(), name
    module, loaded = Recognizer.from_pretrained(copy).torch_module(), load_model(folder)[0]
    assert not module.training
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(module.state_dict()[name], tensor), name


@pytest.mark.spawns
def test_a_recording_is_labelled_without_torch(recognizer, small_run, tmp_path):
    bouts = (("walking", 30.0), ("sitting", 30.0))
    recording = make_recording(bouts=bouts, seed=4, start="2023-11-14 22:20:00")
    recording.to_pickle(tmp_path / "recording.pkl")
    code = f"""
import pandas as pd
from patchtst_har import Recognizer
recognizer = Recognizer.from_pretrained({str(small_run.folder / "model")!r})
timeline = recognizer.predict_recording(pd.read_pickle({str(tmp_path / "recording.pkl")!r}))
timeline.to_csv({str(tmp_path / "timeline.csv")!r})
"""
    run_without_torch(code)
    assert (tmp_path / "timeline.csv").read_text() == recognizer.predict_recording(recording).to_csv()


@pytest.mark.parametrize(("patch_len", "patch_stride"), [(100, 100), (200, 50), (1000, 1000), (40, 20)])
def test_patches_are_those_of_torch(patch_len, patch_stride):
    windows = np.random.default_rng(0).normal(size=(3, 1000, 3)).astype(np.float32)
    patches = cut_patches(windows, patch_len, patch_stride)
    assert patches.flags.c_contiguous
    expected = models.cut_patches(torch.from_numpy(windows), patch_len, patch_stride)
    np.testing.assert_array_equal(patches, expected.numpy())
