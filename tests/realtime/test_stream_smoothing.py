"""The smoother of a stream gives the bits of `HMMSmoother` where the definition is the same."""

import numpy as np
import pytest

from patchtst_har import _core
from patchtst_har.config import DataConfig, ExperimentConfig, ModelConfig
from patchtst_har.errors import DataError
from patchtst_har.realtime.stream_smoothing import (
    Judged,
    StreamSmoother,
    WindowPlace,
    parse_smoothing,
    scaled_transitions,
)
from patchtst_har.smoothing import HMMSmoother, sequence_ids
from streams import random_smoother

CONFIG = ExperimentConfig(
    data=DataConfig(window_size=200, hop_size=200), model=ModelConfig(window_size=200, patch_len=20)
)
HOP_NS = 2 * 10**9


def judge(probabilities, places, smoother):
    """Add windows one by one; return the starts and posteriors that came out."""
    known = []
    for row, place in zip(probabilities, places, strict=True):
        smoother.add(place, Judged(place.start_ns, row, (1, 2, 3), 0.5), known)
    known += smoother.finish()
    return [judged.start_ns for judged, _ in known], np.array([posterior for _, posterior in known])


def places_of(starts, segments=None):
    numbers, last = [], None
    for segment in segments or [1] * len(starts):
        numbers.append(numbers[-1] + 1 if segment == last else 0)
        last = segment
    return [
        WindowPlace(start, segment, number, 0)
        for start, segment, number in zip(starts, segments or [1] * len(starts), numbers, strict=True)
    ]


@pytest.mark.parametrize("n_classes", [1, 2, 3, 7, 16])
@pytest.mark.parametrize("lag", [0, 1, 2, 5, 40])
def test_same_bits_as_offline(n_classes, lag):
    rng = np.random.default_rng(n_classes)
    smoother = random_smoother(n_classes)
    probabilities = rng.dirichlet(np.full(n_classes, 0.3), 30)
    # A pause after 10 windows restarts; one after 20, shorter than max_gap_s, does not.
    starts = np.arange(30) * HOP_NS
    starts[10:] += 5 * 10**9
    starts[20:] += 9 * 10**8
    sequences = sequence_ids(np.zeros(30, int), starts, hop_s=2.0, max_gap_s=1.0)
    assert sequences[-1] == 1
    expected = (
        smoother.fixed_lag_proba(probabilities, sequences, lag)
        if lag
        else smoother.filter_proba(probabilities, sequences)
    )
    segments = [1] * 10 + [2] * 10 + [3] * 10
    got, posterior = judge(
        probabilities, places_of(starts.tolist(), segments), StreamSmoother(smoother, CONFIG, 2.0, lag)
    )
    np.testing.assert_array_equal(got, starts)
    np.testing.assert_array_equal(posterior, expected)


def test_a_jump_of_the_clock_restarts_even_if_the_start_fits():
    smoother = random_smoother()
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), 2)
    places = [WindowPlace(0, 1, 0, 0), WindowPlace(HOP_NS, 2, 0, 1)]
    _, posterior = judge(probabilities, places, StreamSmoother(smoother, CONFIG, 2.0, 0))
    np.testing.assert_array_equal(posterior, smoother.filter_proba(probabilities, np.array([0, 1])))


def test_a_dropped_window_is_a_step_without_evidence():
    smoother = random_smoother()
    probabilities = np.random.default_rng(1).dirichlet(np.ones(3), 2)
    # Window 1 to 3 of the segment are missing.
    places = [WindowPlace(0, 1, 0, 0), WindowPlace(4 * HOP_NS, 1, 4, 0)]
    _, posterior = judge(probabilities, places, StreamSmoother(smoother, CONFIG, 2.0, 0))
    belief = smoother.start_probabilities * (smoother.emission_matrix @ probabilities[0])
    belief = belief / belief.sum() @ np.linalg.matrix_power(smoother.transition_matrix, 4)
    belief = belief * (smoother.emission_matrix @ probabilities[1])
    np.testing.assert_allclose(posterior[1], belief / belief.sum(), rtol=1e-12)


def test_a_dropped_window_within_the_lag():
    """Fixed lag over a missing window against sums over all paths of four windows."""
    smoother = random_smoother()
    probabilities = np.random.default_rng(2).dirichlet(np.ones(3), 3)
    places = [WindowPlace(n * HOP_NS, 1, n, 0) for n in (0, 1, 3)]
    starts, posterior = judge(probabilities, places, StreamSmoother(smoother, CONFIG, 2.0, 2))
    assert starts == [place.start_ns for place in places]
    evidence = np.ones((4, 3))
    evidence[[0, 1, 3]] = probabilities @ smoother.emission_matrix.T
    for window, (t, last) in enumerate([(0, 2), (1, 3), (3, 3)]):
        expected = np.zeros(3)
        for path in np.ndindex(*(3,) * (last + 1)):
            weight = smoother.start_probabilities[path[0]] * evidence[0, path[0]]
            for u in range(1, last + 1):
                weight *= smoother.transition_matrix[path[u - 1], path[u]] * evidence[u, path[u]]
            expected[path[t]] += weight
        np.testing.assert_allclose(posterior[window], expected / expected.sum(), rtol=1e-12)


def test_another_hop_scales_transitions_and_tempers_evidence():
    smoother = random_smoother()
    probabilities = np.random.default_rng(3).dirichlet(np.ones(3), 6)
    starts = [n * HOP_NS // 4 for n in range(6)]
    _, posterior = judge(probabilities, places_of(starts), StreamSmoother(smoother, CONFIG, 0.5, 0))
    rare = np.where(np.eye(3) > 0, 0.0, smoother.transition_matrix / 4)
    rare += np.diag(1 - rare.sum(axis=1))
    belief = smoother.start_probabilities
    for row, got in zip(probabilities, posterior, strict=True):
        belief = belief * (smoother.emission_matrix @ row) ** 0.25
        belief = belief / belief.sum()
        np.testing.assert_allclose(got, belief, rtol=1e-12)
        belief = belief @ rare


def test_scaled_transitions():
    matrix = random_smoother().transition_matrix
    assert scaled_transitions(matrix, 1.0) is matrix
    half = scaled_transitions(matrix, 0.5)
    np.testing.assert_allclose(half.sum(axis=1), 1.0, rtol=1e-15)
    assert half[0, 1] == matrix[0, 1] / 2
    with pytest.raises(DataError, match="hop_s: 50 times the model's hop"):
        scaled_transitions(matrix, 50.0)


@pytest.mark.parametrize("lag", [0, 1, 2, 5])
@pytest.mark.parametrize("bad", [np.nan, 0.0])
def test_an_impossible_window_is_named_those_before_are_decided_and_the_next_starts_again(bad, lag):
    square = np.array([[1.0, 0.0], [0.0, 1.0]])
    emissions = np.array([[0.9, 0.1], [0.2, 0.8]])
    model = HMMSmoother.from_parameters([0.6, 0.4], square, emissions, n_classes=2, hop_s=2.0)
    rows = np.random.default_rng(4).dirichlet(np.ones(2), 4)
    places = [WindowPlace(n * HOP_NS, 1, n, 0) for n in range(6)]
    expected, _ = judge(rows, places[:4], StreamSmoother(model, CONFIG, 2.0, lag))
    expected_rows = judge(rows, places[:4], StreamSmoother(model, CONFIG, 2.0, lag))[1]
    smoother, known = StreamSmoother(model, CONFIG, 2.0, lag), []
    for place, row in zip(places[:4], rows, strict=True):
        smoother.add(place, Judged(place.start_ns, row, (0, 0, 0), 0.5), known)
    impossible = Judged(4 * HOP_NS, np.array([bad, 0.0 if bad == 0.0 else 1.0]), (0, 0, 0), 0.5)
    with pytest.raises(DataError, match=f"window at {4 * HOP_NS} ns is impossible"):
        smoother.add(places[4], impossible, known)
    assert [judged.start_ns for judged, _ in known] == expected
    np.testing.assert_array_equal([posterior for _, posterior in known], expected_rows)
    alone = StreamSmoother(model, CONFIG, 2.0, lag)
    _, fresh = judge(rows[:1], places[5:], alone)
    _, again = judge(rows[:1], places[5:], smoother)
    np.testing.assert_array_equal(again, fresh)


def test_names_of_the_smoothing():
    smoother = random_smoother()
    assert [parse_smoothing(name, smoother) for name in (None, "filter", "lag:0", "lag:12", "none")] == [
        0, 0, 0, 12, None,
    ]  # fmt: skip
    assert parse_smoothing(None, None) is None
    for name in ("viterbi", "lag", "lag:-1", "lag:1000", ""):
        with pytest.raises(DataError, match="smoothing: must be filter, lag:K"):
            parse_smoothing(name, smoother)
    with pytest.raises(DataError, match="this model has none"):
        parse_smoothing("filter", None)


def test_the_compiled_smoother_refuses_what_does_not_fit():
    start, square = np.array([0.5, 0.5]), np.eye(2)
    for arguments in ((start, np.eye(3), square, 1.0, 0), (start, square, square, 1.0, 1001)):
        with pytest.raises(ValueError):
            _core.CausalSmoother(*arguments)
    core = _core.CausalSmoother(start, square, square, 1.0, 1)
    with pytest.raises(ValueError, match="probabilities must have shape"):
        core.observe(np.ones(3) / 3)
    with pytest.raises(ValueError, match="no window was observed"):
        core.filtered()
    with pytest.raises(ValueError, match="so many windows are not held"):
        core.look_ahead(0)
    for rows in (np.ones((3, 2)), np.ones((1, 3))):
        with pytest.raises(ValueError, match="must have shape"):
            core.restore(rows)
