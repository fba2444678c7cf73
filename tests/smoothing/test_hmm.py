import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchtst_har.errors import DataError, ModelFolderError
from patchtst_har.smoothing import HMMSmoother


def all_paths(probabilities, start, transitions, emissions):
    """Likelihood of every path of states, in plain Python."""
    n, size = len(probabilities), len(start)
    scores = {}
    for path in itertools.product(range(size), repeat=n):
        likelihood = start[path[0]]
        for t, state in enumerate(path):
            likelihood *= sum(probabilities[t][j] * emissions[state][j] for j in range(size))
            if t:
                likelihood *= transitions[path[t - 1]][state]
        scores[path] = likelihood
    return scores


def posterior_of(scores, n, size):
    total = math.fsum(scores.values())
    return [
        [math.fsum(v for path, v in scores.items() if path[t] == k) / total for k in range(size)]
        for t in range(n)
    ]


def log_likelihood(path, symbols, start, transitions, emissions):
    total = math.log(start[path[0]])
    total += sum(math.log(transitions[a][b]) for a, b in itertools.pairwise(path))
    return total + sum(math.log(emissions[k][j]) for k, j in zip(path, symbols, strict=True))


def random_smoother(rng, size, *, hop_s=None):
    return HMMSmoother.from_parameters(
        rng.dirichlet(np.ones(size)),
        rng.dirichlet(np.ones(size), size),
        rng.dirichlet(np.ones(size), size),
        n_classes=size,
        hop_s=hop_s,
    )


def parameters(smoother):
    return smoother.start_probabilities, smoother.transition_matrix, smoother.emission_matrix


def one_hot(symbols, size):
    return np.eye(size)[symbols]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 5))
def test_equals_enumeration_of_all_paths(seed, size, n):
    rng = np.random.default_rng(seed)
    smoother = random_smoother(rng, size)
    probabilities = rng.dirichlet(np.ones(size), n)
    scores = all_paths(probabilities.tolist(), *(p.tolist() for p in parameters(smoother)))
    found = tuple(smoother.predict(probabilities, np.zeros(n, dtype=np.int64)).tolist())
    assert scores[found] == pytest.approx(max(scores.values()), rel=1e-9)
    posterior = smoother.predict_proba(probabilities, np.zeros(n, dtype=np.int64))
    np.testing.assert_allclose(posterior, posterior_of(scores, n, size), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("size", [2, 5, 11])
def test_one_hot_input_is_the_categorical_hmm(size):
    rng = np.random.default_rng(size)
    smoother = random_smoother(rng, size)
    # No wheels for CPython 3.14.
    oracle = pytest.importorskip("hmmlearn.hmm").CategoricalHMM(n_components=size, init_params="", params="")
    oracle.startprob_, oracle.transmat_, oracle.emissionprob_ = parameters(smoother)
    symbols = rng.integers(0, size, 300)
    symbols[:size] = np.arange(size)
    lengths = [1, 99, 200]
    sequences = np.repeat(np.arange(3), lengths)
    _, path = oracle.decode(symbols[:, None], lengths)
    found = smoother.predict(one_hot(symbols, size), sequences)
    for s in range(3):
        rows = sequences == s
        ours, theirs = (log_likelihood(p[rows], symbols[rows], *parameters(smoother)) for p in (found, path))
        assert ours == pytest.approx(theirs, abs=1e-9)
    if size > 2:  # Two states permute the same factors into equally probable paths; more do so very rarely.
        np.testing.assert_array_equal(found, path)
    posterior = oracle.predict_proba(symbols[:, None], lengths)
    np.testing.assert_allclose(
        smoother.predict_proba(one_hot(symbols, size), sequences), posterior, rtol=1e-8, atol=1e-12
    )


def test_transitions_are_counted_within_sequences_only():
    labels = [0, 0, 1, 2, 2, 0]
    sequences = [0, 0, 0, 1, 1, 2]
    smoother = HMMSmoother(3, pseudo_count=1.0).fit_transitions(labels, sequences)
    # Counted: 0-0, 0-1, 2-2. Not counted: 1-2 and 2-0, which cross a boundary.
    expected = np.array([[2, 2, 1], [1, 1, 1], [1, 1, 2]])
    np.testing.assert_allclose(
        smoother.transition_matrix, expected / expected.sum(axis=1, keepdims=True), rtol=1e-12
    )
    np.testing.assert_allclose(smoother.start_probabilities, np.array([4, 2, 3]) / 9, rtol=1e-12)


def test_emissions_are_mean_probabilities_per_true_class():
    probabilities = np.array([[0.8, 0.2, 0.0], [0.6, 0.4, 0.0], [0.1, 0.9, 0.0]])
    smoother = HMMSmoother(3, pseudo_count=0.5).fit_emissions([0, 0, 1], probabilities)
    expected = np.array([[1.4 + 0.5, 0.6 + 0.5, 0.5], [0.6, 1.4, 0.5], [0.5, 0.5, 0.5]])
    np.testing.assert_allclose(
        smoother.emission_matrix, expected / expected.sum(axis=1, keepdims=True), rtol=1e-12
    )


def test_absent_class_keeps_a_full_row_and_column():
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 2], 50)
    smoother = HMMSmoother(4).fit(labels, rng.dirichlet(np.ones(4), 50), np.zeros(50, dtype=int))
    for matrix in (smoother.transition_matrix, smoother.emission_matrix):
        assert matrix.shape == (4, 4)
        assert (matrix > 0).all()
        np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(smoother.transition_matrix[1], 0.25)


def test_fit_is_both_parts_and_parts_may_come_from_different_people():
    rng = np.random.default_rng(1)
    labels, probabilities = rng.integers(0, 3, 30), rng.dirichlet(np.ones(3), 30)
    whole = HMMSmoother(3).fit(labels, probabilities, np.zeros(30, dtype=int))
    parts = (
        HMMSmoother(3).fit_emissions(labels, probabilities).fit_transitions(labels, np.zeros(30, dtype=int))
    )
    for a, b in zip(parameters(whole), parameters(parts), strict=True):
        np.testing.assert_array_equal(a, b)
    mixed = HMMSmoother(3).fit_transitions([0, 1, 2, 2], [0, 0, 0, 0]).fit_emissions(labels, probabilities)
    np.testing.assert_array_equal(mixed.emission_matrix, whole.emission_matrix)


def test_smoothing_removes_a_flicker_and_raises_accuracy():
    rng = np.random.default_rng(2)
    truth = np.repeat(rng.integers(0, 4, 60), 25)
    noisy = np.where(rng.random(truth.size) < 0.35, rng.integers(0, 4, truth.size), truth)
    probabilities = 0.7 * one_hot(noisy, 4) + 0.3 / 4
    sequences = np.zeros(truth.size, dtype=int)
    smoothed = HMMSmoother(4).fit(truth, probabilities, sequences).predict(probabilities, sequences)
    assert (smoothed == truth).mean() > (noisy == truth).mean() + 0.2


def test_every_sequence_is_decoded_as_if_alone():
    rng = np.random.default_rng(3)
    smoother = random_smoother(rng, 5)
    probabilities = rng.dirichlet(np.ones(5), 97)
    sequences = np.repeat([4, 1, 9], [1, 40, 56])
    for method in (smoother.predict, smoother.predict_proba):
        together = method(probabilities, sequences)
        alone = [method(probabilities[sequences == s], sequences[sequences == s]) for s in (4, 1, 9)]
        np.testing.assert_array_equal(together, np.concatenate(alone))


def test_ties_go_to_the_lower_class():
    uniform = np.full((3, 3), 1 / 3)
    smoother = HMMSmoother.from_parameters(uniform[0], uniform, uniform, n_classes=3)
    assert smoother.predict(np.full((4, 3), 1 / 3), np.zeros(4, dtype=int)).tolist() == [0, 0, 0, 0]


def test_ten_thousand_windows_do_not_underflow():
    rng = np.random.default_rng(4)
    smoother = random_smoother(rng, 6)
    probabilities = rng.dirichlet(np.full(6, 0.05), 10_000)
    posterior = smoother.predict_proba(probabilities, np.zeros(10_000, dtype=int))
    assert np.isfinite(posterior).all()
    np.testing.assert_allclose(posterior.sum(axis=1), 1, rtol=1e-9)


def test_decoding_is_the_path_and_the_posterior_bit_for_bit():
    rng = np.random.default_rng(6)
    smoother = random_smoother(rng, 5)
    probabilities, sequences = rng.dirichlet(np.ones(5), 200), np.repeat([0, 1], [120, 80])
    path, posterior = smoother.decode(probabilities, sequences)
    np.testing.assert_array_equal(path, smoother.predict(probabilities, sequences))
    np.testing.assert_array_equal(posterior, smoother.predict_proba(probabilities, sequences))


def test_no_window_gives_no_label_and_float32_is_taken():
    smoother = random_smoother(np.random.default_rng(5), 3)
    empty = np.zeros((0, 3), dtype=np.float32)
    assert smoother.predict(empty, np.zeros(0, dtype=int)).shape == (0,)
    assert smoother.predict_proba(empty, np.zeros(0, dtype=int)).shape == (0, 3)
    assert smoother.predict(np.full((2, 3), 1 / 3, dtype=np.float32), [0, 0]).dtype == np.int64


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (np.array([[0.5, 0.5], [np.nan, 1.0]]), r"row 1 is not finite \(nan, 1\)"),
        (np.array([[0.5, 0.5], [np.inf, 0.0]]), "row 1 is not finite"),
        (np.array([[0.5, 0.4]]), "row 0 is not a distribution, its sum is 0.9"),
        (np.array([[1.5, -0.5]]), "row 0 is not a distribution"),
        (np.array([0.5, 0.5]), r"needs shape \(n, 2\), has \(2,\)"),
        (np.ones((2, 3)) / 3, r"needs shape \(n, 2\), has \(2, 3\)"),
        (np.array([[1, 0]]), "needs floating point numbers, has int64"),
    ],
)
def test_bad_probabilities_are_refused_by_row(probabilities, message):
    smoother = random_smoother(np.random.default_rng(0), 2)
    for method in (smoother.predict, smoother.predict_proba):
        with pytest.raises(DataError, match=f"probabilities: .*{message}|probabilities: {message}"):
            method(probabilities, np.zeros(len(probabilities), dtype=int))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], r"needs shape \(n,\) with n >= 1, has \(0,\)"),
        ([[0]], r"has \(1, 1\)"),
        ([0.0], "needs integer class indices, has float64"),
        ([0, 2], "row 1 is 2, classes are 0 to 1"),
        ([-1], "row 0 is -1"),
    ],
)
def test_bad_labels_are_refused_by_row(labels, message):
    with pytest.raises(DataError, match=f"labels: {message}|labels: .*{message}"):
        HMMSmoother(2).fit_transitions(labels, np.zeros(len(labels), dtype=int))


def test_lengths_must_agree():
    with pytest.raises(DataError, match="1 labels for 2 rows"):
        HMMSmoother(2).fit_emissions([0], np.full((2, 2), 0.5))
    with pytest.raises(DataError, match=r"sequences: needs shape \(2,\), has \(3,\)"):
        HMMSmoother(2).fit_transitions([0, 1], [0, 0, 0])


def test_unfitted_parts_are_named():
    smoother = HMMSmoother(2).fit_transitions([0, 1], [0, 0])
    with pytest.raises(RuntimeError, match="call fit_emissions"):
        smoother.predict(np.full((1, 2), 0.5), [0])


@pytest.mark.parametrize(
    ("arguments", "name"),
    [((0,), "n_classes"), ((2.0,), "n_classes"), ((2, 0.0), "pseudo_count"), ((2, math.inf), "pseudo_count")],
)
def test_constructor_checks(arguments, name):
    with pytest.raises(DataError, match=name):
        HMMSmoother(*arguments)


def test_impossible_sequence_is_refused_with_its_row():
    smoother = HMMSmoother.from_parameters([1.0, 0.0], np.eye(2), np.eye(2), n_classes=2)
    probabilities = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert smoother.predict(probabilities[:1], [0]).tolist() == [0]
    for method in (smoother.predict, smoother.predict_proba):
        with pytest.raises(DataError, match="row 1 is impossible under the model"):
            method(probabilities, [0, 0])


def test_saved_model_predicts_the_same(tmp_path):
    rng = np.random.default_rng(6)
    smoother = random_smoother(rng, 4, hop_s=10.0)
    smoother.save(tmp_path / "smoothing.json")
    loaded = HMMSmoother.load(tmp_path / "smoothing.json")
    assert loaded.hop_s == 10.0
    for a, b in zip(parameters(smoother), parameters(loaded), strict=True):
        np.testing.assert_array_equal(a, b)
    probabilities, sequences = rng.dirichlet(np.ones(4), 50), np.zeros(50, dtype=int)
    np.testing.assert_array_equal(
        smoother.predict_proba(probabilities, sequences), loaded.predict_proba(probabilities, sequences)
    )


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("n_classes", 3, r"start_probabilities: needs shape \(3,\), has \(2,\)"),
        ("n_classes", "2", "n_classes: needs a positive integer, is '2'"),
        ("n_classes", True, "n_classes: needs a positive integer"),
        ("pseudo_count", -1, "pseudo_count: needs a finite positive number"),
        ("pseudo_count", 10**399, "the whole number 10{39} is beyond 64 bits"),
        ("hop_s", "10", "hop_s: needs a finite positive number"),
        ("start_probabilities", [0.5, 0.6], "start_probabilities: row 0 sums to 1.1, not 1"),
        ("transition_matrix", [[1.0, 0.0]], r"transition_matrix: needs shape \(2, 2\), has \(1, 2\)"),
        ("transition_matrix", [[1.0], [0.5, 0.5]], "transition_matrix: needs numbers"),
        ("emission_matrix", [[2.0, -1.0], [0.5, 0.5]], "emission_matrix: has a value that is negative"),
        ("emission_matrix", [[math.nan, 1.0], [0.5, 0.5]], "NaN is not JSON"),
        ("emission_matrix", None, "emission_matrix: needs"),
        ("format_version", 2, "format_version is 2, this version reads 1"),
        ("extra", 0, "has unknown extra"),
    ],
)
def test_damaged_file_is_refused_by_file_and_field(tmp_path, field, value, message):
    path = tmp_path / "smoothing.json"
    random_smoother(np.random.default_rng(7), 2).save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    with pytest.raises(ModelFolderError, match=f"smoothing.json: {message}"):
        HMMSmoother.load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON"),
        (b"[]", "needs an object at the top, has list"),
        (b"\xff\xfe", "not UTF-8"),
        (b"{}", "lacks"),
    ],
)
def test_unreadable_file_is_refused(tmp_path, content, message):
    path = tmp_path / "smoothing.json"
    path.write_bytes(content)
    with pytest.raises(ModelFolderError, match=f"smoothing.json: {message}"):
        HMMSmoother.load(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ModelFolderError, match=r"smoothing\.json: cannot be read"):
        HMMSmoother.load(tmp_path / "smoothing.json")
    with pytest.raises(ModelFolderError, match="cannot be read"):
        HMMSmoother.load(tmp_path)
