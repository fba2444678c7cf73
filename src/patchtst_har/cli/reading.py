"""The options that say how to read a recording, the same for every command that reads one."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, Any, Literal

import typer

from patchtst_har.data.options import ReadOptions, parse_columns
from patchtst_har.errors import DataError

_PANEL = "Files in another form"


def _option(kind: Any, name: str, text: str, **more: Any) -> Any:
    return Annotated[kind, typer.Option(name, help=text, rich_help_panel=_PANEL, **more)]


_OPTIONS: dict[str, tuple[Any, Any]] = {
    "columns": (
        _option(
            str | None,
            "--columns",
            "The file's own names, such as 'time=Timestamp,x=X (g),y=Y (g),z=Z (g)'; also annotation, "
            "temperature, light.",
            metavar="NAME=COLUMN,...",
        ),
        None,
    ),
    "time_column": (
        _option(str | None, "--time-column", "The file's own name of its time column, as --columns time=..."),
        None,
    ),
    "delimiter": (_option(str | None, "--delimiter", "Of a CSV; by default , ; or tab, by content."), None),
    "decimal": (
        _option(Literal[".", ","] | None, "--decimal", "Decimal separator of a CSV; by default by content."),
        None,
    ),
    "skip_rows": (_option(int, "--skip-rows", "Lines of a CSV before its header."), 0),
    "time_format": (
        _option(
            str | None, "--time-format", "Of stamps that are not ISO 8601, such as '%d.%m.%Y %H:%M:%S.%f'."
        ),
        None,
    ),
    "start": (
        _option(str | None, "--start", "Moment of the first sample (ISO 8601), for files without stamps."),
        None,
    ),
    "rate_hz": (
        _option(float | None, "--rate", "Samples per second, for files without stamps.", metavar="HZ"),
        None,
    ),
    "sort": (_option(bool, "--sort", "Sort samples whose stamps go back in time."), False),
    "on_disorder": (
        _option(
            Literal["refuse", "drop"] | None,
            "--on-disorder",
            "Where stamps go back in time: refuse the recording, or drop the fewest samples.",
        ),
        None,
    ),
}


def reads_recordings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options, in place of its parameter `reading`, a `ReadOptions`."""
    own = signature(command, eval_str=True)

    @wraps(command)
    def run(**given: Any) -> None:
        chosen = {name: given.pop(name) for name in _OPTIONS}
        command(**given, reading=_read_options(**chosen))

    parameters = [parameter for parameter in own.parameters.values() if parameter.name != "reading"]
    added = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in _OPTIONS.items()
    ]
    run.__signature__ = own.replace(parameters=[*parameters, *added])  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in [*parameters, *added]}
    return run


def _read_options(
    columns: str | None,
    time_column: str | None,
    delimiter: str | None,
    sort: bool,
    on_disorder: str | None,
    **more: Any,
) -> ReadOptions:
    if sort and on_disorder is not None:
        raise DataError("--sort and --on-disorder exclude each other")
    named = {} if columns is None else parse_columns(columns)
    if time_column is not None:
        if "time" in named:
            raise DataError("--time-column and --columns time=... exclude each other")
        named["time"] = time_column
    return ReadOptions(
        columns=named,
        delimiter="\t" if delimiter in ("\\t", "tab") else delimiter,
        on_disorder="sort" if sort else on_disorder or "refuse",  # type: ignore[arg-type]
        **more,
    )
