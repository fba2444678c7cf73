"""Feature plug-ins from the configuration through training, model folder and latency."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from experiments import small_config
from forking import python
from patchtst_har import Recognizer
from patchtst_har.benchmark.latency import measure_latency
from patchtst_har.config import N_STATISTICAL_FEATURES, FeatureConfig, TrainingConfig
from patchtst_har.errors import ModelFolderError
from patchtst_har.features import (
    compute_plugin_features_batch,
    register_feature,
    unregister_feature,
)
from patchtst_har.training import PatchTSTTrainer
from streams import in_chunks, make_samples, offline

pytestmark = pytest.mark.trains

PLUGINS = ("own_spread", "jerk_rms")


def own_spread(window, sr):
    return window.max() - window.min()


@pytest.fixture(scope="module")
def run(prepared, tmp_path_factory):
    register_feature("own_spread", outputs=["own_spread"])(own_spread)
    root = tmp_path_factory.mktemp("plugins")
    config = small_config(
        prepared,
        output_dir=root,
        features=FeatureConfig(plugins=PLUGINS, cache_dir=root / "cache"),
        training=TrainingConfig(epochs=2, lr=3e-3, n_threads=1),
    )
    trainer = PatchTSTTrainer(config)
    trainer.train()
    yield trainer
    unregister_feature("own_spread")


def test_the_model_is_given_the_values_of_the_plug_ins(run):
    assert run.config.model.n_stat_features == N_STATISTICAL_FEATURES + 2
    test = run.judged
    expected = compute_plugin_features_batch(test.windows[:], PLUGINS)
    np.testing.assert_array_equal(test.stats[:, N_STATISTICAL_FEATURES:], expected)
    recognizer = Recognizer.from_pretrained(run.config.run_dir / "model")
    inputs = recognizer.inputs(test.windows[:], test.start_ns)
    np.testing.assert_array_equal(inputs.stats, test.stats)
    assert recognizer.model.tensors["stat_embedding.scale.mean"].shape == (N_STATISTICAL_FEATURES + 2,)


def test_the_model_uses_them(run):
    recognizer = Recognizer.from_pretrained(run.config.run_dir / "model")
    test = run.judged
    inputs = recognizer.inputs(test.windows[:4], test.start_ns[:4])
    changed = inputs.stats.copy()
    changed[:, N_STATISTICAL_FEATURES:] += 5
    before, after = (recognizer.probabilities(some) for some in (inputs, replace(inputs, stats=changed)))
    assert np.abs(before - after).max() > 1e-4


def test_a_stream_gives_them_the_same_values(run):
    recognizer = Recognizer.from_pretrained(run.config.run_dir / "model")
    samples, stamps = make_samples(60.0)
    starts, posterior = offline(recognizer, samples, stamps, None)
    decisions = in_chunks(recognizer.stream(smoothing="none"), samples, stamps, 77)
    assert len(decisions) >= 5
    assert [decision.start_ns for decision in decisions] == starts.tolist()
    np.testing.assert_array_equal([decision.probabilities for decision in decisions], posterior)


def test_the_latency_is_that_of_the_same_features(run):
    recognizer = Recognizer.from_pretrained(run.config.run_dir / "model")
    seen = []
    embed = recognizer.model.embed
    recognizer.model.embed = lambda *inputs: seen.append(inputs[2].copy()) or embed(*inputs)
    test = run.judged
    measure_latency(recognizer, test.windows[:1], n_windows=1)
    np.testing.assert_array_equal(seen[0], test.stats[:1])


@pytest.mark.spawns
def test_the_folder_names_plug_ins_and_a_process_without_them_cannot_load_it(run):
    folder = run.config.run_dir / "model"
    assert json.loads((folder / "config.json").read_text())["features"]["plugins"] == list(PLUGINS)
    assert "is loaded): own_spread, jerk_rms." in (folder / "MODEL_CARD.md").read_text()
    code = f"import patchtst_har; patchtst_har.Recognizer.from_pretrained({str(folder)!r})"
    done = subprocess.run([*python(), "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "ModelFolderError" in last
    assert "config.json: features.plugins: feature 'own_spread': is not registered" in last


def test_a_folder_whose_numbers_do_not_fit_is_refused(run, tmp_path):
    folder = shutil.copytree(run.config.run_dir / "model", tmp_path / "model")
    values = json.loads((folder / "config.json").read_text())
    values["features"]["plugins"] = ["hjorth", "jerk_rms"]
    (folder / "config.json").write_text(json.dumps(values))
    first = N_STATISTICAL_FEATURES
    expected = f"column {first} is hjorth_mobility, was own_spread, column {first + 1} is hjorth_complexity"
    with pytest.raises(ModelFolderError, match=expected):
        Recognizer.from_pretrained(folder)
    del values["feature_names"]  # as before models stored the names of their features
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(
        ModelFolderError, match=rf"must be 0 or {first + 3}, is {first + 2} \(features\.plugins"
    ):
        Recognizer.from_pretrained(folder)


def test_a_recording_on_which_a_plug_in_fails_is_named(run, tmp_path):
    from patchtst_har.data import write_recording
    from patchtst_har.errors import FeatureError
    from patchtst_har.inference.label_file import label_file
    from patchtst_har.synthetic import recording as make_recording

    def tame(window, sr):
        return 0.0 if np.abs(window).max() < 2.5 else np.nan

    unregister_feature("own_spread")
    register_feature("own_spread", outputs=["own_spread"])(tame)
    recording = make_recording(bouts=(("walking", 30.0),))
    recording.iloc[1500, 0] = 3.0
    path = tmp_path / "P77.csv"
    write_recording(path, recording)
    try:
        with pytest.raises(
            FeatureError, match=r"P77\.csv: feature 'own_spread': .*own_spread = nan \(window 1\)"
        ):
            label_file(path, run.config.run_dir / "model")
    finally:
        unregister_feature("own_spread")
        register_feature("own_spread", outputs=["own_spread"])(own_spread)
