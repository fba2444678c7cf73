"""Scores from running counts: K x K numbers are kept, never the predictions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from patchtst_har.errors import DataError
from patchtst_har.evaluation import confusion
from patchtst_har.smoothing.checks import check_labels


class StreamingConfusion:
    """Confusion matrix that is updated batch by batch.

    Parameters
    ----------
    n_classes : int
        Number of classes K.

    Attributes
    ----------
    counts : ndarray of int64, shape (K, K)
        Row: true class; column: predicted class.
    """

    def __init__(self, n_classes: int) -> None:
        if n_classes < 1:
            raise DataError(f"n_classes: needs a positive integer, is {n_classes!r}")
        self.n_classes = n_classes
        self.counts: npt.NDArray[np.int64] = np.zeros((n_classes, n_classes), dtype=np.int64)

    def update(self, y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> None:
        """Add a batch of at least one window.

        Parameters
        ----------
        y_true, y_pred : array_like of int, shape (n,)
            Class indices, 0 to K - 1.

        Raises
        ------
        DataError
            If shapes differ or a label is out of range.
        """
        true, predicted = check_pair(y_true, y_pred, self.n_classes)
        self.counts += confusion.confusion_counts(true, predicted, self.n_classes)

    def accuracy(self) -> float:
        """Return the fraction of correct windows; NaN before the first update."""
        return float(confusion.accuracy(self.counts))

    def macro_f1(self) -> float:
        """Return the mean F1 over all K classes (absent classes count as 0); 0 before the first update."""
        return float(confusion.macro_f1(self.counts))

    def reset(self) -> None:
        """Forget all counts."""
        self.counts[:] = 0


def check_pair(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, n_classes: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return both as int64 (n,); refuse other lengths, types and ranges."""
    true = check_labels(y_true, n_classes, "y_true")
    predicted = check_labels(y_pred, n_classes, "y_pred")
    if true.shape != predicted.shape:
        raise DataError(f"y_true and y_pred: need one length, have {true.size} and {predicted.size}")
    return true, predicted
