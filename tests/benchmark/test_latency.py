"""The latency of a run: the windows of the set through one stream, in the closed loop."""

import json

import numpy as np
import pytest
import torch

from feasibility_documents import measured
from patchtst_har import Recognizer
from patchtst_har.benchmark import latency as latency_module
from patchtst_har.benchmark.latency import measure_latency
from patchtst_har.benchmark.loops.closed_loop import WARM_UP
from patchtst_har.config import ExperimentConfig, ModelConfig
from patchtst_har.errors import DataError
from patchtst_har.models import PatchTSTClassifier
from patchtst_har.realtime.decision import STAGES
from patchtst_har.realtime.stream import Stream
from patchtst_har.records.measurement import Latency
from patchtst_har.smoothing import HMMSmoother


@pytest.fixture(scope="module")
def recognizer(small_run):
    return Recognizer.from_pretrained(small_run.folder / "model")


@pytest.mark.slow
def test_every_window_goes_through_every_stage(small_run, recognizer):
    told = []
    windows = small_run.trainer.data.test.windows
    latency = measure_latency(recognizer, windows, 130, lambda *progress: told.append(progress))
    loop = latency.closed_loop
    assert tuple(stage.name for stage in loop.stages) == STAGES
    assert {stage.n for stage in loop.stages} == {loop.end_to_end.n} == {130}
    assert loop.end_to_end.p95_us > 0
    assert loop.end_to_end.p99_us is None
    means = sum(stage.mean_us for stage in loop.stages) + loop.overhead.mean_us
    assert means == pytest.approx(loop.end_to_end.mean_us)
    assert set(loop.first_us) == {*STAGES, "overhead", "end to end"}
    assert loop.first_us["end to end"] > 0
    assert (latency.hop_s, latency.warm_up, latency.smoothing) == (10.0, WARM_UP, "filter")
    assert latency.host["cpu"]
    assert told == [(65, 130, "latency"), (130, 130, "latency")]
    document = json.loads(json.dumps(latency.model_dump(mode="json"), allow_nan=False))
    assert Latency.model_validate(document) == latency


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_what_is_timed_is_the_recognisers_answer(small_run, monkeypatch, engine):
    """The stream must see the windows of the set, and say of each what `predict` says."""
    recognizer = Recognizer.from_pretrained(small_run.folder / "model", engine=engine)
    windows = small_run.trainer.data.test.windows[:4]
    decided = []
    push = Stream.push

    def watched(self, samples, t=None):
        decisions = push(self, samples, t)
        decided.extend(decisions)
        return decisions

    monkeypatch.setattr(Stream, "push", watched)
    measure_latency(recognizer, windows, n_windows=1)
    order = np.random.default_rng(0).permutation(4)
    taken = windows[np.resize(order, len(decided))]
    expected = recognizer.predict(taken, np.array([decision.start_ns for decision in decided])).labels
    assert [decision.raw_label for decision in decided] == expected.tolist()


def test_the_number_of_threads_is_restored():
    config = ExperimentConfig(model=ModelConfig(n_time_features=0, n_stat_features=0, n_topo_features=0))
    recognizer = Recognizer(PatchTSTClassifier(config.model, 2), ("a", "b"), config)
    before = torch.get_num_threads()
    windows = np.random.default_rng(0).normal(size=(2, 1000, 3)).astype(np.float32)
    latency = measure_latency(recognizer, windows, n_windows=5)
    assert torch.get_num_threads() == before
    assert latency.host["torch_threads"] == 1
    assert latency.closed_loop.end_to_end.p95_us is None
    assert latency.smoothing == "none"


def test_samples_that_a_stream_leaves_out_are_left_out(recognizer):
    windows = np.random.default_rng(0).normal(size=(3, 1000, 3)).astype(np.float32)
    windows[0], windows[1, :7] = 0, np.nan
    assert measure_latency(recognizer, windows, n_windows=3).closed_loop.end_to_end.n == 3


@pytest.mark.parametrize(
    ("n", "n_windows", "message"),
    [(0, 10, "no windows to measure on"), (1, 10, "no windows"), (1, 0, "n_windows: needs at least 1, is 0")],
)
def test_without_windows_there_is_nothing_to_measure(recognizer, n, n_windows, message):
    with pytest.raises(DataError, match=message):
        measure_latency(recognizer, np.zeros((n, 1000, 3), np.float32), n_windows)


@pytest.mark.parametrize(
    ("n", "misses", "feasible", "words"),
    [
        (300, 0, True, "none of 300 windows missed the 10 s hop (a miss rate below 0.01 with 95 %"),
        (129, 0, None, "Undecided: none of 129 windows missed the 10 s hop, but at least 130 are needed."),
        (1000, 1, False, "Not feasible in real time: 1 of 1000 windows missed the 10 s hop."),
    ],
)
def test_the_verdict_claims_no_more_than_was_measured(n, misses, feasible, words):
    loop = measured(n=n, n_blocks=1).workloads["walking"].closed_loop
    loop = loop.model_copy(update={"deadline_misses": misses})
    found, verdict = latency_module._judged(loop, 10.0)
    assert found is feasible
    assert words in verdict


def test_overlapping_windows_and_activities_that_change_often(small_run, recognizer):
    """At a window's hop, transitions of a quarter of it could not be scaled: the hop is its own."""
    data = recognizer.config.data.replace(hop_size=recognizer.config.data.window_size // 4)
    config = recognizer.config.replace(data=data)
    n_classes = len(recognizer.classes)
    changing = np.full((n_classes, n_classes), 1.0 / n_classes)
    smoother = HMMSmoother.from_parameters(
        np.full(n_classes, 1.0 / n_classes), changing, np.eye(n_classes), n_classes=n_classes, hop_s=2.5
    )
    often = Recognizer(recognizer.model, recognizer.classes, config, smoother)
    latency = measure_latency(often, small_run.trainer.data.test.windows, 64)
    assert latency.hop_s == 2.5
    assert latency.closed_loop.end_to_end.n == 64
