import numpy as np
import pandas as pd
import pytest

import summary_reference as reference
from patchtst_har.errors import DataError
from patchtst_har.summaries import BoutRules, SummaryRules, summarise
from patchtst_har.summaries.intensity import enmo_mg
from patchtst_har.summaries.rows import local_edges, time_in_cells

CLASSES = ("lying", "sitting", "walking")
NAMES = (*CLASSES, "non_wear")


def timeline(start: str, lasts_s: list[int], labels: list[str], zone: str | None = None) -> pd.DataFrame:
    """Rows one after the other; "gap" is no row."""
    begin = pd.Timestamp(start) if zone is None else pd.Timestamp(start).tz_localize(zone)
    edges = begin + pd.to_timedelta(np.append(0, np.cumsum(lasts_s)), unit="s")
    rows = pd.DataFrame({"start": edges[:-1].as_unit("ns"), "end": edges[1:].as_unit("ns"), "label": labels})
    rows["probability"] = np.where(rows["label"] == "non_wear", np.nan, 0.9)
    rows["enmo_mg"] = np.where(rows["label"] == "non_wear", np.nan, 10.0 + np.arange(len(rows)) % 50)
    return rows[rows["label"] != "gap"].reset_index(drop=True)


def random_timeline(seed: int, zone: str | None, start: str, n: int = 2000) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    lasts = rng.choice([10, 20, 60, 170, 600], n)
    return timeline(start, lasts.tolist(), rng.choice([*NAMES, "gap"], n).tolist(), zone)


ZONES = [
    (None, "2026-03-01 22:17:05"),
    ("Europe/Berlin", "2026-03-27 22:17:05"),
    ("Europe/Berlin", "2026-10-23 12:00:00"),
    ("Europe/Dublin", "2026-10-24 12:00:00"),
    ("America/Havana", "2026-10-31 12:00:00"),
    ("Africa/Cairo", "2026-04-23 12:00:00"),
    ("Australia/Lord_Howe", "2026-04-04 12:00:00"),
    ("Pacific/Apia", "2011-12-29 12:00:00"),
    ("Asia/Kathmandu", "2026-01-01 00:00:00"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("zone", "start"), ZONES)
def test_days_are_those_of_a_clock_read_every_second(zone, start):
    rows = random_timeline(0, zone, start, 300)
    summary = summarise(rows, CLASSES)
    counted = reference.seconds_by_day(rows, list(NAMES))
    daily = summary.daily.set_index(summary.daily["date"].dt.strftime("%Y-%m-%d"))
    assert set(counted) <= set(daily.index)
    for day, row in daily.iterrows():
        seconds = counted.get(day, dict.fromkeys(NAMES, 0))
        for name in CLASSES:
            assert row[f"minutes: {name}"] * 60 == pytest.approx(seconds[name], abs=1e-6)
        assert row["non_wear_hours"] * 3600 == pytest.approx(seconds["non_wear"], abs=1e-6)
        assert row["wear_hours"] * 3600 == pytest.approx(sum(seconds[name] for name in CLASSES), abs=1e-6)


@pytest.mark.parametrize(("zone", "start"), ZONES)
@pytest.mark.parametrize("unit", ["D", "h"])
@pytest.mark.slow
def test_the_totals_over_cells_are_exactly_those_of_the_timeline(zone, start, unit):
    for seed in range(2):
        rows = summarise(random_timeline(seed, zone, start), CLASSES).rows
        _, edges_ns = local_edges(int(rows.start_ns[0]), int(rows.end_ns[-1]), zone and rows.zone, unit)
        time_ns, enmo = time_in_cells(rows, edges_ns)
        for state in range(len(NAMES)):
            assert time_ns[:, state].sum() == rows.lasted_ns[rows.state == state].sum()
        assert (time_ns.sum(axis=1) <= np.diff(edges_ns)).all()
        worn = rows.state < 3
        weights = time_ns[:, :-1].sum(axis=1)
        assert np.average(enmo[weights > 0], weights=weights[weights > 0]) == pytest.approx(
            np.average(rows.enmo_mg[worn], weights=rows.lasted_ns[worn])
        )


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("Africa/Cairo", "2026-04-24", 23),
        ("America/Havana", "2026-11-01", 25),
        (None, "2026-03-29", 24),
    ],
)
def test_a_day_on_which_clocks_change(zone, day, hours):
    lasts_s = [3600] * 72
    before = pd.Timestamp(day) - pd.Timedelta(days=1)
    rows = timeline(str(before), lasts_s, ["lying"] * 72, zone)
    daily = summarise(rows, CLASSES).daily.set_index("date")
    assert daily.loc[day, ["recorded_hours", "wear_hours"]].tolist() == [hours, hours]
    assert daily.loc[day, "minutes: lying"] == 60 * hours
    assert not daily.loc[day, "partial"]
    assert daily["wear_hours"].sum() == 72
    assert daily["partial"].tolist() == [False, False, hours > 24, *([True] if hours < 24 else [])]


def test_what_the_table_of_days_holds():
    """Friday evening to Sunday morning, with a gap, time without wear and unlabelled ends."""
    lasts_min = [240, 60, 120, 60, 30, 600, 300]
    labels = ["lying", "walking", "gap", "non_wear", "walking", "sitting", "lying"]
    rows = timeline("2026-03-06 22:00", [60 * m for m in lasts_min], labels)
    extent = (pd.Timestamp("2026-03-06 21:00"), pd.Timestamp("2026-03-08 06:00"))
    rules = SummaryRules(min_wear_hours=17)
    summary = summarise(rows, CLASSES, extent=extent, rules=rules)
    daily = summary.daily
    assert daily["weekday"].tolist() == ["Friday", "Saturday", "Sunday"]
    assert daily["partial"].tolist() == [True, False, True]
    assert daily["recorded_hours"].tolist() == [3, 24, 6]
    assert daily["wear_hours"].tolist() == [2, 18.5, 0]
    assert daily["non_wear_hours"].tolist() == [0, 1, 0]
    assert daily["no_data_hours"].tolist() == [1, 4.5, 6]
    assert daily["valid"].tolist() == [False, True, False]
    assert daily["minutes: lying"].tolist() == [120, 420, 0]
    assert daily["minutes: walking"].tolist() == [0, 90, 0]
    assert daily["longest_inactive_min"].tolist() == [120, 900, 0]
    assert daily["enmo_mg"].iloc[0] == 10
    assert daily["enmo_mg"].iloc[1] == pytest.approx((2 * 10 + 11 + 0.5 * 14 + 10 * 15 + 5 * 16) / 18.5)
    assert np.isnan(daily["enmo_mg"].iloc[2])
    days = summary.days
    assert (days.n_days, days.n_valid, days.min_wear_hours) == (3, 1, 17)
    assert days.weekday is None
    assert days.all == days.weekend
    assert days.all.minutes == {"lying": 420, "sitting": 600, "walking": 90}
    assert days.all.wear_hours == 18.5


def test_means_over_weekdays_and_weekends():
    rows = timeline("2026-03-05 00:00", [86_400] * 4, ["lying", "sitting", "walking", "lying"])
    days = summarise(rows, CLASSES).days
    assert [part.n_days for part in (days.all, days.weekday, days.weekend)] == [4, 2, 2]
    assert days.all.minutes == {"lying": 720, "sitting": 360, "walking": 360}
    assert days.weekday.minutes == {"lying": 720, "sitting": 720, "walking": 0}
    assert days.weekend.minutes == {"lying": 720, "sitting": 0, "walking": 720}
    # The two inactive days are one bout, of which each day has its part.
    assert days.weekday.longest_inactive_min == 1440


def test_which_classes_are_inactive():
    def found(classes, named=None):
        return SummaryRules(inactive=named).inactive_of(classes)

    assert found(("walking", "Sit-Stand", "LYING_DOWN", "sleep")) == ("Sit-Stand", "LYING_DOWN", "sleep")
    assert found(("outstanding", "a")) == ()
    assert found(("a", "b", "sitting"), ("b",)) == ("b",)
    with pytest.raises(DataError, match=r"inactive: 'c' is no class of the model \(a, b\)"):
        found(("a", "b"), ("a", "c"))
    rows = timeline("2026-03-05 00:00", [86_400], ["a"])
    days = summarise(rows, ("a", "b"))
    assert days.daily["longest_inactive_min"].isna().all()
    assert days.days.all.longest_inactive_min is None
    assert "none of the classes a, b is known to be inactive" in days.days.inactive_reason
    named = summarise(rows, ("a", "b"), rules=SummaryRules(inactive=("a",)))
    assert named.daily["longest_inactive_min"].tolist() == [1440]
    assert named.days.inactive_reason is None


def test_a_class_that_is_called_non_wear_is_an_activity():
    rows = timeline("2026-03-05 00:00", [3600] * 2, ["non_wear", "lying"])
    rows.loc[0, ["probability", "enmo_mg"]] = [0.8, 5.0]
    daily = summarise(rows, ("lying", "non_wear")).daily
    assert daily[["wear_hours", "non_wear_hours", "minutes: non_wear"]].iloc[0].tolist() == [2, 0, 60]
    assert daily["enmo_mg"].iloc[0] == 8


def test_an_unknown_enmo_and_time_units_of_pandas():
    rows = timeline("2026-03-05 00:00", [3600] * 2, ["lying", "walking"], "Europe/Berlin")
    expected = summarise(rows.drop(columns="enmo_mg"), CLASSES).daily
    assert expected["enmo_mg"].isna().all()
    coarse = rows.drop(columns="enmo_mg").assign(
        **{name: rows[name].dt.as_unit("s") for name in ("start", "end")}
    )
    pd.testing.assert_frame_equal(summarise(coarse, CLASSES).daily, expected)


def test_a_year_is_not_slow_and_a_pause_has_its_days():
    rows = timeline("2026-01-01", [10, 365 * 86_400, 10], ["lying", "gap", "lying"])
    daily = summarise(rows, CLASSES).daily
    assert len(daily) == 366
    assert daily["no_data_hours"].sum() == pytest.approx(365 * 24)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SummaryRules(min_wear_hours=25), "min_wear_hours: needs a number from 0 to 24"),
        (lambda: SummaryRules(min_wear_hours=float("nan")), "min_wear_hours"),
        (lambda: BoutRules(min_share=0), "min_share must be above 0"),
        (lambda: BoutRules(min_minutes=0), "min_minutes must be a number above 0"),
        (lambda: BoutRules(max_break_s=float("inf")), "max_break_s must be a number from 0 on"),
        (lambda: summarise(timeline("2026-01-01", [10], ["running"]), CLASSES), "label 'running' is not one"),
        (lambda: summarise(timeline("2026-01-01", [10], ["gap"]), CLASSES), "has no row"),
    ],
)
def test_what_cannot_be_summarised_is_refused(make, message):
    with pytest.raises(DataError, match=message):
        make()


def test_enmo_is_its_definition():
    rng = np.random.default_rng(0)
    windows = rng.normal(0, 0.7, (7, 1000, 3)).astype(np.float32)
    windows[0] = [0.0, 0.6, -0.8]
    windows[1] *= 0.1
    windows[2] = [0.0, 3.0, 4.0]
    expected = [reference.enmo_mg(window) for window in windows]
    assert enmo_mg(windows) == pytest.approx(expected, abs=2e-3)
    assert expected[1] == enmo_mg(windows)[1] == 0
    assert enmo_mg(windows)[2] == 4000
    assert enmo_mg(windows[:0]).shape == (0,)
