"""How fast the machine is just now: a fixed piece of work without the package, whatever its version.

Every benchmark is measured between two of these, so that stored runs can be compared although the machine,
its clock or its other work differ.
"""

from __future__ import annotations

import time

import numpy as np

_VALUES = np.random.default_rng(0).normal(size=4096)
_N_CALLS = 15


def _work() -> float:
    """Do what the benchmarks do: vector loops of numpy, and calls of Python."""
    ordered = np.sort(_VALUES)
    total = float(np.sqrt(ordered * ordered + 1.0).sum())
    for number in range(2000):
        total += number * 0.5
    return total


def machine_speed_us() -> float:
    """Return the least time of the work, in microseconds: other work on the machine interrupts the rest."""
    spent = []
    for _ in range(_N_CALLS):
        start = time.perf_counter()
        _work()
        spent.append(time.perf_counter() - start)
    return min(spent) * 1e6
