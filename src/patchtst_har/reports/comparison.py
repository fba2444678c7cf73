"""Several runs side by side: settings that differ, scores, learning curves, paired differences."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from patchtst_har.errors import ConfigError, DataError
from patchtst_har.evaluation.metrics import SUMMARY
from patchtst_har.evaluation.pairing import Pairing, pair_runs
from patchtst_har.records.stored_run import StoredRun, labels_of
from patchtst_har.reports import plots
from patchtst_har.reports.rendering import facts, flatten, pictures, render
from patchtst_har.support.files import atomic_write_text, check_writable
from patchtst_har.support.formatting import NONE, score

_OF_THE_RUN = ("experiment_name", "output_dir", "tracking")
_OF_THE_MOMENT = ("load_average",)
ABSENT = "\u2013"
"""What stands for a setting that a run does not have."""


@dataclass(frozen=True)
class Paired:
    """A run against the first one.

    Attributes
    ----------
    label : str
        What the run is called.
    pairing : Pairing or None
        None if the two cannot be compared on the same participants; `reason` says why.
    """

    label: str
    pairing: Pairing | None
    reason: str = ""


@dataclass(frozen=True)
class Comparison:
    """Several runs; the first is the reference of all paired differences."""

    runs: dict[str, StoredRun]
    settings: list[tuple[str, list[str]]]
    environment: list[tuple[str, list[str]]]
    scores: list[tuple[str, list[str]]]
    paired: list[Paired]

    @classmethod
    def of(cls, runs: Sequence[StoredRun]) -> Comparison:
        """Compare two or more runs.

        Raises
        ------
        ConfigError
            If there are fewer than two, or one is given twice.
        DataError
            If a file of a run is damaged; the message names it.
        """
        folders = [run.folder.resolve() for run in runs]
        if len(set(folders)) < max(len(folders), 2):
            raise ConfigError(["compare: needs two different runs or more"])
        named = dict(zip(labels_of(runs), runs, strict=True))
        (_, reference), *others = named.items()
        settings = [dict(flatten(_without(run.settings, _OF_THE_RUN))) for run in runs]
        return cls(
            named,
            _differing(settings),
            _differing([dict(facts(_without(run.environment, _OF_THE_MOMENT))) for run in runs]),
            _scores(runs),
            [_pair(reference, label, run) for label, run in others],
        )

    @property
    def reference(self) -> str:
        """What the first run is called."""
        return next(iter(self.runs))


def _pair(reference: StoredRun, label: str, run: StoredRun) -> Paired:
    # A damaged file fails here, before a reason is taken from what two sound runs lack.
    for each in (reference, run):
        _ = each.evaluation, each.cross_validation
    try:
        return Paired(label, pair_runs(reference, run))
    except DataError as error:
        return Paired(label, None, str(error))


def _without(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _differing(columns: Sequence[Mapping[str, str]]) -> list[tuple[str, list[str]]]:
    """Return the rows of several columns whose texts are not all equal."""
    names = dict.fromkeys(name for column in columns for name in column)
    rows = [(name, [column.get(name, ABSENT) for column in columns]) for name in names]
    return [(name, texts) for name, texts in rows if len(set(texts)) > 1]


def _scores(runs: Sequence[StoredRun]) -> list[tuple[str, list[str]]]:
    """Return the scores at the end of training and of cross-validations, those that a run has."""
    rows = [("Scored on (participants)", [run.scored_on or NONE for run in runs])]
    for prefix, when in (("final", "as predicted"), ("raw", "window by window")):
        for name, metric in SUMMARY.items():
            values = [run.final.get(f"{prefix}_{name}") for run in runs]
            rows.append((f"{metric.title}, {when}", list(map(score, values))))
    crossed = [run.cross_validation for run in runs]
    for name, metric in SUMMARY.items():
        values = [None if part is None else part.smoothed[name] for part in crossed]
        rows.append((f"{metric.title}, cross-validated", list(map(score, values))))
    return [(title, texts) for title, texts in rows if set(texts) != {NONE}]


def write_comparison(comparison: Comparison, path: Path) -> Path:
    """Write the page; return its path.

    Raises
    ------
    DataError, OSError
        If a file of a run is damaged, or the page cannot be written.
    """
    check_writable(path.parent)
    histories = {label: run.history for label, run in comparison.runs.items()}
    figures = {"curves": plots.plot_runs(histories)} if any(histories.values()) else {}
    for number, paired in enumerate(comparison.paired):
        if paired.pairing is not None:
            gains = {each.participant: each.difference for each in paired.pairing.each}
            name = f"differences-{number}"
            figures[name] = plots.plot_differences(gains, paired.pairing.mean, name=name)
    reports = {
        label: quote(Path(os.path.relpath(run.folder / "report.html", path.parent)).as_posix())
        for label, run in comparison.runs.items()
        if (run.folder / "report.html").is_file()
    }
    html = render("comparison.html.j2", comparison=comparison, figures=pictures(figures), reports=reports)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_text(path, html)
    return path
