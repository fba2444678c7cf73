"""Live streams at a hop of 1 s: what a push costs, and how many streams fit into a second.

Decisions are compared with the offline path before, and counted while they are timed.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from patchtst_har import synthetic
from patchtst_har.inference.window_classifier import SingleWindowClassifier
from patchtst_har.realtime import StreamPool
from recognizers import expected_posteriors, reference_recognizer

HOP = 100
WINDOW = 1000
PERIOD_NS = 10_000_000
START_NS = 1_700_000_000_000_000_000
N_STREAMS = 100


@pytest.fixture(scope="module")
def recognizer():
    return reference_recognizer()


@pytest.fixture(scope="module")
def samples():
    """Return 320 s of samples (n, 3): walking, at rest and noise, 10 s each in turn."""
    return synthetic.windows("mixed", 96).reshape(-1, 3)[:32_000]


def stamps_from(first, n):
    return START_NS + PERIOD_NS * np.arange(first, first + n, dtype=np.int64)


def warm_stream(recognizer, samples):
    """Return a stream that lacks one sample of a first window, after a check of such a stream's decisions."""
    at_model_hop = recognizer.stream()
    decisions = at_model_hop.push(samples[: 4 * WINDOW], stamps_from(0, 4 * WINDOW))
    expected = expected_posteriors(recognizer, samples[: 4 * WINDOW].reshape(4, WINDOW, 3))
    np.testing.assert_array_equal([decision.probabilities for decision in decisions], expected)
    stream = recognizer.stream(hop_s=1.0)
    assert stream.push(samples[: WINDOW - 1], stamps_from(0, WINDOW - 1)) == []
    return stream


def single_samples(samples):
    """Yield ((x, y, z), stamp, number) of every sample from the last of the first window on."""
    rows = itertools.cycle([tuple(row) for row in samples.tolist()])
    for number, row in zip(itertools.count(), rows, strict=False):
        if number >= WINDOW - 1:
            yield row, START_NS + PERIOD_NS * number, number


def completes(number):
    return number >= WINDOW - 1 and (number - (WINDOW - 1)) % HOP == 0


def test_push_of_one_sample(recognizer, samples, measure):
    """No window is complete after it."""
    stream, made = warm_stream(recognizer, samples), []

    def rows():
        for row, stamp, number in single_samples(samples):
            if completes(number):
                assert len(stream.push(row, stamp)) == 1
            else:
                yield row, stamp

    push = stream.push
    measure(lambda sample: made.append(push(*sample)), rows(), rounds=5000)
    assert made
    assert not any(made)


def test_push_that_completes_a_window(recognizer, samples, measure):
    stream, made = warm_stream(recognizer, samples), []

    def rows():
        for row, stamp, number in single_samples(samples):
            if completes(number):
                yield row, stamp
            else:
                assert stream.push(row, stamp) == []

    measure(lambda sample: made.append(stream.push(*sample)), rows(), rounds=2000)
    assert {len(decisions) for decisions in made} == {1}


def test_window_in_one_call(recognizer, measure):
    """Compared with one call per part; every call gets another window than the one before, as in a stream."""
    classify, windows = SingleWindowClassifier(recognizer), synthetic.windows("mixed", 96)
    assert classify.is_one_call
    for window in windows[:12]:
        np.testing.assert_array_equal(classify(window, 0)[0], classify.step_by_step(window, 0)[0])
    half, n = len(windows) // 2, len(windows)
    measure(lambda i: classify(windows[i], 0), range(n), rounds=3000)
    measure.ratio(
        "parts_to_one_call_p50",
        lambda i: classify.step_by_step(windows[i], 0),
        lambda i: classify(windows[(i + half) % n], 0),
        range(n),
        rounds=20 * n,
    )


def test_push_of_100_samples(recognizer, samples, measure):
    """The last of them completes a window."""
    stream, made = warm_stream(recognizer, samples), []
    stream.push(samples[WINDOW - 1], START_NS + PERIOD_NS * (WINDOW - 1))

    def rows():
        for second in itertools.count(WINDOW // HOP):
            first = second * HOP % len(samples)
            yield samples[first : first + HOP], stamps_from(second * HOP, HOP)

    measure(lambda chunk: made.append(stream.push(*chunk)), rows(), rounds=2000)
    assert {len(decisions) for decisions in made} == {1}


def test_a_second_of_100_streams_per_stream(recognizer, samples, measure):
    """Each of them gets 100 samples and decides a window."""
    pool, alone = StreamPool(recognizer, hop_s=1.0), recognizer.stream(hop_s=1.0)
    last: dict[int, list] = {}

    def run(chunk):
        for key in range(N_STREAMS):
            last[key] = pool.push(key, *chunk)

    def rows():
        for second in itertools.count():
            first = second * HOP % len(samples)
            chunk = samples[first : first + HOP], stamps_from(second * HOP, HOP)
            expected = [decision.probabilities for decision in alone.push(*chunk)]
            if second < WINDOW // HOP:
                run(chunk)
            else:
                yield chunk
            for decisions in last.values():
                np.testing.assert_array_equal([d.probabilities for d in decisions], expected)

    measure(run, rows(), rounds=130, per_round=N_STREAMS)
