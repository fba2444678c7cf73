"""A labelled recording as files: labels, windows, days, bouts, summary, timeline picture, report."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from patchtst_har.errors import MissingDependencyError
from patchtst_har.records.prediction import Origin, PredictionSummary
from patchtst_har.summaries import RecordingSummary, SummaryRules, summarise
from patchtst_har.summaries.rows import is_unworn
from patchtst_har.support.files import atomic_path, atomic_write_json, ensure_folder

if TYPE_CHECKING:
    import pandas as pd

    from patchtst_har.inference.label_file import LabelledFile


TableFormat = Literal["csv", "parquet"]

_SUMMARY = "summary.json"


@dataclass(frozen=True)
class PredictionFiles:
    """What `write_prediction` wrote; None for what was not asked for."""

    labels: Path
    windows: Path | None
    daily: Path
    bouts: Path
    summary: Path
    timeline: Path | None = None
    report: Path | None = None


def prediction_files(
    folder: Path, name: str, *, report: bool = True, windows: bool = True, table: TableFormat = "csv"
) -> PredictionFiles:
    """Return which files `write_prediction` writes for a recording of this name."""
    return PredictionFiles(
        labels=folder / f"{name}_labels.{table}",
        windows=folder / f"{name}_windows.{table}" if windows else None,
        daily=folder / f"{name}_daily.csv",
        bouts=folder / f"{name}_bouts.csv",
        summary=folder / f"{name}_{_SUMMARY}",
        timeline=folder / f"{name}_timeline.svg" if report else None,
        report=folder / f"{name}_report.html" if report else None,
    )


def write_prediction(
    out_dir: Path,
    labelled: LabelledFile,
    *,
    report: bool = True,
    windows: bool = True,
    table: TableFormat = "csv",
    rules: SummaryRules | None = None,
    origin: Origin | None = None,
) -> PredictionFiles:
    """Write labels and windows (tables), days and bouts (CSV), summary (JSON), picture (SVG), report (HTML).

    All are named after the recording and written whole before the first takes its place: a failure leaves
    none. The summary takes its place last: where it is, the others are those that it describes.
    Every recording has its days and bouts, however short it is.

    Parameters
    ----------
    out_dir : pathlib.Path
        Created if missing.
    labelled : LabelledFile
        The recording's timeline and the facts around it.
    report : bool
        Whether to draw the picture and write the report.
    windows : bool
        Whether to write the table of windows.
    table : {"csv", "parquet"}
        The format of labels and windows.
    rules : SummaryRules, optional
        How days and bouts are counted.
    origin : Origin, optional
        What the summary says of where it came from.

    Raises
    ------
    DataError, OSError
        If the timeline is malformed, the rules name a class that the model does not have, or a file cannot be
        written.
    MissingDependencyError
        For Parquet without pyarrow.
    """
    if table == "parquet":
        check_pyarrow()
    figures = summarise(
        labelled.timeline.assign(enmo_mg=labelled.windows["enmo_mg"]),
        labelled.classes,
        extent=labelled.extent,
        rules=rules,
    )
    files = prediction_files(
        ensure_folder(out_dir), labelled.name, report=report, windows=windows, table=table
    )
    with ExitStack() as opened:
        # Files take their places in the reverse order.
        summary = opened.enter_context(atomic_path(files.summary))
        temporary = {
            kind: opened.enter_context(atomic_path(path))
            for kind, path in vars(files).items()
            if path is not None and kind != "summary"
        }
        _write_table(labelled.timeline, temporary["labels"], table)
        if windows:
            _write_table(labelled.windows, temporary["windows"], table)
        figures.rounded_daily().to_csv(temporary["daily"], index=False)
        figures.rounded_bouts().to_csv(temporary["bouts"], index=False)
        document = _summary(labelled, figures, origin)
        atomic_write_json(summary, document.to_json())
        if report:
            _write_page(labelled, figures.rules, temporary["timeline"], temporary["report"])
        # One of an earlier call describes other files than those that now take their places.
        files.summary.unlink(missing_ok=True)
    return files


def check_pyarrow() -> None:
    """Raise a `MissingDependencyError` if Parquet tables cannot be written."""
    if find_spec("pyarrow") is None:
        raise MissingDependencyError("writing Parquet needs pyarrow: pip install 'patchtst-har[parquet]'")


def _write_table(rows: pd.DataFrame, path: Path, table: TableFormat) -> None:
    if table == "csv":
        rows.to_csv(path, index=False, float_format="%.6f")
    else:
        rows.to_parquet(path, index=False)


def _summary(labelled: LabelledFile, summary: RecordingSummary, origin: Origin | None) -> PredictionSummary:
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
        origin=origin,
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
