"""Hour of the day and day of the week as model inputs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike, NDArray

from patchtst_har.errors import DataError

Clock = Literal["utc", "wall"]
"""What stamps count from: 1970 in UTC, or 1970 on the wearer's own clock."""

TIME_FEATURE_NAMES = ("hour_sin", "hour_cos", "weekday_sin", "weekday_cos", "is_weekend")

_DAY_NS = 86_400 * 10**9
# Every zone's offset changes at a whole quarter of an hour of UTC.
_QUARTER_NS = 900 * 10**9
# 1970-01-01 was a Thursday; Monday counts as 0.
_FIRST_WEEKDAY = 3


def time_features(start_ns: ArrayLike, timezone: str | None = None) -> NDArray[np.float32]:
    """Return the cyclic time of each window.

    Parameters
    ----------
    start_ns : (n,) int64
        Stamps, ns since 1970.
    timezone : str, optional
        IANA zone in which hour and weekday are read, the stamps being UTC. None: the stamps are a wall clock
        already.

    Returns
    -------
    (n, 5) float32
        `TIME_FEATURE_NAMES`: sine and cosine of the hour (with its fraction) over 24 hours and of the weekday
        (whole days, Monday 0) over 7 days; 1 on Saturday and Sunday, else 0.

    Raises
    ------
    DataError
        If the stamps are not a vector of integers, or the zone is unknown.
    """
    stamps = np.asarray(start_ns)
    if stamps.ndim != 1 or (stamps.dtype.kind not in "iu" and stamps.size):
        raise DataError(f"start_ns: needs shape (n,) of int64, has {stamps.shape} of {stamps.dtype}")
    local_ns = stamps.astype(np.int64)
    if timezone is not None:
        local_ns = local_ns + _utc_offsets_ns(local_ns, timezone)
    day, within_ns = np.divmod(local_ns, _DAY_NS)
    weekday = (day + _FIRST_WEEKDAY) % 7
    hour_angle = within_ns * (2 * np.pi / _DAY_NS)
    week_angle = weekday * (2 * np.pi / 7)
    columns = (np.sin(hour_angle), np.cos(hour_angle), np.sin(week_angle), np.cos(week_angle), weekday >= 5)
    return np.stack(columns, axis=1).astype(np.float32)


def iana_zone(name: str) -> ZoneInfo:
    """Return a zone by its IANA name, such as ``Europe/Berlin``.

    Raises
    ------
    DataError
        If there is none of this name.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise DataError(f"timezone {name!r} is not an IANA zone") from error


def check_clock(clock: Clock | None, timezone: str | None, source: str) -> None:
    """Refuse stamps whose hour of the day cannot be known from their clock and the configured zone.

    Parameters
    ----------
    clock : {"utc", "wall"}, optional
        What the stamps count from; None, if that is not recorded, passes.
    timezone : str, optional
        `data.timezone` of the configuration.
    source : str
        The data, for messages.

    Raises
    ------
    DataError
        If the stamps are UTC and no zone is named, or they are a wall clock and one is.
    """
    if clock == "utc" and timezone is None:
        raise DataError(
            f"{source}: stamps are UTC; name the wearers' zone in data.timezone "
            "(or leave the time of day out with model.n_time_features=0)"
        )
    if clock == "wall" and timezone is not None:
        raise DataError(
            f"{source}: stamps are local wall-clock time already; data.timezone must be empty, "
            "or --utc says that they are UTC"
        )


def _utc_offsets_ns(utc_ns: NDArray[np.int64], timezone: str) -> NDArray[np.int64]:
    """Return the zone's offset from UTC at each stamp; it is looked up once a quarter of an hour."""
    zone = iana_zone(timezone)
    quarters, position = np.unique(utc_ns // _QUARTER_NS, return_inverse=True)
    offsets = np.empty(len(quarters), np.int64)
    for index, quarter in enumerate(quarters.tolist()):
        offset = datetime.fromtimestamp(quarter * 900, UTC).astimezone(zone).utcoffset()
        offsets[index] = 0 if offset is None else round(offset.total_seconds() * 1e9)
    return offsets[position]
