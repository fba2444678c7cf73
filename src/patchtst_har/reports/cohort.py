"""The page of many labelled recordings: how many, who failed, how they differ, a row for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from patchtst_har.records.cohort import CohortSettings, Failure
from patchtst_har.reports.plots.cohort import plot_histogram, plot_shares
from patchtst_har.reports.rendering import facts, pictures, render
from patchtst_har.support.files import atomic_write_text

MOST_ROWS = 1000
"""Rows of the table in the page; the file has all."""
MOST_FAILURES = 100

_FEW = 5
_STRANGE = 0.2


def render_cohort(
    table: pd.DataFrame,
    failures: Sequence[Failure],
    out: Path,
    *,
    settings: CohortSettings,
    classes: Sequence[str],
    links: Sequence[str] = (),
) -> Path:
    """Write the page of many recordings: one HTML file that needs nothing else.

    Parameters
    ----------
    table : DataFrame
        One row per labelled recording (`patchtst_har.cohort.tables.summary_row`).
    failures : sequence of Failure
        Recordings without labels.
    out : pathlib.Path
        The HTML file to write; its folder must exist.
    settings : CohortSettings
        Model and options.
    classes : sequence of str
        The model's classes, in the order of their colours.
    links : sequence of str
        Files next to the page, of which the first has a row for each recording and the second the failures.

    Returns
    -------
    pathlib.Path
        `out`.
    """
    shown = table.head(MOST_ROWS)
    html = render(
        "cohort.html.j2",
        title=f"{len(table):,} recordings" if len(table) != 1 else "1 recording",
        n_labelled=len(table),
        n_failed=len(failures),
        totals=_totals(table, classes),
        figures=pictures(_figures(table, classes)),
        kinds=Counter(failure.error for failure in failures).most_common(),
        failures=failures[:MOST_FAILURES],
        doubtful=_doubtful(table),
        classes=classes,
        rows=[_row(row, classes) for row in shown.to_dict("records")],
        links=list(links),
        few=_FEW,
        settings=list(facts(_in_words(settings))),
    )
    atomic_write_text(out, html)
    return out


def _totals(table: pd.DataFrame, classes: Sequence[str]) -> dict[str, Any]:
    """Return sums over recordings: hours, and the minutes of each class."""
    if table.empty:
        return {"worn_h": 0.0, "unworn_h": 0.0, "hours": 0.0, "unfamiliar": None, "classes": []}
    worn, unworn = float(table["wear_minutes"].sum()), float(table["non_wear_minutes"].sum())
    known = table[table["n_unfamiliar"].notna() & (table["n_windows"] > 0)]
    return {
        "worn_h": worn / 60,
        "unworn_h": unworn / 60,
        "hours": float(table["hours"].sum()),
        "wear_share": _wear_share(table[table["wear_share"].notna()]),
        "unfamiliar": float(known["n_unfamiliar"].sum() / known["n_windows"].sum()) if len(known) else None,
        "n_warned": int((table["n_warnings"] > 0).sum()),
        "classes": [(label, *_spread_of(table, label)) for label in classes],
    }


def _wear_share(table: pd.DataFrame) -> float | None:
    """Return the worn share of the time with data, of recordings in which non-wear was looked for."""
    worn, unworn = float(table["wear_minutes"].sum()), float(table["non_wear_minutes"].sum())
    return worn / (worn + unworn) if worn + unworn else None


def _spread_of(table: pd.DataFrame, label: str) -> tuple[float, float | None, float, float, float]:
    """Return hours and share in all time worn, and the quartiles of minutes per recording."""
    minutes = table[f"minutes_{label}"].to_numpy(dtype=float)
    worn = float(table["wear_minutes"].sum())
    first, middle, third = np.percentile(minutes, (25, 50, 75))
    return minutes.sum() / 60, minutes.sum() / worn if worn else None, first, middle, third


def _figures(table: pd.DataFrame, classes: Sequence[str]) -> dict[str, str]:
    if len(table) < _FEW:
        return {}
    worn = table[table["wear_minutes"] > 0]
    drawn = {
        "wear": plot_histogram(
            100 * table["wear_share"].dropna().to_numpy(dtype=float),
            "% of the recording worn",
            limits=(0, 100),
            name="wear",
        ),
        "hours": plot_histogram(
            table["wear_minutes"].to_numpy(dtype=float) / 60,
            "Hours worn and labelled",
            limits=(0, max(float(table["wear_minutes"].max()) / 60, 1e-3)),
            name="hours",
        ),
    }
    if len(worn):
        total = worn["wear_minutes"].to_numpy(dtype=float)
        shares = {label: worn[f"minutes_{label}"].to_numpy(dtype=float) / total for label in classes}
        drawn["shares"] = plot_shares(shares)
    return drawn


def _doubtful(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Return recordings to look at first, and why: the twenty with the most unfamiliar windows."""
    if table.empty:
        return []
    named = table[["recording"]].assign(share=table["unfamiliar_share"].astype(float))
    worst = named[named["share"] > _STRANGE].nlargest(20, "share")
    return [
        (
            row["recording"],
            f"{100 * row['share']:.0f} % of its windows are unlike what the model was trained on",
        )
        for row in worst.to_dict("records")
    ]


def _row(row: Mapping[Any, Any], classes: Sequence[str]) -> tuple[str, list[str]]:
    return row["recording"], [
        str(row["start"])[:16],
        _text(row["hours"], 1),
        _text(row["wear_minutes"] / 60, 1),
        *(_text(row[f"minutes_{label}"], 0) for label in classes),
        _text(row["unfamiliar_share"], 0, 100),
        _text(row["rest_magnitude_g"], 3),
        str(row["n_warnings"]),
    ]


def _text(value: Any, decimals: int, scale: float = 1) -> str:
    return "\u2013" if pd.isna(value) else f"{scale * float(value):,.{decimals}f}"


def _in_words(settings: CohortSettings) -> dict[str, Any]:
    options = {name: value for name, value in settings.options.items() if value not in (None, {}, False)}
    return {"model": settings.model, "options": options or "as usual", "version": settings.version}
