"""The results of many recordings in one place: a row each, tables of days, failures, a page."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from patchtst_har.cohort.job import Job
from patchtst_har.cohort.sources import Source
from patchtst_har.records.cohort import CohortSettings, Failure
from patchtst_har.reports.cohort import render_cohort
from patchtst_har.summaries.dictionary import write_dictionary
from patchtst_har.support.files import atomic_path, read_json

FAILURES_FILE = "failures.csv"
PAGE_FILE = "cohort.html"
DICTIONARY_FILE = "dictionary.csv"
COLLATED = ("daily",)
"""Tables of single recordings, as ``NAME_daily.csv``, of which there is one of all."""

_CHUNK_ROWS = 1000
# Of the summary: what has columns under other names, or none.
_HANDLED = frozenset(
    {"recording", "model", "minutes", "non_wear_minutes", "n_windows", "n_unfamiliar", "warnings", "notices"}
    | {"signal", "origin"}
)


@dataclass(frozen=True)
class CohortFiles:
    """What `write_collated` wrote; `collated` by the name of the tables of single recordings."""

    table: Path
    failures: Path
    page: Path
    collated: Mapping[str, Path]


def write_collated(
    job: Job,
    settings: CohortSettings,
    classes: Sequence[str],
    sources: Sequence[Source],
    failures: Sequence[Failure],
) -> CohortFiles:
    """Write the table of all labelled recordings, those of their days, failures, page and data dictionary.

    Parameters
    ----------
    job : Job
        Where the results are.
    settings : CohortSettings
        What the page says of model and options.
    classes : sequence of str
        The model's classes.
    sources : sequence of Source
        The labelled recordings, by name.
    failures : sequence of Failure
        The others.

    Raises
    ------
    OSError, DataError
        If a file cannot be written, or a summary was damaged since.
    """
    out_dir, kind = job.out_dir, job.outputs.table
    table = _table(job, sources)
    files = CohortFiles(
        table=out_dir / f"recordings.{kind}",
        failures=write_failures(out_dir, failures),
        page=out_dir / PAGE_FILE,
        collated={name: path for name in COLLATED if (path := _collate(job, sources, name)) is not None},
    )
    with atomic_path(out_dir / DICTIONARY_FILE) as temporary:
        write_dictionary(temporary)
    with atomic_path(files.table) as temporary:
        if kind == "csv":
            table.to_csv(temporary, index=False, lineterminator="\n")
        else:
            table.to_parquet(temporary, index=False)
    for other in {"csv", "parquet"} - {kind}:
        files.table.with_suffix(f".{other}").unlink(missing_ok=True)
    links = [files.table.name, files.failures.name, *(path.name for path in files.collated.values())]
    render_cohort(table, failures, files.page, settings=settings, classes=classes, links=links)
    return files


def write_failures(folder: Path, failures: Sequence[Failure]) -> Path:
    """Write `failures.csv`, with a header alone if there are none; return its path."""
    path = folder / FAILURES_FILE
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(Failure.model_fields), lineterminator="\n")
        writer.writeheader()
        writer.writerows(failure.to_json() for failure in failures)
    return path


def summary_row(name: str, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recording's summary as a row of the collated table.

    What is not named here, because a later version or another package added it to the summary, follows under
    its own name, nested ones joined by ``_``; lists and what is None are left out.
    """
    recording, signal = summary["recording"], summary.get("signal", {})
    calibration = signal.get("calibration", {})
    worn, unworn = sum(summary["minutes"].values()), summary["non_wear_minutes"]
    looked_for = "non_wear_s" in signal.get("non_wear", {})
    n_windows, n_unfamiliar = summary["n_windows"], summary["n_unfamiliar"]
    row = {
        "recording": name,
        "source": recording.get("source"),
        **dict(_leaves("device", recording.get("reading", {}).get("device", {}))),
        "start": recording.get("start"),
        "end": recording.get("end"),
        "clock": recording.get("clock"),
        "hours": _hours(recording.get("start"), recording.get("end")),
        "sample_rate_hz": recording.get("sample_rate_hz"),
        "rest_magnitude_g": recording.get("rest_magnitude_g"),
        "wear_minutes": worn,
        "non_wear_minutes": unworn,
        "wear_share": worn / (worn + unworn) if looked_for and worn + unworn else None,
        **{f"minutes_{label}": minutes for label, minutes in summary["minutes"].items()},
        "n_windows": n_windows,
        "n_unfamiliar": n_unfamiliar,
        "unfamiliar_share": None if n_unfamiliar is None or not n_windows else n_unfamiliar / n_windows,
        "calibration": _calibration(calibration),
        "calibration_error_before_mg": calibration.get("error_before_mg"),
        "calibration_error_after_mg": calibration.get("error_after_mg"),
        "n_gaps": signal.get("n_gaps"),
        "gaps_s": signal.get("gaps_s"),
        "n_warnings": len(summary["warnings"]),
        "warnings": " | ".join(summary["warnings"]),
    }
    for key, value in summary.items():
        if key not in _HANDLED:
            row.update(_leaves(key, value))
    return {column: round(value, 6) if isinstance(value, float) else value for column, value in row.items()}


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(f"{name}_{key}", inner)
    elif value is not None and not isinstance(value, list | tuple):
        yield name, value


def _hours(start: str | None, end: str | None) -> float | None:
    if start is None or end is None:
        return None
    return (pd.Timestamp(end) - pd.Timestamp(start)).total_seconds() / 3600


def _calibration(step: Mapping[str, Any]) -> str | None:
    if not step:
        return None
    if step.get("applied"):
        return "applied"
    return "off" if step.get("policy") == "off" else f"not applied: {step.get('reason')}"


def _table(job: Job, sources: Sequence[Source]) -> pd.DataFrame:
    parts = []
    for first in range(0, len(sources), _CHUNK_ROWS):
        rows = [
            summary_row(source.name, read_json(job.outputs.files(job.out_dir, source.name).summary))
            for source in sources[first : first + _CHUNK_ROWS]
        ]
        # A row takes several times as much as a dict as it does in a table.
        parts.append(pd.DataFrame(rows, columns=_in_order([list(row) for row in rows]), dtype=object))
    if not parts:
        return pd.DataFrame({"recording": pd.Series(dtype=str), "source": pd.Series(dtype=str)})
    names = _in_order([list(part.columns) for part in parts])
    table = pd.concat([part.reindex(columns=names) for part in parts], ignore_index=True)
    return table.astype({name: _dtype(table[name]) for name in names})


def _dtype(values: pd.Series[Any]) -> str:
    """Return the type of a column: counts stay whole where some recordings have none."""
    kinds = set(map(type, values.dropna()))
    if kinds == {int}:
        return "Int64"
    return "float64" if kinds and kinds <= {int, float} else "object"


def _in_order(heads: Sequence[Sequence[str]]) -> list[str]:
    """Return all columns of some tables, each behind the one that it follows where it first occurs."""
    names = list(heads[0])
    for head in heads[1:]:
        for before, name in zip(["", *head], head, strict=False):
            if name not in names:
                names.insert(names.index(before) + 1 if before else 0, name)
    return names


def _collate(job: Job, sources: Sequence[Source], kind: str) -> Path | None:
    """Write one table of those of single recordings, with the recording in front; None if nobody has one."""
    paths: dict[str, Path] = {}
    for source in sources:
        labels = job.outputs.files(job.out_dir, source.name).labels
        path = labels.with_name(f"{labels.stem.removesuffix('_labels')}_{kind}.csv")
        if path.exists():
            paths[source.name] = path
    target = job.out_dir / f"{kind}.csv"
    if not paths:
        target.unlink(missing_ok=True)
        return None
    heads = []
    for path in paths.values():
        with path.open(encoding="utf-8", newline="") as file:
            heads.append(next(csv.reader(file), []))
    columns = ["recording", *(name for name in _in_order(heads) if name != "recording")]
    with atomic_path(target) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        for name, path in paths.items():
            with path.open(encoding="utf-8", newline="") as rows:
                writer.writerows({**row, "recording": name} for row in csv.DictReader(rows))
    return target
