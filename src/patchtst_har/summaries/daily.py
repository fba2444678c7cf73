"""The days of a recording, and means over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from patchtst_har.records.prediction import DayMeans, Days
from patchtst_har.summaries.bouts import bouts_of
from patchtst_har.summaries.rows import Rows, local_edges, pieces, time_in_cells
from patchtst_har.summaries.rules import SummaryRules

if TYPE_CHECKING:
    import pandas as pd

MINUTES = "minutes: "
"""Before the name of a class: the column of its minutes."""
_NS_PER_MIN, _NS_PER_HOUR = 60 * 10**9, 3600 * 10**9
_HOURS = ("recorded_hours", "wear_hours", "non_wear_hours", "no_data_hours")


def daily_table(rows: Rows, extent_ns: tuple[int, int], rules: SummaryRules) -> pd.DataFrame:
    """Return one row for each local calendar day from the first moment of a recording to its last.

    Parameters
    ----------
    rows : Rows
        The timeline.
    extent_ns : pair of int
        First and last moment of the recording; it is never shorter than its rows.
    rules : SummaryRules
        Valid days and inactive classes.

    Returns
    -------
    DataFrame
        ``date`` (naive midnight), ``weekday``, ``partial`` and the columns of ``NAME_daily.csv``
        (`patchtst_har.summaries.dictionary`), not rounded.
    """
    import pandas as pd

    first_ns, last_ns = extent_ns
    days, edges_ns = local_edges(first_ns, last_ns, rows.zone, "D")
    real = np.diff(edges_ns) > 0  # A zone may skip a whole day.
    days, edges_ns = days[real], np.append(edges_ns[:-1][real], edges_ns[-1])
    time_ns, enmo_mg = time_in_cells(rows, edges_ns)
    recorded_ns = np.minimum(edges_ns[1:], last_ns) - np.maximum(edges_ns[:-1], first_ns)
    wear_ns, non_wear_ns = time_ns[:, :-1].sum(axis=1), time_ns[:, -1]
    hours = (recorded_ns, wear_ns, non_wear_ns, recorded_ns - wear_ns - non_wear_ns)
    table = {
        "date": days,
        "weekday": days.day_name(),
        "partial": recorded_ns < np.diff(edges_ns),
        **{name: values / _NS_PER_HOUR for name, values in zip(_HOURS, hours, strict=True)},
        "valid": wear_ns >= max(1, rules.min_wear_hours * _NS_PER_HOUR),
        "enmo_mg": enmo_mg,
        "longest_inactive_min": _longest_inactive(rows, edges_ns, rules),
        **{f"{MINUTES}{name}": time_ns[:, k] / _NS_PER_MIN for k, name in enumerate(rows.classes)},
    }
    return pd.DataFrame(table)


def _longest_inactive(rows: Rows, edges_ns: NDArray[np.int64], rules: SummaryRules) -> NDArray[np.float64]:
    """Return the minutes of the longest inactive bout within each day; NaN if no class is known to be."""
    longest_ns = np.zeros(len(edges_ns) - 1, np.int64)
    inactive = rules.inactive_of(rows.classes)
    if not inactive:
        return np.full(len(longest_ns), np.nan)
    states = np.array([*(name in inactive for name in rows.classes), False])
    first, stop, _, _ = bouts_of(rows, states, rules.bouts).T
    _, day, lasted_ns = pieces(rows.start_ns[first], rows.end_ns[stop - 1], edges_ns)
    np.maximum.at(longest_ns, day, lasted_ns)
    return longest_ns / _NS_PER_MIN


def day_means(table: pd.DataFrame, rules: SummaryRules, classes: Sequence[str]) -> Days:
    """Return means over the valid days of `daily_table`: all, those from Monday to Friday, and weekends.

    Each day counts once, however long it was worn.
    """
    inactive = rules.inactive_of(classes)
    valid = table[table["valid"]]
    weekend = valid["date"].dt.day_of_week >= 5
    return Days(
        n_days=len(table),
        n_valid=len(valid),
        min_wear_hours=rules.min_wear_hours,
        inactive_classes=inactive,
        inactive_reason=None if inactive else _no_inactive(classes),
        all=_means(valid, classes),
        weekday=_means(valid[~weekend], classes),
        weekend=_means(valid[weekend], classes),
    )


def _no_inactive(classes: Sequence[str]) -> str:
    return f"none of the classes {', '.join(classes)} is known to be inactive: name them (--inactive)"


def _means(days: pd.DataFrame, classes: Sequence[str]) -> DayMeans | None:
    if not len(days):
        return None
    mean = days.drop(columns=["date", "weekday"]).mean()

    def known(name: str, digits: int) -> float | None:
        value = float(mean[name])
        return None if np.isnan(value) else round(value, digits)

    return DayMeans(
        n_days=len(days),
        wear_hours=round(float(mean["wear_hours"]), 4),
        non_wear_hours=round(float(mean["non_wear_hours"]), 4),
        no_data_hours=round(float(mean["no_data_hours"]), 4),
        enmo_mg=known("enmo_mg", 3),
        longest_inactive_min=known("longest_inactive_min", 3),
        minutes={name: round(float(mean[f"{MINUTES}{name}"]), 3) for name in classes},
    )
