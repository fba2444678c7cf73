"""Streams: the same decisions as offline, whatever the chunks, the pauses and the clock."""

import threading
import time
import tracemalloc

import numpy as np
import pytest

from patchtst_har import Recognizer
from patchtst_har.config import DataConfig
from patchtst_har.data.windows import cut_windows
from patchtst_har.errors import BacklogError, DataError, FeatureError
from patchtst_har.realtime.decision import STAGES
from patchtst_har.realtime.monitor import Monitor, decision_document
from patchtst_har.realtime.stream import Stream
from patchtst_har.support.npz import read_npz
from streams import (
    CLASSES,
    in_chunks,
    make_samples,
    offline,
    recording_of,
    small_recognizer,
    values,
    with_familiarity,
)
from without_torch import run_without_torch


@pytest.mark.parametrize("early_ms", [0, 3])
def test_a_last_sample_that_comes_early_completes_its_window(early_ms):
    samples, stamps = make_samples(4.0)
    samples, stamps = samples[:400], stamps[0] + np.arange(400) * 10_000_000
    stamps[-1] -= early_ms * 1_000_000
    stream = small_recognizer().stream(smoothing="none")
    pushed = stream.push(samples, stamps)
    finished = stream.finish()
    assert (len(pushed), len(finished)) == ((2, 0) if early_ms == 0 else (1, 1))
    starts, probabilities = offline(small_recognizer(), samples, stamps, None)
    assert [decision.start_ns for decision in pushed + finished] == starts.tolist()
    got = np.array([decision.probabilities for decision in pushed + finished])
    np.testing.assert_allclose(got, probabilities, atol=1e-6)


@pytest.fixture(scope="module")
def recognizer():
    return with_familiarity(small_recognizer())


def interrupted(seconds=60.0, rate_hz=100.0):
    """Return samples with two pauses, of which one restarts the windows, and unusable samples."""
    samples, stamps = make_samples(seconds, rate_hz)
    third = len(samples) // 3
    stamps = stamps.copy()
    stamps[third:] += 5 * 10**9
    stamps[2 * third :] += 8 * 10**8
    samples[third + 50] = np.nan
    samples[third + 60] = 0
    return samples, stamps


@pytest.mark.parametrize("smoothing", ["none", "filter", "lag:1", "lag:5"])
@pytest.mark.parametrize("rate_hz", [97.0, 100.0, 103.0])
def test_same_bits_as_offline(recognizer, smoothing, rate_hz):
    samples, stamps = interrupted(40.0, rate_hz)
    lag = {"none": None, "filter": 0, "lag:1": 1, "lag:5": 5}[smoothing]
    starts, posterior = offline(recognizer, samples, stamps, lag)
    decisions = in_chunks(recognizer.stream(smoothing=smoothing), samples, stamps, 77)
    assert len(decisions) > 15
    assert [d.start_ns for d in decisions] == starts.tolist()
    np.testing.assert_array_equal([d.probabilities for d in decisions], posterior)
    assert [d.label for d in decisions] == [CLASSES[k] for k in posterior.argmax(axis=1)]
    cut = cut_windows(recording_of(samples, stamps), recognizer.config.data)
    alone = [recognizer.judge(recognizer.inputs(cut.windows[i : i + 1]))[1][0] for i in range(len(cut))]
    assert [d.distance for d in decisions] == alone
    raw = offline(recognizer, samples, stamps, None)[1]
    assert [d.raw_label for d in decisions] == [CLASSES[k] for k in raw.argmax(axis=1)]


def test_overlapping_windows_and_a_patient_smoother():
    """Windows overlap, and the smoother bridges a pause that the windows do not."""
    recognizer = small_recognizer(hop_size=50, max_gap_s=8.0)
    samples, stamps = interrupted(30.0)
    starts, posterior = offline(recognizer, samples, stamps, 2)
    decisions = in_chunks(recognizer.stream(smoothing="lag:2"), samples, stamps, 1)
    assert [d.start_ns for d in decisions] == starts.tolist()
    np.testing.assert_array_equal([d.probabilities for d in decisions], posterior)


@pytest.mark.parametrize("smoothing", ["filter", "lag:2"])
def test_chunks_make_no_difference(recognizer, smoothing):
    samples, stamps = interrupted(30.0, 99.0)
    whole = values(in_chunks(recognizer.stream(0.5, smoothing), samples, stamps, len(samples)))
    assert len(whole) > 40
    for size in (1, 7, 1000):
        assert values(in_chunks(recognizer.stream(0.5, smoothing), samples, stamps, size)) == whole
    one_by_one = recognizer.stream(0.5, smoothing)
    decisions = []
    for (x, y, z), stamp in zip(samples.tolist(), stamps.tolist(), strict=True):
        decisions += one_by_one.push((x, y, z), stamp)
    assert values(decisions + one_by_one.finish()) == whole


def test_a_decision_falls_with_the_sample_that_completes_its_window(recognizer):
    samples, _ = make_samples(10, jitter_ms=0)
    stamps = np.arange(len(samples)) * 10**7
    stream = recognizer.stream(1.0)
    made = [n for n in range(len(samples)) if stream.push(samples[n], int(stamps[n]))]
    assert made == list(range(199, 1000, 100))
    lagged = recognizer.stream(1.0, "lag:3")
    made = [n for n in range(len(samples)) if lagged.push(samples[n], int(stamps[n]))]
    assert made == list(range(499, 1000, 100))
    assert len(lagged.finish()) == 3


def test_what_a_decision_says(recognizer):
    samples, stamps = make_samples(2.5, jitter_ms=0)
    (decision,) = recognizer.stream().push(samples, stamps)
    assert decision.end_ns - decision.start_ns == 2 * 10**9
    assert decision.start == np.datetime64(int(stamps[0]), "ns")
    assert decision.end - decision.start == np.timedelta64(2, "s")
    assert decision.probability == decision.probabilities.max()
    assert decision.probabilities.sum() == pytest.approx(1.0)
    assert len(decision.stage_ns) == len(STAGES)
    assert decision.stage_ns[0] > 0
    assert decision.stage_ns[2] > 0
    assert 1e-9 * sum(decision.stage_ns) <= decision.latency_s < 60


def test_forms_of_samples_and_stamps(recognizer):
    samples, stamps = make_samples(5)
    whole = values(recognizer.stream().push(samples, stamps))
    assert len(whole) == 2
    forms = (
        (samples.astype(np.float64), stamps.astype("datetime64[ns]")),
        (np.asfortranarray(samples), stamps[::1]),
        (samples.tolist(), stamps.tolist()),
    )
    for some, t in forms:
        assert values(recognizer.stream().push(some, t)) == whole
    stream = recognizer.stream()
    single = []
    for n, sample in enumerate(samples):
        stamp = [int(stamps[n]), np.int64(stamps[n]), np.datetime64(int(stamps[n]), "ns")][n % 3]
        single += stream.push([sample, tuple(sample.tolist()), sample.tolist()][n % 3], stamp)
    assert values(single) == whole
    assert recognizer.stream().push(np.empty((0, 3), np.float32), np.empty(0, np.int64)) == []


@pytest.mark.parametrize(
    ("samples", "t", "message"),
    [
        (np.zeros((2, 2)), None, r"samples: needs shape \(n, 3\), or \(3,\) for one sample, has \(2, 2\)"),
        (np.zeros((1, 2, 3)), None, r"samples: needs shape"),
        (["a", "b", "c"], 0, "samples: needs numbers"),
        ("text", 0, "samples: needs an array of numbers, is str"),
        (np.zeros(3, complex), 0, "samples: needs an array of numbers, is complex128"),
        ((1.0, 2.0), 0, r"samples: needs shape"),
        (np.zeros((2, 3)), 5, r"t: needs one stamp per sample, shape \(2,\), has \(1,\)"),
        (np.zeros((2, 3)), [1.5, 2.5], "t: needs integer ns since 1970 or datetime64, is float64"),
        (np.zeros((1, 3)), [np.datetime64("NaT")], "t: stamp 0 is missing"),
        ((0.1, 0.2, 0.9), 2**62 + 1, "t: stamp 4611686018427387905 is not within 145 years"),
        ((0.1, 0.2, 0.9), 2**70, "t: needs integer ns since 1970"),
    ],
)
def test_other_forms_are_refused(recognizer, samples, t, message):
    with pytest.raises(DataError, match=message):
        recognizer.stream().push(samples, t)


def test_samples_without_stamps(recognizer):
    samples, _ = make_samples(10)
    decisions = in_chunks_unstamped(recognizer.stream(), samples)
    assert [d.start_ns for d in decisions] == [n * 2 * 10**9 for n in range(5)]
    stamped = recognizer.stream().push(samples, np.arange(len(samples)) * 10**7)
    assert values(decisions) == values(stamped)
    stream = recognizer.stream()
    stream.push(samples[:5])
    with pytest.raises(DataError, match="for all of its samples or for none"):
        stream.push(samples[5:], np.arange(len(samples) - 5))


def in_chunks_unstamped(stream, samples):
    return [decision for n in range(0, len(samples), 13) for decision in stream.push(samples[n : n + 13])]


def test_a_model_that_uses_the_hour_needs_stamps():
    recognizer = small_recognizer(n_time_features=5)
    samples, stamps = make_samples(5)
    stream = recognizer.stream()
    with pytest.raises(DataError, match="uses the time of day, so every sample needs a stamp"):
        stream.push(samples)
    starts, posterior = offline_with_hours(recognizer, samples, stamps)
    decisions = stream.push(samples, stamps)
    assert [d.start_ns for d in decisions] == starts
    np.testing.assert_array_equal([d.probabilities for d in decisions], posterior)


def offline_with_hours(recognizer, samples, stamps):
    from patchtst_har.data.windows import cut_windows
    from streams import recording_of

    cut = cut_windows(recording_of(samples, stamps), recognizer.config.data)
    rows = [
        recognizer.probabilities(recognizer.inputs(window[None], np.array([start])))
        for window, start in zip(cut.windows, cut.start_ns, strict=True)
    ]
    sequences = np.zeros(len(rows), int)
    return cut.start_ns.tolist(), recognizer.smoother.filter_proba(np.concatenate(rows), sequences)


def test_all_features_and_the_torch_engine():
    """The whole pipeline; and a torch module in place of the compiled engine agrees to rounding."""
    native = small_recognizer(n_topo_features=24)
    torch_one = Recognizer(native.torch_module(), CLASSES, native.config, native.smoother)
    samples, stamps = make_samples(9)
    starts, posterior = offline(native, samples, stamps, 0)
    compiled, eager = (in_chunks(one.stream(), samples, stamps, 50) for one in (native, torch_one))
    assert [d.start_ns for d in compiled] == starts.tolist()
    np.testing.assert_array_equal([d.probabilities for d in compiled], posterior)
    np.testing.assert_allclose([d.probabilities for d in eager], posterior, atol=1e-5)
    assert all(d.stage_ns[1] > 0 for d in compiled)


def test_a_jump_of_the_clock_starts_again(recognizer):
    samples, stamps = make_samples(20, jitter_ms=0)
    back = stamps.copy()
    back[1000:] -= 3600 * 10**9
    stream = recognizer.stream()
    decisions = in_chunks(stream, samples, back, 33)
    parts = [offline(recognizer, samples[p], back[p], 0)[1] for p in (slice(0, 1000), slice(1000, None))]
    np.testing.assert_array_equal([d.probabilities for d in decisions], np.concatenate(parts))
    assert stream.stats.n_jumps == 1


def test_a_fast_device_is_refused_with_advice(recognizer):
    samples, stamps = make_samples(5, 128.0)
    with pytest.raises(
        DataError, match=r"clearly faster than the model's 100 Hz \(200 samples came within 1\.5"
    ):
        recognizer.stream().push(samples, stamps)


@pytest.mark.parametrize("smoothing", ["none", "filter", "lag:2"])
def test_what_was_decided_before_a_bad_sample_rides_on_the_error(recognizer, smoothing):
    samples, stamps = make_samples(20, jitter_ms=0)
    expected = values(recognizer.stream(0.5, smoothing).push(samples[:1000], stamps[:1000]))
    assert expected
    backward = stamps.copy()
    backward[1000] = np.iinfo(np.int64).min + 1
    fast = np.concatenate([stamps[:1000], stamps[999] + 4 * 10**6 * np.arange(1, 1001)])
    for bad in (backward, fast):
        stream = recognizer.stream(0.5, smoothing)
        with pytest.raises(DataError) as caught:
            stream.push(samples, bad)
        assert values(caught.value.decisions)[: len(expected)] == expected
        assert stream.stats.n_decisions == len(caught.value.decisions)


@pytest.mark.parametrize(
    "error", [FeatureError("feature 'x': nan"), ZeroDivisionError(), KeyboardInterrupt()]
)
def test_what_was_decided_before_a_window_fails_rides_on_the_error(recognizer, error):
    class Failing:
        """Classifies as the model, but fails on one window."""

        def __init__(self, n_good):
            self.n_left, self.classify = n_good, recognizer.window_classifier()

        def __call__(self, window, start_ns):
            self.n_left -= 1
            if self.n_left == -1:
                raise error
            return self.classify(window, start_ns)

    samples, stamps = make_samples(20, jitter_ms=0)
    whole = values(recognizer.stream(0.5, "lag:2").push(samples, stamps))
    stream = Stream(recognizer, 0.5, "lag:2", max_pending=100, classify=Failing(5))
    with pytest.raises(type(error)) as caught:
        stream.push(samples, stamps)
    assert values(caught.value.decisions) == whole[:3]
    stream = Stream(recognizer, 0.5, "lag:2", max_pending=100, classify=Failing(5))
    stream.feed(samples, stamps)
    with pytest.raises(type(error)) as caught:
        stream.decide()
    assert values(caught.value.decisions) == whole[:3]
    assert stream.n_pending == len(whole) + 2 - 6
    stream = Stream(recognizer, 0.5, "lag:2", max_pending=100, classify=Failing(5))
    stream.feed(samples, stamps)
    with pytest.raises(type(error)) as caught:
        stream.finish()
    assert values(caught.value.decisions) == whole[:3]
    with pytest.raises(ValueError, match="shape") as caught:
        stream.push(samples[:, :2], stamps)
    assert caught.value.decisions == ()


@pytest.mark.parametrize("hop_s", [0.0, -1.0, 2.01, 0.0149, float("nan"), float("inf"), "1", True])
def test_wrong_hops_are_refused(recognizer, hop_s):
    with pytest.raises(DataError, match="hop_s: needs a whole number of samples of 0"):
        recognizer.stream(hop_s)


def test_wrong_settings_are_refused(recognizer):
    for changes, message in (
        ({"drop": "some"}, "drop: must be one of oldest, newest, error"),
        ({"max_pending": 0}, "max_pending: needs an integer of at least 1"),
        ({"max_pending": True}, "max_pending: needs an integer of at least 1"),
        ({"smoothing": "viterbi"}, "smoothing: must be filter, lag:K"),
    ):
        with pytest.raises(DataError, match=message):
            recognizer.stream(**changes)
    bare = Recognizer(recognizer.model, CLASSES, recognizer.config)
    with pytest.raises(DataError, match="this model has none"):
        bare.stream(smoothing="filter")
    samples, stamps = make_samples(3)
    (decision,) = bare.stream().push(samples, stamps)
    assert decision.label == decision.raw_label


@pytest.mark.parametrize("smoothing", ["none", "filter", "lag:3"])
@pytest.mark.parametrize("n", [0, 1, 333, 1000, 2345])
def test_a_saved_stream_goes_on_with_the_same_bits(recognizer, smoothing, n, tmp_path):
    samples, stamps = interrupted(30.0, 98.0)
    whole = values(in_chunks(recognizer.stream(0.5, smoothing), samples, stamps, 50))
    first = recognizer.stream(0.5, smoothing)
    before = first.push(samples[:n], stamps[:n])
    np.savez(tmp_path / "stream.npz", **first.state())
    second = recognizer.stream(0.5, smoothing)
    second.restore(read_npz(tmp_path / "stream.npz", list(first.state())))
    after = in_chunks(second, samples[n:], stamps[n:], 50)
    assert values(before + after) == whole
    assert second.stats.n_decisions == len(whole)
    assert second.stats.n_samples == len(samples)


@pytest.mark.parametrize("smoothing", ["none", "filter", "lag:2"])
def test_unfamiliar_windows_are_counted(recognizer, smoothing):
    samples, stamps = make_samples(20, jitter_ms=0)
    samples[800:1200] += np.random.default_rng(0).normal(0, 5, (400, 3)).astype(np.float32)
    stream = recognizer.stream(smoothing=smoothing)
    decisions = stream.push(samples[:1500], stamps[:1500])
    second = recognizer.stream(smoothing=smoothing)
    second.restore(stream.state())
    decisions += second.push(samples[1500:], stamps[1500:]) + second.finish()
    strange = [k for k, decision in enumerate(decisions) if decision.unfamiliar]
    assert set(strange) >= {4, 5}
    assert all((decision.distance > 1) == decision.unfamiliar for decision in decisions)
    assert second.stats.n_unfamiliar == len(strange) < len(decisions)
    document = decision_document(decisions[4], CLASSES, 0.1)
    assert (document["distance"], document["unfamiliar"]) == (decisions[4].distance, True)
    assert f", {len(strange)} unfamiliar" in Monitor(2.0, None).summary(second.stats)


def test_windows_that_wait_are_saved_too(recognizer):
    samples, stamps = make_samples(9)
    whole = values(recognizer.stream(smoothing="none").push(samples, stamps))
    first = recognizer.stream(smoothing="none")
    assert first.feed(samples[:650], stamps[:650]) == 2
    second = recognizer.stream(smoothing="none")
    second.restore(first.state())
    assert second.n_pending == 2
    assert values(second.push(samples[650:], stamps[650:])) == whole[1:]
    assert second.stats.n_dropped == 1


def test_other_or_damaged_states_are_refused(recognizer):
    samples, stamps = make_samples(9)
    stream = recognizer.stream(0.5, "lag:2")
    stream.push(samples, stamps)
    state = stream.state()

    def refuse(match, stream=None, **changes):
        with pytest.raises(DataError, match=match):
            (stream or recognizer.stream(0.5, "lag:2")).restore({**state, **changes})

    refuse("state: is of a stream with", recognizer.stream(1.0, "lag:2"))
    refuse("missing or unknown", recognizer.stream(0.5, "none"))
    refuse("missing or unknown", extra=np.zeros(1))
    refuse("version 1 is not 3", version=np.array(1))
    refuse("buffer_points must be float32", buffer_points=state["buffer_points"].astype(np.float64))
    refuse("filters must have shape", filters=state["filters"][:, :2])
    refuse("filters has a value that is not finite", filters=state["filters"] * np.nan)
    refuse("state: damaged", buffer_points=state["buffer_points"][:-1])
    refuse("state: damaged", held=np.array([True, True, True]))
    refuse("last_window must have four numbers", last_window=np.zeros(3, np.int64))
    refuse("counts has a number that cannot be", counts=np.array([1, -1, 0, 0, 0]))
    refuse("counts has a number that cannot be", counts=np.array([2**63 - 1, 0, 0, 0, 0]))
    refuse("differ in length", waiting_windows=np.zeros((1, 200, 3), np.float32))
    refuse("waiting_places has a window that cannot be", **_waiting([0, -1, 0, 0]))
    refuse("last_window has a window that cannot be", last_window=np.array([2**62 + 1, 1, 0, 0]))
    refuse("do not add up to 1", filters=np.zeros_like(state["filters"]))
    refuse("stamped must be", stamped=np.array(7))
    refuse("settings must be str_", settings=np.array({}, dtype=object))
    refuse("settings holds what is not Unicode", settings=np.array(0x110000, np.uint32).view("<U1"))


@pytest.mark.parametrize("rate_hz", [14.0, 100.0])
def test_a_state_saved_after_a_failure_is_restored(recognizer, rate_hz):
    """A window fails while points of the grid are due: the state still goes on."""

    class Failing:
        def __init__(self, n_good):
            self.n_left, self.classify = n_good, recognizer.window_classifier()

        def __call__(self, window, start_ns):
            self.n_left -= 1
            if self.n_left == -1:
                raise FeatureError("feature 'x': nan")
            return self.classify(window, start_ns)

    samples, stamps = make_samples(12, rate_hz, jitter_ms=0)
    for n_good in range(6):
        stream = Stream(recognizer, 0.5, "filter", classify=Failing(n_good))
        n_taken = 0
        for n_taken in range(1, len(samples) + 1):
            try:
                stream.push(samples[n_taken - 1 : n_taken], stamps[n_taken - 1 : n_taken])
            except FeatureError:
                break
        other = recognizer.stream(0.5, "filter")
        other.restore(stream.state())
        rest = (samples[n_taken:], stamps[n_taken:])
        assert values(other.push(*rest)) == values(stream.push(*rest))


def _waiting(place):
    return {"waiting_windows": np.zeros((1, 200, 3), np.float32), "waiting_places": np.array([place])}


@pytest.mark.parametrize("smoothing", ["filter", "lag:2"])
def test_a_hostile_state_is_refused_or_goes_on_at_once(recognizer, smoothing):
    """Every number of a state replaced by extreme ones: no push may hang, whatever it decides."""
    samples, stamps = make_samples(12, jitter_ms=0)
    stream = recognizer.stream(0.5, smoothing)
    stream.push(samples[:900], stamps[:900])
    state = stream.state()
    n_refused = n_accepted = 0
    for name in (
        "buffer_numbers",
        "last_window",
        "held_start_ns",
        "counts",
        "held_stage_ns",
        "held_distances",
    ):
        for place in range(state[name].size):
            for value in (0, 1, -1, 7, 10**9, 10**18, 2**62 - 1, -(2**62) + 1, 2**63 - 1, -(2**63)):
                changed = {**state, name: state[name].copy()}
                changed[name].flat[place] = value if name != "held_distances" else float(value) * 1e300
                other = recognizer.stream(0.5, smoothing)
                began = time.process_time()
                try:
                    other.restore(changed)
                    other.push(samples[900:], stamps[900:])
                    other.finish()
                    n_accepted += 1
                except DataError:
                    n_refused += 1
                assert time.process_time() - began < 1.0, (name, place, value)
    assert min(n_refused, n_accepted) > 50


def test_windows_wait_between_feed_and_decide(recognizer):
    samples, stamps = make_samples(9, jitter_ms=0)
    whole = values(recognizer.stream().push(samples, stamps))
    stream = recognizer.stream(max_pending=4)
    assert [stream.feed(samples[n : n + 100], stamps[n : n + 100]) for n in range(0, 900, 100)] == [
        0, 1, 1, 2, 2, 3, 3, 4, 4,
    ]  # fmt: skip
    decided = stream.decide(1)
    assert stream.n_pending == 3
    decided += stream.decide()
    assert stream.decide() == []
    assert values(decided) == whole
    assert stream.stats.n_windows == stream.stats.n_decisions == 4
    fed = recognizer.stream(max_pending=4)
    fed.feed(samples[:500], stamps[:500])
    assert values(fed.push(samples[500:], stamps[500:])) == whole
    late = recognizer.stream(max_pending=4)
    late.feed(samples, stamps)
    assert values(late.finish()) == whole


@pytest.mark.parametrize(("drop", "kept"), [("oldest", [2, 3]), ("newest", [0, 1]), ("error", [0, 1])])
def test_the_drop_policy_decides_what_is_given_up(recognizer, drop, kept):
    samples, stamps = make_samples(9, jitter_ms=0)
    whole = recognizer.stream(smoothing="none").push(samples, stamps)
    stream = recognizer.stream(smoothing="none", max_pending=2, drop=drop)
    if drop == "error":
        with pytest.raises(BacklogError, match="2 windows were dropped: 2 wait to be decided already"):
            stream.feed(samples, stamps)
    else:
        stream.feed(samples, stamps)
    assert values(stream.decide()) == [values(whole)[n] for n in kept]
    stats = stream.stats
    assert (stats.n_windows, stats.n_dropped, stats.n_decisions, stats.drop) == (4, 2, 2, drop)
    assert stats.n_samples == len(samples)


def test_one_thread_feeds_and_another_decides(recognizer):
    samples, stamps = make_samples(60)
    whole = values(recognizer.stream(0.5).push(samples, stamps))
    stream, decisions, done = recognizer.stream(0.5, max_pending=1000), [], threading.Event()

    def decide():
        while not done.is_set() or stream.n_pending:
            decisions.extend(stream.decide())

    worker = threading.Thread(target=decide)
    worker.start()
    for n in range(0, len(samples), 10):
        stream.feed(samples[n : n + 10], stamps[n : n + 10])
    done.set()
    worker.join()
    assert values(decisions) == whole


def test_threads_that_push_at_once_lose_nothing(recognizer):
    samples, _ = make_samples(12)
    stream, decisions = recognizer.stream(0.5), []

    def push(part):
        for sample in part:
            decisions.extend(stream.push(sample))

    threads = [threading.Thread(target=push, args=(samples[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stream.stats.n_samples == len(samples)
    assert [d.start_ns for d in sorted(decisions, key=lambda d: d.start_ns)] == [
        n * 5 * 10**8 for n in range(21)
    ]


def test_memory_stays_flat(recognizer):
    """Twenty minutes, half a second a decision: what Python holds does not grow."""
    samples, _ = make_samples(60)
    stream = recognizer.stream(0.5, "lag:2")

    def minutes(n):
        return sum(len(stream.push(samples[k : k + 500])) for _ in range(n) for k in range(0, 6000, 500))

    minutes(2)
    tracemalloc.start()
    try:
        minutes(2)
        before = tracemalloc.get_traced_memory()[0]
        n_decisions = minutes(16)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert n_decisions == 16 * 120
    assert grown < 20_000
    assert stream.stats.n_decisions == 20 * 120 - 3 - 2


@pytest.mark.spawns
def test_a_stream_needs_no_large_library(recognizer, tmp_path):
    recognizer.save_pretrained(tmp_path / "model")
    run_without_torch(
        f"""
import numpy as np
from patchtst_har import Recognizer
stream = Recognizer.from_pretrained({str(tmp_path / "model")!r}).stream(0.5, "lag:1")
samples = np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32)
assert len(stream.push(samples)) == 16
assert len(stream.finish()) == 1
imported = {{"numba", "pandas", "pyarrow", "scipy", "sklearn"}} & set(sys.modules)
assert not imported, imported
"""
    )


def test_the_defaults_are_the_models_own(small_run):
    """A trained model with all features: the stream of a recording is its windows' filtered posterior."""
    recognizer = Recognizer.from_pretrained(small_run.folder / "model")
    assert recognizer.config.data.hop_size == DataConfig().hop_size
    samples, stamps = make_samples(35)
    decisions = recognizer.stream().push(samples, stamps)
    starts, posterior = offline_with_hours(recognizer, samples, stamps)
    assert [d.start_ns for d in decisions] == starts
    np.testing.assert_array_equal([d.probabilities for d in decisions], posterior)
