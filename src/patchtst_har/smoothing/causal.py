"""Compiled kernels of causal smoothing: what can be known of a window soon after it ended.

Importing this module imports numba. The recursions run in a fixed order, so that a stream that computes them
window by window gets the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np


def _filter_posteriors(likelihoods: Any, start: Any, transitions: Any, bounds: Any, posterior: Any) -> Any:
    """Write p(state of t | windows up to t); return the first impossible window, or -1."""
    n_classes = likelihoods.shape[1]
    for s in range(bounds.size - 1):
        first = bounds[s]
        for t in range(first, bounds[s + 1]):
            total = 0.0
            for k in range(n_classes):
                prior = start[k]
                if t > first:
                    prior = 0.0
                    for j in range(n_classes):
                        prior += posterior[t - 1, j] * transitions[j, k]
                posterior[t, k] = prior * likelihoods[t, k]
                total += posterior[t, k]
            if not total > 0.0:
                return t
            for k in range(n_classes):
                posterior[t, k] /= total
    return -1


def _look_ahead(
    filtered: Any, likelihoods: Any, transitions: Any, bounds: Any, lag: Any, posterior: Any
) -> Any:
    """Write p(state of t | windows up to t + lag, within its sequence), from the filter's posteriors."""
    n_classes = likelihoods.shape[1]
    backward = np.empty(n_classes)
    message = np.empty(n_classes)
    for s in range(bounds.size - 1):
        for t in range(bounds[s], bounds[s + 1]):
            backward[:] = 1.0
            for u in range(min(t + lag, bounds[s + 1] - 1), t, -1):
                for k in range(n_classes):
                    message[k] = likelihoods[u, k] * backward[k]
                largest = 0.0
                for k in range(n_classes):
                    backward[k] = 0.0
                    for j in range(n_classes):
                        backward[k] += transitions[k, j] * message[j]
                    largest = max(largest, backward[k])
                for k in range(n_classes):
                    backward[k] /= largest
            total = 0.0
            for k in range(n_classes):
                posterior[t, k] = filtered[t, k] * backward[k]
                total += posterior[t, k]
            for k in range(n_classes):
                posterior[t, k] /= total


_compile = numba.njit(cache=True, nogil=True)

filter_posteriors: Callable[..., Any] = _compile(_filter_posteriors)
look_ahead: Callable[..., Any] = _compile(_look_ahead)
