import numpy as np
import pandas as pd
import pytest

from patchtst_har.data.times import TIME_FEATURE_NAMES, check_clock, time_features
from patchtst_har.errors import DataError


def ns(text: str, zone: str | None = None) -> int:
    return int(pd.Timestamp(text, tz=zone).as_unit("ns").value)


def test_names_and_shape() -> None:
    assert TIME_FEATURE_NAMES == ("hour_sin", "hour_cos", "weekday_sin", "weekday_cos", "is_weekend")
    assert time_features(np.empty(0, np.int64)).shape == (0, 5)
    assert time_features([0]).dtype == np.float32


@pytest.mark.parametrize(
    ("text", "hour", "weekday"),
    [
        ("2024-03-04 00:00:00", 0.0, 0),
        ("2024-03-05 06:00:00", 6.0, 1),
        ("2024-03-09 18:30:00", 18.5, 5),
        ("2024-03-10 23:59:59.999999999", 24.0, 6),
        ("1969-12-31 12:00:00", 12.0, 2),
    ],
)
def test_known_moments(text: str, hour: float, weekday: int) -> None:
    expected = [
        np.sin(2 * np.pi * hour / 24),
        np.cos(2 * np.pi * hour / 24),
        np.sin(2 * np.pi * weekday / 7),
        np.cos(2 * np.pi * weekday / 7),
        float(weekday >= 5),
    ]
    np.testing.assert_allclose(time_features([ns(text)])[0], expected, atol=1e-6)


@pytest.mark.parametrize(
    "zone", ["Europe/London", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]
)
@pytest.mark.slow
def test_zones_agree_with_pandas_through_a_year_and_its_clock_changes(zone: str) -> None:
    index = pd.date_range("2024-01-01", "2025-01-01", freq="13min", tz="UTC", unit="ns")
    local = index.tz_convert(zone)
    hour = local.hour + local.minute / 60
    found = time_features(index.astype("int64").to_numpy(), zone)
    np.testing.assert_allclose(found[:, 0], np.sin(2 * np.pi * hour / 24), atol=1e-6)
    np.testing.assert_allclose(found[:, 1], np.cos(2 * np.pi * hour / 24), atol=1e-6)
    np.testing.assert_allclose(found[:, 3], np.cos(2 * np.pi * local.day_of_week / 7), atol=1e-6)
    np.testing.assert_array_equal(found[:, 4], local.day_of_week >= 5)


def test_summer_time_begins_between_two_seconds() -> None:
    winter, summer = ns("2024-03-31 00:59:59", "UTC"), ns("2024-03-31 01:00:00", "UTC")
    angle = 2 * np.pi * np.array([1.0 - 1 / 3600, 2.0]) / 24
    np.testing.assert_allclose(
        time_features([winter, summer], "Europe/London")[:, 0], np.sin(angle), atol=1e-6
    )


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "Europe"])
def test_unknown_zones_are_named(zone: str) -> None:
    with pytest.raises(DataError, match="is not an IANA zone"):
        time_features([0], zone)


@pytest.mark.parametrize("stamps", [np.zeros(3), np.zeros((2, 2), np.int64), np.int64(3)])
def test_other_stamps_are_refused(stamps: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"start_ns: needs shape \(n,\) of int64"):
        time_features(stamps)


def test_a_clock_that_leaves_the_hour_unknown_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        check_clock("utc", None, "P01.csv")
    assert str(caught.value) == (
        "P01.csv: stamps are UTC; name the wearers' zone in data.timezone "
        "(or leave the time of day out with model.n_time_features=0)"
    )
    with pytest.raises(DataError) as caught:
        check_clock("wall", "Europe/London", "P01.csv")
    assert str(caught.value) == (
        "P01.csv: stamps are local wall-clock time already; data.timezone must be empty, "
        "or --utc says that they are UTC"
    )


def test_clocks_that_fit_or_are_not_recorded_pass() -> None:
    check_clock("utc", "Europe/London", "P01.csv")
    check_clock("wall", None, "P01.csv")
    check_clock(None, None, "P01.csv")
    check_clock(None, "Europe/London", "P01.csv")
