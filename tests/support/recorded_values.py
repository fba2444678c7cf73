"""Compare what `value_sweep` (csrc/tests) printed on two machines: python recorded_values.py OURS THEIRS."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Cases = dict[tuple[str, str], NDArray[np.float32]]  # by name and agreement

# How far two machines may be apart: shares of the value, and of the largest one of its case.
AGREEMENTS = {"bits": (0.0, 0.0), "last_place": (5e-7, 1e-9), "rounding": (0.0, 1e-5)}


@dataclass(frozen=True)
class Tally:
    """How the values of one agreement differ; `messages` name those that are too far apart."""

    n_cases: int
    n_values: int
    n_different: int
    most: float
    messages: tuple[str, ...]


def read_cases(path: Path) -> Cases:
    """Read the values of each (name, agreement); ValueError where a line cannot be read."""
    cases = {}
    for line in path.read_text().splitlines():
        name, agreement, *values = line.split()
        if agreement not in AGREEMENTS:
            raise ValueError(f"{path}: no agreement is called {agreement!r}")
        try:
            bits = np.array([int(value, 16) for value in values], np.uint32)
        except ValueError:
            raise ValueError(f"{path}: {name}: a value cannot be read") from None
        cases[name, agreement] = bits.view(np.float32)
    return cases


def compare(ours: Path, theirs: Path) -> dict[str, Tally]:
    """Compare two files by agreement; ValueError if they do not hold the same cases."""
    first, second = read_cases(ours), read_cases(theirs)
    shapes = [{case: values.shape for case, values in cases.items()} for cases in (first, second)]
    if not first or shapes[0] != shapes[1]:
        raise ValueError(f"{theirs}: other cases, or numbers of values, than in {ours}")
    return {name: _tally(name, first, second) for name in AGREEMENTS}


def _tally(agreement: str, ours: Cases, theirs: Cases) -> Tally:
    names = [name for name, kind in ours if kind == agreement]
    n_values, n_different, most = 0, 0, 0.0
    messages: list[str] = []
    of_value, of_largest = AGREEMENTS[agreement]
    for name in names:
        a, b = ours[name, agreement], theirs[name, agreement]
        differs = a.view(np.uint32) != b.view(np.uint32)
        wide, other = a.astype(np.float64), b.astype(np.float64)
        largest = max(np.abs(wide).max(initial=0.0), np.abs(other).max(initial=0.0))
        apart = np.abs(wide - other)
        # The negation refuses NaN, too. Of the same bits, 0 and -0 are not equal.
        too_far = differs & (
            (agreement == "bits") | ~(apart <= of_value * np.abs(other) + of_largest * largest)
        )
        n_values += a.size
        n_different += int(differs.sum())
        most = max(most, *(apart[differs] / largest if largest > 0 else ()), 0.0)
        messages += [f"{name}, value {i}: {a[i]!r} here, {b[i]!r} there" for i in np.flatnonzero(too_far)]
    return Tally(len(names), n_values, n_different, most, tuple(messages))


def main(ours: str, theirs: str) -> int:
    """Print what differs; 1 if anything is too far apart."""
    tallies = compare(Path(ours), Path(theirs))
    for name, tally in tallies.items():
        print(
            f"{name:10} {tally.n_cases:5} cases, {tally.n_values:6} values: {tally.n_different} differ, "
            f"by at most {tally.most:.1e} of the largest, {len(tally.messages)} too much"
        )
        print(*tally.messages, sep="\n", end="\n" if tally.messages else "", file=sys.stderr)
    return int(any(tally.messages for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
