"""What is said of recordings that are unlike those that a model was trained on."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy

from patchtst_har import Recognizer
from patchtst_har.data import write_recording
from patchtst_har.data.units import SignalWarning
from patchtst_har.errors import DataError, ModelFolderError
from patchtst_har.inference.familiarity import (
    Familiarity,
    UnfamiliarWarning,
    held_out_unit,
    unfamiliar_doubt,
)
from patchtst_har.inference.label_file import label_file
from patchtst_har.model_folder import TrainedOn, read_trained_on
from patchtst_har.reports.prediction_files import write_prediction
from patchtst_har.synthetic import recording as make_recording


@pytest.fixture(scope="module")
def recognizer(small_run):
    return Recognizer.from_pretrained(small_run.folder / "model")


def made_up_embeddings(rng, n=400, n_classes=3, width=100):
    """Return embeddings (n, width) and labels: classes differ in some directions, others hardly vary."""
    labels = rng.integers(0, n_classes, n)
    values = rng.normal(0, np.geomspace(3.0, 0.01, width), (n, width))
    values[:, :n_classes] += 10 * np.eye(n_classes)[labels]
    return values.astype(np.float32), labels


def slow_distances(familiarity, embeddings):
    """Return distances by their definition, in float64."""
    points = familiarity.projection.astype(float) @ embeddings.astype(float).T
    centres = familiarity.projection.astype(float) @ familiarity.class_means[familiarity.class_windows > 0].T
    return np.sqrt(((points[:, :, None] - centres[:, None, :]) ** 2).sum(axis=0).min(axis=1))


def test_the_distance_is_the_mahalanobis_distance_to_the_nearest_class_mean():
    rng = np.random.default_rng(0)
    (embeddings, labels), (held_out, _) = made_up_embeddings(rng), made_up_embeddings(rng, 200)
    fitted = Familiarity.fit(embeddings, labels, 3)
    made = fitted.in_units_of(held_out_unit(fitted.distances(held_out)))
    distances = made.distances(held_out)
    np.testing.assert_allclose(distances, slow_distances(made, held_out), rtol=1e-4)
    assert np.quantile(distances, 0.99) == pytest.approx(1.0, rel=1e-4)
    # One covariance: of the directions of least variance, with a ridge.
    means = np.stack([embeddings[labels == k].mean(axis=0) for k in range(3)]).astype(float)
    np.testing.assert_allclose(made.class_means, means, rtol=1e-5, atol=1e-5)
    centred = embeddings - embeddings.mean(axis=0, dtype=float)
    chosen = np.linalg.eigh(centred.T @ centred)[1][:, :64]
    within = (embeddings - means[labels]) @ chosen
    ridge = 1e-3 * (centred**2).sum() / centred.size
    inverse = np.linalg.inv(within.T @ within / len(within) + ridge * np.eye(64))
    apart = (held_out[:, None] - means) @ chosen
    expected = np.sqrt(np.einsum("nkd,de,nke->nk", apart, inverse, apart).min(axis=1))
    np.testing.assert_allclose(fitted.distances(held_out), expected, rtol=1e-3)
    np.testing.assert_allclose(distances, expected / np.quantile(expected, 0.99), rtol=1e-3)
    moved = held_out.copy()
    moved[:, 90] += 1.0  # many deviations in a direction in which nothing varies
    assert (made.distances(moved) > 1).all()


def test_a_class_without_windows_is_no_centre_and_equal_windows_do_no_harm():
    rng = np.random.default_rng(1)
    embeddings, labels = made_up_embeddings(rng, n_classes=2)
    made = Familiarity.fit(embeddings, labels, 3)
    assert made.class_windows.tolist() == [*np.bincount(labels), 0]
    np.testing.assert_allclose(made.distances(embeddings), slow_distances(made, embeddings), rtol=1e-4)
    same = np.ones((5, 4), np.float32)
    fitted = Familiarity.fit(same, np.zeros(5, int), 2)
    alone = fitted.in_units_of(held_out_unit(fitted.distances(same)))
    assert np.isfinite(alone.distances(same)).all()
    assert (alone.distances(same + 1) > 1).all()
    broken = np.full((1, 4), np.nan, np.float32)
    assert not alone.distances(broken)[0] <= 1


def test_it_is_kept_in_the_model_folder(recognizer, small_run, tmp_path):
    fitted, read = small_run.trainer.familiarity, recognizer.familiarity
    for name in ("class_means", "class_windows", "projection", "spread"):
        np.testing.assert_array_equal(getattr(read, name), getattr(fitted, name))
    test = small_run.trainer.data.test
    again = Recognizer.from_pretrained(recognizer.save_pretrained(tmp_path / "copy"))
    np.testing.assert_array_equal(again.judge(test)[1], recognizer.judge(test)[1])
    assert (small_run.folder / "model" / "familiarity.safetensors").stat().st_size < 100_000


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"spread": None}, "needs the tensors"),
        ({"projection": np.ones((2, 3), np.float32)}, r"projection must have shape \(2, \d+\)"),
        ({"projection": np.ones((), np.float32)}, "projection must have shape"),
        ({"class_means": np.full((3, 5), np.nan, np.float32)}, "class_means has values that are not finite"),
        ({"class_windows": np.zeros(3, np.float32)}, "must be positive"),
        ({"spread": np.zeros((), np.float32)}, "must be positive"),
        ({"class_means": 3e38}, "class_means or projection are beyond float32"),
        ({"class_means": 1e30, "projection": -3e38}, "class_means or projection are beyond float32"),
    ],
)
def test_a_damaged_file_is_named(small_run, tmp_path, change, text):
    model = shutil.copytree(small_run.folder / "model", tmp_path / "model")
    path = model / "familiarity.safetensors"
    tensors = safetensors.numpy.load_file(path)
    filled = {k: np.full_like(tensors[k], v) for k, v in change.items() if isinstance(v, float)}
    tensors |= {**change, **filled}
    safetensors.numpy.save_file({k: v for k, v in tensors.items() if v is not None}, path)
    with pytest.raises(ModelFolderError, match=rf"familiarity\.safetensors: .*{text}"):
        Recognizer.from_pretrained(model)


def test_windows_like_the_training_windows_are_familiar_and_others_are_not(recognizer, small_run):
    for part in (small_run.trainer.data.train, small_run.trainer.data.test):
        assert (recognizer.judge(part)[1] <= 1).mean() > 0.95
    rng = np.random.default_rng(0)
    seconds = np.arange(1000) / 100
    noise = rng.normal(0, 3, (4, 1000, 3))
    upside_down = np.array([0.0, 0.0, -1.0]) + rng.normal(0, 0.02, (4, 1000, 3))
    shaken = 2 * np.sin(2 * np.pi * 6 * seconds + rng.uniform(0, 6, (4, 1)))[:, :, None] + noise / 100
    for windows in (noise, upside_down, shaken):
        found = recognizer.predict(windows.astype(np.float32), np.arange(4) * 10**10)
        assert (found.distances > 1).all()
    torch_model = Recognizer.from_pretrained(small_run.folder / "model", engine="torch")
    ours, theirs = (one.judge(small_run.trainer.data.test)[1] for one in (recognizer, torch_model))
    np.testing.assert_allclose(ours, theirs, rtol=1e-2, atol=1e-3)


@pytest.mark.slow
def test_a_model_of_another_version_calls_nothing_unfamiliar(small_run, tmp_path):
    model = shutil.copytree(small_run.folder / "model", tmp_path / "model")
    (model / "familiarity.safetensors").unlink()
    old = Recognizer.from_pretrained(model)
    recording = make_recording(bouts=(("sitting", 60.0),), start="2024-01-01")
    labelled = old.label_recording(recording)
    assert "n_unfamiliar" not in labelled.counts
    assert "unfamiliar" not in labelled.windows
    write_recording(tmp_path / "a.csv", recording)
    told = label_file(tmp_path / "a.csv", model)
    assert any("cannot recognise windows unlike its training data" in text for text in told.notices)
    written = write_prediction(tmp_path / "out", told)
    assert json.loads(written.summary.read_text())["n_unfamiliar"] is None
    assert "what the model was trained on" not in written.report.read_text()
    stream = old.stream()
    decisions = stream.push(np.full((1000, 3), 0.6, np.float32), np.arange(1000) * 10**7)
    assert [(d.distance, d.unfamiliar) for d in decisions] == [(None, False)]


def test_many_unfamiliar_windows_are_said():
    assert unfamiliar_doubt(None, 10) == unfamiliar_doubt(0, 10) == unfamiliar_doubt(5, 20) == []
    assert unfamiliar_doubt(1, 1) == unfamiliar_doubt(1, 3) == []
    assert "2 of 2 windows (100%) are far" in unfamiliar_doubt(2, 2)[0]
    assert "6 of 20 windows (30%) are far from all" in unfamiliar_doubt(6, 20)[0]


@pytest.mark.slow
def test_a_foreign_recording_is_counted_and_said(small_run, recognizer, tmp_path):
    recording = make_recording(bouts=(("sitting", 60.0),), start="2024-01-01")
    rng = np.random.default_rng(0)
    recording[["x", "y", "z"]] = rng.normal(0, 3, (len(recording), 3)).astype(np.float32)
    with pytest.warns(UnfamiliarWarning, match=r"6 of 6 windows \(100%\)"):
        labelled = recognizer.label_recording(recording)
    assert labelled.counts["n_unfamiliar"] == labelled.counts["n_windows"] == 6
    assert labelled.windows["unfamiliar"].all()
    assert (labelled.windows["distance"] > 1).all()
    write_recording(tmp_path / "a.csv", recording)
    with pytest.warns(SignalWarning):
        told = label_file(tmp_path / "a.csv", small_run.folder / "model")
    assert any("far from all that the model was trained on" in text for text in told.warnings)
    written = write_prediction(tmp_path / "out", told)
    assert json.loads(written.summary.read_text())["n_unfamiliar"] == 6
    assert pd.read_csv(written.windows)["unfamiliar"].all()
    page = " ".join(written.report.read_text().split())
    assert "<b>100.0 %</b><span>of the time unlike</span>" in page
    assert "unlike the training data" in written.timeline.read_text()


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
