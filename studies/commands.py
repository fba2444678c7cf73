"""What the commands share: errors in one line, progress, arguments that several have."""

from __future__ import annotations

import argparse
import logging
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from patchtst_har.data.units import SignalWarning
from patchtst_har.errors import PatchTSTHARError


def run_command(main: Callable[[Sequence[str]], None]) -> None:
    """Run a command with the arguments of the process; an error of the user is one line and status 2."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    # They are kept in `preparation.json`, for each recording.
    warnings.simplefilter("ignore", SignalWarning)
    try:
        main(sys.argv[1:])
    except (PatchTSTHARError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def parser_of(document: str | None, name: str) -> argparse.ArgumentParser:
    """Return a parser whose help begins with the command's docstring."""
    return argparse.ArgumentParser(
        prog=f"python -m studies.{name}",
        description=document,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def progress_line(done: int, total: int, what: str) -> None:
    """Print one line for each tenth of the way."""
    if done == total or done * 10 // total > (done - 1) * 10 // total:
        print(f"{time.strftime('%H:%M:%S')} {what} {done}/{total}", file=sys.stderr, flush=True)


def folder(text: str) -> Path:
    """Return a path of which the user's home is resolved."""
    return Path(text).expanduser()
