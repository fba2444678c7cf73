"""Compiled kernels of the hidden Markov model: likelihoods of the observed, and the Viterbi path.

Importing this module imports numba. Sums run in a fixed order, so that results do not depend on the number
of windows decoded in one call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np


def _observation_likelihoods(probabilities: Any, emissions: Any) -> Any:
    """Return sum_j p_t(j) E[k, j] for every window t and state k."""
    n, n_classes = probabilities.shape
    likelihoods = np.empty((n, n_classes))
    for t in range(n):
        for k in range(n_classes):
            total = 0.0
            for j in range(n_classes):
                total += probabilities[t, j] * emissions[k, j]
            likelihoods[t, k] = total
    return likelihoods


def _viterbi_path(log_likelihoods: Any, log_start: Any, log_transitions: Any, bounds: Any, path: Any) -> Any:
    """Write the most probable states to `path`; return the first impossible window, or -1."""
    n, n_classes = log_likelihoods.shape
    came_from = np.zeros((n, n_classes), dtype=np.int32)
    score = np.empty(n_classes)
    previous = np.empty(n_classes)
    for s in range(bounds.size - 1):
        first, end = bounds[s], bounds[s + 1]
        for t in range(first, end):
            possible = False
            for k in range(n_classes):
                best, source = log_start[k], 0
                if t > first:
                    best = previous[0] + log_transitions[0, k]
                    for j in range(1, n_classes):
                        candidate = previous[j] + log_transitions[j, k]
                        if candidate > best:
                            best, source = candidate, j
                score[k] = best + log_likelihoods[t, k]
                came_from[t, k] = source
                possible = possible or score[k] > -np.inf
            if not possible:
                return t
            previous[:] = score
        state = 0
        for k in range(1, n_classes):
            if previous[k] > previous[state]:
                state = k
        for t in range(end - 1, first - 1, -1):
            path[t] = state
            state = came_from[t, state]
    return -1


_compile = numba.njit(cache=True, nogil=True)

observation_likelihoods: Callable[..., Any] = _compile(_observation_likelihoods)
viterbi_path: Callable[..., Any] = _compile(_viterbi_path)
