"""What is written of a labelled recording, and the data dictionary that describes it."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import summary_reference as reference
from patchtst_har.cohort.tables import summary_row
from patchtst_har.data import cut_windows, read_recording
from patchtst_har.data.calibration import SensorCalibration, parameters
from patchtst_har.errors import DataError
from patchtst_har.inference.label_file import label_file
from patchtst_har.records.cohort import Failure
from patchtst_har.records.prediction import Origin, PredictionSummary, SourceState
from patchtst_har.reports.prediction_files import write_prediction
from patchtst_har.summaries import BoutRules, SummaryRules
from patchtst_har.summaries.dictionary import TABLES, entry_of
from patchtst_har.synthetic import recording

pytestmark = pytest.mark.filterwarnings("ignore::patchtst_har.inference.familiarity.UnfamiliarWarning")
DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def labelled(small_run, tmp_path_factory):
    """From Friday evening to Saturday morning, taken off in between, of a wearer in Berlin."""
    moved = recording(bouts=(("walking", 600.0), ("sitting", 600.0)), start="2026-03-27 22:50:00")
    quiet = np.random.default_rng(0).normal((0.3, 0.2, 0.9), 0.002, (400_000, 3)).astype(np.float32)
    samples = np.concatenate([moved[["x", "y", "z"]].to_numpy(np.float32), quiet])
    stamps = moved.index[0].as_unit("ns").value + np.arange(len(samples)) * 10_000_000
    index = pd.DatetimeIndex(stamps, tz="UTC", name="time")
    path = tmp_path_factory.mktemp("recording") / "a.parquet"
    pd.DataFrame(samples, index=index, columns=["x", "y", "z"]).to_parquet(path)
    return label_file(path, small_run.folder / "model", timezone="Europe/Berlin")


def written(labelled, folder, **options):
    files = write_prediction(folder, labelled, report=False, **options)
    tables = {name: pd.read_csv(getattr(files, name)) for name in ("labels", "windows", "daily", "bouts")}
    return tables, json.loads(files.summary.read_text())


def flattened(document, prefix=""):
    for key, value in document.items():
        if isinstance(value, dict):
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


@pytest.mark.slow
def test_days_bouts_and_enmo_of_a_recording(labelled, tmp_path):
    rules = SummaryRules(min_wear_hours=0.2, inactive=("sitting",), bouts=BoutRules(min_minutes=2))
    tables, summary = written(labelled, tmp_path, rules=rules)
    daily = tables["daily"]
    # 22:50 UTC is ten minutes to midnight in Berlin, whose clocks go forward a day later.
    assert daily["date"].tolist() == ["2026-03-27", "2026-03-28"]
    assert daily["weekday"].tolist() == ["Friday", "Saturday"]
    recorded_h = [1 / 6, 20 / 60 + 400_000 / 360_000 - 1 / 6]
    assert daily["recorded_hours"].tolist() == pytest.approx(recorded_h, abs=1e-4)
    assert daily["partial"].all()
    assert daily["valid"].tolist() == [False, True]
    labels, minutes = tables["labels"], daily.filter(regex="minutes: ")
    for name in labelled.classes:
        total = minutes[f"minutes: {name}"].sum()
        assert total == pytest.approx(summary["minutes"][name], abs=2e-3)
        assert total == pytest.approx((labels["label"] == name).sum() / 6, abs=2e-3)
    assert daily["non_wear_hours"].sum() * 60 == pytest.approx(summary["non_wear_minutes"], abs=0.02)
    assert summary["non_wear_minutes"] > 50
    assert len(tables["bouts"])
    assert tables["bouts"]["minutes"].min() >= 2
    assert set(summary["bouts"][labelled.classes[0]]) == {"5_min", "10_min", "30_min"}
    record = PredictionSummary.model_validate(summary)
    assert record.days.n_valid == 1
    assert record.days.inactive_classes == ("sitting",)
    assert record.days.weekend == record.days.all
    assert record.days.weekday is None
    windows = tables["windows"]
    assert windows["enmo_mg"].isna().tolist() == (windows["label"] == "non_wear").tolist()
    samples = cut_windows(read_recording(labelled.recording_info["source"])[0]).windows
    expected = [reference.enmo_mg(window) for window in samples[:3]]
    assert windows["enmo_mg"].iloc[:3].tolist() == pytest.approx(expected, abs=2e-3)


def test_minutes_are_rounded(labelled, tmp_path):
    _, summary = written(labelled, tmp_path)
    lasts = [summary["non_wear_minutes"], *summary["minutes"].values()]
    assert lasts == [round(minutes, 3) for minutes in lasts]


def test_a_class_that_the_model_does_not_have_leaves_no_file(labelled, tmp_path):
    with pytest.raises(DataError, match="inactive: 'lying' is no class of the model"):
        written(labelled, tmp_path / "out", rules=SummaryRules(inactive=("lying",)))
    assert not (tmp_path / "out").exists()


def test_the_dictionary_has_every_column_in_its_order(labelled, tmp_path):
    assert "unfamiliar" in labelled.windows
    tables, _ = written(labelled, tmp_path)
    for name, table in tables.items():
        expected = []
        for entry in TABLES[f"NAME_{name}.csv"]:
            per_class = [entry.name.replace("CLASS", one) for one in labelled.classes]
            expected += per_class if "CLASS" in entry.name else [entry.name]
        assert table.columns.tolist() == expected, name
        booleans = {entry.name for entry in TABLES[f"NAME_{name}.csv"] if entry.type == "True or False"}
        assert booleans == set(table.select_dtypes(bool).columns), name


@pytest.mark.slow
def test_the_dictionary_has_every_key_of_the_summary(labelled, tmp_path):
    fitted = SensorCalibration((1.0, 1.0, 1.0), (0.0, 0.0, 0.0), 9.0, 1.0, 99)
    calibration = {"policy": "auto", "applied": True, **fitted.facts(), **parameters()}
    refused = {"policy": "auto", "applied": False, "reason": "too few"}
    shipped = {**labelled.model_info, "score": "none", "licence": "none", "adapted_to": "a"}
    source = SourceState(size=1, mtime_ns=2, ends="a")
    variants = [
        labelled,
        replace(labelled, signal={**labelled.signal, "calibration": calibration}, model_info=shipped),
        replace(labelled, signal={**labelled.signal, "calibration": refused, "non_wear": refused}),
    ]
    seen = set()
    for number, variant in enumerate(variants):
        rules = SummaryRules(min_wear_hours=0.05 if number else 16)
        origin = Origin(source=source, settings="b") if number else None
        _, summary = written(variant, tmp_path / str(number), rules=rules, origin=origin)
        for key, _ in flattened(summary):
            entry = entry_of(key, "NAME_summary.json")
            assert entry is not None, key
            seen.add(entry.name)
    unseen = {entry.name for entry in TABLES["NAME_summary.json"]} - seen
    assert unseen == set()


def test_the_dictionary_has_every_column_of_many_recordings(labelled, tmp_path):
    fitted = SensorCalibration((1.0, 1.0, 1.0), (0.0, 0.0, 0.0), 9.0, 1.0, 99)
    signal = {**labelled.signal, "calibration": {"policy": "auto", "applied": True, **fitted.facts()}}
    device = {**labelled.recording_info, "reading": {"device": {"maker": "a"}}}
    seen = set()
    for number, info in enumerate((labelled.recording_info, device)):
        rules = SummaryRules(min_wear_hours=0.05 if number else 16)
        variant = replace(labelled, recording_info=info, signal=signal)
        _, summary = written(variant, tmp_path / str(number), rules=rules)
        for name in summary_row("a", summary):
            entry = entry_of(name, "recordings.csv")
            assert entry is not None, name
            seen.add(entry.name)
    # Both days are of one kind, and the model has an inactive class.
    absent = {"days_weekend_", "days_inactive_reason"}
    unseen = {entry.name for entry in TABLES["recordings.csv"]} - seen
    assert all(name.startswith(tuple(absent)) for name in unseen), unseen
    assert [entry.name for entry in TABLES["failures.csv"]] == list(Failure.model_fields)


def test_the_page_is_the_dictionary():
    page = runpy.run_path(str(DOCS / "generate_data_dictionary.py"))["page"]()
    assert (DOCS / "data-dictionary.md").read_text(encoding="utf-8") == page


def test_entries_are_found_by_whole_names():
    assert entry_of("minutes: a.b", "NAME_daily.csv").name == "minutes: CLASS"
    assert entry_of("bouts.very slow walk.10_min.n", "NAME_summary.json").unit == ""
    assert entry_of("xminutes: a", "NAME_daily.csv") is None
    assert entry_of("wear_hours_", "NAME_daily.csv") is None


def test_few_lost_samples_are_no_warning(small_run, tmp_path):
    """They are said with the steps of the signal."""
    warned = {}
    for n_lost in (3, 60):
        rows = recording(bouts=(("walking", 60.0),))
        rows.iloc[100 : 100 + n_lost, :3] = np.nan
        path = tmp_path / "a.npz"
        np.savez(path, time_ns=rows.index.as_unit("ns").asi8, acc=rows[["x", "y", "z"]].to_numpy(np.float32))
        found = label_file(path, small_run.folder / "model")
        assert found.signal["n_nonfinite"] == n_lost
        warned[n_lost] = [text for text in found.warnings if "left out" in text]
    assert warned == {3: [], 60: ["Samples left out, NaN or infinite: 60."]}


def test_where_a_shipped_model_lies_is_not_said(small_run, tmp_path):
    rows = recording(bouts=(("walking", 20.0),))
    path = tmp_path / "a.npz"
    np.savez(path, time_ns=rows.index.as_unit("ns").asi8, acc=rows[["x", "y", "z"]].to_numpy(np.float32))
    own = small_run.folder / "model"
    assert label_file(path, own).model_info["folder"] == str(own)
    shipped = label_file(path, "wrist").model_info
    assert (shipped["model"], "folder" in shipped) == ("wrist", False)
