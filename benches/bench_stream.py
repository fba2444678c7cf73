"""Live streams at a hop of 1 s: what a push costs, and how many streams fit into a second.

Decisions are compared with the offline path before, and counted while they are timed.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from patchtst_har import synthetic
from patchtst_har.benchmark.loops.schedule import Feed
from patchtst_har.inference.window_classifier import SingleWindowClassifier
from patchtst_har.realtime import StreamPool
from recognizers import expected_posteriors, reference_recognizer

HOP, WINDOW = 100, 1000
N_STREAMS = 100


@pytest.fixture(scope="module")
def recognizer():
    return reference_recognizer()


@pytest.fixture(scope="module")
def feed():
    """Return 320 s of samples over and over, with stamps: walking, at rest and noise, 10 s each in turn."""
    return Feed(synthetic.windows("mixed", 96).reshape(-1, 3)[:32_000], 100.0)


def warm_stream(recognizer, feed, n=WINDOW - 1):
    """Return a stream that has taken n samples, after a check of such a stream's decisions."""
    samples, stamps = feed.block(0, 4 * WINDOW)
    decisions = recognizer.stream().push(samples, stamps)
    expected = expected_posteriors(recognizer, samples.reshape(4, WINDOW, 3))
    np.testing.assert_array_equal([decision.probabilities for decision in decisions], expected)
    stream = recognizer.stream(hop_s=1.0)
    assert len(stream.push(*feed.block(0, n))) == n // WINDOW
    return stream


def single_samples(stream, feed, *, completing):
    """Yield every sample and stamp that completes a window (or not) from the last of the first one on.

    The others are pushed on the way.
    """
    for number in itertools.count(WINDOW - 1):
        completes = (number - (WINDOW - 1)) % HOP == 0
        if completes == completing:
            yield feed.one(number)
        else:
            assert len(stream.push(*feed.one(number))) == completes


def chunks(feed):
    """Yield the samples and stamps of one second after the other."""
    for first in itertools.count(WINDOW, HOP):
        yield feed.block(first, HOP)


def push_one_sample(recognizer, feed, measure, *, completing, rounds):
    stream, made = warm_stream(recognizer, feed), []
    push = stream.push
    rows = single_samples(stream, feed, completing=completing)
    measure(lambda sample: made.append(push(*sample)), rows, rounds=rounds)
    assert {len(decisions) for decisions in made} == {int(completing)}


def test_push_of_one_sample(recognizer, feed, measure):
    """No window is complete after it."""
    push_one_sample(recognizer, feed, measure, completing=False, rounds=5000)


def test_push_that_completes_a_window(recognizer, feed, measure):
    push_one_sample(recognizer, feed, measure, completing=True, rounds=2000)


def test_window_in_one_call(recognizer, measure):
    """Compared with one call per part; every call gets another window than the one before, as in a stream."""
    classify, windows = SingleWindowClassifier(recognizer), synthetic.windows("mixed", 96)
    assert classify.is_one_call
    for window in windows[:12]:
        np.testing.assert_array_equal(classify(window, 0)[0], classify.step_by_step(window, 0)[0])
    half, n = len(windows) // 2, len(windows)
    measure(lambda i: classify(windows[i], 0), range(n), rounds=3000)
    parts, whole = (
        (lambda i: classify.step_by_step(windows[i], 0)),
        (lambda i: classify(windows[(i + half) % n], 0)),
    )
    measure.ratio("parts_to_one_call_p50", parts, whole, range(n), rounds=20 * n)


def test_push_of_100_samples(recognizer, feed, measure):
    """The last of them completes a window."""
    stream, made = warm_stream(recognizer, feed, WINDOW), []
    measure(lambda chunk: made.append(stream.push(*chunk)), chunks(feed), rounds=2000)
    assert {len(decisions) for decisions in made} == {1}


def test_a_second_of_100_streams_per_stream(recognizer, feed, measure):
    """Each of them gets 100 samples and decides a window."""
    pool, alone = StreamPool(recognizer, hop_s=1.0), warm_stream(recognizer, feed, WINDOW)
    last = {key: pool.push(key, *feed.block(0, WINDOW)) for key in range(N_STREAMS)}

    def run(chunk):
        for key in range(N_STREAMS):
            last[key] = pool.push(key, *chunk)

    def rows():
        for chunk in chunks(feed):
            yield chunk
            expected = [decision.probabilities for decision in alone.push(*chunk)]
            for decisions in last.values():
                np.testing.assert_array_equal([d.probabilities for d in decisions], expected)

    measure(run, rows(), rounds=130, per_round=N_STREAMS)
