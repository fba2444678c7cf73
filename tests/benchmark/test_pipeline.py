import numpy as np
import pytest
import torch

from patchtst_har import Recognizer
from patchtst_har.benchmark.pipeline import measure_recognizer
from patchtst_har.config import ExperimentConfig, ModelConfig
from patchtst_har.models import PatchTSTClassifier

STAGES = ("statistical features", "topological features", "inputs", "model", "label")


def test_every_window_goes_through_every_stage(small_run):
    recognizer = Recognizer.from_pretrained(small_run.folder / "model")
    test = small_run.trainer.data.test
    report = measure_recognizer(recognizer, test.windows, test.start_ns, n_windows=20)
    assert report.stages == STAGES
    assert report.stage_ns.shape == (20, 5)
    assert (report.stage_ns > 0).all()
    np.testing.assert_array_equal(report.end_to_end_ns, report.stage_ns.sum(axis=1))
    assert report.hop_s == 10.0


@pytest.mark.parametrize(("engine", "method"), [("native", "logits"), ("torch", "forward")])
def test_what_is_timed_is_the_recognisers_answer(small_run, monkeypatch, engine, method):
    """The timed pipeline must see the windows of the set and give the labels that `predict` gives."""
    recognizer = Recognizer.from_pretrained(small_run.folder / "model", engine=engine)
    test = small_run.trainer.data.test
    seen = []
    classify = getattr(recognizer.model, method)
    monkeypatch.setattr(recognizer.model, method, lambda *inputs: seen.append(classify(*inputs)) or seen[-1])
    measure_recognizer(recognizer, test.windows[:4], test.start_ns[:4], n_windows=1)
    got = torch.cat([torch.as_tensor(logits) for logits in seen[:4]]).double().softmax(1).numpy()
    monkeypatch.undo()
    expected = recognizer.predict(test.windows[:4], test.start_ns[:4]).probabilities
    order = np.random.default_rng(0).permutation(4)
    np.testing.assert_allclose(got, expected[order], atol=1e-6)


def test_the_number_of_threads_is_restored():
    config = ExperimentConfig(model=ModelConfig(n_time_features=0, n_stat_features=0, n_topo_features=0))
    recognizer = Recognizer(PatchTSTClassifier(config.model, 2), ("a", "b"), config)
    before = torch.get_num_threads()
    windows = np.random.default_rng(0).normal(size=(2, 1000, 3)).astype(np.float32)
    report = measure_recognizer(recognizer, windows, np.zeros(2, np.int64), n_windows=5)
    assert torch.get_num_threads() == before
    assert report.host["torch_threads"] == 1
    assert report.to_dict()["end_to_end"]["p95_us"] is None


def test_no_windows_is_an_error(small_run):
    recognizer = Recognizer.from_pretrained(small_run.folder / "model")
    with pytest.raises(ValueError, match="no windows"):
        measure_recognizer(recognizer, np.zeros((0, 1000, 3), np.float32), np.zeros(0, np.int64))
