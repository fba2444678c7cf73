"""A gap of weeks or years, or as long a sleep of the device, costs no more than one of minutes."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from patchtst_har.reports.plots.prediction import plot_daily_minutes, plot_days
from patchtst_har.reports.prediction import render_prediction_report
from streams import make_samples, recording_of, small_recognizer

YEARS = pd.Timedelta(days=20 * 365)


@pytest.fixture(scope="module")
def recognizer():
    return small_recognizer()


@pytest.fixture(scope="module")
def worn():
    """Two parts; apart by more than an hour, time without wear is looked for."""
    return [recording_of(*make_samples(120, 80.0, jitter_ms=0, seed=seed)) for seed in (1, 2)]


def apart(worn, gap: pd.Timedelta) -> pd.DataFrame:
    first, second = worn
    begin = first.index[-1] + gap
    return pd.concat([first, second.set_axis(second.index - second.index[0] + begin)])


def peak_bytes(call):
    tracemalloc.start()
    try:
        result = call()
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def spans_of(timeline):
    return timeline["start"].to_numpy(), timeline["end"].to_numpy()


@pytest.mark.parametrize("gap", [pd.Timedelta(days=70), YEARS])
def test_a_gap_adds_neither_rows_nor_memory(recognizer, worn, gap):
    short, short_bytes = peak_bytes(lambda: recognizer.predict_recording(apart(worn, pd.Timedelta(5, "min"))))
    timeline, n_bytes = peak_bytes(lambda: recognizer.predict_recording(apart(worn, gap)))
    pd.testing.assert_frame_equal(timeline[["label", "probability"]], short[["label", "probability"]])
    assert n_bytes < short_bytes + 2**20
    start, end = spans_of(timeline)
    assert (start[1:] - end[:-1]).max() > gap - pd.Timedelta(1, "min")


@pytest.mark.parametrize("days", [1.0, 70.0, 7300.0])
def test_rows_of_a_sleeping_device_are_bounded_and_cover_its_sleep(recognizer, worn, days):
    recording = apart(worn, pd.Timedelta(days=days))
    stamps = recording.index.as_unit("ns").asi8
    asleep_ns = [int(stamps[len(worn[0]) - 1]), int(stamps[len(worn[0])])]
    timeline = recognizer.label_recording(recording, idle_ns=[asleep_ns]).timeline
    unworn = timeline["label"] == "non_wear"
    assert 43_190 < unworn.sum() < 43_210 if days == 1.0 else 50_000 < unworn.sum() <= 100_000
    start, end = spans_of(timeline[unworn])
    assert (start[1:] == end[:-1]).all()
    assert (end[-1] - start[0]) / np.timedelta64(1, "D") == pytest.approx(days, abs=1e-3)
    if days == 1.0:
        assert (end - start).max() == np.timedelta64(2, "s")


@pytest.mark.draws
@pytest.mark.parametrize("sleeps", [False, True])
def test_the_report_of_twenty_years_draws_the_days_with_activity(recognizer, worn, tmp_path, sleeps):
    recording = apart(worn, YEARS)
    stamps = recording.index.as_unit("ns").asi8
    idle_ns = [[int(stamps[len(worn[0]) - 1]), int(stamps[len(worn[0])])]] if sleeps else None
    timeline = recognizer.label_recording(recording, idle_ns=idle_ns).timeline
    page = render_prediction_report(
        timeline, tmp_path / "a.html", recording_info={"name": "a"}, model_info={"name": "m"}
    )
    html = page.read_text(encoding="utf-8")
    assert "Days without any activity are left out" in html
    assert len(html) < 3_000_000


@pytest.mark.draws
def test_years_of_nobody_wearing_it_have_a_picture():
    days = pd.date_range("2000-01-01", periods=400, freq="D")
    timeline = pd.DataFrame(
        {"start": days, "end": days + pd.Timedelta(days=1), "label": "non_wear", "probability": np.nan}
    )
    assert "Days without any activity are left out" in plot_days(timeline, ["walking", "non_wear"])
    columns = ["walking", "non_wear", "no data"]
    minutes = pd.DataFrame([[0.0, 1440.0, 0.0]] * 400, index=days, columns=columns)
    assert "Days without any activity are left out" in plot_daily_minutes(minutes)
    some = minutes.copy()
    some.loc[days[5]] = [5.0, 1435.0, 0.0]
    assert "Thu 06 Jan" in plot_daily_minutes(some)
    assert "Fri 07 Jan" not in plot_daily_minutes(some)
