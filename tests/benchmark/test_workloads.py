import numpy as np
import pandas as pd
import pytest

from patchtst_har.benchmark.workloads import Workload, recorded_workload, simulated_workloads
from patchtst_har.config import DataConfig, ExperimentConfig, ModelConfig
from patchtst_har.errors import DataError
from patchtst_har.features import compute_topological_features
from patchtst_har.features.embedding import decimate, takens_embedding
from streams import make_samples, recording_of


def test_simulated_workloads_are_the_same_for_the_same_arguments():
    first, again = (simulated_workloads(100.0, 20.0, 3) for _ in range(2))
    assert list(first) == ["still", "walking", "noisy", "worst_case"]
    for name, workload in first.items():
        assert workload.name == name
        assert workload.kind == "simulated"
        assert workload.samples.shape == (2000, 3)
        np.testing.assert_array_equal(workload.samples, again[name].samples)
    other = simulated_workloads(100.0, 20.0, 4)
    assert not np.array_equal(other["walking"].samples, first["walking"].samples)


def test_they_are_what_they_say():
    made = {name: workload.samples for name, workload in simulated_workloads(100.0, 30.0, 0).items()}
    assert (made["still"] * 64 == np.rint(made["still"] * 64)).all()
    magnitude = np.linalg.norm(made["walking"], axis=1)
    power = np.abs(np.fft.rfft(magnitude - magnitude.mean()))
    assert np.fft.rfftfreq(3000, 0.01)[power.argmax()] == pytest.approx(
        1.9 / 2, abs=0.1
    )  # an arm swings in two steps
    assert made["noisy"].std(axis=0) == pytest.approx([0.3] * 3, rel=0.05)


@pytest.mark.parametrize(("rate_hz", "window_size"), [(100.0, 1000), (50.0, 1000), (100.0, 3000)])
def test_the_worst_case_embeds_as_a_hexagon_of_tight_clusters(rate_hz, window_size):
    config = ExperimentConfig(
        data=DataConfig(sample_rate_hz=rate_hz, window_size=window_size),
        model=ModelConfig(window_size=window_size),
    )
    samples = simulated_workloads(rate_hz, 100.0, 0, config)["worst_case"].samples
    factor = -(-window_size // 130)
    for first in (0, 100, 257):
        magnitude = np.linalg.norm(samples[first : first + window_size].astype(float), axis=1)
        points = takens_embedding(decimate(magnitude.astype(np.float32), factor), 3, 1)[10:-12]
        corners = np.stack([points[i::6].mean(axis=0) for i in range(6)])
        spread = max(np.abs(points[i::6] - corners[i]).max() for i in range(6))
        sides = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1)
        assert spread < 1e-3 < 0.1 < sides.min()
        assert np.unique(np.round(points, 9), axis=0).shape[0] > 0.9 * len(points)
    assert np.isfinite(compute_topological_features(samples[:1000])).all()


def test_a_recording_is_put_on_the_models_grid_without_its_pauses():
    samples, stamps = make_samples(30, rate_hz=50.0, jitter_ms=0.0)
    stamps[700:] += 20_000_000_000
    config = ExperimentConfig(data=DataConfig(sample_rate_hz=100.0))
    workload = recorded_workload(recording_of(samples, stamps), config)
    assert (workload.name, workload.kind) == ("recorded", "recorded")
    assert workload.description == "A recording of 30 s in 2 segments."
    assert len(workload.samples) == 2 * 700 - 1 + 2 * 800 - 1
    np.testing.assert_allclose(workload.samples[:1398:2], samples[:699], atol=1e-6)


def test_a_recording_without_a_usable_sample_is_refused():
    empty = pd.DataFrame(
        np.zeros((5, 3)), columns=["x", "y", "z"], index=pd.date_range("2026", periods=5, freq="10ms")
    )
    with pytest.raises(DataError, match="no usable sample"):
        recorded_workload(empty, ExperimentConfig())


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.ones((5, 3)), "must be a float32 array"),
        (np.ones((5, 2), np.float32), r"shape \(n, 3\), have \(5, 2\)"),
        (np.ones((0, 3), np.float32), r"have \(0, 3\)"),
        (np.array([[1, 1, 1], [0, 0, 0]], np.float32), "sample 1 is not finite or all zero"),
        (np.array([[1, np.nan, 1]], np.float32), "sample 0 is not finite"),
    ],
)
def test_samples_that_a_stream_would_leave_out_are_refused(samples, message):
    with pytest.raises(DataError, match=f"workload 'w'.*{message}"):
        Workload("w", "recorded", "", samples)


@pytest.mark.parametrize(("rate_hz", "seconds"), [(0.0, 20.0), (100.0, 9.0), (float("nan"), 20.0)])
def test_ranges_are_checked(rate_hz, seconds):
    with pytest.raises(DataError, match="workloads: need a positive rate"):
        simulated_workloads(rate_hz, seconds, 0)
