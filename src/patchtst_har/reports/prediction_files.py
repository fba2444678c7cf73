"""A labelled recording as files: labels, timeline picture, report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from patchtst_har.reports.plots.timeline import plot_timelines
from patchtst_har.reports.prediction import render_prediction_report
from patchtst_har.support.files import atomic_path, ensure_folder

if TYPE_CHECKING:
    from patchtst_har.inference.label_file import LabelledFile


@dataclass(frozen=True)
class PredictionFiles:
    """What `write_prediction` wrote: the labels (CSV), the timeline (SVG) and the report (HTML)."""

    labels: Path
    timeline: Path
    report: Path


def write_prediction(out_dir: Path, labelled: LabelledFile) -> PredictionFiles:
    """Write a recording as labels (CSV), timeline picture (SVG) and report (HTML), named after it.

    All three are written whole before the first takes its place: a failure leaves none.

    Parameters
    ----------
    out_dir : pathlib.Path
        Created if missing.
    labelled : LabelledFile
        The recording's timeline and the facts around it.

    Raises
    ------
    DataError, OSError
        If the timeline is malformed or a file cannot be written.
    """
    folder, name, timeline = ensure_folder(out_dir), labelled.name, labelled.timeline
    written = PredictionFiles(
        *(folder / f"{name}_{end}" for end in ("labels.csv", "timeline.svg", "report.html"))
    )
    with (
        atomic_path(written.labels) as labels,
        atomic_path(written.timeline) as picture,
        atomic_path(written.report) as report,
    ):
        timeline.to_csv(labels, index=False, float_format="%.6f")
        # The picture has the hours of the zone, and no zone.
        naive = {column: timeline[column].dt.tz_localize(None) for column in ("start", "end")}
        rows = {name: timeline.assign(**naive)}
        svg = plot_timelines(rows, labelled.classes, title=name, extent=labelled.extent)
        picture.write_text(svg, encoding="utf-8")
        render_prediction_report(
            timeline,
            report,
            recording_info=labelled.recording_info,
            model_info=labelled.model_info,
            classes=labelled.classes,
            warnings=labelled.warnings,
            notices=labelled.notices,
        )
    return written
