"""A model of statistical and movement features: configuration, training, folder, stream."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from experiments import small_config
from patchtst_har import Recognizer
from patchtst_har.config import N_STATISTICAL_FEATURES, FeatureConfig, TrainingConfig
from patchtst_har.errors import ModelFolderError
from patchtst_har.features import (
    MOVEMENT_FEATURE_NAMES,
    STATISTICAL_FEATURE_NAMES,
    compute_movement_features_batch,
)
from patchtst_har.inference.window_classifier import SingleWindowClassifier
from patchtst_har.training import PatchTSTTrainer
from streams import in_chunks, make_samples, offline

pytestmark = pytest.mark.trains


@pytest.fixture(scope="module")
def run(prepared, tmp_path_factory):
    root = tmp_path_factory.mktemp("movement")
    config = small_config(
        prepared,
        output_dir=root,
        features=FeatureConfig(groups=("statistical", "movement"), cache_dir=root / "cache"),
        training=TrainingConfig(epochs=2, lr=3e-3, n_threads=1),
    )
    trainer = PatchTSTTrainer(config)
    trainer.train()
    return trainer


@pytest.fixture(scope="module")
def recognizer(run):
    return Recognizer.from_pretrained(run.config.run_dir / "model")


def test_the_model_is_given_them_and_uses_them(run, recognizer):
    test = run.judged
    movement = compute_movement_features_batch(test.windows[:])
    np.testing.assert_array_equal(test.stats[:, N_STATISTICAL_FEATURES:], movement)
    assert test.topo.shape[1] == 0
    inputs = recognizer.inputs(test.windows[:4], test.start_ns[:4])
    np.testing.assert_array_equal(inputs.stats, test.stats[:4])
    changed = inputs.stats.copy()
    changed[:, N_STATISTICAL_FEATURES:] += 5
    before, after = (recognizer.probabilities(some) for some in (inputs, replace(inputs, stats=changed)))
    assert np.abs(before - after).max() > 1e-4


def test_a_stream_gives_the_same_bits_in_one_call_a_window(recognizer):
    assert SingleWindowClassifier(recognizer).is_one_call
    samples, stamps = make_samples(60.0)
    starts, posterior = offline(recognizer, samples, stamps, None)
    decisions = in_chunks(recognizer.stream(smoothing="none"), samples, stamps, 77)
    assert [decision.start_ns for decision in decisions] == starts.tolist()
    np.testing.assert_array_equal([decision.probabilities for decision in decisions], posterior)


def test_the_folder_names_them_and_nothing_of_topology(run):
    folder = run.config.run_dir / "model"
    values = json.loads((folder / "config.json").read_text())
    assert values["features"]["groups"] == ["statistical", "movement"]
    names = {"statistical": [*STATISTICAL_FEATURE_NAMES, *MOVEMENT_FEATURE_NAMES], "topological": []}
    assert values["feature_names"] == names
    assert "- **Feature groups**: statistical, movement." in (folder / "MODEL_CARD.md").read_text()
    assert json.loads((folder / "provenance.json").read_text())["topology_engines"] == {}
    assert not (run.config.run_dir / "topology.json").exists()


def test_a_folder_of_other_groups_than_its_names_is_refused(run, tmp_path):
    import shutil

    folder = shutil.copytree(run.config.run_dir / "model", tmp_path / "model")
    values = json.loads((folder / "config.json").read_text())
    del values["features"]["groups"]
    (folder / "config.json").write_text(json.dumps(values))
    expected = rf"column {N_STATISTICAL_FEATURES} is none, was x_band_1"
    with pytest.raises(ModelFolderError, match=expected):
        Recognizer.from_pretrained(folder)
