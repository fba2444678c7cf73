"""Errors that a user can act on.

Each carries one line that names what was wrong and where. The command line prints that line and exits
with status 2; every other exception is a bug and keeps its traceback.
"""

from collections.abc import Iterable
from typing import Any

_MOST_SHOWN = 20
_MOST_CHARACTERS = 4500


class PatchTSTHARError(Exception):
    """Base class of all errors raised on purpose by this package.

    Attributes
    ----------
    decisions : tuple
        What a call of a `Stream` or `StreamPool` had decided before it failed, in order; empty elsewhere.
        Exceptions of other classes get the attribute when such a call raises them.
    """

    decisions: tuple[Any, ...] = ()

    def __str__(self) -> str:
        """Return the message, bounded and with escapes for what cannot be shown: it may quote a file."""
        text = super().__str__()
        if not text.isprintable():
            text = "".join(map(_shown, text[: _MOST_CHARACTERS + 1]))
        return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}..."


def _shown(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]


def keep_decisions(error: BaseException, decisions: Iterable[Any]) -> None:
    """Set the attribute `decisions` of an exception of any class."""
    error.decisions = tuple(decisions)  # type: ignore[attr-defined]


class ConfigError(PatchTSTHARError, ValueError):
    """A configuration is contradictory, incomplete, or has unknown keys.

    Parameters
    ----------
    problems : list of str
        Every problem found, each naming its field; the message holds the first 20.
    source : str, optional
        The file or object that was validated.
    """

    def __init__(self, problems: list[str], source: str = "") -> None:
        self.problems = problems
        self.source = source
        more = [f"and {len(problems) - _MOST_SHOWN:,} more"] * (len(problems) > _MOST_SHOWN)
        super().__init__(f"{source}: " * bool(source) + "; ".join([*problems[:_MOST_SHOWN], *more]))

    def __reduce__(self) -> tuple[type["ConfigError"], tuple[list[str], str]]:
        return type(self), (self.problems, self.source)


class DataError(PatchTSTHARError, ValueError):
    """A recording, a prepared data set or an array does not have the form that was asked for."""


class BacklogError(PatchTSTHARError, RuntimeError):
    """Windows of a stream came faster than they were decided, and its drop policy is ``error``."""


class FeatureError(PatchTSTHARError, ValueError):
    """A feature plug-in is unknown, malformed, or failed on a window; the message names it."""


class ModelFolderError(PatchTSTHARError, ValueError):
    """A model folder is incomplete, damaged, or from an incompatible version."""


class PrecisionError(PatchTSTHARError, RuntimeError):
    """The precision is unknown, or the processor or the instruction set in use lacks it."""


class ExportError(PatchTSTHARError, RuntimeError):
    """An exported file does not compute what the model does."""


class ProcessError(PatchTSTHARError, RuntimeError):
    """Another process of a training in several processes has ended."""


class MissingDependencyError(PatchTSTHARError, ImportError):
    """An optional package is needed; the message names the extra that brings it."""


class WorkersError(PatchTSTHARError, RuntimeError):
    """Processes that label recordings, or the connection to them, are lost; what is finished is kept."""
