"""From raw samples to smoothed labels with all 56 + 24 features: one window, and a recording of 24 hours.

Every result is compared with another way before it is timed. One thread.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import recording_file
from day import WINDOWS_A_DAY, day_recording
from patchtst_har import synthetic
from patchtst_har.config import TopologyConfig
from prototype import Prototype
from recognizers import expected_posteriors, reference_recognizer

pytestmark = pytest.mark.usefixtures("one_thread")
POINTS_490 = TopologyConfig(max_points=490)


@pytest.fixture(scope="module")
def mixed():
    """Return (96, 1000, 3) windows: walking, at rest and noise in turn."""
    return synthetic.windows("mixed", 96)


def decisions_of(stream, windows):
    """Push windows back to back; return the one decision of each."""
    pushed = [stream.push(window) for window in windows]
    assert [len(decisions) for decisions in pushed] == [1] * len(windows)
    return [decisions[0] for decisions in pushed]


def test_window_to_label(mixed, measure):
    recognizer = reference_recognizer()
    posteriors = [d.probabilities for d in decisions_of(recognizer.stream(), mixed[:12])]
    np.testing.assert_array_equal(posteriors, expected_posteriors(recognizer, mixed[:12]))
    other = expected_posteriors(reference_recognizer("torch"), mixed[:12])
    np.testing.assert_allclose(posteriors, other, rtol=0, atol=1e-5)
    measure(recognizer.stream().push, mixed, rounds=3000)


def test_window_to_label_with_torch(mixed, measure, device):
    recognizer = reference_recognizer("torch", device=device)
    posteriors = [d.probabilities for d in decisions_of(recognizer.stream(), mixed[:12])]
    np.testing.assert_allclose(
        posteriors, expected_posteriors(reference_recognizer(), mixed[:12]), rtol=0, atol=1e-4
    )
    measure(recognizer.stream().push, mixed, rounds=700)


def test_prototype_window_to_label(mixed, measure):
    """Its time, and how many times as long it takes as `test_window_to_label`, called in turn."""
    prototype = Prototype(reference_recognizer("torch"))
    expected = expected_posteriors(reference_recognizer(topology=POINTS_490), mixed[:6])
    np.testing.assert_allclose([prototype(window) for window in mixed[:6]], expected, rtol=0, atol=1e-4)
    measure(prototype, mixed, rounds=30)
    stream = reference_recognizer().stream()
    measure.ratio("prototype_to_ours_p50", prototype, stream.push, mixed, rounds=20)


# The scaling of the reference model is that of other movements than those of the day.
@pytest.mark.filterwarnings("ignore::patchtst_har.inference.familiarity.UnfamiliarWarning")
def test_day_to_timeline_per_window(measure, tmp_path):
    """A recording of 24 hours at 100 Hz: cut, features, model, Viterbi, timeline; and the memory it takes."""
    recognizer = reference_recognizer()
    day, n_windows = day_recording()
    assert n_windows == WINDOWS_A_DAY

    timelines = []

    def run(recording):
        timelines.append(recognizer.predict_recording(recording))

    check_hour(recognizer)
    measure(run, [day], rounds=2, per_round=n_windows)
    seconds = [(one["end"] - one["start"]).dt.total_seconds().sum() for one in timelines]
    assert seconds == [n_windows * 10.0] * len(seconds)
    measure.extra_info.update(memory_of_a_day(recognizer.save_pretrained(tmp_path / "model")))
    of_file = recording_file.measured(tmp_path, days=1, kind="cwa")
    measure.extra_info.update({f"cwa_{name}": value for name, value in of_file.items()})


def check_hour(recognizer):
    """Compare a timeline with the labels that the parts make one by one, with the torch engine."""
    other = reference_recognizer("torch")
    hour, n_windows = day_recording(hours=1)
    windows = np.ascontiguousarray(hour.to_numpy()).reshape(n_windows, 1000, 3)
    sequences = np.zeros(n_windows, np.int64)
    path = other.smoother.predict(other.probabilities(other.inputs(windows)), sequences)
    timeline = recognizer.predict_recording(hour)
    repeats = ((timeline["end"] - timeline["start"]).dt.total_seconds() / 10).round().astype(int)
    np.testing.assert_array_equal(np.repeat(timeline["label"], repeats), np.array(other.classes)[path])


def memory_of_a_day(folder):
    """Return what a process of its own that labels the same recording takes, in MB."""
    script = Path(__file__).with_name("day.py")
    done = subprocess.run([sys.executable, script, folder], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)
