"""A labelled recording as files: labels, windows, days, bouts, summary, timeline picture, report."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from patchtst_har.records.prediction import PredictionSummary
from patchtst_har.summaries import RecordingSummary, SummaryRules, summarise
from patchtst_har.summaries.rows import is_unworn
from patchtst_har.support.files import atomic_path, atomic_write_json, ensure_folder

if TYPE_CHECKING:
    from patchtst_har.inference.label_file import LabelledFile


@dataclass(frozen=True)
class PredictionFiles:
    """What `write_prediction` wrote; without a report there are no timeline (SVG) and no report (HTML)."""

    labels: Path
    windows: Path
    daily: Path
    bouts: Path
    summary: Path
    timeline: Path | None = None
    report: Path | None = None


def write_prediction(
    out_dir: Path, labelled: LabelledFile, *, report: bool = True, rules: SummaryRules | None = None
) -> PredictionFiles:
    """Write labels, windows, days and bouts (CSV), summary (JSON), picture (SVG) and report (HTML).

    All are named after the recording and written whole before the first takes its place: a failure leaves
    none. Every recording has its days and bouts, however short it is.

    Parameters
    ----------
    out_dir : pathlib.Path
        Created if missing.
    labelled : LabelledFile
        The recording's timeline and the facts around it.
    report : bool
        Whether to draw the picture and write the report.
    rules : SummaryRules, optional
        How days and bouts are counted.

    Raises
    ------
    DataError, OSError
        If the timeline is malformed, the rules name a class that the model does not have, or a file cannot be
        written.
    """
    summary = summarise(
        labelled.timeline.assign(enmo_mg=labelled.windows["enmo_mg"]),
        labelled.classes,
        extent=labelled.extent,
        rules=rules,
    )
    folder, name = ensure_folder(out_dir), labelled.name
    ends = [f"{table}.csv" for table in ("labels", "windows", "daily", "bouts")]
    ends += ["summary.json", *(("timeline.svg", "report.html") if report else ())]
    written = PredictionFiles(*(folder / f"{name}_{end}" for end in ends))
    with ExitStack() as opened:
        labels, windows, daily, bouts, document, *page = [
            opened.enter_context(atomic_path(folder / f"{name}_{end}")) for end in ends
        ]
        labelled.timeline.to_csv(labels, index=False, float_format="%.6f")
        labelled.windows.to_csv(windows, index=False, float_format="%.6f")
        summary.rounded_daily().to_csv(daily, index=False)
        summary.rounded_bouts().to_csv(bouts, index=False)
        atomic_write_json(document, _summary(labelled, summary).to_json())
        if report:
            _write_page(labelled, summary.rules, *page)
    return written


def _summary(labelled: LabelledFile, summary: RecordingSummary) -> PredictionSummary:
    timeline = labelled.timeline
    unfamiliar = labelled.counts.get("n_unfamiliar")
    lasted_min = (timeline["end"] - timeline["start"]).dt.total_seconds() / 60
    unworn = is_unworn(timeline)
    minutes = lasted_min[~unworn].groupby(timeline["label"]).sum()
    return PredictionSummary(
        recording=labelled.recording_info,
        model=labelled.model_info,
        minutes={name: round(float(minutes.get(name, 0.0)), 3) for name in labelled.classes},
        non_wear_minutes=round(float(lasted_min[unworn].sum()), 3),
        n_windows=int(labelled.counts["n_windows"]),
        n_unfamiliar=None if unfamiliar is None else int(unfamiliar),
        warnings=tuple(labelled.warnings),
        notices=tuple(labelled.notices),
        days=summary.days,
        bouts=summary.bout_counts(),
        signal=labelled.signal,
    )


def _write_page(labelled: LabelledFile, rules: SummaryRules, picture: Path, page: Path) -> None:
    from patchtst_har.reports.plots.timeline import plot_timelines
    from patchtst_har.reports.prediction import render_prediction_report, states_of

    # The rows of both are the windows.
    known = labelled.windows.columns.intersection(["unfamiliar", "enmo_mg"])
    timeline = labelled.timeline.assign(**labelled.windows[known])
    # The picture has the hours of the zone, and no zone.
    naive = {column: timeline[column].dt.tz_localize(None) for column in ("start", "end")}
    rows = {labelled.name: timeline.assign(**naive)}
    extent = (labelled.extent[0].tz_localize(None), labelled.extent[1].tz_localize(None))
    states = states_of(timeline, labelled.classes)
    svg = plot_timelines(rows, states, title=labelled.name, extent=extent)
    picture.write_text(svg, encoding="utf-8")
    render_prediction_report(
        timeline,
        page,
        recording_info=labelled.recording_info,
        model_info=labelled.model_info,
        classes=labelled.classes,
        warnings=labelled.warnings,
        notices=labelled.notices,
        signal=labelled.signal,
        rules=rules,
    )
