import re

import numpy as np
import pandas as pd
import pytest

from patchtst_har.data import non_wear
from patchtst_har.errors import DataError
from patchtst_har.reports.days import table_of_means
from patchtst_har.reports.prediction import render_prediction_report
from patchtst_har.reports.signal import steps_in_words
from patchtst_har.summaries import SummaryRules, summarise
from patchtst_har.synthetic import DAILY_ACTIVITIES

pytestmark = pytest.mark.draws

INFO = {
    "recording_info": {"name": "P7.csv", "rate_hz": 104.28616122640526},
    "model_info": {"model": {"layers": 2}},
}


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
        "is not known from this recording alone",
        "model: layers 2",
        "rate (Hz) 104.3",
        "Tue 03 Mar 2026",
    ):
        assert part in text, part
    assert "<b>chores" not in html
    hours = (timeline["label"] == "walking").sum() * 10 / 3600
    assert f"{hours:,.2f}" in page.sections["minutes"]
    assert "all activities 16.00 24.00 16.50 56.50  no data 0.00 0.00 3.50 3.50" in page.sections["minutes"]


@pytest.mark.usefixtures("without_drawing")
def test_unfamiliar_time_is_counted_and_drawn(timeline, tmp_path):
    strange = timeline.assign(unfamiliar=timeline["label"] == "walking")
    html = " ".join(render(strange, tmp_path).split())
    part = 100 * strange["unfamiliar"].mean()
    assert f"<b>{part:.1f} %</b><span>of the time unlike</span>" in html
    assert "A line below: unlike all that the model was trained on" in html
    none = " ".join(render(timeline.assign(unfamiliar=False), tmp_path).split())
    assert "<b>0.0 %</b><span>of the time unlike</span>" in none
    assert "A line below" not in none
    assert "of the time unlike" not in render(timeline, tmp_path)


@pytest.mark.parametrize("as_file", [False, True])
def test_time_without_wear_is_no_activity(timeline, tmp_path, parse_page, as_file):
    unworn = timeline.index < 360
    rows = timeline.assign(label=np.where(unworn, "non_wear", timeline["label"]))
    rows["probability"] = rows["probability"].mask(unworn)
    classes = sorted(set(timeline["label"]))
    given = rows
    if as_file:
        given = tmp_path / "timeline.csv"
        rows.to_csv(given, index=False)
    html = " ".join(render(given, tmp_path, classes=classes).split())
    assert "<b>1 h 00 min</b><span>not worn, or the sensor slept</span>" in html
    assert "<b>55 h 30 min</b><span>labelled</span>" in html
    mean = rows["probability"].mean()
    assert f"<b>{mean:.3f}</b><span>mean probability" in html
    assert 'class="legend"' in html or ">non_wear<" in html
    minutes = " ".join(parse_page(html).sections["minutes"].split())
    assert "all activities 15.00 24.00 16.50 55.50 non_wear 1.00 0.00 0.00 1.00 no data" in minutes
    assert "<li>Mon 02 Mar 08:00 to 09:00 (1 h 00 min)</li>" in html
    assert "non_wear" not in render(timeline, tmp_path, classes=classes)
    alone = parse_page(render(rows[unworn], tmp_path, classes=classes))
    assert "Nothing was classified" in alone.sections["probability"]
    rows.loc[400, "probability"] = np.nan
    with pytest.raises(DataError, match="row 400 has no probability"):
        render(rows, tmp_path, classes=classes)


@pytest.mark.usefixtures("without_drawing")
def test_times_without_wear_are_listed_up_to_a_number(tmp_path):
    start = pd.date_range("2026-03-02 23:30", periods=60, freq="1h")
    rows = pd.DataFrame({"start": start, "end": start + pd.Timedelta("1h")})
    rows["label"] = ["non_wear", "non_wear", *["a", "non_wear"] * 29]
    rows["probability"] = np.where(rows["label"] == "a", 0.9, np.nan)
    html = render(rows, tmp_path)
    listed = re.findall("<li>(.*)</li>", html)
    assert listed[0] == "Mon 02 Mar 23:30 to Tue 03 Mar 01:30 (2 h 00 min)"
    assert listed[1] == "Tue 03 Mar 02:30 to 03:30 (1 h 00 min)"
    assert (len(listed), listed[-1]) == (21, "and 10 more")


def test_means_over_valid_days(timeline, tmp_path, parse_page):
    """Two whole days and a half, of which one is valid, or two."""
    enmo = timeline.assign(enmo_mg=np.where(timeline["label"] == "walking", 100.0, 10.0))
    page = parse_page(render(enmo, tmp_path)).sections["means"]
    assert "3 of 3 days are valid: worn for 16 hours or more" in page
    for part in (
        "Mean per day All valid days Monday to Friday",
        "Days 3 3",
        "Worn (h) 18.83",
        "ENMO (mg)",
        "% of worn time",
    ):
        assert part in " ".join(page.split()), part
    assert "Longest inactive bout (sedentary, sleep; min)" in page
    strict = parse_page(render(enmo, tmp_path, rules=SummaryRules(min_wear_hours=20))).sections["means"]
    assert "1 of 3 days are valid" in strict
    assert "need two of them" in strict
    assert "ENMO" not in strict
    renamed = enmo.replace({"label": {"sedentary": "x", "sleep": "y"}})
    named = summarise(renamed, sorted(set(renamed["label"])))
    titles = [title for title, _, _ in table_of_means(named.days, named.rows.classes)["rows"]]
    assert not any("inactive" in title for title in titles)
    assert "ENMO (mg)" in titles


def test_every_picture_is_drawn_for_a_phone_too(timeline, tmp_path):
    html = render(timeline, tmp_path)
    for kind, width_px in (("wide chart scroll", "864"), ("narrow", "355")):
        drawn = re.findall(rf'<div class="{kind}"[^>]*><svg [^>]*style="width:(\d+)px', html)
        assert drawn == [width_px] * 4
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))


SIGNAL = {
    "sample_rate_hz": 99.874,
    "n_samples": 1000,
    "n_nonfinite": 0,
    "n_zero": 12,
    "n_out_of_range": 0,
    "n_repeated_stamps": 0,
    "repeated_s": 0.0,
    "idle_zero_s": 0.0,
    "n_gaps": 2,
    "gaps_s": 90.0,
    "non_wear": {
        "policy": "auto",
        "applied": False,
        "reason": "the recording does not last more than 60 min",
    },
    "calibration": {"policy": "off", "applied": False},
    "resampling": {"sample_rate_hz": 100.0, "method": "linear", "n_low_passed_segments": 0},
}
FITTED = {
    "policy": "auto",
    "applied": True,
    "scale": (1.01, 0.99, 1.0),
    "offset_g": (0.002, -0.003, 0.0),
    "error_before_mg": 31.42,
    "error_after_mg": 2.18,
    "n_windows": 1234,
    "window_s": 10.0,
    "max_std_mg": 13.0,
}


@pytest.mark.usefixtures("without_drawing")
def test_the_steps_of_the_signal_are_said(timeline, tmp_path, parse_page):
    assert "signal" not in parse_page(render(timeline, tmp_path)).sections
    text = parse_page(render(timeline, tmp_path, signal=SIGNAL)).sections["signal"]
    for part in (
        "Sampling rate 99.87 Hz measured",
        "of 1,000 samples, 12 exactly (0, 0, 0)",
        "Gaps 2, 1.5 min in all",
        "Non-wear not looked for: the recording does not last more than 60 min",
        "Calibration switched off",
        "Resampling to 100 Hz (linear interpolation",
    ):
        assert part in text, part


@pytest.mark.parametrize(
    ("step", "facts", "expected"),
    [
        (
            "calibration",
            {},
            "error at rest 31.4 mg before, 2.2 mg after; scale 1.0100, 0.9900, 1.0000; offset",
        ),
        (
            "calibration",
            {"applied": False, "reason": "too few"},
            "error at rest 31.4 mg; not applied: too few",
        ),
        ("calibration", {"applied": False, "reason": "none", "error_before_mg": None}, "not applied: none"),
        ("non_wear", {}, "90.0 min in 2 spans, of it 5.0 min of idle sleep"),
        ("non_wear", {"n_spans": 0, "idle_s": 0.0}, "none"),
        ("non_wear", {"reason": "annotated"}, "idle sleep, kept: annotated"),
    ],
)
def test_what_a_step_did_in_words(step, facts, expected):
    found = {"policy": "auto", "applied": True, "non_wear_s": 5400.0, "idle_s": 300.0, "n_spans": 2}
    found |= non_wear.parameters()
    usual = FITTED if step == "calibration" else found
    rows = {name: effect for name, effect, _ in steps_in_words({**SIGNAL, step: {**usual, **facts}})}
    assert expected in rows[{"calibration": "Calibration", "non_wear": "Non-wear"}[step]]


def test_activities_keep_the_order_of_the_model_and_its_score_is_said(tmp_path, parse_page):
    start = pd.date_range("2026-03-02", periods=12, freq="10s", unit="ns")
    labels = [*reversed(DAILY_ACTIVITIES)] * 2
    rows = pd.DataFrame({"start": start, "end": start + pd.Timedelta("10s"), "label": labels})
    facts = {"model": "wrist", "score": "cross-validated macro F1 0.81 on 74 people"}
    html = render(rows.assign(probability=0.9), tmp_path, classes=DAILY_ACTIVITIES, model_info=facts)
    page = parse_page(html)
    for section in ("timeline", "minutes"):
        places = [page.sections[section].index(name) for name in DAILY_ACTIVITIES]
        assert places == sorted(places), section
    assert "held-out participants (cross-validated macro F1 0.81 on 74 people), and whether" in html
    assert "held-out participants, and whether" in render(rows.assign(probability=0.9), tmp_path)


def test_csv_and_frame_give_the_same_page(timeline, tmp_path):
    timeline["probability"] = timeline["probability"].round(3)
    timeline.to_csv(tmp_path / "timeline.csv", index=False)
    assert render(tmp_path / "timeline.csv", tmp_path) == render(timeline, tmp_path)


def test_zone_and_unit_do_not_change_the_wall_clock(timeline, tmp_path):
    plain = render(timeline, tmp_path)
    for unit in ("s", "us", "ns"):
        zoned = timeline.copy()
        for name in ("start", "end"):
            zoned[name] = zoned[name].astype(f"datetime64[{unit}]").dt.tz_localize("Europe/London")
        assert render(zoned, tmp_path) == plain, unit


@pytest.mark.parametrize("as_file", [False, True])
def test_the_night_of_the_change_to_winter_time_is_no_overlap(tmp_path, parse_page, as_file):
    edges = pd.date_range("2026-10-24 20:00", periods=13, freq="1h", tz="Europe/Berlin", unit="ns")
    night = pd.DataFrame({"start": edges[:-1], "end": edges[1:], "label": "sleep", "probability": 0.9})
    if as_file:
        night.to_csv(tmp_path / "night.csv", index=False)
        night = tmp_path / "night.csv"
        with pytest.raises(DataError, match=r"offsets from UTC \(\+01:00, \+02:00\): the clock"):
            render(night, tmp_path)
    info = {"clock": "Europe/Berlin"}
    page = parse_page(render(night, tmp_path, recording_info=info)).sections
    text = " ".join(page.values())
    assert "12 h 00 min labelled" in text
    assert "2026-10-24 20:00 to 2026-10-25 07:00" in text
    assert "all activities 4.00 8.00 12.00" in page["minutes"]


def test_input_is_left_as_it_was(timeline, tmp_path):
    before = timeline.copy()
    render(timeline, tmp_path)
    pd.testing.assert_frame_equal(timeline, before)


@pytest.mark.usefixtures("without_drawing")
def test_time_share_of_doubtful_labels(timeline, tmp_path, parse_page):
    timeline["probability"] = np.where(np.arange(len(timeline)) % 4 == 0, 0.3, 0.9)
    text = " ".join(parse_page(render(timeline, tmp_path)).sections.values())
    assert "25.0 % of the time doubtful" in text
    assert "0.750 mean probability" in text


def test_a_short_recording_is_drawn_along_its_own_time(timeline, tmp_path, parse_page):
    text = parse_page(render(timeline.iloc[:60], tmp_path)).sections
    assert "08:05" in text["timeline"]
    assert "24:00" not in text["timeline"]
    assert "Not worn" not in text["timeline"]
    assert "means" not in text
    whole = parse_page(render(timeline, tmp_path)).sections
    assert "24:00" in whole["timeline"]
    assert "Hours Mon 02 Mar" in " ".join(whole["minutes"].split())


def test_the_chart_of_days_needs_an_hour_and_has_the_unit_that_suits(timeline, tmp_path, parse_page):
    short = parse_page(render(timeline.iloc[:354], tmp_path)).sections["minutes"]
    assert "Minutes" not in short
    assert "shorter than an hour" in short
    assert "Mon 02 Mar 2026" in short
    assert "59.0" in short
    assert "In minutes." in short
    hour = parse_page(render(timeline.iloc[:360], tmp_path)).sections["minutes"]
    assert "Minutes Mon 02 Mar" in " ".join(hour.split())
    assert "In minutes." in hour
    assert "all activities 60.0" in hour
    seconds = parse_page(render(timeline.iloc[:10], tmp_path)).sections["minutes"]
    assert "In seconds." in seconds
    assert "all activities 100" in seconds
    info = {"start": "2026-03-02 06:00", "end": "2026-03-02 12:00"}
    sparse = parse_page(render(timeline.iloc[:10], tmp_path, recording_info=info)).sections["minutes"]
    assert "In hours." in sparse
    assert "all activities 0.03  no data 5.97" in sparse


@pytest.mark.usefixtures("without_drawing")
def test_the_longer_side_of_the_table_of_days_goes_downwards(timeline, tmp_path, parse_page):
    """Nine classes as columns are wider than a page."""
    classes = tuple(f"{i}{name}" for i, name in enumerate("abcdefghi"))
    timeline["label"] = np.array(classes)[np.arange(len(timeline)) // 400 % 9]
    pages = [render(timeline, tmp_path, classes=classes)]
    shifts = [pd.Timedelta(days=3 * n) for n in range(4)]
    parts = [timeline.assign(start=timeline["start"] + by, end=timeline["end"] + by) for by in shifts]
    pages.append(render(pd.concat(parts, ignore_index=True), tmp_path, classes=classes))
    few, many = (" ".join(parse_page(html).sections["minutes"].split()) for html in pages)
    assert "Activity Mon 02 Mar 2026 Tue 03 Mar 2026 Wed 04 Mar 2026 All days 0a" in few
    assert few.endswith("all activities 16.00 24.00 16.50 56.50 no data 0.00 0.00 3.50 3.50")
    assert " ".join(("Day", *classes, "all activities", "no data", "Mon 02 Mar 2026")) in many
    assert many.endswith("226.00 50.00")


def extent_of(svg_page):
    """Left and right edge of the grey bar of the first row of the timeline, in points."""
    grey = re.search(
        r'<path d="M ([\d.]+) [\d.]+\s+L ([\d.]+) [^"]*"[^>]*style="fill: var\(--missing\)', svg_page
    )
    bars = re.search(
        r'<path d="M ([\d.]+) [\d.]+\s+L ([\d.]+) [^"]*"[^>]*style="fill: var\(--blue\)', svg_page
    )
    return [float(x) for x in (*grey.groups(), *bars.groups())]


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
@pytest.mark.parametrize("as_file", [False, True])
def test_unlabelled_ends_count_and_are_drawn_grey(tmp_path, parse_page, zone, as_file):
    start = pd.date_range("2026-03-02 10:00", periods=6, freq="10s", tz=zone, unit="ns")
    rows = pd.DataFrame({"start": start, "end": start + pd.Timedelta("10s"), "label": "a", "probability": 1})
    if as_file:
        rows.to_csv(tmp_path / "rows.csv", index=False)
    # The recording's own stamps are in UTC: an hour before the clock of the timeline.
    info = (
        {"start": "2026-03-02 08:58:00+00:00", "end": "2026-03-02 09:08:00+00:00"}
        if zone
        else {"start": "2026-03-02 09:58:00", "end": "2026-03-02T10:08:00.000"}
    )
    html = render(tmp_path / "rows.csv" if as_file else rows, tmp_path, recording_info=info)
    text = " ".join(parse_page(html).sections.values())
    assert "2026-03-02 09:58 to 2026-03-02 10:08" in text
    assert "1 min 00 s labelled 10.0 % of the recording's span" in text
    assert "9 min 00 s without data or label" in text
    left, right, first, last = extent_of(html)
    assert (first - left) / (right - left) == pytest.approx(0.2, abs=1e-3)
    assert (last - first) / (right - left) == pytest.approx(0.1, abs=1e-3)


def test_days_without_any_label_have_a_grey_row(timeline, tmp_path, parse_page):
    info = {"start": "2026-03-01 12:00", "end": "2026-03-06 12:00"}
    html = render(timeline, tmp_path, recording_info=info)
    page = parse_page(html).sections
    assert "Sun 01 Mar" in page["timeline"]
    assert "Fri 06 Mar" in page["timeline"]
    assert "47.1 % of the recording's span" in " ".join(page.values())
    # Of a recording with years of pause, only the days with labels.
    years = parse_page(render(timeline, tmp_path, recording_info={"start": "2019-01-01"})).sections
    for section in ("timeline", "minutes"):
        assert "Days without any activity are left out" in years[section]
        assert "Tue 01 Jan" not in years[section]
        assert "Tue 03 Mar" in years[section]
    assert "In hours. Days without any activity are left out." in years["minutes"]
    assert "3 of 2,620 days are valid" in years["means"]


@pytest.mark.usefixtures("without_drawing")
def test_a_recording_is_never_shorter_than_its_labels(timeline, tmp_path):
    info = {"start": timeline["start"].iloc[1].isoformat(), "end": timeline["start"].iloc[5].isoformat()}
    assert "100.0 % of the recording" in render(timeline.iloc[:60], tmp_path, recording_info=info)


@pytest.mark.parametrize("value", ["noon", "", 12.5])
def test_an_end_that_is_no_time_is_refused(timeline, tmp_path, value):
    with pytest.raises(DataError, match=r"recording_info: end: not a time"):
        render(timeline, tmp_path, recording_info={"end": value})
    assert not (tmp_path / "out.html").exists()


@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize("clock", ["UTC", "local wall clock", "Europe/Paris"])
def test_the_clock_is_said_beside_the_times(timeline, tmp_path, clock):
    header = render(timeline, tmp_path, recording_info={"clock": clock}).partition("</header>")[0]
    assert f"2026-03-04 20:00 (times: {clock})" in header
    assert "times:" not in render(timeline, tmp_path)


@pytest.mark.usefixtures("without_drawing")
def test_what_was_dropped_is_told_in_words(timeline, tmp_path, parse_page):
    def told(dropped):
        return parse_page(render(timeline, tmp_path, recording_info={"dropped": dropped})).sections[
            "recording"
        ]

    counts = {"n_nonfinite": 12, "n_zero": 0, "short_stretches": 3, "too_noisy": 1}
    expected = "dropped 12 samples that are not numbers, 3 segments shorter than a window, 1 too noisy"
    assert expected in told(counts)
    assert "dropped nothing" in told({"n_zero": 0})


@pytest.mark.usefixtures("without_drawing")
def test_warnings_stand_out_and_notices_do_not(timeline, tmp_path):
    html = render(timeline, tmp_path, warnings=["rest is off <x>"], notices=["the model is closed <y>"])
    assert re.findall(r'<p class="warning">.*?</p>', html) == [
        '<p class="warning"><strong>Warning:</strong> rest is off &lt;x&gt;</p>'
    ]
    assert '<p class="note">the model is closed &lt;y&gt;</p>' in html


@pytest.mark.usefixtures("without_drawing")
def test_facts_are_words_and_numbers_for_reading(timeline, tmp_path, parse_page):
    info = {
        "rest_magnitude_g": 9.808362238975329,
        "sample_rate_hz": 104.28616122640526,
        "n_samples": 1234567,
        "n_repeated_stamps": 0,
        "duration_s": 123456.78,
        "rest_magnitude_basis": None,
        "axis_gains": [1.00004, np.float32(0.5)],
        "tiny": 1.23456e-7,
    }
    text = parse_page(render(timeline, tmp_path, recording_info=info)).sections["recording"]
    for part in (
        "rest magnitude (g) 9.808 ",
        "sample rate (Hz) 104.3 ",
        "number of samples 1234567 ",
        "number of repeated stamps 0 ",
        "duration (s) 123457 ",
        "rest magnitude basis (none) ",
        "axis gains 1, 0.5 ",
        "tiny 1.235e-07",
    ):
        assert part in text, part


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
