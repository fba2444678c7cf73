"""What the page of a recording shows of its days, and of the time in which it was not worn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from patchtst_har.data.non_wear import NON_WEAR
from patchtst_har.records.prediction import DayMeans, Days
from patchtst_har.reports.plots.prediction import LEFT_OUT, shown_days, unit_of_days
from patchtst_har.reports.plots.timeline import NO_DATA
from patchtst_har.summaries import RecordingSummary
from patchtst_har.summaries.daily import MINUTES
from patchtst_har.summaries.rows import spans_of, times_of
from patchtst_har.support.formatting import NONE

_MOST_SPANS = 20
_NS_PER_S = 10**9
TableRow = tuple[str, list[str], str]
"""Title, cells, and the class of the row in the style sheet."""


def minutes_of_days(summary: RecordingSummary) -> pd.DataFrame:
    """Return the minutes of each state on each day: classes, `NON_WEAR` if it occurs, time without data."""
    daily = summary.daily.set_index("date")
    table = daily.filter(regex=f"^{MINUTES}").rename(columns=lambda name: name.removeprefix(MINUTES))
    if daily["non_wear_hours"].any():
        table.insert(len(table.columns), NON_WEAR, daily["non_wear_hours"] * 60, allow_duplicates=True)
    table.insert(len(table.columns), NO_DATA, daily["no_data_hours"] * 60, allow_duplicates=True)
    return table


def table_of_days(minutes: pd.DataFrame, n_classes: int) -> dict[str, Any]:
    """Return caption, head and rows of the time of each state on each day; the longer side goes downwards.

    Activities are added up, time without wear and without data is not among them.
    """
    scale, unit, decimals = unit_of_days(minutes)
    shown = shown_days(minutes, n_classes)
    values = minutes[shown].to_numpy() / scale
    if len(minutes) > 1:
        values = np.vstack([values, minutes.to_numpy().sum(axis=0) / scale])
    values = np.insert(values, n_classes, values[:, :n_classes].sum(axis=1), axis=1)
    states = [*map(str, minutes.columns)]
    states.insert(n_classes, "all activities")
    days = [f"{day:%a %d %b %Y}" for day in minutes.index[shown]]
    if len(minutes) > 1:
        days.append("All days")
    across = len(days) > len(states)
    titles, heads = (days, states) if across else (states, days)
    total = len(days) - 1 if across and len(minutes) > 1 else n_classes if not across else -1
    cells = values if across else values.T
    rows = [
        (title, [f"{value:,.{decimals}f}" for value in row], "total" if number == total else "")
        for number, (title, row) in enumerate(zip(titles, cells, strict=True))
    ]
    caption = f"In {unit.lower()}." + f" {LEFT_OUT}." * (not shown.all())
    return {"caption": caption, "head": ["Day" if across else "Activity", *heads], "rows": rows}


def table_of_means(days: Days, classes: Sequence[str]) -> dict[str, Any] | None:
    """Return head and rows of the means over valid days; None with fewer than two of them."""
    if days.all is None or days.n_valid < 2:
        return None
    groups: list[tuple[str, DayMeans]] = [
        (title, means)
        for title, means in (
            ("All valid days", days.all), ("Monday to Friday", days.weekday), ("Weekends", days.weekend)
        )
        if means is not None
    ]  # fmt: skip

    def row(title: str, values: Sequence[float | None], decimals: int) -> TableRow:
        return title, [NONE if value is None else f"{value:,.{decimals}f}" for value in values], ""

    means = [means for _, means in groups]
    rows = [
        row("Days", [one.n_days for one in means], 0),
        *(row(f"{name} (h)", [one.minutes[name] / 60 for one in means], 2) for name in classes),
        row("Worn (h)", [one.wear_hours for one in means], 2),
        *(
            [row(f"{NON_WEAR} (h)", [one.non_wear_hours for one in means], 2)]
            if any(one.non_wear_hours for one in means)
            else []
        ),
    ]
    if days.all.enmo_mg is not None:
        rows.append(row("ENMO (mg)", [one.enmo_mg for one in means], 1))
    if days.inactive_reason is None:
        title = f"Longest inactive bout ({', '.join(days.inactive_classes)}; min)"
        rows.append(row(title, [one.longest_inactive_min for one in means], 0))
    return {"head": ["Mean per day", *(title for title, _ in groups)], "rows": rows}


def unworn_spans(summary: RecordingSummary) -> tuple[list[str], int]:
    """Return in words when the sensor was not worn, and how many further spans there are."""
    spans_ns = spans_of(summary.rows, len(summary.rows.classes))
    begins, ends = (times_of(edge, summary.rows.zone) for edge in spans_ns[:_MOST_SPANS].T)
    texts = []
    for begin, end, (first_ns, last_ns) in zip(begins, ends, spans_ns, strict=False):
        until = f"{end:%H:%M}" if end.date() == begin.date() else f"{end:%a %d %b %H:%M}"
        texts.append(f"{begin:%a %d %b %H:%M} to {until} ({span_text((last_ns - first_ns) / _NS_PER_S)})")
    return texts, len(spans_ns) - len(texts)


def span_text(seconds: float) -> str:
    """Return a duration in hours and minutes, or minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
