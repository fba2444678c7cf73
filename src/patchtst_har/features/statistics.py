"""The statistical features: moments, quantiles, spectrum, peaks and orientation."""

from __future__ import annotations

from patchtst_har import _core
from patchtst_har.features.checks import Float32Array, check_rate, check_window
from patchtst_har.features.names import STATISTICAL_FEATURE_NAMES
from patchtst_har.features.threads import fill_batch


def compute_statistical_features(window: Float32Array, sr: float = 100.0) -> Float32Array:
    """Return the statistical features of one window.

    Parameters
    ----------
    window : ndarray of float32, shape (n_samples, 3), C order
        Acceleration in g, 1 to 2**20 samples. Samples that are not finite or beyond 1e19 g (their squares
        would overflow) are interpolated linearly per channel, at the ends replaced by the nearest valid
        value; a channel without any valid sample becomes 0.
    sr : float, default 100.0
        Sampling rate in Hz.

    Returns
    -------
    ndarray of float32, shape (n_features,)
        In the order of `STATISTICAL_FEATURE_NAMES`; always finite. Accelerations are in g, frequencies in
        Hz, angles in radians.

    Raises
    ------
    DataError
        If shape, dtype, memory order or sampling rate are not as above. Nothing is converted silently.
    TypeError
        If `window` is not a numpy array.

    Notes
    -----
    The magnitude m is rounded to float32 at every step; sums, moments and recurrences are float64.

    - A signal with a standard deviation below 1e-8 is constant: its correlations, skew, kurtosis and
      spectral features are 0.
    - Powers that agree within 1e-9 (relative) count as tied; the lowest frequency wins. `freq_2` and
      `power_2` are 0 when no bin is left outside the neighbours of the first.
    - Peaks are those of `scipy.signal.find_peaks`, prominences those of `scipy.signal.peak_prominences`.
    - Orientation splits gravity off with a first-order 0.5 Hz low-pass and takes circular means (Mardia and
      Jupp, Directional Statistics, 2000) of unit vectors. Vectors shorter than 1e-6 g have no direction; if
      the mean resultant is below 1e-12, the angle is 0 and its circular deviation 7.434 = sqrt(-2 ln 1e-12).
    - `enmo` is the Euclidean norm minus one (van Hees et al., PLoS ONE 8(4), 2013).
    """
    return _core.window_statistics(check_window(window), check_rate(sr))


def compute_statistical_features_batch(
    windows: Float32Array, sr: float = 100.0, *, n_threads: int = 1, out: Float32Array | None = None
) -> Float32Array:
    """Return the statistical features of many windows; see `compute_statistical_features`.

    Parameters
    ----------
    windows : ndarray of float32, shape (n_windows, n_samples, 3)
        Acceleration in g; n_windows may be 0. Each window is in C order; windows may overlap, as those of
        ``sliding_window_view(buffer, n_samples, axis=0)[::hop].transpose(0, 2, 1)``. Nothing is copied.
    sr : float, default 100.0
        Sampling rate in Hz.
    n_threads : int, default 1
        Threads over which the windows are split; the result does not depend on it.
    out : ndarray of float32, shape (n_windows, n_features), C order, optional
        Written to and returned; must not share memory with `windows`.

    Returns
    -------
    ndarray of float32, shape (n_windows, n_features)
        Row i equals ``compute_statistical_features(windows[i], sr)`` bit for bit.

    Raises
    ------
    DataError
        If an array's shape, dtype or memory order, the sampling rate or `n_threads` are not as above.
    TypeError
        If an array is not a numpy array, or `n_threads` not an integer.
    """
    return fill_batch(_core.statistical_features, len(STATISTICAL_FEATURE_NAMES), windows, sr, n_threads, out)
