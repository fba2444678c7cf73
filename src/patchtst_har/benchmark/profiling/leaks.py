"""How much memory a repeated operation keeps each time, and whether that is more than chance."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from patchtst_har.errors import DataError
from patchtst_har.support.process_memory import resident_bytes

CONFIDENCE = 0.99
"""Of each one-sided bound."""
MIN_REPEATS = 30


@dataclass(frozen=True)
class Slope:
    """Growth a repeat, with one-sided bounds of `CONFIDENCE` each."""

    per_repeat: float
    low: float
    high: float


@dataclass(frozen=True)
class LeakEstimate:
    """What repeats of one operation kept.

    Attributes
    ----------
    n_repeats : int
        Repeats after the warm-up.
    resident_bytes : Slope or None
        Of the process; None where its resident memory is unknown.
    python_blocks : Slope or None
        Of the interpreter's allocated blocks, about one for a small object; None if they were not counted.
    tolerance_bytes : float
        Growth of resident memory a repeat that is not called a leak.
    """

    n_repeats: int
    resident_bytes: Slope | None
    python_blocks: Slope | None
    tolerance_bytes: float

    @property
    def leaks(self) -> bool:
        """Whether the lower bound is above the tolerance for bytes, or above half a block a repeat."""
        limits = ((self.resident_bytes, self.tolerance_bytes), (self.python_blocks, 0.5))
        return any(growth is not None and growth.low > limit for growth, limit in limits)

    def verdict(self) -> str:
        """Return one sentence that claims no more than was measured."""
        size, blocks = self.resident_bytes, self.python_blocks
        grown = [f"{size.per_repeat:,.0f} bytes (at most {size.high:,.0f})"] if size else []
        if blocks:
            grown.append(f"{blocks.per_repeat:,.1f} Python blocks (at most {blocks.high:,.1f})")
        what = "a leak" if self.leaks else "no leak found"
        return f"{what}: {' and '.join(grown) or 'nothing measured'} a repeat over {self.n_repeats} repeats"

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate as JSON values."""
        return {**asdict(self), "leaks": self.leaks, "verdict": self.verdict(), "confidence": CONFIDENCE}


def slope(levels: npt.ArrayLike) -> Slope:
    """Return the growth of a level a repeat.

    The level is regressed on the repeat with errors that add up (a random walk): memory that an allocator
    took once stays, and ordinary least squares would see growth in a single step. With such errors the best
    estimate of the slope is the mean of the increments, and its error is theirs. Six equal steps in levels
    that are otherwise flat are the fewest that the lower bound calls growth.

    Parameters
    ----------
    levels : array_like of float, shape (n,)
        The level after each repeat, n > 2.
    """
    from scipy.special import stdtrit

    increments = np.diff(np.asarray(levels, dtype=np.float64))
    mean, n = float(increments.mean()), increments.size
    margin = float(stdtrit(n - 1, CONFIDENCE) * increments.std(ddof=1) / np.sqrt(n))
    return Slope(mean, mean - margin, mean + margin)


def watch_repeats(
    function: Callable[[], Any], repeats: int, warm_up: int, tolerance_bytes: float
) -> LeakEstimate:
    """Call a function again and again; see `patchtst_har.evaluation.ComprehensiveProfiler.find_leak`."""
    if repeats < MIN_REPEATS:
        raise DataError(f"repeats: needs at least {MIN_REPEATS}, is {repeats}")
    if warm_up < 0:
        raise DataError(f"warm_up: needs at least 0, is {warm_up}")
    # Written to, so that its pages are there before the first reading.
    levels = np.full((repeats, 2), -1, dtype=np.int64)
    with _older_objects_set_aside():
        for i in range(-warm_up, repeats):
            function()
            # Garbage in cycles is not a leak.
            gc.collect()
            resident = resident_bytes()
            if i >= 0:
                levels[i] = -1 if resident is None else resident, sys.getallocatedblocks()
    known = bool((levels[:, 0] >= 0).all())
    size = slope(levels[:, 0]) if known else None
    return LeakEstimate(repeats, size, slope(levels[:, 1]), float(tolerance_bytes))


@contextmanager
def _older_objects_set_aside() -> Iterator[None]:
    """Spare the collector what exists already: with torch that takes a fifth of a second a time."""
    gc.collect()
    mine = gc.get_freeze_count() == 0
    if mine:
        gc.freeze()
    try:
        yield
    finally:
        if mine:
            gc.unfreeze()
