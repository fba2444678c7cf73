"""How much better a model does on a person after it was adapted to some of the person's labelled windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from patchtst_har.data.windows import Windows
from patchtst_har.evaluation.confusion import accuracy, confusion_counts, f_score
from patchtst_har.inference.adaptation import class_indices, fit_residual, window_shares
from patchtst_har.inference.recognizer import Recognizer

N_BLOCKS = 3
_NEW_BOUT_NS = 60 * 10**9


@dataclass(frozen=True)
class Gain:
    """Scores of a person's windows that the adaptation was not fitted to.

    Each class's windows are divided into blocks of time, by bouts if it has several, else within its bout.
    Every block is left out once, with all windows that share a sample with it, if windows are left then.

    Attributes
    ----------
    n_windows : int
        Windows that were left out once; they may overlap each other.
    accuracy_before, accuracy_after : float
        Part of them with the right class, without and with the adaptation to the others.
    macro_f1_before, macro_f1_after : float
        Mean F1 of the labelled classes.
    single_bout : tuple of str
        Classes of which all windows are of one bout: for these, before another day's bout is seen, the scores
        are optimistic.
    """

    n_windows: int
    accuracy_before: float
    accuracy_after: float
    macro_f1_before: float
    macro_f1_after: float
    single_bout: tuple[str, ...]


def gain_by_blocks(recognizer: Recognizer, windows: Windows, labels: Sequence[str]) -> Gain | None:
    """Score an adaptation to a person's labelled windows on blocks of them that are left out.

    Parameters
    ----------
    recognizer : Recognizer
        As it was trained.
    windows : Windows
        Of one recording, in order of time.
    labels : sequence of str
        Their classes.

    Returns
    -------
    Gain or None
        None if no block can be left out: the windows are too few, or all overlap each other.

    Raises
    ------
    DataError
        As `Recognizer.adapt`.
    """
    familiarity, classes = recognizer.check_adaptable(), recognizer.classes
    true = class_indices(labels, classes, len(windows))
    inputs = recognizer.inputs(windows.windows, windows.start_ns)
    logits, embeddings = recognizer.embed(inputs)
    head = recognizer.head()
    window_s = recognizer.config.data.window_size / recognizer.config.data.sample_rate_hz
    bouts = bouts_of(true, windows.start_ns)
    tested, after = np.zeros(len(true), bool), np.zeros(len(true), np.int64)
    for left_out, kept in _folds(true, bouts, windows.start_ns, round(window_s * 1e9)):
        shares = window_shares(windows.start_ns[kept], true[kept], window_s)
        weight, bias = fit_residual(embeddings[kept], logits[kept], true[kept], familiarity, head, shares)
        adapted = logits[left_out] + embeddings[left_out] @ weight.T + bias
        after[left_out] = adapted.argmax(axis=1)
        tested |= left_out
    if not tested.any():
        return None
    present, scores = np.unique(true), []
    for decided in (logits.argmax(axis=1), after):
        counts = confusion_counts(true[tested], decided[tested], len(classes))
        scores.append((float(accuracy(counts)), float(f_score(counts)[present].mean())))
    single = tuple(classes[k] for k in present if len(np.unique(bouts[true == k])) == 1)
    (accuracy_before, f1_before), (accuracy_after, f1_after) = scores
    n_tested = int(np.count_nonzero(tested))
    return Gain(n_tested, accuracy_before, accuracy_after, f1_before, f1_after, single)


def bouts_of(
    labels: NDArray[np.int64], start_ns: NDArray[np.int64], most_apart_ns: int = _NEW_BOUT_NS
) -> NDArray[np.int64]:
    """Return the number of each window's bout.

    Another label ends a bout, and so do starts that are further apart, by default than a minute.
    """
    new = (np.diff(labels) != 0) | (np.diff(start_ns) > most_apart_ns)
    return np.concatenate([[0], np.cumsum(new)])


def _folds(
    labels: NDArray[np.int64], bouts: NDArray[np.int64], start_ns: NDArray[np.int64], window_ns: int
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Yield which windows are left out and which are kept."""
    blocks = np.zeros(len(labels), np.int64)
    for k in np.unique(labels):
        own = np.flatnonzero(labels == k)
        bout = np.unique(bouts[own], return_inverse=True)[1]
        place = bout if bout.any() else np.arange(len(own))
        blocks[own] = place * N_BLOCKS // (place.max() + 1)
    for block in np.unique(blocks):
        left_out = blocks == block
        distance = np.abs(start_ns[:, None] - start_ns[left_out]).min(axis=1)
        kept = distance >= window_ns
        if np.count_nonzero(kept) >= 2:
            yield left_out, kept
