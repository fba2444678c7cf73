"""One recording summarised: its days, its bouts, means over valid days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from patchtst_har.records.prediction import BoutCount, Days
from patchtst_har.summaries.bouts import LENGTHS_MIN, bout_table
from patchtst_har.summaries.daily import daily_table, day_means
from patchtst_har.summaries.rows import Rows, instant_ns, rows_of
from patchtst_har.summaries.rules import SummaryRules

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class RecordingSummary:
    """What `summarise` found.

    Attributes
    ----------
    rows : Rows
        The timeline in numbers.
    daily : DataFrame
        One row per local calendar day (`patchtst_har.summaries.daily.daily_table`).
    bouts : DataFrame
        One row per bout (`patchtst_har.summaries.bouts.bout_table`).
    days : Days
        Means over valid days.
    rules : SummaryRules
        What was counted how.
    """

    rows: Rows
    daily: pd.DataFrame
    bouts: pd.DataFrame
    days: Days
    rules: SummaryRules

    def rounded_daily(self) -> pd.DataFrame:
        """Return the table of days as it is written: hours to 0.36 s, minutes to 0.06 s, dates as text."""
        numbers = self.daily.select_dtypes(float).columns
        table = self.daily.round({name: 4 if name.endswith("_hours") else 3 for name in numbers})
        return table.assign(date=self.daily["date"].dt.strftime("%Y-%m-%d"))

    def rounded_bouts(self) -> pd.DataFrame:
        """Return the table of bouts as it is written."""
        return self.bouts.round({"minutes": 3, "share": 4, "enmo_mg": 3})

    def bout_counts(self) -> dict[str, dict[str, BoutCount]]:
        """Return, for each class, number and time of bouts of at least 1, 5, 10 and 30 minutes.

        Without lengths below that of a bout.
        """
        lengths = [least for least in LENGTHS_MIN if least >= self.rules.bouts.min_minutes]
        counts = {}
        for name in self.rows.classes:
            minutes = self.bouts.loc[self.bouts["label"] == name, "minutes"].to_numpy(float)
            lasting = {f"{least}_min": minutes[minutes >= least] for least in lengths}
            counts[name] = {
                key: BoutCount(n=len(values), minutes=round(float(np.sum(values)), 3))
                for key, values in lasting.items()
            }
        return counts


def summarise(
    timeline: pd.DataFrame,
    classes: Sequence[str],
    *,
    extent: tuple[pd.Timestamp, pd.Timestamp] | None = None,
    rules: SummaryRules | None = None,
) -> RecordingSummary:
    """Summarise a timeline.

    Parameters
    ----------
    timeline : DataFrame
        ``start``, ``end``, ``label``, ``probability`` in order of time, as `Recognizer.predict_recording`
        returns it, with ``enmo_mg`` if it is known. Days end at midnight of the zone of its times.
    classes : sequence of str
        The model's, in its order.
    extent : pair of Timestamp, optional
        First and last moment of the recording, with a zone if the timeline has one; default, and at least,
        those of the rows.
    rules : SummaryRules, optional
        What is counted how.

    Returns
    -------
    RecordingSummary
        Days, bouts and means over valid days.

    Raises
    ------
    DataError
        If the timeline has no row or a label that is none of the classes, or the rules name such a class.
    """
    rules = rules or SummaryRules()
    rows = rows_of(timeline, classes)
    edges_ns = [int(rows.start_ns[0]), int(rows.end_ns[-1]), *map(instant_ns, extent or ())]
    daily = daily_table(rows, (min(edges_ns), max(edges_ns)), rules)
    return RecordingSummary(
        rows=rows,
        daily=daily,
        bouts=bout_table(rows, rules.bouts),
        days=day_means(daily, rules, classes),
        rules=rules,
    )
