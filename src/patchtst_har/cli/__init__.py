"""The command ``patchtst-har``: one module per subcommand, thin over the library. May import every folder."""

from __future__ import annotations

import errno
import sys
import warnings
from io import TextIOWrapper
from typing import Annotated, NoReturn, TextIO

import typer

import patchtst_har
from patchtst_har.cli.commands import (
    adapt,
    benchmark,
    demo,
    evaluate,
    export,
    info,
    models,
    predict,
    prepare,
    pretrain,
    report,
    runs,
    stream,
    train,
    tune,
)
from patchtst_har.cli.console import warn
from patchtst_har.cli.help import Command, Group
from patchtst_har.errors import PatchTSTHARError
from patchtst_har.support.process_memory import lacks_memory
from patchtst_har.support.termination import Terminated, ending_signals_raise

# Of a message: it may quote what a file holds.
_LONGEST = 2000

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="From raw wrist acceleration to activity labels.\n\n"
    "Label a recording: patchtst-har predict FILE. Then: patchtst-har demo",
)


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(patchtst_har.__version__)
        raise typer.Exit


_COMMANDS = (
    demo,
    prepare,
    pretrain,
    train,
    tune,
    evaluate,
    predict,
    stream,
    adapt,
    benchmark,
    export,
    report,
    models,
    info,
)
for command in _COMMANDS:
    # Not from docstrings: Python leaves those out with -OO.
    app.command(command.__name__.rpartition(".")[2], cls=Command, help=command.HELP)(command.run)
app.add_typer(runs.app, name="runs")


def main() -> None:
    """Run the command line; a user's mistake is one line on standard error and exit status 2.

    SIGTERM and SIGHUP end a command in order, with status 143 and 129.
    """
    warnings.showwarning = _show_warning
    if isinstance(sys.stdout, TextIOWrapper):
        # A path goes out with the bytes that it came in with.
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        with ending_signals_raise():
            app(prog_name="patchtst-har")
    except Terminated as ended:
        print(f"patchtst-har: ended by {ended}", file=sys.stderr)
        sys.exit(ended.exit_status)
    except (PatchTSTHARError, OSError) as error:
        print(f"patchtst-har: error: {_one_line(error)}", file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        # Left out where it has no packages (pyproject.toml); what labels recordings does without it.
        if error.name != "torch":
            raise
        print("patchtst-har: error: this command needs torch, which is not installed", file=sys.stderr)
        sys.exit(2)
    except MemoryError as error:
        _end_without_memory(str(error) or "allocation failed")
    except Exception as error:
        if not lacks_memory():
            raise
        _end_without_memory(f"{type(error).__name__}: {_one_line(error)}")


def _end_without_memory(reason: str) -> NoReturn:
    print(f"patchtst-har: error: not enough memory ({reason})", file=sys.stderr)
    sys.exit(2)


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        return f"standard output: {error.strerror}"  # Whatever else is written to is named.
    text = " ".join(str(error).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Show a warning as a user reads it: what, not where in the code."""
    if file is None:
        warn([str(message)])
    else:
        print(f"patchtst-har: warning: {message}", file=file)
