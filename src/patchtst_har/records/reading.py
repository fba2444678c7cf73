"""Reading the files of a run folder; each error names the file and the field, line or column."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from patchtst_har.errors import DataError
from patchtst_har.records.run import MetricLine, Record
from patchtst_har.support.documents import MOST_YAML_BYTES, parse_json, parse_yaml, read_text
from patchtst_har.support.files import read_json

if TYPE_CHECKING:
    import pandas as pd

Checked = TypeVar("Checked", bound=Record)

MOST_RECORD_BYTES = 256 * 2**20

ZONE = r"(?<=\d)(?:Z|[+-]\d\d:?\d\d)$"
"""The zone of an ISO 8601 time. Offsets change within a recording that spans a change to summer time."""


def read_record(path: Path, kind: type[Checked]) -> Checked | None:
    """Return the JSON file as `kind`, or None if there is no such file.

    Raises
    ------
    DataError
        If it is not JSON or a field is missing or wrong; the message names the file and the field.
    """
    if not path.exists():
        return None
    return validated(read_json(path, MOST_RECORD_BYTES), kind, str(path))


def read_json_lines(path: Path, kind: type[Checked]) -> list[Checked]:
    """Return every line of a file of JSON lines as `kind`.

    Raises
    ------
    DataError
        If a line is not JSON or a field is missing or wrong; the message names file, line and field.
    OSError
        If the file cannot be opened.
    """
    lines = []
    for number, text in enumerate(read_text(path, MOST_RECORD_BYTES).splitlines(), start=1):
        source = f"{path}: line {number}"
        lines.append(validated(parse_json(text, source), kind, source))
    return lines


def read_history(path: Path) -> dict[str, dict[str, list[tuple[int, float]]]] | None:
    """Return `metrics.jsonl` as phase -> metric -> (epoch, value) pairs, or None without the file.

    An epoch that was repeated after an interruption counts with its last value.

    Raises
    ------
    DataError
        If a line is not a metric record; the message names file and line.
    """
    if not path.exists():
        return None
    series: dict[str, dict[str, dict[int, float]]] = {}
    for line in read_json_lines(path, MetricLine):
        for name, value in line.metrics.items():
            series.setdefault(line.phase, {}).setdefault(name, {})[line.step] = value
    return {
        phase: {name: sorted(values.items()) for name, values in metrics.items()}
        for phase, metrics in series.items()
    }


def read_mapping(path: Path) -> dict[str, Any] | None:
    """Return a JSON or YAML file that holds a mapping, or None if there is no such file.

    Raises
    ------
    DataError
        If it cannot be parsed or holds something else; the message names the file.
    """
    if not path.exists():
        return None
    is_json = path.suffix == ".json"
    value = read_json(path) if is_json else parse_yaml(read_text(path, MOST_YAML_BYTES), str(path))
    if not isinstance(value, dict):
        raise DataError(f"{path}: needs a mapping at the top, has {type(value).__name__}")
    return value


def read_table(path: Path, columns: Sequence[str], times: Sequence[str]) -> pd.DataFrame | None:
    """Return a CSV file as text columns with parsed times, or None if there is no such file.

    Parameters
    ----------
    path : Path
        The file.
    columns : sequence of str
        Columns that must be there.
    times : sequence of str
        Those of them that hold times; zones are dropped, the wall clock is kept.

    Raises
    ------
    DataError
        If it is not CSV, a column is missing, or a time cannot be read; the message names file and column.
    """
    if not path.exists():
        return None
    # Here and below: who streams from a shipped model reads its summary, and does without pandas.
    import pandas as pd

    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a CSV table ({' '.join(str(error).split())})") from error
    missing = [name for name in columns if name not in frame]
    if missing:
        raise DataError(f"{path}: lacks the column {', '.join(missing)}")
    for name in times:
        frame[name] = wall_clock(frame[name], f"{path}: column {name}")
    return frame


def wall_clock(texts: pd.Series[str], source: str) -> pd.Series[Any]:
    """Return ISO 8601 texts as naive times (ns): what a clock on the wall showed, zones dropped.

    Raises
    ------
    DataError
        If one is not a time; the message begins with `source`.
    """
    import pandas as pd

    try:
        times = pd.to_datetime(texts.str.replace(ZONE, "", regex=True), format="ISO8601")
    except ValueError as error:
        raise DataError(f"{source}: not a time ({error})") from error
    if times.isna().any():
        raise DataError(f"{source}: row {int(times.isna().to_numpy().argmax())} is empty")
    return times.astype("datetime64[ns]")


def validated(document: Any, kind: type[Checked], source: str) -> Checked:
    """Return a JSON value as `kind`.

    Raises
    ------
    DataError
        If a field is missing or wrong; the message begins with `source` and names the field.
    """
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
    field = ".".join(str(part)[:80] for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    # Not while that error is handled (`patchtst_har.support.settings.Section` says why).
    raise DataError(f"{source}: {field + ': ' if field else ''}{message}")
