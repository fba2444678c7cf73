"""Results of many recordings in one table: also what this version does not know of."""

import json

import pandas as pd
import pytest

from patchtst_har._core import __version__
from patchtst_har.cohort import LabelOptions, Outputs
from patchtst_har.cohort.job import Job
from patchtst_har.cohort.sources import Source
from patchtst_har.cohort.tables import summary_row, write_collated
from patchtst_har.errors import DataError
from patchtst_har.records.cohort import CohortSettings, Failure

SETTINGS = CohortSettings(version=__version__, model={"name": "m"}, options={}, outputs={})


def summary(**changes):
    values = {
        "recording": {"source": "/d/a.cwa", "start": "2024-03-01 08:00:00", "end": "2024-03-01 18:30:00"},
        "model": {},
        "minutes": {"sitting": 400.0, "walking": 100.123456789},
        "non_wear_minutes": 100.0,
        "n_windows": 3000,
        "n_unfamiliar": 30,
        "warnings": ["one", "two"],
        "notices": [],
        "signal": {},
    }
    return {**values, **changes}


def collate(folder, documents, failures=()):
    """Write summaries, collate them; return the files."""
    job = Job(folder, folder, LabelOptions(), Outputs(), "s")
    for name, document in documents.items():
        path = job.outputs.files(folder, name).summary
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document))
    sources = [Source(folder / name, name) for name in sorted(documents)]
    return write_collated(job, SETTINGS, ("sitting", "walking"), sources, failures)


def test_a_row_has_the_figures_of_a_summary():
    signal = {
        "n_gaps": 2,
        "gaps_s": 60.0,
        "calibration": {"policy": "auto", "applied": False, "reason": "few"},
        "non_wear": {"policy": "auto", "applied": True, "non_wear_s": 6000.0},
    }
    recording = {**summary()["recording"], "reading": {"device": {"maker": "Axivity", "serial": 7}}}
    row = summary_row("P1", summary(recording=recording, signal=signal))
    # In a short recording, non-wear is not looked for.
    signal["non_wear"] = {"policy": "auto", "applied": False, "reason": "short"}
    assert summary_row("P1", summary(recording=recording, signal=signal))["wear_share"] is None
    expected = {
        "recording": "P1",
        "source": "/d/a.cwa",
        "device_maker": "Axivity",
        "device_serial": 7,
        "hours": 10.5,
        "wear_minutes": 500.123457,
        "wear_share": 0.833368,
        "minutes_walking": 100.123457,
        "unfamiliar_share": 0.01,
        "calibration": "not applied: few",
        "n_gaps": 2,
        "n_warnings": 2,
        "warnings": "one | two",
    }
    assert {name: row[name] for name in expected} == expected


def test_keys_of_another_version_become_columns_and_kinds_stay(tmp_path):
    documents = {
        "P1": summary(),
        "P2": summary(later={"a": {"b": 1.5}, "names": [1], "n": 4}, n_unfamiliar=None, flag=True),
    }
    files = collate(tmp_path, documents)
    text = files.table.read_text()
    table = pd.read_csv(files.table)
    assert list(table["later_a_b"].fillna(-1)) == [-1, 1.5]
    # A count stays whole where another recording has none.
    assert ",30," in text
    assert "30.0" not in text
    assert ",4," in text
    assert "later_names" not in table
    assert list(table.columns[-3:]) == ["later_a_b", "later_n", "flag"]


def test_daily_tables_are_joined_with_the_recording_in_front(tmp_path):
    for name, text in (
        ("P1", "day,steps\n2024-03-01,5\n"),
        ("s/P2", 'day,note,steps\n2024-03-02,"a, b",7\n'),
    ):
        path = tmp_path / "recordings" / f"{name}_daily.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    documents = {"P1": summary(), "s/P2": summary(), "P3": summary()}
    files = collate(tmp_path, documents)
    expected = 'recording,day,note,steps\nP1,2024-03-01,,5\ns/P2,2024-03-02,"a, b",7\n'
    assert files.collated["daily"].read_text() == expected
    for path in (tmp_path / "recordings").rglob("*_daily.csv"):
        path.unlink()
    assert collate(tmp_path, documents).collated == {}
    assert not (tmp_path / "daily.csv").exists(), "one of an earlier run says nothing of this one"


def test_nothing_labelled_gives_empty_tables_and_a_page(tmp_path):
    failure = Failure(
        recording="P1", source="/d/P1.csv", error="DataError", reason='/d/P1.csv: <empty>, "so"'
    )
    files = collate(tmp_path, {}, [failure])
    assert len(pd.read_csv(files.table)) == 0
    (row,) = pd.read_csv(files.failures).to_dict("records")
    assert row == failure.to_json()
    assert "&lt;empty&gt;" in files.page.read_text()


def test_a_damaged_summary_is_named(tmp_path):
    collate(tmp_path, {"P1": summary()})
    (tmp_path / "recordings" / "P1_summary.json").write_text("{")
    job = Job(tmp_path, tmp_path, LabelOptions(), Outputs(), "s")
    with pytest.raises(DataError, match=r"P1_summary\.json"):
        write_collated(job, SETTINGS, ("sitting",), [Source(tmp_path / "P1", "P1")], [])
