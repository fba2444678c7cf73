"""A labelled recording as files: labels, timeline picture, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from patchtst_har.reports.plots.timeline import Extent, plot_timelines
from patchtst_har.reports.prediction import render_prediction_report
from patchtst_har.support.files import atomic_path, ensure_folder


@dataclass(frozen=True)
class PredictionFiles:
    """What `write_prediction` wrote: the labels (CSV), the timeline (SVG) and the report (HTML)."""

    labels: Path
    timeline: Path
    report: Path


def write_prediction(
    out_dir: Path,
    *,
    name: str,
    timeline: pd.DataFrame,
    extent: Extent,
    classes: Sequence[str],
    recording_info: Mapping[str, Any],
    model_info: Mapping[str, Any],
    warnings: Sequence[str] = (),
    notices: Sequence[str] = (),
) -> PredictionFiles:
    """Write a recording as labels (CSV), timeline picture (SVG) and report (HTML), named after it.

    All three are written whole before the first takes its place: a failure leaves none.

    Parameters
    ----------
    out_dir : pathlib.Path
        Created if missing.
    name, timeline, extent, classes, recording_info, model_info, warnings, notices
        The fields of `inference.label_file.LabelledFile`.

    Raises
    ------
    DataError, OSError
        If the timeline is malformed or a file cannot be written.
    """
    folder = ensure_folder(out_dir)
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
        svg = plot_timelines({name: timeline.assign(**naive)}, classes, title=name, extent=extent)
        picture.write_text(svg, encoding="utf-8")
        render_prediction_report(
            timeline,
            report,
            recording_info=recording_info,
            model_info=model_info,
            classes=classes,
            warnings=warnings,
            notices=notices,
        )
    return written
