"""The movement features: bands of the spectra, parts of the window, repetition and gravity's direction."""

from __future__ import annotations

from patchtst_har import _core
from patchtst_har.features.checks import Float32Array, check_rate, check_window
from patchtst_har.features.names import MOVEMENT_FEATURE_NAMES
from patchtst_har.features.threads import fill_batch


def compute_movement_features(window: Float32Array, sr: float = 100.0) -> Float32Array:
    """Return the movement features of one window.

    Parameters
    ----------
    window : ndarray of float32, shape (n_samples, 3), C order
        Acceleration in g, 1 to 2**20 samples; samples that are not valid are repaired as in
        `compute_statistical_features`.
    sr : float, default 100.0
        Sampling rate in Hz.

    Returns
    -------
    ndarray of float32, shape (n_features,)
        In the order of `MOVEMENT_FEATURE_NAMES`, always finite; ``docs/features.md`` defines them.

    Raises
    ------
    DataError
        If shape, dtype, memory order or sampling rate are not as above. Nothing is converted silently.
    TypeError
        If `window` is not a numpy array.

    Notes
    -----
    - Logarithms are natural ones, of a value and a floor (1e-8 g^2, 1e-4 g, 1e-3 g/s): a band that holds no
      frequency of the window is -18.42, the logarithm of its floor.
    - A signal with a standard deviation below 1e-8 is constant: its correlations, skewness, kurtosis, cadence
      and cycle are 0.
    - A mean acceleration below 1e-6 g has no direction: `up_*` and `vertical_*` are 0, `horizontal_*` is of
      the whole movement. An angle of two components below 1e-6 is 0.
    - Powers that agree within 1e-9 (relative) count as tied, the lowest frequency wins; autocorrelations that
      differ by 1e-9 or less count as level.
    """
    return _core.window_movement(check_window(window), check_rate(sr))


def compute_movement_features_batch(
    windows: Float32Array, sr: float = 100.0, *, n_threads: int = 1, out: Float32Array | None = None
) -> Float32Array:
    """Return the movement features of many windows; see `compute_movement_features`.

    Parameters
    ----------
    windows : ndarray of float32, shape (n_windows, n_samples, 3)
        Acceleration in g; n_windows may be 0. Each window is in C order; windows may overlap or lie apart.
    sr : float, default 100.0
        Sampling rate in Hz.
    n_threads : int, default 1
        Threads over which the windows are split; the result does not depend on it.
    out : ndarray of float32, shape (n_windows, n_features), C order, optional
        Written to and returned; must not share memory with `windows`.

    Returns
    -------
    ndarray of float32, shape (n_windows, n_features)
        Row i equals ``compute_movement_features(windows[i], sr)`` bit for bit.

    Raises
    ------
    DataError, TypeError
        As `compute_statistical_features_batch`.
    """
    return fill_batch(_core.movement_features, len(MOVEMENT_FEATURE_NAMES), windows, sr, n_threads, out)
