"""What is counted how: valid days, bouts, and the classes that are inactive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from patchtst_har.errors import DataError

STATIONARY = frozenset(
    {
        *("lie", "lying", "lying down", "laying", "sit", "sitting", "stand", "standing", "sit stand"),
        *("sleep", "sleeping", "sedentary", "rest", "resting", "stationary", "still"),
    }
)
"""Names of classes that count as inactive: lying, sitting or standing without walking, which the consensus
of the Sedentary Behavior Research Network calls stationary (Tremblay et al. 2017, IJBNPA 14:75), and sleep.
In small letters, with blanks for ``_`` and ``-``."""


@dataclass(frozen=True)
class BoutRules:
    """When the time of one class is a bout: the criteria of GGIR (``bout.metric`` 6).

    A bout begins and ends with its class, holds no gap and no time without wear, no break of it (time of
    other classes) is longer than `max_break_s`, and its class has `min_share` of its time or more.

    Attributes
    ----------
    min_minutes : float
        Shorter ones are no bouts.
    max_break_s : float
        0: no break at all.
    min_share : float
        Above 0, up to 1.
    """

    min_minutes: float = 1.0
    max_break_s: float = 60.0
    min_share: float = 0.8

    def __post_init__(self) -> None:
        if not 0 < self.min_minutes < float("inf"):
            raise DataError(f"bouts: min_minutes must be a number above 0, not {self.min_minutes:g}")
        if not 0 <= self.max_break_s < float("inf"):
            raise DataError(f"bouts: max_break_s must be a number from 0 on, not {self.max_break_s:g}")
        if not 0 < self.min_share <= 1:
            raise DataError(f"bouts: min_share must be above 0 and at most 1, not {self.min_share:g}")


@dataclass(frozen=True)
class SummaryRules:
    """How a recording is summarised.

    Attributes
    ----------
    min_wear_hours : float
        A day of so many hours of wear is valid, and counts in means over days. 16 is the default of GGIR
        (``includedaycrit``).
    inactive : tuple of str, optional
        Classes that count as inactive; None: those of the names in `STATIONARY`.
    bouts : BoutRules
        Also those of inactive time.
    """

    min_wear_hours: float = 16.0
    inactive: tuple[str, ...] | None = None
    bouts: BoutRules = field(default_factory=BoutRules)

    def __post_init__(self) -> None:
        if not 0 <= self.min_wear_hours <= 24:
            raise DataError(f"min_wear_hours: needs a number from 0 to 24, is {self.min_wear_hours:g}")

    def inactive_of(self, classes: Sequence[str]) -> tuple[str, ...]:
        """Return which of a model's `classes` count as inactive; none if it has none of a known name.

        Raises
        ------
        DataError
            If `inactive` names one that the model does not have.
        """
        if self.inactive is None:
            return tuple(name for name in classes if _plain(name) in STATIONARY)
        unknown = [name for name in self.inactive if name not in classes]
        if unknown:
            raise DataError(f"inactive: {unknown[0]!r} is no class of the model ({', '.join(classes)})")
        return tuple(name for name in classes if name in self.inactive)


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())
