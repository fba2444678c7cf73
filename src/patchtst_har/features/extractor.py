"""All features as a scikit-learn transformer. Imports scikit-learn."""

from __future__ import annotations

from typing import Any, Literal, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from patchtst_har.errors import DataError
from patchtst_har.features.checks import Float32Array, check_rate, check_threads, check_windows
from patchtst_har.features.extended import FeatureGroups
from patchtst_har.features.settings import TopologyConfig
from patchtst_har.support.single_precision import to_float32


class FeatureExtractor(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Windows of acceleration to a table of features, as a scikit-learn transformer.

    Parameters
    ----------
    sr : float, default 100.0
        Sampling rate in Hz.
    statistical : bool, default True
        Compute the statistical features.
    topological : bool, default True
        Compute the 24 topological features.
    plugins : tuple or list of str, default ()
        Names of registered features to add.
    topology : TopologyConfig, optional
        Settings of the topological features; None takes the defaults.
    layout : {"ntc", "nct"}, default "ntc"
        Order of the input's axes: (n_windows, n_samples, 3), or (n_windows, 3, n_samples) as in aeon and
        sktime.
    n_threads : int, default 1
        Threads; the result does not depend on it.
    movement : bool, default False
        Compute the movement features.

    Attributes
    ----------
    n_samples_ : int
        Samples per window in `fit`; `transform` takes windows of this length only, because several features
        depend on it.

    Notes
    -----
    Nothing is learned from the data: `fit` checks parameters and input. Input of any real type is converted
    to float32. Values that are not finite are interpolated, see
    `compute_statistical_features`. A pickle holds the names of plug-ins, not their code: they must be
    registered where it is loaded.

    Examples
    --------
    >>> import numpy as np
    >>> from patchtst_har.features import FeatureExtractor
    >>> windows = np.random.default_rng(0).normal(size=(4, 1000, 3))
    >>> FeatureExtractor(topological=False, plugins=("hjorth",)).fit_transform(windows).shape
    (4, 58)
    """

    def __init__(
        self,
        sr: float = 100.0,
        statistical: bool = True,
        topological: bool = True,
        plugins: tuple[str, ...] = (),
        topology: TopologyConfig | None = None,
        layout: Literal["ntc", "nct"] = "ntc",
        n_threads: int = 1,
        movement: bool = False,
    ) -> None:
        self.sr = sr
        self.statistical = statistical
        self.topological = topological
        self.plugins = plugins
        self.topology = topology
        self.layout = layout
        self.n_threads = n_threads
        self.movement = movement

    def fit(self, X: ArrayLike, y: Any = None) -> Self:  # noqa: N803
        """Check parameters and windows.

        Parameters
        ----------
        X : array of real numbers, shape (n_windows, n_samples, 3) or, by `layout`, (n_windows, 3, n_samples)
            Acceleration in g.
        y : ignored

        Raises
        ------
        DataError
            If a parameter or the form of `X` is not as above, or both axes of `X` could hold the channels.
        FeatureError
            If a plug-in is unknown.
        TypeError
            If a parameter or `X` has a wrong type.
        """
        self._check_parameters()
        names = self._groups().names()
        windows = self._windows(X)
        self.n_samples_ = windows.shape[1]
        self._feature_names_out = np.asarray(names, dtype=object)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:  # noqa: N803
        """Return the features of windows.

        Parameters
        ----------
        X : array of real numbers
            As in `fit`, with windows of the same length.

        Returns
        -------
        ndarray of float32, shape (n_windows, n_features)
            Columns as in `get_feature_names_out`; always finite.

        Raises
        ------
        DataError, TypeError
            If `X` is not as above.
        FeatureError
            If a plug-in fails on a window.
        NotFittedError
            If `fit` has not been called.
        """
        check_is_fitted(self)
        self._check_parameters()
        windows = self._windows(X)
        if windows.shape[1] != self.n_samples_:
            raise DataError(
                f"X has windows of {windows.shape[1]} samples, but FeatureExtractor was fitted on "
                f"{self.n_samples_}"
            )
        return self._groups().compute(windows, self.sr, self.n_threads)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the columns: statistical, movement, topological, plug-ins.

        Parameters
        ----------
        input_features : ignored
            Samples of a window have no names.

        Raises
        ------
        NotFittedError
            If `fit` has not been called.
        """
        check_is_fitted(self)
        return cast("NDArray[np.object_]", self._feature_names_out.copy())

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _check_parameters(self) -> None:
        check_rate(self.sr)
        check_threads(self.n_threads)
        for name in ("statistical", "movement", "topological"):
            if not isinstance(getattr(self, name), bool | np.bool_):
                raise TypeError(f"{name} must be True or False, not {getattr(self, name)!r}")
        if self.layout not in ("ntc", "nct"):
            raise DataError(f"layout must be 'ntc' or 'nct', not {self.layout!r}")
        if not isinstance(self.plugins, tuple | list):
            raise TypeError(f"plugins must be a tuple or list of names, not {type(self.plugins).__name__}")
        if self.topology is not None and not isinstance(self.topology, TopologyConfig):
            raise TypeError(f"topology must be a TopologyConfig, not {type(self.topology).__name__}")
        if not (self.statistical or self.movement or self.topological or self.plugins):
            raise DataError("nothing to compute: set statistical, movement, topological or plugins")

    def _groups(self) -> FeatureGroups:
        return FeatureGroups(self.statistical, self.movement, self.topological, self.plugins, self.topology)

    def _windows(self, X: ArrayLike) -> Float32Array:  # noqa: N803
        """Return `X` as (n, T, 3) float32 in C order."""
        if hasattr(X, "toarray"):
            raise TypeError("X must be a dense array of windows, not a sparse matrix")
        if isinstance(X, np.ma.MaskedArray):
            raise TypeError("X must not be masked: pass X.filled(np.nan), which is interpolated")
        array = np.asarray(X)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"X must hold real numbers, not {array.dtype} (shape {array.shape})")
        _check_layout(array.shape, self.layout)
        if self.layout == "nct":
            array = array.transpose(0, 2, 1)
        return check_windows(np.ascontiguousarray(to_float32(array)))


def _check_layout(shape: tuple[int, ...], layout: str) -> None:
    """Refuse shapes that the layout does not fit, and those that both fit."""
    form = {"ntc": "(n_windows, n_samples, 3)", "nct": "(n_windows, 3, n_samples)"}[layout]
    if len(shape) != 3:
        raise DataError(f"X must have shape {form}, not {shape}")
    if shape[0] == 0:
        raise DataError(f"X has 0 windows (shape {shape}) while a minimum of 1 is required")
    if shape[1] == shape[2] == 3:
        raise DataError(f"X of shape {shape} is ambiguous: either axis of 3 could hold the channels")
    channels, other = (shape[2], shape[1]) if layout == "ntc" else (shape[1], shape[2])
    if channels != 3:
        hint = f"; pass layout={'nct' if layout == 'ntc' else 'ntc'!r}" if other == 3 else ""
        raise DataError(f"X must have shape {form} for layout={layout!r}, not {shape}{hint}")
