"""Scale and offset of each axis, found from the moments at rest: a sensor then measures 1 g, however turned.

The method of van Hees et al. (2014), J Appl Physiol 117:738-744, doi 10.1152/japplphysiol.00421.2014. Ten
seconds are stationary if the standard deviation of each axis is below 13 mg. Their means should lie on the
sphere of radius 1 g: each is compared with the closest point on it, a weighted least-squares line per axis
gives scale and offset, and both are repeated until nothing changes. Temperature is not part of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from patchtst_har.data.epochs import EPOCH_S, Epochs
from patchtst_har.support.formatting import counted

Policy = Literal["off", "auto", "require"]

MAX_STATIONARY_STD_G = 0.013
MIN_WINDOWS = 50
SPHERE_G = 0.3
MAX_ERROR_G = 0.010

_REST_G = (0.5, 2.0)
_MIN_FILLED = 0.9
_MAX_ITERATIONS = 300
_CONVERGED = 1e-6
_MOST_WEIGHT = 100.0

_Floating = TypeVar("_Floating", bound=np.floating[Any])


@dataclass(frozen=True)
class SensorCalibration:
    """What makes acceleration of a sensor true: ``scale * measured + offset_g`` on each axis."""

    scale: tuple[float, float, float]
    offset_g: tuple[float, float, float]
    error_before_mg: float
    """Mean distance of the stationary windows' magnitude from 1 g, as measured."""
    error_after_mg: float
    """The same, calibrated."""
    n_windows: int
    """Stationary windows that it was fitted to."""

    def applied(self, samples: NDArray[_Floating]) -> NDArray[_Floating]:
        """Return samples (n, 3) in g, calibrated."""
        scale, offset = (np.asarray(values, samples.dtype) for values in (self.scale, self.offset_g))
        return samples * scale + offset

    def facts(self) -> dict[str, Any]:
        """Return the numbers, for reports."""
        return asdict(self)


@dataclass(frozen=True)
class NotCalibrated:
    """Why a recording cannot be calibrated by itself."""

    reason: str
    n_windows: int
    """Stationary windows."""
    error_mg: float | None
    """Mean distance of their magnitude from 1 g; None if there are none."""

    def facts(self) -> dict[str, Any]:
        """Return the reason and the numbers, for reports."""
        return {"reason": self.reason, "error_before_mg": self.error_mg, "n_windows": self.n_windows}


def calibration_doubt(facts: Mapping[str, Any]) -> list[str]:
    """Return, in words, that a recording was to be calibrated and could not be; nothing otherwise."""
    return [f"Not calibrated: {facts['reason']}."] if "reason" in facts else []


def parameters() -> dict[str, float]:
    """Return the settings of the method, for reports."""
    return {
        "window_s": EPOCH_S,
        "max_std_mg": MAX_STATIONARY_STD_G * 1000,
        "min_windows": MIN_WINDOWS,
        "sphere_mg": SPHERE_G * 1000,
        "max_error_mg": MAX_ERROR_G * 1000,
    }


def stationary_means(
    epochs: Epochs, sample_rate_hz: float | None, excluded: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Return the means (k, 3), in g, of the windows of 10 s in which nothing moves.

    Parameters
    ----------
    epochs : Epochs
        Of a recording.
    sample_rate_hz : float or None
        Its rate, if it is known: a window must hold nine tenths of the samples of 10 s.
    excluded : (m,) bool, optional
        Epochs that are not to be used: idle sleep, time without wear.
    """
    if sample_rate_hz is None:
        return np.empty((0, 3))
    still = (epochs.std < MAX_STATIONARY_STD_G).all(axis=1)
    still &= epochs.n_samples >= _MIN_FILLED * EPOCH_S * sample_rate_hz
    magnitude = np.linalg.norm(epochs.mean, axis=1)
    still &= (magnitude > _REST_G[0]) & (magnitude < _REST_G[1])
    if excluded is not None:
        still &= ~excluded
    return epochs.mean[still]


def fit_calibration(
    means: NDArray[np.float64], *, min_windows: int = MIN_WINDOWS, sphere_g: float = SPHERE_G
) -> SensorCalibration | NotCalibrated:
    """Fit scale and offset of each axis to windows at rest, or say why that is not possible.

    Parameters
    ----------
    means : (k, 3) float64
        Means of stationary windows, in g; finite.
    min_windows : int
        Fewer are refused.
    sphere_g : float
        Orientations must reach below ``-sphere_g`` and above ``sphere_g`` on each axis: otherwise scale and
        offset cannot be told apart.
    """
    before_g = _error_g(means) if len(means) else None

    def refused(reason: str) -> NotCalibrated:
        return NotCalibrated(reason, len(means), None if before_g is None else before_g * 1000)

    if len(means) < min_windows or before_g is None:
        found = counted(len(means), "stationary window", "stationary windows")
        return refused(f"{found} of {EPOCH_S:g} s, at least {min_windows} are needed")
    missed = [
        f"{name} from {axis.min():+.2f} to {axis.max():+.2f} g"
        for name, axis in zip("xyz", means.T, strict=True)
        if axis.min() > -sphere_g or axis.max() < sphere_g
    ]
    if missed:
        return refused(
            f"orientations at rest cover too little of the sphere ({', '.join(missed)}; each axis needs to "
            f"reach below {-sphere_g:+g} and above {sphere_g:+g} g)"
        )
    scale, offset = _fit(means)
    after_g = _error_g(means * scale + offset)
    if not after_g < min(before_g, MAX_ERROR_G):
        # Also if it is not finite.
        return refused(
            f"the error at rest would be {after_g * 1000:.1f} mg in place of {before_g * 1000:.1f} mg; it "
            f"must fall, to below {MAX_ERROR_G * 1000:g} mg"
        )
    return SensorCalibration(_triple(scale), _triple(offset), before_g * 1000, after_g * 1000, len(means))


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = values.tolist()
    return x, y, z


def _error_g(means: NDArray[np.float64]) -> float:
    return float(np.abs(np.linalg.norm(means, axis=1) - 1).mean())


def _fit(means: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return scale and offset (3,), by repeated weighted regressions on the closest points of the sphere."""
    scale, offset = np.ones(3), np.zeros(3)
    for _ in range(_MAX_ITERATIONS):
        current = means * scale + offset
        radius = np.sqrt(np.einsum("ij,ij->i", current, current))[:, None]
        closest = current / radius
        weights = 1 / np.maximum(np.abs(radius - 1), 1 / _MOST_WEIGHT)
        weights /= weights.sum()
        centre, target = (weights * current).sum(axis=0), (weights * closest).sum(axis=0)
        apart = weights * (current - centre)
        slope = (apart * (closest - target)).sum(axis=0) / (apart * (current - centre)).sum(axis=0)
        step = slope * scale - scale, slope * (offset - centre) + target - offset
        scale, offset = scale + step[0], offset + step[1]
        if np.abs(step).max() < _CONVERGED:
            break
    return scale, offset
