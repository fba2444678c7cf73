"""Which benchmarks run: the long ones only if they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

LONG = "bench_long"


def is_chosen(nodeid: str, arguments: Sequence[str], markers: str, *, long: bool) -> bool:
    """Return whether a benchmark that is marked long runs.

    Parameters
    ----------
    nodeid : str
        Of the benchmark.
    arguments : sequence of str
        What the command line names: folders, files, benchmarks.
    markers : str
        The expression of ``-m``.
    long : bool
        ``--long``.
    """
    if long or LONG in markers:
        return True
    own = Path(nodeid).name.partition("[")[0]
    return any("::" in argument and Path(argument).name.partition("[")[0] == own for argument in arguments)
