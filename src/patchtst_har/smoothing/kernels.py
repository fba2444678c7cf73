"""Compiled kernels of the hidden Markov model: likelihoods, the Viterbi path, posteriors.

Importing this module imports numba. Sums and recursions run in a fixed order: results do not depend on how
many windows one call decodes, and a stream that computes them window by window gets the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from patchtst_har.support.compiling import compiled


@compiled
def observation_likelihoods(probabilities: Any, emissions: Any) -> Any:
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


@compiled
def viterbi_path(log_likelihoods: Any, log_start: Any, log_transitions: Any, bounds: Any, path: Any) -> Any:
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


@compiled
def filter_posteriors(likelihoods: Any, start: Any, transitions: Any, bounds: Any, posterior: Any) -> Any:
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


@compiled
def step_back(filtered: Any, transitions: Any, later: Any, posterior: Any) -> None:
    """Write the posterior of a window from its filter's and the posterior of the next one, `later`.

    p(k) is the sum over j of later(j) p(k | j), where p(k | j) is known from the windows so far (Kitagawa, J.
    Am. Stat. Assoc. 82, 1987). All are probabilities: nothing overflows, and a class that cannot be reached
    has no weight, however well it explains what comes after.
    """
    n_classes = filtered.size
    for k in range(n_classes):
        posterior[k] = 0.0
    for j in range(n_classes):
        prior = 0.0
        for k in range(n_classes):
            prior += filtered[k] * transitions[k, j]
        if prior > 0.0:
            for k in range(n_classes):
                posterior[k] += filtered[k] * transitions[k, j] / prior * later[j]
    total = 0.0
    for k in range(n_classes):
        total += posterior[k]
    for k in range(n_classes):
        posterior[k] /= total


@compiled
def look_ahead(filtered: Any, transitions: Any, bounds: Any, lag: Any, posterior: Any) -> None:
    """Write p(state of t | windows up to t + lag, within its sequence), from the filter's posteriors."""
    later = np.empty(filtered.shape[1])
    for s in range(bounds.size - 1):
        for t in range(bounds[s], bounds[s + 1]):
            last = min(t + lag, bounds[s + 1] - 1)
            posterior[t] = filtered[last]
            for u in range(last - 1, t - 1, -1):
                later[:] = posterior[t]
                step_back(filtered[u], transitions, later, posterior[t])


@compiled
def smooth(filtered: Any, transitions: Any, bounds: Any, posterior: Any) -> None:
    """Write p(state of t | all windows of its sequence), from the filter's posteriors."""
    for s in range(bounds.size - 1):
        for t in range(bounds[s + 1] - 1, bounds[s] - 1, -1):
            if t == bounds[s + 1] - 1:
                posterior[t] = filtered[t]
            else:
                step_back(filtered[t], transitions, posterior[t + 1], posterior[t])
