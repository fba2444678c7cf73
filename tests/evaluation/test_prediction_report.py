import numpy as np
import pandas as pd
import pytest

from patchtst_har.errors import DataError
from patchtst_har.evaluation.prediction_report import render_prediction_report

INFO = {"recording_info": {"name": "P7.csv", "rate_hz": 100.0}, "model_info": {"model": {"layers": 2}}}


def render(timeline, tmp_path, **options):
    path = render_prediction_report(timeline, tmp_path / "out.html", **{**INFO, **options})
    return path.read_text(encoding="utf-8")


def test_page_shows_facts_minutes_and_warnings(timeline, tmp_path, parse_page):
    html = render(timeline, tmp_path, warnings=["rest is at 0.1 g <not 1 g>"])
    page = parse_page(html)
    text = " ".join(page.sections.values())
    assert not page.tags & {"script", "link", "img"}
    assert not page.links or all(link.startswith("#") for link in page.links)
    for part in (
        "P7.csv",
        "2026-03-02 08:00 to 2026-03-04 20:00",
        "56 h 30 min labelled",
        "3 h 30 min without data",
        "94.2 % of the recording's span",
        "rest is at 0.1 g <not 1 g>",
        "cannot be told from this recording",
        "model.layers 2",
        "rate_hz 100.0",
        "Tue 03 Mar 2026",
    ):
        assert part in text, part
    assert "<b>chores" not in html
    minutes = (timeline["label"] == "walking").sum() * 10 / 60
    assert f"{minutes:,.1f}" in page.sections["minutes"]
    assert "3,390.0" in page.sections["minutes"]


def test_csv_and_frame_give_the_same_page(timeline, tmp_path):
    timeline["probability"] = timeline["probability"].round(3)
    timeline.to_csv(tmp_path / "timeline.csv", index=False)
    assert render(tmp_path / "timeline.csv", tmp_path) == render(timeline, tmp_path)


@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_zone_and_unit_do_not_change_the_wall_clock(timeline, tmp_path, unit):
    plain = render(timeline, tmp_path)
    zoned = timeline.copy()
    for name in ("start", "end"):
        zoned[name] = zoned[name].astype(f"datetime64[{unit}]").dt.tz_localize("Europe/London")
    assert render(zoned, tmp_path) == plain


@pytest.mark.parametrize("as_file", [False, True])
def test_the_night_of_the_change_to_winter_time_is_no_overlap(tmp_path, parse_page, as_file):
    edges = pd.date_range("2026-10-24 20:00", periods=13, freq="1h", tz="Europe/Berlin", unit="ns")
    night = pd.DataFrame({"start": edges[:-1], "end": edges[1:], "label": "sleep", "probability": 0.9})
    if as_file:
        night.to_csv(tmp_path / "night.csv", index=False)
        night = tmp_path / "night.csv"
    text = " ".join(parse_page(render(night, tmp_path)).sections.values())
    assert "12 h 00 min labelled" in text
    assert "2026-10-24 20:00 to 2026-10-25 07:00" in text


def test_input_is_left_as_it_was(timeline, tmp_path):
    before = timeline.copy()
    render(timeline, tmp_path)
    pd.testing.assert_frame_equal(timeline, before)


def test_time_share_of_doubtful_labels(timeline, tmp_path, parse_page):
    timeline["probability"] = np.where(np.arange(len(timeline)) % 4 == 0, 0.3, 0.9)
    text = " ".join(parse_page(render(timeline, tmp_path)).sections.values())
    assert "25.0 % of the time doubtful" in text
    assert "0.750 mean probability" in text


def test_a_short_recording_is_drawn_along_its_own_time(timeline, tmp_path, parse_page):
    text = parse_page(render(timeline.iloc[:60], tmp_path)).sections
    assert "08:05" in text["timeline"]
    assert "24:00" not in text["timeline"]
    assert "Minutes with data" in text["minutes"]
    whole = parse_page(render(timeline, tmp_path)).sections
    assert "24:00" in whole["timeline"]
    assert "Hours with data" in whole["minutes"]


def test_a_single_window_is_a_report(timeline, tmp_path):
    assert "0 min 10 s" in render(timeline.iloc[:1], tmp_path)


def broken(timeline, row, column, value):
    timeline = timeline.iloc[:20].copy()
    timeline.loc[row, column] = value
    return timeline


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.iloc[:0], "timeline: has no row"),
        (lambda t: t.drop(columns="label"), "timeline: lacks the column label"),
        (lambda t: broken(t, 3, "probability", np.nan), "timeline: row 3 has no probability"),
        (lambda t: broken(t, 3, "probability", 1.5), "timeline: row 3 has a probability outside 0 to 1"),
        (lambda t: broken(t, 3, "end", t.loc[3, "start"]), "timeline: row 3 ends before it starts"),
        (
            lambda t: broken(t, 3, "start", t.loc[2, "start"]),
            "timeline: row 3 begins before the row above it ends",
        ),
        (lambda t: t.assign(start=1.0), "timeline: column start: needs times, has float64"),
    ],
)
def test_an_impossible_timeline_is_refused_by_row(timeline, tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        render(change(timeline), tmp_path)
    assert not (tmp_path / "out.html").exists()


def test_unknown_label_and_missing_or_broken_file(timeline, tmp_path):
    with pytest.raises(DataError, match=r"label '.*' is not one of the classes a, b"):
        render(timeline, tmp_path, classes=("a", "b"))
    with pytest.raises(DataError, match=r"none\.csv: no such file"):
        render(tmp_path / "none.csv", tmp_path)
    (tmp_path / "bad.csv").write_text("start,end,label,probability\n2026-01-01,2026-01-02,a,high\n")
    with pytest.raises(DataError, match=r"bad\.csv: column probability: not a number"):
        render(tmp_path / "bad.csv", tmp_path)
