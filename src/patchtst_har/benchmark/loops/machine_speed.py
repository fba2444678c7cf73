"""A fixed computation, timed to see how fast the machine is at the moment."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_N_STEPS = 1500


class MachineSpeed:
    """A computation that never changes, timed many times within each block of a closed loop.

    When two runs are compared, a block that was slower while this was slower by as much says something about
    the machine, not about the package. So it is made of the kinds of work that a decision is made of, in the
    first levels of the cache as there: floating-point transforms (features), sorting (quantiles, edges of a
    complex), small matrix products without BLAS (model), whole numbers and bits (persistence), and the
    interpreter. It calls numpy and Python alone: a change of our own kernels does not change it. Another
    version of numpy or Python does; `host_facts` records both.
    """

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._signal = rng.normal(size=1000)
        self._left, self._right = rng.normal(size=(2, 32, 32)).astype(np.float32)
        self._words = rng.integers(0, 2**62, (64, 64))
        self._steps = range(_N_STEPS)

    def run(self) -> float:
        """Do it once; about an eighth of a millisecond, each kind of work taking its part."""
        power = np.abs(np.fft.rfft(self._signal)) ** 2
        ordered = np.sort(self._signal)
        product = np.einsum("ij,jk->ik", self._left, self._right)
        words = self._words
        for row in words[:16]:
            words = words ^ (row & (words >> 1))
        total = 0
        for step in self._steps:
            total += step * step & 0xFF
        return float(power[1] + ordered[0] + product[0, 0] + float(words[0, 0] & 1) + total)

    def time_ns(self, now_ns: Callable[[], int]) -> int:
        """Return the ns of a run that follows another one, which fills the caches."""
        self.run()
        began = now_ns()
        self.run()
        return now_ns() - began
