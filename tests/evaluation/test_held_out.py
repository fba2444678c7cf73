import numpy as np
import pandas as pd
import pytest

from patchtst_har.evaluation.held_out import HeldOut, pool
from patchtst_har.smoothing import HMMSmoother
from patchtst_har.smoothing.decide import decide, decide_with_lags

CLASSES = ("a", "b")


def made(people: list[str], *, seed: int = 0, smoother: HMMSmoother | None = None) -> HeldOut:
    """Forty windows per person in two bouts; the classifier is right with probability 0.8."""
    rng = np.random.default_rng(seed)
    n = 40 * len(people)
    labels = np.tile(np.repeat([0, 1], 20), len(people))
    right = np.where(rng.random(n) < 0.8, 0.9, 0.2)
    probabilities = np.empty((n, 2))
    probabilities[np.arange(n), labels] = right
    probabilities[np.arange(n), 1 - labels] = 1 - right
    sequences = np.repeat(np.arange(len(people)), 40)
    start_ns = np.tile(np.arange(40) * 10_000_000_000, len(people))
    decisions = decide(probabilities, sequences, smoother)
    causal = decide_with_lags(probabilities, sequences, smoother)
    return HeldOut(np.repeat(people, 40), start_ns, labels, decisions, CLASSES, causal)


def test_without_a_smoother_both_decisions_are_the_same():
    decisions = made(["P1", "P2"]).decisions
    assert (decisions.raw == decisions.smoothed).all()
    assert decisions.smoothed_probabilities is decisions.probabilities
    assert made(["P1", "P2"]).scores().causal == ()


def bouts_smoother():
    smoother = HMMSmoother(2).fit(
        np.repeat([0, 1] * 10, 20), np.tile([[0.7, 0.3]], (400, 1)), np.zeros(400, np.int64)
    )
    truth = np.array([0] * 50 + [1] * 50)
    return smoother.fit_emissions(truth, np.repeat([[0.9, 0.1], [0.1, 0.9]], 50, axis=0))


def test_causality_costs_the_less_the_longer_one_waits():
    held_out = made([f"P{i}" for i in range(20)], smoother=bouts_smoother())
    scores = held_out.scores()
    rows = scores.causal
    assert [row.lag for row in rows] == [0, 1, 2, 5]
    accuracies = [row.accuracy for row in rows]
    assert accuracies == sorted(accuracies)
    assert scores.raw.accuracy < accuracies[0] < accuracies[-1] <= scores.smoothed.accuracy + 0.01
    for row in rows:
        right = (held_out.causal[row.lag] == held_out.labels).mean()
        assert row.accuracy == pytest.approx(right)
        estimate = row.minus_offline.macro_f1.estimate
        assert estimate == pytest.approx(row.macro_f1 - scores.smoothed.macro_f1)
    assert rows[0].minus_offline.macro_f1.high < 0


def test_pooling_keeps_the_causal_decisions():
    parts = [made([name], smoother=bouts_smoother(), seed=i) for i, name in enumerate(("P1", "P2"))]
    pooled = pool(parts)
    for lag, decided in pooled.causal.items():
        expected = np.concatenate([part.causal[lag] for part in parts])
        np.testing.assert_array_equal(decided, expected)


def test_smoothing_repairs_lonely_errors():
    scores = made([f"P{i}" for i in range(20)], smoother=bouts_smoother()).scores()
    assert scores.smoothed.accuracy > scores.raw.accuracy + 0.05
    difference = scores.bootstrap.smoothed_minus_raw.accuracy
    assert difference.estimate == pytest.approx(scores.smoothed.accuracy - scores.raw.accuracy)
    assert difference.low > 0


def test_one_person_has_no_interval():
    assert made(["P1"]).scores().bootstrap is None


def test_pooling_equals_judging_together():
    parts = [made(["P1", "P2"], seed=1), made(["P3"], seed=2)]
    pooled = pool(parts)
    right = sum((part.decisions.raw == part.labels).sum() for part in parts)
    assert pooled.scores().raw.accuracy == pytest.approx(right / 120)
    assert len(np.unique(pooled.decisions.sequences)) == 3
    assert (np.diff(pooled.decisions.sequences) >= 0).all()


def test_pooling_refuses_what_would_count_twice_or_mix_classes():
    with pytest.raises(ValueError, match="more than one part"):
        pool([made(["P1"]), made(["P1"])])
    other = made(["P2"])
    with pytest.raises(ValueError, match="different classes"):
        pool(
            [
                made(["P1"]),
                HeldOut(other.participants, other.start_ns, other.labels, other.decisions, ("a", "c")),
            ]
        )
    with pytest.raises(ValueError, match="nothing to pool"):
        pool([])


def test_the_table_of_predictions(tmp_path):
    held_out = made(["P1", "P2"])
    held_out.write_frame(tmp_path / "predictions.csv")
    table = pd.read_csv(tmp_path / "predictions.csv", parse_dates=["start"])
    assert list(table.columns) == ["participant", "start", "label", "raw", "smoothed", "probability"]
    assert (table["label"] == np.array(CLASSES)[held_out.labels]).all()
    assert ((table["raw"] == table["label"]).mean()) == held_out.scores().raw.accuracy
    assert set(table["probability"].round(6)) == {0.9, 0.8}
