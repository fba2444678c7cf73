"""A ridge classifier for many more features than windows, in little memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_PENALTIES = np.logspace(-1, 5, 13)
_COLUMNS_AT_ONCE = 128


@dataclass(frozen=True)
class Ridge:
    """What scikit-learn's ``RidgeClassifierCV(numpy.logspace(-1, 5, 13), class_weight="balanced")`` fits.

    That one makes several copies of the features in float64; here, columns are converted some at a time.

    Attributes
    ----------
    coefficients : ndarray of float64, shape (F, K)
    intercepts : ndarray of float64, shape (K,)
    penalty : float
        The one of least squared error when each window is left out once.
    """

    coefficients: NDArray[np.float64]
    intercepts: NDArray[np.float64]
    penalty: float

    @classmethod
    def fit(cls, features: NDArray[np.float32], labels: NDArray[np.int64]) -> Ridge:
        """Fit to features (n, F) with labels from 0 to K - 1, each of which occurs, K at least 2."""
        from scipy.linalg import eigh
        from scipy.linalg.blas import dsyrk

        counts = np.bincount(labels)
        weights = (len(labels) / (len(counts) * counts))[labels]
        roots = np.sqrt(weights)
        targets = np.where(labels[:, None] == np.arange(len(counts)), 1.0, -1.0)
        middle = np.average(targets, axis=0, weights=weights)
        means = np.concatenate([weights @ part / weights.sum() for _, part in _columns(features)])
        gram = np.outer(roots, roots).T  # Fortran order, so that each product is added in place.
        for columns, part in _columns(features):
            gram = dsyrk(1.0, (part - means[columns]) * roots[:, None], 1.0, gram, overwrite_c=True)
        values, vectors = eigh(gram, lower=False, overwrite_a=True, check_finite=False, driver="evr")
        # The intercept is not penalised.
        of_intercept = np.abs(roots @ vectors).argmax()
        wanted = vectors.T @ ((targets - middle) * roots[:, None])

        def solved(penalty: float) -> tuple[NDArray[np.float64], float]:
            inverse = 1 / (values + penalty)
            inverse[of_intercept] = 0
            dual = vectors @ (inverse[:, None] * wanted)
            left_out = dual / np.einsum("ij,j,ij->i", vectors, inverse, vectors)[:, None]
            return dual, float(np.mean(left_out**2))

        penalty = min(_PENALTIES.tolist(), key=lambda penalty: solved(penalty)[1])
        dual = solved(penalty)[0] * roots[:, None]
        coefficients = np.concatenate([part.T @ dual for _, part in _columns(features)])
        coefficients -= means[:, None] * dual.sum(axis=0)
        return cls(coefficients, middle - means @ coefficients, penalty)

    def scores(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return a score per class (n, K), above 0 where it is more likely than not; for features (n, F)."""
        found = np.tile(self.intercepts, (len(features), 1))
        for columns, part in _columns(features):
            found += part @ self.coefficients[columns]
        return found


def _columns(features: NDArray[np.float32]) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Yield some columns after others, in float64."""
    for first in range(0, features.shape[1], _COLUMNS_AT_ONCE):
        columns = slice(first, first + _COLUMNS_AT_ONCE)
        yield columns, features[:, columns].astype(np.float64)
