"""Many streams, one recogniser."""

import threading

import numpy as np
import pytest

from patchtst_har.errors import BacklogError, DataError, FeatureError
from patchtst_har.realtime.pool import StreamPool
from streams import make_samples, small_recognizer, values


@pytest.fixture(scope="module")
def recognizer():
    return small_recognizer()


def test_500_streams_decide_as_each_alone(recognizer):
    samples, stamps = make_samples(20)
    pool = StreamPool(recognizer, 1.0)
    expected = {
        n: values(recognizer.stream(1.0).push(samples[n:][:450], stamps[n:][:450])) for n in range(0, 500, 50)
    }
    got = {n: [] for n in range(500)}
    for part in range(0, 450, 150):
        for n in range(500):
            some = slice(n + part, n + part + 150)
            got[n] += pool.push(n, samples[some], stamps[some])
    assert len(pool) == 500
    assert all(len(decisions) == 3 for decisions in got.values())
    assert {n: values(got[n]) for n in expected} == expected
    assert sum(stats.n_decisions for stats in pool.stats().values()) == 1500


def test_feeding_and_deciding_take_turns(recognizer):
    samples, stamps = make_samples(9)
    whole = values(recognizer.stream().push(samples, stamps))
    pool = StreamPool(recognizer, max_pending=4)
    for key in "abc":
        pool.feed(key, samples, stamps)
    first = pool.decide(4)
    assert [key for key, _ in first] == ["a", "b", "c", "a"]
    rest = pool.decide()
    assert pool.decide() == []
    for key in "abc":
        assert values([d for k, d in first + rest if k == key]) == whole


def test_drops_are_told_stream_by_stream(recognizer):
    samples, stamps = make_samples(9)
    pool = StreamPool(recognizer, max_pending=1, drop="error")
    with pytest.raises(BacklogError, match="3 windows were dropped"):
        pool.feed("a", samples, stamps)
    pool.feed("b", samples[:250], stamps[:250])
    assert [key for key, _ in pool.decide()] == ["a", "b"]
    assert {key: stats.n_dropped for key, stats in pool.stats().items()} == {"a": 3, "b": 0}


def test_closing_gives_the_rest_and_forgets(recognizer):
    samples, stamps = make_samples(9)
    pool = StreamPool(recognizer, smoothing="lag:2", max_streams=1)
    assert len(pool.push("a", samples, stamps)) == 2
    with pytest.raises(DataError, match="the pool has 1 streams, its most"):
        pool.push("b", samples, stamps)
    assert "a" in pool
    assert len(pool.close("a")) == 2
    assert "a" not in pool
    with pytest.raises(KeyError):
        pool.close("a")
    pool.feed("b", samples, stamps)
    pool.close("b")
    assert pool.decide() == []


def test_wrong_settings_are_refused_at_once(recognizer):
    with pytest.raises(DataError, match="hop_s"):
        StreamPool(recognizer, 0.0)


def test_threads_with_streams_of_their_own(recognizer):
    samples, stamps = make_samples(30)
    whole = values(recognizer.stream(0.5).push(samples, stamps))
    pool, results = StreamPool(recognizer, 0.5), {}

    def work(key):
        results[key] = [
            d
            for n in range(0, len(samples), 100)
            for d in pool.push(key, samples[n : n + 100], stamps[n : n + 100])
        ]

    threads = [threading.Thread(target=work, args=(key,)) for key in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(values(results[key]) == whole for key in range(8))
    np.testing.assert_array_equal(sorted(results), range(8))


@pytest.mark.parametrize(
    "error", [FeatureError("feature 'x': nan"), ZeroDivisionError(), KeyboardInterrupt()]
)
def test_a_stream_that_fails_keeps_what_others_decided_and_itself(recognizer, error):
    class Failing:
        def __init__(self):
            self.calls, self.classify = 0, recognizer.window_classifier()

        def __call__(self, window, start_ns):
            self.calls += 1
            if self.calls == 3:
                raise error
            return self.classify(window, start_ns)

    class Model:
        classes, config, smoother = recognizer.classes, recognizer.config, recognizer.smoother
        adaptation = None

        def __init__(self):
            self.classify = Failing()

        def window_classifier(self):
            return self.classify

    samples, stamps = make_samples(5, jitter_ms=0)
    pool = StreamPool(Model(), max_pending=4)
    pool.feed("a", samples, stamps)
    pool.feed("b", samples, stamps)
    with pytest.raises(type(error)) as caught:
        pool.decide()
    assert [key for key, _ in caught.value.decisions] == ["a", "b"]
    assert [key for key, _ in pool.decide()] == ["b"]
    model = Model()
    other = StreamPool(model, max_pending=4)
    model.classify.calls = 2
    other.feed("c", samples, stamps)
    with pytest.raises(type(error)):
        other.close("c")
    assert "c" in other
    assert len(other.close("c")) == 1
