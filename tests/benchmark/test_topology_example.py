import json
from dataclasses import replace

import numpy as np
import pytest

import reference
from patchtst_har.benchmark.run_measurements import measure_run
from patchtst_har.benchmark.topology_example import topology_example, typical_window
from patchtst_har.config import TopologyConfig
from patchtst_har.features import TOPOLOGICAL_FEATURE_NAMES, compute_topological_features
from patchtst_har.inference.recognizer import Recognizer
from patchtst_har.records import run as records
from patchtst_har.synthetic import bout as activity_signal

PERIODICITY = TOPOLOGICAL_FEATURE_NAMES.index("periodicity")


def test_the_stages_belong_together():
    window = activity_signal("walking", 600, np.random.default_rng(0))
    config = TopologyConfig(max_points=50)
    example = topology_example(window, 100.0, config, "walking", "P1")
    features = compute_topological_features(window, 100.0, config)
    assert example.features == dict(zip(TOPOLOGICAL_FEATURE_NAMES, features.tolist(), strict=True))
    factor, delay = reference.embedding_plan(600, 100.0, 50)
    assert example.factor == factor
    series, points = np.array(example.series), np.array(example.points)
    np.testing.assert_array_equal(points, np.stack([series[k * delay :][: len(points)] for k in range(3)], 1))
    for key, bars in zip(("h0", "h1"), reference.rips_diagrams(points), strict=True):
        np.testing.assert_allclose(np.array(getattr(example, key)), bars, rtol=1e-5)
    np.testing.assert_array_equal(example.magnitude, reference.magnitude(window))


@pytest.mark.parametrize("n_samples", [1, 30])
def test_a_window_too_short_to_embed_has_an_example_too(n_samples):
    example = topology_example(np.ones((n_samples, 3), np.float32), 100.0, TopologyConfig(), "short", "P1")
    assert example.h0 == example.h1 == ()
    assert example.radius == 0


@pytest.mark.parametrize("dimension", [1, 2, 5])
@pytest.mark.draws
def test_every_dimension_can_be_drawn(dimension):
    from patchtst_har.reports.plots import plot_topology

    config = TopologyConfig(dimension=dimension, max_points=20)
    window = activity_signal("walking", 300, np.random.default_rng(1))
    example = topology_example(window, 100.0, config, "w", "P1")
    assert "24 topological features" in plot_topology(example)
    one_sample = topology_example(np.ones((1, 3), np.float32), 100.0, config, "one sample", "P1")
    assert plot_topology(one_sample).startswith("<svg")


@pytest.mark.slow
def test_the_typical_window_is_the_median_one_of_walking(small_run):
    features = small_run.trainer.judged
    row = typical_window(features)
    assert features.classes[features.labels[row]] == "walking"
    of_class = features.topo[features.labels == features.labels[row], PERIODICITY]
    distances = np.abs(of_class - np.median(of_class))
    assert abs(features.topo[row, PERIODICITY] - np.median(of_class)) == distances.min()
    renamed = replace(features, classes=("running", "sitting", "strolling"))
    row = typical_window(renamed)
    medians = [np.median(features.topo[features.labels == label, PERIODICITY]) for label in range(3)]
    assert features.labels[row] == np.argmax(medians)


@pytest.mark.slow
def test_a_run_is_measured_and_remembers_a_window(small_run, tmp_path):
    recognizer = Recognizer.from_pretrained(small_run.folder / "model")
    measure_run(tmp_path, recognizer, small_run.trainer.judged, n_windows=5)
    document = json.loads((tmp_path / "topology.json").read_text())
    example = records.TopologyExample.model_validate(document)
    assert example.label == "walking"
    assert example.participant in small_run.trainer.judged.participants
    assert {path.name for path in tmp_path.iterdir()} == {"complexity.json", "latency.json", "topology.json"}
