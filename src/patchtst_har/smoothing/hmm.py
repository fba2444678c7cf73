"""Hidden Markov model over window probabilities.

The hidden state is the true activity. What is observed is the classifier's whole probability vector: its
likelihood in state k is ``b_t(k) = sum_j p_t(j) E[k, j]``, where E[k, j] is the mean probability given to
class j by a classifier that did not train on the window, over windows truly of class k. With a one-hot
vector this is the categorical HMM of Willetts et al., Sci Rep 8:7961 (2018).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from patchtst_har.errors import DataError, ModelFolderError
from patchtst_har.smoothing import checks, storage
from patchtst_har.smoothing.sequences import sequence_bounds

FloatArray = npt.NDArray[np.float64]


class HMMSmoother:
    """Smooth window probabilities with a hidden Markov model of the activities.

    Transitions come from the labels of training participants, emissions from predictions on participants the
    classifier did not train on (in-sample probabilities are too sure of themselves); so the two can be fitted
    one by one. All K classes are always states, also those that a data set lacks.

    Parameters
    ----------
    n_classes : int
        Number of classes K.
    pseudo_count : float
        Added to every count, so that no state is unreachable.
    hop_s : float, optional
        Seconds between the windows on which the transitions are counted; kept with the model.

    Attributes
    ----------
    start_probabilities : ndarray, shape (K,)
        Class frequencies of the fitted labels. A sequence begins at the start of a recording and after every
        gap, so it begins in any activity.
    transition_matrix : ndarray, shape (K, K)
        Row: activity of a window; column: activity of the next.
    emission_matrix : ndarray, shape (K, K)
        Row: true class; column: mean predicted probability of each class.

    Raises
    ------
    DataError
        If a parameter is out of its range.
    """

    def __init__(self, n_classes: int, pseudo_count: float = 1.0, *, hop_s: float | None = None) -> None:
        if isinstance(n_classes, bool) or not isinstance(n_classes, int | np.integer) or n_classes < 1:
            raise DataError(f"n_classes: needs a positive integer, is {n_classes!r}")
        self.n_classes = int(n_classes)
        self.pseudo_count = checks.checked_positive("pseudo_count", pseudo_count)
        self.hop_s = None if hop_s is None else checks.checked_positive("hop_s", hop_s)
        self._start: FloatArray | None = None
        self._transitions: FloatArray | None = None
        self._emissions: FloatArray | None = None

    @property
    def start_probabilities(self) -> FloatArray:
        """Probability of each class in the first window of a sequence, shape (K,)."""
        return _fitted(self._start, "fit_transitions")

    @property
    def transition_matrix(self) -> FloatArray:
        """Probability of each class (column) one hop after each class (row), shape (K, K)."""
        return _fitted(self._transitions, "fit_transitions")

    @property
    def emission_matrix(self) -> FloatArray:
        """Mean predicted probability of each class (column) in windows of each class (row), shape (K, K)."""
        return _fitted(self._emissions, "fit_emissions")

    def fit(self, labels: npt.ArrayLike, probabilities: npt.ArrayLike, sequences: npt.ArrayLike) -> Self:
        """Fit transitions and emissions on the same windows.

        Parameters
        ----------
        labels : array_like of int, shape (n,)
            True classes, 0 to K - 1.
        probabilities : array_like, shape (n, K)
            Out-of-sample class probabilities.
        sequences : array_like of int, shape (n,)
            See `sequence_ids`.

        Returns
        -------
        HMMSmoother
            Itself.
        """
        return self.fit_transitions(labels, sequences).fit_emissions(labels, probabilities)

    def fit_transitions(self, labels: npt.ArrayLike, sequences: npt.ArrayLike) -> Self:
        """Count class frequencies, and transitions between neighbours of the same sequence.

        Parameters
        ----------
        labels : array_like of int, shape (n,)
            True classes, 0 to K - 1.
        sequences : array_like of int, shape (n,)
            See `sequence_ids`; no transition is counted from one sequence to the next.

        Raises
        ------
        DataError
            If there is no window, a label is out of range, or shapes differ.
        """
        states, size = checks.check_labels(labels, self.n_classes), self.n_classes
        later = np.delete(np.arange(states.size), sequence_bounds(sequences, states.size)[:-1])
        pairs = np.bincount(states[later - 1] * size + states[later], minlength=size * size)
        self._start = self._normalise(np.bincount(states, minlength=size))
        self._transitions = self._normalise(pairs.reshape(size, size))
        return self

    def fit_emissions(self, labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> Self:
        """Average the probabilities given to windows of each true class.

        Parameters
        ----------
        labels : array_like of int, shape (n,)
            True classes, 0 to K - 1.
        probabilities : array_like, shape (n, K)
            Probabilities for participants on whom the classifier was not trained.

        Raises
        ------
        DataError
            If there is no window, a label is out of range, a row is not a distribution, or shapes differ.
        """
        states = checks.check_labels(labels, self.n_classes)
        observed = checks.check_probabilities(probabilities, self.n_classes)
        if len(observed) != states.size:
            raise DataError(f"labels and probabilities: {states.size} labels for {len(observed)} rows")
        totals = np.zeros((self.n_classes, self.n_classes))
        np.add.at(totals, states, observed)
        self._emissions = self._normalise(totals)
        return self

    def predict(self, probabilities: npt.ArrayLike, sequences: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return the most probable path of classes (Viterbi), restarted in every sequence.

        The path uses the whole sequence, past and future: it is an offline result. Equal scores go to the
        class of lower index.

        Parameters
        ----------
        probabilities : array_like, shape (n, K)
            Class probabilities of the windows.
        sequences : array_like of int, shape (n,)
            See `sequence_ids`.

        Returns
        -------
        ndarray of int64, shape (n,)
            One class per window.

        Raises
        ------
        DataError
            If a row is not finite, negative or does not sum to 1 (the row is named), shapes differ, or a
            sequence is impossible under the model.
        """
        return self._viterbi(*self._likelihoods(probabilities, sequences))

    def predict_proba(self, probabilities: npt.ArrayLike, sequences: npt.ArrayLike) -> FloatArray:
        """Return the posterior probability of every class given the whole sequence (forward-backward).

        Parameters and errors are those of `predict`.

        Returns
        -------
        ndarray of float64, shape (n, K)
            Rows sum to 1. The class of the largest posterior is not always the one on the Viterbi path.
        """
        return self._smooth(*self._likelihoods(probabilities, sequences))

    def decode(
        self, probabilities: npt.ArrayLike, sequences: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.int64], FloatArray]:
        """Return what `predict` and `predict_proba` return, bit for bit, from one pass of the emissions.

        Parameters and errors are those of `predict`.
        """
        likelihoods, bounds = self._likelihoods(probabilities, sequences)
        return self._viterbi(likelihoods, bounds), self._smooth(likelihoods, bounds)

    def filter_proba(self, probabilities: npt.ArrayLike, sequences: npt.ArrayLike) -> FloatArray:
        """Return the posterior probability of every class given the windows so far (causal filter).

        What a stream can know of a window when it ends: no later window has an influence.
        Parameters and errors are those of `predict`.

        Returns
        -------
        ndarray of float64, shape (n, K)
            Rows sum to 1.
        """
        return self._filter(*self._likelihoods(probabilities, sequences))

    def fixed_lag_proba(self, probabilities: npt.ArrayLike, sequences: npt.ArrayLike, lag: int) -> FloatArray:
        """Return the posterior probability of every class given the windows up to `lag` later ones.

        What a stream can know of a window `lag` hops after it ended (Anderson and Moore, Optimal Filtering,
        1979, chapter 7). At the end of a sequence fewer windows follow.

        Parameters
        ----------
        probabilities, sequences : array_like
            As in `predict`, as are the errors.
        lag : int
            Later windows to wait for; 0 is the causal filter.

        Returns
        -------
        ndarray of float64, shape (n, K)
            Rows sum to 1.

        Raises
        ------
        DataError
            Also if `lag` is negative or no integer.
        """
        return self.fixed_lags_proba(probabilities, sequences, [lag])[0]

    def fixed_lags_proba(
        self, probabilities: npt.ArrayLike, sequences: npt.ArrayLike, lags: Sequence[int]
    ) -> list[FloatArray]:
        """Return what `fixed_lag_proba` returns for each of `lags`, from one pass of the filter.

        Parameters
        ----------
        probabilities, sequences : array_like
            As in `predict`, as are the errors.
        lags : sequence of int
            Each a number of later windows to wait for.

        Returns
        -------
        list of ndarray of float64, shape (n, K)
            One for each lag.

        Raises
        ------
        DataError
            Also if a lag is negative or no integer.
        """
        from patchtst_har.smoothing import kernels

        for lag in lags:
            if isinstance(lag, bool) or not isinstance(lag, int | np.integer) or lag < 0:
                raise DataError(f"lag: needs an integer of at least 0, is {lag!r}")
        likelihoods, bounds = self._likelihoods(probabilities, sequences)
        filtered = self._filter(likelihoods, bounds)
        results = [np.zeros_like(filtered) for _ in lags]
        for lag, posterior in zip(lags, results, strict=True):
            kernels.look_ahead(filtered, self.transition_matrix, bounds, int(lag), posterior)
        return results

    def _likelihoods(
        self, probabilities: npt.ArrayLike, sequences: npt.ArrayLike
    ) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        """Check the input; return the likelihoods of windows (n, K), and the bounds of sequences."""
        from patchtst_har.smoothing import kernels

        observed = checks.check_probabilities(probabilities, self.n_classes)
        bounds = sequence_bounds(sequences, len(observed))
        return kernels.observation_likelihoods(observed, self.emission_matrix), bounds

    def _viterbi(self, likelihoods: FloatArray, bounds: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        from patchtst_har.smoothing import kernels

        path = np.zeros(len(likelihoods), dtype=np.int64)
        logs = map(_log, (likelihoods, self.start_probabilities, self.transition_matrix))
        _refuse_impossible(kernels.viterbi_path(*logs, bounds, path))
        return path

    def _filter(self, likelihoods: FloatArray, bounds: npt.NDArray[np.int64]) -> FloatArray:
        from patchtst_har.smoothing import kernels

        filtered = np.zeros_like(likelihoods)
        model = (self.start_probabilities, self.transition_matrix)
        _refuse_impossible(kernels.filter_posteriors(likelihoods, *model, bounds, filtered))
        return filtered

    def _smooth(self, likelihoods: FloatArray, bounds: npt.NDArray[np.int64]) -> FloatArray:
        from patchtst_har.smoothing import kernels

        filtered = self._filter(likelihoods, bounds)
        posterior = np.zeros_like(filtered)
        kernels.smooth(filtered, self.transition_matrix, bounds, posterior)
        return posterior

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model as JSON to the file `path` (`smoothing.json` in a model folder)."""
        settings = {name: getattr(self, name) for name in storage.SETTINGS}
        tables = {name: getattr(self, name).tolist() for name in storage.TABLES}
        storage.write_document(path, {**settings, **tables})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a model that `save` wrote to the file `path`.

        Raises
        ------
        ModelFolderError
            If the file is missing or not JSON, or a field is missing, unknown, or not what it should be; the
            message names the file and the field.
        """
        parameters = storage.read_document(path)
        try:
            return cls.from_parameters(**parameters)
        except DataError as error:
            raise ModelFolderError(f"{path}: {error}") from error

    @classmethod
    def from_parameters(
        cls,
        start_probabilities: npt.ArrayLike,
        transition_matrix: npt.ArrayLike,
        emission_matrix: npt.ArrayLike,
        *,
        n_classes: int,
        pseudo_count: float = 1.0,
        hop_s: float | None = None,
    ) -> Self:
        """Build a smoother from known parameters.

        Parameters
        ----------
        start_probabilities : array_like, shape (K,)
            Of each class in the first window of a sequence.
        transition_matrix : array_like, shape (K, K)
            Of each class (column) one hop after each class (row); rows sum to 1.
        emission_matrix : array_like, shape (K, K)
            Mean predicted probability of each class (column) in windows of each class (row); rows sum to 1.
        n_classes : int
            K.
        pseudo_count, hop_s : float
            See the class.

        Raises
        ------
        DataError
            If a shape is wrong or a row is not a distribution; the message names the field.
        """
        smoother = cls(n_classes, pseudo_count, hop_s=hop_s)
        row, check = (smoother.n_classes,), checks.check_distributions
        smoother._start = check("start_probabilities", start_probabilities, row)
        smoother._transitions = check("transition_matrix", transition_matrix, row * 2)
        smoother._emissions = check("emission_matrix", emission_matrix, row * 2)
        return smoother

    def _normalise(self, counts: npt.NDArray[Any]) -> FloatArray:
        smoothed = counts.astype(np.float64) + self.pseudo_count
        normalised: FloatArray = smoothed / smoothed.sum(axis=-1, keepdims=True)
        return normalised


def _fitted(value: FloatArray | None, method: str) -> FloatArray:
    if value is None:
        raise RuntimeError(f"HMMSmoother is not fitted: call {method}, fit or load first")
    return value


def _log(values: FloatArray) -> FloatArray:
    # A probability of zero is legal in a stored model; its logarithm is minus infinity without a warning.
    with np.errstate(divide="ignore"):
        logs: FloatArray = np.log(values)
    return logs


def _refuse_impossible(row: int) -> None:
    if row >= 0:
        raise DataError(f"probabilities: row {row} is impossible under the model (its probability is 0)")
