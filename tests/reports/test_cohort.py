"""The page of many recordings."""

import re

import pandas as pd
import pytest

from cohorts import COHORT_CLASSES, COHORT_SETTINGS, cohort_table
from patchtst_har.records.cohort import Failure
from patchtst_har.reports import cohort
from patchtst_har.reports.cohort import render_cohort

LINKS = ("recordings.csv", "failures.csv")


def page(tmp_path, table, failures=()):
    out = render_cohort(
        table, failures, tmp_path / "p.html", settings=COHORT_SETTINGS, classes=COHORT_CLASSES, links=LINKS
    )
    return out.read_text(encoding="utf-8")


@pytest.mark.draws
def test_a_page_needs_nothing_else_and_says_how_many_rows_it_leaves_out(tmp_path, monkeypatch):
    monkeypatch.setattr(cohort, "MOST_ROWS", 10)
    text = page(tmp_path, cohort_table(25))
    assert text == page(tmp_path, cohort_table(25)), "equal tables give equal pages"
    assert text.count("<svg") == 3
    assert not re.search(r"<script|https?://(?!www\.w3\.org)", text)
    assert "The first 10 of 25, by name; 15 are not shown." in text
    assert 'href="recordings.csv"' in text
    assert "P00009" in text
    assert "P00010" not in text.partition('id="recordings"')[2]


def test_failures_are_counted_shown_with_reasons_and_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(cohort, "MOST_FAILURES", 3)
    failures = [
        Failure(recording=f"Q{n}", source=f"/d/Q{n}", error="DataError", reason="<b>no</b>") for n in range(5)
    ]
    text = page(tmp_path, cohort_table(2), failures)
    assert "5 recordings have no labels" in text
    assert "DataError: 5" in text
    assert "DataError: &lt;b&gt;no&lt;/b&gt;" in text
    assert "The first 3 of 5" in text
    assert "Q2" in text
    assert "Q3" not in text
    assert "<svg" not in text, "two recordings have no distribution"


def test_recordings_unlike_the_training_data_come_first(tmp_path):
    table = cohort_table(4)
    assert "To look at first" not in page(tmp_path, table.assign(unfamiliar_share=0.1))
    text = page(tmp_path, table.assign(unfamiliar_share=[0.1, 0.3, 0.9, 0.2]))
    assert re.findall(r"(P\d+)</th><td>(\d+) % of its windows", text) == [("P00002", "90"), ("P00001", "30")]
    nothing = table.assign(n_unfamiliar=pd.NA, unfamiliar_share=None)
    assert "of all windows unlike" not in page(tmp_path, nothing)


@pytest.mark.draws
def test_nothing_worn_and_nothing_labelled_are_pages_too(tmp_path):
    table = cohort_table(6).assign(wear_minutes=0.0, wear_share=0.0, minutes_sitting=0.0, minutes_walking=0.0)
    table = table.assign(n_windows=0, n_unfamiliar=0, unfamiliar_share=None)
    text = page(tmp_path, table)
    assert text.count("<svg") == 2
    assert "nan" not in re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL)
    text = page(tmp_path, table.head(0))
    assert "<h1>0 recordings</h1>" in text
    assert "<svg" not in text
