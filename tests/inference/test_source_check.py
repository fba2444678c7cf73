"""What is found out about a source: its rate, and the first seconds of a live one."""

import numpy as np
import pytest

from patchtst_har.errors import DataError
from patchtst_har.inference.source_check import SourceCheck, rate_doubt
from patchtst_har.model_folder import TrainedOn
from streams import small_recognizer


def still(n, scale=1.0, every_ms=10):
    noise = np.random.default_rng(0).normal(0, 0.001, (n, 3))
    samples = ((noise + np.array([0.0, 0.6, 0.8])) * scale).astype(np.float32)
    return samples, np.arange(n, dtype=np.int64) * every_ms * 10**6


def test_batches_without_a_sample_are_passed_over():
    """A source sends one when all of a packet's lines were left out: at first, in between, at last."""
    check = SourceCheck("a", None, small_recognizer())
    nothing = np.empty((0, 3), np.float32), np.empty(0, np.int64)
    samples, stamps = still(400, scale=9.80665)
    assert check.add(*nothing) == []
    assert check.add(samples[:100], stamps[:100]) == []
    assert check.add(*nothing) == []
    with pytest.raises(DataError, match=r"a: the magnitude at rest is 9\.8"):
        check.add(samples[100:], stamps[100:])
    assert check.add(*nothing) == []


def test_one_sample_at_a_time_is_as_good_as_all_at_once():
    samples, stamps = still(100, every_ms=50)
    check = SourceCheck("a", None, small_recognizer())
    said = [check.add(sample, stamp) for sample, stamp in zip(samples, stamps, strict=True)]
    (warned,) = [text for texts in said for text in texts]
    assert "20 samples per second" in warned
    assert SourceCheck("a", None, small_recognizer()).add(samples, stamps) == [warned]


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
