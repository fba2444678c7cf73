import itertools

import numpy as np
import pandas as pd
import pytest

import summary_reference as reference
from patchtst_har.summaries import BoutRules, SummaryRules, summarise

CLASSES = ("a", "b", "c")
START = pd.Timestamp("2026-03-05 23:50", tz="Europe/Berlin")


def timeline_of(seconds: list[str | None], hop_s: int = 1) -> pd.DataFrame:
    """One state a hop; None is a gap, "n" time without wear."""
    start = START + pd.to_timedelta(np.arange(len(seconds)) * hop_s, unit="s")
    rows = pd.DataFrame({"start": start, "end": start + pd.Timedelta(hop_s, "s"), "label": seconds})
    unworn = rows["label"] == "n"
    rows["probability"] = np.where(unworn, np.nan, 0.9)
    rows["enmo_mg"] = np.where(unworn, np.nan, np.arange(len(rows)) % 7)
    return rows.replace({"label": {"n": "non_wear"}})[rows["label"].notna()].reset_index(drop=True)


def told(table: pd.DataFrame) -> list[tuple]:
    return [
        (row.label, int((row.start - START).total_seconds()), int((row.end - START).total_seconds()))
        for row in table.itertuples()
    ]


@pytest.mark.parametrize(
    "rules",
    [
        BoutRules(min_minutes=0.25, max_break_s=6, min_share=0.8),
        BoutRules(min_minutes=0.1, max_break_s=12, min_share=0.55),
        BoutRules(min_minutes=0.1, max_break_s=0, min_share=1),
        BoutRules(min_minutes=1 / 60, max_break_s=1000, min_share=0.01),
    ],
)
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.slow
def test_bouts_are_their_definition(rules, seed):
    rng = np.random.default_rng(seed)
    states = rng.choice([*CLASSES, None, "n"], 120, p=[0.5, 0.3, 0.14, 0.03, 0.03])
    seconds = np.repeat(states, rng.integers(1, 10, len(states))).tolist()
    rows = timeline_of(seconds)
    table = summarise(rows, CLASSES, rules=SummaryRules(bouts=rules)).bouts
    worn = [None if state == "n" else state for state in seconds]
    expected = [
        (name, *bout)
        for name in CLASSES
        for bout in reference.bouts(
            worn, name, round(60 * rules.min_minutes), rules.max_break_s, rules.min_share
        )
    ]
    expected.sort(key=lambda bout: (bout[1], bout[2], bout[0]))
    assert told(table) == [bout[:3] for bout in expected]
    assert len(expected) > 3
    for row, (_, begin, end, inside) in zip(table.itertuples(), expected, strict=True):
        assert row.minutes == pytest.approx((end - begin) / 60)
        assert row.share == pytest.approx(inside / (end - begin))
        assert row.enmo_mg == pytest.approx(np.mean(np.arange(begin, end) % 7))


def bouts_in(text: str, **rules) -> list[tuple]:
    """Bouts of at least a minute, one character for 10 s: "." a gap."""
    states = [None if state == "." else state for state in text]
    table = summarise(timeline_of(states, 10), CLASSES, rules=SummaryRules(bouts=BoutRules(**rules))).bouts
    return [(label, begin // 10, end // 10) for label, begin, end in told(table)]


def test_breaks_that_are_tolerated():
    walk = "a" * 24
    assert bouts_in(walk + "b" * 6 + walk) == [("a", 0, 54), ("b", 24, 30)]
    assert bouts_in(walk + "b" * 7 + walk) == [("a", 0, 24), ("b", 24, 31), ("a", 31, 55)]
    assert bouts_in(walk + "b" * 5 + walk, max_break_s=0) == [("a", 0, 24), ("a", 29, 53)]
    # The longest break ends a bout if too much of it is not of the class.
    assert bouts_in("aaaaaaaa" + "b" + "aaa" + "bb" + "aaaaaa", min_share=0.9) == [
        ("a", 0, 12),
        ("a", 14, 20),
    ]
    assert bouts_in("ab" * 20) == []
    assert bouts_in("b" * 5 + "a" * 6 + "b" * 5) == [("a", 5, 11)]


@pytest.mark.parametrize("between", [".", "n", "nn", ".n."])
def test_no_bout_crosses_a_gap_or_time_without_wear(between):
    n = len(between)
    assert bouts_in("a" * 9 + between + "a" * 9) == [("a", 0, 9), ("a", 9 + n, 18 + n)]


def test_classes_that_are_inactive_together():
    rows = timeline_of(list("a" * 30 + "b" * 60 + "c" * 2 + "a" * 30), 10)
    daily = summarise(rows, CLASSES, rules=SummaryRules(inactive=("a", "b"))).daily
    # 122 rows of 10 s from ten to midnight on, with a break of 20 s.
    assert daily["longest_inactive_min"].tolist() == pytest.approx([10, 122 / 6 - 10])


def test_counts_by_length():
    text = "a" * 6 + "." + "a" * 29 + "." + "a" * 30 + "." + "b" * 180
    counts = summarise(timeline_of([None if s == "." else s for s in text], 10), CLASSES).bout_counts()
    assert {key: (count.n, count.minutes) for key, count in counts["a"].items()} == {
        "1_min": (3, 10.833),
        "5_min": (1, 5.0),
        "10_min": (0, 0.0),
        "30_min": (0, 0.0),
    }
    assert [count.n for count in counts["b"].values()] == [1, 1, 1, 1]
    assert [count.n for count in counts["c"].values()] == [0, 0, 0, 0]


@pytest.mark.slow
def test_a_week_of_alternation_is_no_slow_case():
    """All breaks are as long as each other, and no two runs belong together."""
    texts = itertools.islice(itertools.cycle("ab"), 60_480)
    assert len(summarise(timeline_of(list(texts), 10), CLASSES).bouts) == 0


def test_nothing_worn_has_no_bouts_and_its_table_has_the_columns():
    summary = summarise(timeline_of(["n"] * 20, 10), CLASSES)
    assert summary.bouts.columns.tolist() == ["start", "end", "label", "minutes", "share", "enmo_mg"]
    assert len(summary.bouts) == 0
    assert str(summary.bouts["start"].dtype) == "datetime64[ns, Europe/Berlin]"
    assert summary.days.n_valid == 0
