"""The options that say how to read a recording, the same for every command that reads one."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Annotated, Any, Literal

import typer

from patchtst_har.data.options import ReadOptions, parse_columns
from patchtst_har.errors import DataError

_PANEL = "Files in another form"


def _option(name: str, text: str, **more: Any) -> Any:
    return typer.Option(name, help=text, rich_help_panel=_PANEL, **more)


def reads_recordings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options, in place of its parameter `reading`, a `ReadOptions`."""
    own = signature(command, eval_str=True)
    added = signature(_read_options, eval_str=True).parameters

    @wraps(command)
    def run(**given: Any) -> None:
        chosen = {name: given.pop(name) for name in added}
        command(**given, reading=_read_options(**chosen))

    kept = [parameter for parameter in own.parameters.values() if parameter.name != "reading"]
    parameters = [*kept, *added.values()]
    run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _read_options(
    *,
    columns: Annotated[
        str | None,
        _option(
            "--columns",
            "The file's own names, such as 'time=Timestamp,x=X (g),y=Y (g),z=Z (g)'; also annotation, "
            "temperature, light.",
            metavar="NAME=COLUMN,...",
        ),
    ] = None,
    time_column: Annotated[
        str | None,
        _option("--time-column", "The file's own name of its time column, as --columns time=..."),
    ] = None,
    delimiter: Annotated[
        str | None, _option("--delimiter", "Of a CSV; by default , ; or tab, by content.")
    ] = None,
    decimal: Annotated[
        Literal[".", ","] | None, _option("--decimal", "Decimal separator of a CSV; by default by content.")
    ] = None,
    skip_rows: Annotated[int, _option("--skip-rows", "Lines of a CSV before its header.")] = 0,
    time_format: Annotated[
        str | None,
        _option("--time-format", "Of stamps that are not ISO 8601, such as '%d.%m.%Y %H:%M:%S.%f'."),
    ] = None,
    start: Annotated[
        str | None, _option("--start", "Moment of the first sample (ISO 8601), for files without stamps.")
    ] = None,
    rate_hz: Annotated[
        float | None, _option("--rate", "Samples per second, for files without stamps.", metavar="HZ")
    ] = None,
    sort: Annotated[bool, _option("--sort", "Sort samples whose stamps go back in time.")] = False,
    on_disorder: Annotated[
        Literal["refuse", "drop"] | None,
        _option(
            "--on-disorder",
            "Where stamps go back in time: refuse the recording, or drop the fewest samples.",
        ),
    ] = None,
    utc: Annotated[
        bool,
        _option(
            "--utc", "Stamps without a zone, such as seconds since 1970, are UTC, not the wearer's clock."
        ),
    ] = False,
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
        decimal=decimal,
        skip_rows=skip_rows,
        time_format=time_format,
        start=start,
        rate_hz=rate_hz,
        on_disorder="sort" if sort else on_disorder or "refuse",
        utc=utc,
    )
