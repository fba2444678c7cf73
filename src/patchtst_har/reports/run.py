"""The report of a run: one HTML file that needs nothing else, and its plots as SVG files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from patchtst_har.config import ExperimentConfig
from patchtst_har.errors import DataError
from patchtst_har.evaluation.bootstrap import MIN_PARTICIPANTS_FOR_EFFECT
from patchtst_har.records import reading
from patchtst_har.records import run as records
from patchtst_har.records.measurement import Latency
from patchtst_har.reports import plots
from patchtst_har.reports.rendering import facts, flatten, pictures, render
from patchtst_har.smoothing.decide import hop_s
from patchtst_har.support.files import atomic_write_text, ensure_folder

REPORT_FILE = "report.html"
# Drawn by earlier versions; plots of the same content have other names now.
_EARLIER_PLOTS = ("persons.svg", "person.svg")
_PREDICTION_COLUMNS = ("participant", "start", "label", "raw", "smoothed", "probability")
_TIMELINE_COLUMNS = ("start", "end", "label", "probability")


@dataclass(frozen=True)
class RunFolder:
    """The files of a run folder, read and checked; None for each that is not there.

    Attributes
    ----------
    config : ExperimentConfig
        ``config.yaml``, the only file that must be there.
    latency : Latency or None
        None also where an earlier version measured it, which then sets `earlier_latency`.
    """

    config: ExperimentConfig
    environment: dict[str, Any] | None
    params: dict[str, Any] | None
    summary: dict[str, Any] | None
    history: dict[str, dict[str, list[tuple[int, float]]]] | None
    evaluation: records.Evaluation | None
    predictions: pd.DataFrame | None
    cross_validation: records.CrossValidation | None
    baselines: records.Baselines | None
    ablation: records.Ablation | None
    complexity: records.Complexity | None
    latency: Latency | None
    earlier_latency: bool
    topology: records.TopologyExample | None
    timeline: pd.DataFrame | None

    @classmethod
    def read(cls, run_dir: Path) -> RunFolder:
        """Read a run folder.

        Raises
        ------
        DataError, ConfigError
            If the folder has no ``config.yaml``, or a file is damaged; the message names file and field.
        """
        if not (run_dir / "config.yaml").is_file():
            raise DataError(f"{run_dir}: is not a run folder (it has no config.yaml)")
        earlier_latency = _is_earlier_latency(run_dir / "latency.json")
        return cls(
            config=ExperimentConfig.load(run_dir / "config.yaml"),
            environment=reading.read_mapping(run_dir / "environment.json"),
            params=reading.read_mapping(run_dir / "params.json"),
            summary=reading.read_mapping(run_dir / "experiment_summary.yaml"),
            history=reading.read_history(run_dir / "metrics.jsonl"),
            evaluation=reading.read_record(run_dir / "evaluation.json", records.Evaluation),
            predictions=reading.read_table(run_dir / "predictions.csv", _PREDICTION_COLUMNS, ["start"]),
            cross_validation=reading.read_record(run_dir / "cross_validation.json", records.CrossValidation),
            baselines=reading.read_record(run_dir / "baselines.json", records.Baselines),
            ablation=reading.read_record(run_dir / "ablation.json", records.Ablation),
            complexity=reading.read_record(run_dir / "complexity.json", records.Complexity),
            latency=None if earlier_latency else reading.read_record(run_dir / "latency.json", Latency),
            earlier_latency=earlier_latency,
            topology=reading.read_record(run_dir / "topology.json", records.TopologyExample),
            timeline=reading.read_table(run_dir / "timeline.csv", _TIMELINE_COLUMNS, ["start", "end"]),
        )


def _is_earlier_latency(path: Path) -> bool:
    """Whether a `latency.json` times stages window by window, without a stream, as earlier versions did."""
    document = reading.read_mapping(path) or {}
    return "end_to_end" in document and "closed_loop" not in document


def render_report(run_dir: str | Path) -> Path:
    """Write `report.html` and `plots/*.svg` into a run folder.

    Parameters
    ----------
    run_dir : path-like
        A run folder. Parts whose files are missing say so in the report; no number is made up.

    Returns
    -------
    pathlib.Path
        The report.

    Raises
    ------
    DataError, ConfigError
        If this is not a run folder or a file in it is damaged; nothing is written then.
    """
    folder = Path(run_dir)
    run = RunFolder.read(folder)
    participant = _typical_participant(run.evaluation) if run.evaluation else None
    figures = _figures(run, participant)
    html = render(
        "report.html.j2",
        run=run,
        figures=pictures(figures),
        participant=participant,
        headline=_headline(run.evaluation) if run.evaluation else None,
        lowered=_lowered(run),
        hop_s=hop_s(run.config),
        environment=list(facts(run.environment or {})),
        host=list(facts(run.latency.host)) if run.latency else [],
        levels=("p50", "p90", "p95", "p99", "p99_9", "max"),
        stage_times=run.latency.closed_loop.parts() if run.latency else {},
        listings=[
            ("All settings", list(flatten(run.config.model_dump(mode="json")))),
            ("Logged parameters", list(flatten(run.params or {}))),
            ("Summary at the end of the run", list(facts(_final_metrics(run.summary)))),
        ],
    )
    plots_dir = ensure_folder(folder / "plots")
    for name, svg in figures.items():
        atomic_write_text(plots_dir / f"{name}.svg", svg + "\n")
    for name in _EARLIER_PLOTS:
        (plots_dir / name).unlink(missing_ok=True)
    atomic_write_text(folder / REPORT_FILE, html)
    return folder / REPORT_FILE


def _figures(run: RunFolder, participant: str | None) -> dict[str, str]:
    """Draw what the run has: name of the figure to SVG."""
    figures = {}
    if run.history:
        figures["learning"] = plots.plot_learning_curves(run.history)
    if run.evaluation:
        figures |= _figures_of_scores(run.evaluation)
    if run.predictions is not None and run.evaluation and participant is not None:
        figures["participant"] = _plot_participant(run, run.predictions, run.evaluation.classes, participant)
    if run.timeline is not None and len(run.timeline):
        figures["timeline"] = _plot_timeline(run, run.timeline)
    if run.latency:
        figures["latency"] = plots.plot_latency(run.latency.closed_loop)
    if run.topology:
        figures["topology"] = plots.plot_topology(run.topology)
    return figures


def _figures_of_scores(scored: records.Evaluation) -> dict[str, str]:
    raw, smoothed = scored.raw, scored.smoothed
    matrices = {"Raw": raw.confusion.counts, "Smoothed (offline)": smoothed.confusion.counts}
    figures = {"confusion": plots.plot_confusions(matrices, scored.classes)}
    if raw.per_participant and smoothed.per_participant:
        pair = raw.per_participant.scores, smoothed.per_participant.scores
        figures["participants"] = plots.plot_participants(*pair)
    if raw.calibration:
        parts = {"raw": raw.calibration, "smoothed": smoothed.calibration}
        bins = {label: part.bins for label, part in parts.items() if part}
        figures["reliability"] = plots.plot_reliability(bins)
    return figures


def _plot_participant(run: RunFolder, frame: pd.DataFrame, classes: tuple[str, ...], participant: str) -> str:
    frame = frame[frame["participant"] == participant]
    if frame.empty:
        raise DataError(f"predictions.csv: has no window of participant {participant!r} of evaluation.json")
    rows = {"annotated": "label", "raw": "raw", "smoothed": "smoothed"}
    _refuse_unknown("predictions.csv", frame[list(rows.values())].to_numpy().ravel(), classes)
    length = pd.Timedelta(seconds=hop_s(run.config))
    bare = frame[["start"]].assign(end=frame["start"] + length)
    drawn = {title: bare.assign(label=frame[column]) for title, column in rows.items()}
    return plots.plot_timelines(drawn, classes, name="participant")


def _plot_timeline(run: RunFolder, frame: pd.DataFrame) -> str:
    rows = {"predicted": frame}
    if "annotation" in frame:
        known = frame[frame["annotation"] != ""]
        if len(known):
            rows = {"annotated": known.assign(label=known["annotation"]), **rows}
    labels = np.unique(np.concatenate([part["label"].to_numpy(dtype=str) for part in rows.values()]))
    classes = run.evaluation.classes if run.evaluation else tuple(labels.tolist())
    _refuse_unknown("timeline.csv", labels, classes)
    return plots.plot_timelines(rows, classes)


def _final_metrics(summary: dict[str, Any] | None) -> dict[str, Any]:
    """Return the last values of all metrics; what else a summary holds stands elsewhere in the report."""
    metrics = (summary or {}).get("final_metrics", {})
    if not isinstance(metrics, dict):
        raise DataError("experiment_summary.yaml: final_metrics: needs a mapping")
    return metrics


def _refuse_unknown(file: str, labels: Iterable[str], classes: Sequence[str]) -> None:
    unknown = sorted({str(label) for label in labels} - set(classes))
    if unknown:
        raise DataError(f"{file}: label {unknown[0]!r} is not one of the classes {', '.join(classes)}")


def _typical_participant(scored: records.Evaluation) -> str | None:
    """Return whose smoothed macro F1 is nearest to the median (of two equally near, the lower)."""
    each = scored.smoothed.per_participant.scores if scored.smoothed.per_participant else ()
    known = {row.participant: row.macro_f1 for row in each if row.macro_f1 is not None}
    if not known:
        return None
    median = float(np.median(list(known.values())))
    # Rounded: the two in the middle of an even number are equally near but for the last digit.
    return min(known, key=lambda name: (round(abs(known[name] - median), 12), known[name], name))


def _lowered(run: RunFolder) -> list[tuple[str, float, float]]:
    """Return where smoothing lowers macro F1 by as much as the report shows: where, before, after."""
    parts = {"on the held-out participants": run.evaluation, "in the cross-validation": run.cross_validation}
    scores = [(where, part.raw.macro_f1, part.smoothed.macro_f1) for where, part in parts.items() if part]
    return [row for row in scores if round(row[2], 3) < round(row[1], 3)]


def _headline(scored: records.Evaluation) -> dict[str, Any]:
    """Return what can be said of smoothing and of the sample of participants."""
    difference = scored.bootstrap.smoothed_minus_raw.macro_f1 if scored.bootstrap else None
    clear = None
    if difference and difference.low is not None and difference.high is not None:
        clear = "better" if difference.low > 0 else "worse" if difference.high < 0 else "unclear"
        if len(scored.split.test) < MIN_PARTICIPANTS_FOR_EFFECT:
            clear = "few"
    if scored.smoothing and scored.smoothing.method == "none":
        clear = "none"
    majority = max(int(np.sum(row)) for row in scored.raw.confusion.counts) / scored.raw.n_windows
    return {"difference": difference, "effect": clear, "majority": majority}
