"""Units of acceleration, and whether the unit that was named can be true."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from patchtst_har.errors import DataError

Unit = Literal["g", "m/s2", "mg"]
PER_G: dict[str, float] = {"g": 1.0, "m/s2": 9.80665, "mg": 1000.0}

_MAX_STILL_STD = 0.013
_MAX_BLOCKS = 20_000
_BLOCKS_AT_A_TIME = 500
_MIN_STILL_BLOCKS = 10
_PLAUSIBLE_G = {"still": (0.8, 1.25), "all": (0.6, 1.6)}


class UnitWarning(UserWarning):
    """The magnitude at rest is far from 1 g: the unit or the scale is probably another one."""


@dataclass(frozen=True)
class RestMagnitude:
    """Median acceleration magnitude at rest."""

    value_g: float
    basis: Literal["still", "all"]
    """`still`: from seconds without movement; `all`: there were too few, so from every sample."""

    @property
    def plausible(self) -> bool:
        """Whether this can be gravity, allowing for sensors that are well out of calibration."""
        low, high = _PLAUSIBLE_G[self.basis]
        return low <= self.value_g <= high


def rest_magnitude(acceleration_g: NDArray[np.float32], sample_rate_hz: float) -> RestMagnitude | None:
    """Estimate the acceleration magnitude at rest, which is 1 g whatever the posture.

    A second is still when the standard deviation of each axis is below 1.3 % of the typical magnitude: the
    13 mg criterion of van Hees et al. (2014), J Appl Physiol 117:738-744, made independent of the scale.

    Parameters
    ----------
    acceleration_g : (n, 3) float32
        Acceleration, supposedly in g. Non-finite and all-zero samples are left out.
    sample_rate_hz : float
        Samples per second, for the length of a block.

    Returns
    -------
    RestMagnitude or None
        None if there is no second of usable samples.
    """
    length = max(round(sample_rate_hz), 2)
    n_blocks = len(acceleration_g) // length
    if n_blocks == 0:
        return None
    chosen = np.unique(np.linspace(0, n_blocks - 1, min(n_blocks, _MAX_BLOCKS)).astype(np.intp))
    blocks = acceleration_g[: n_blocks * length].reshape(n_blocks, length, 3)
    parts = [
        _magnitude_and_std(blocks[chosen[first : first + _BLOCKS_AT_A_TIME]])
        for first in range(0, len(chosen), _BLOCKS_AT_A_TIME)
    ]
    magnitude, std = (np.concatenate(values) for values in zip(*parts, strict=True))
    if not len(magnitude):
        return None
    still = (std < _MAX_STILL_STD * np.median(magnitude)).all(axis=1)
    if np.count_nonzero(still) >= _MIN_STILL_BLOCKS:
        return RestMagnitude(float(np.median(magnitude[still])), "still")
    return RestMagnitude(float(np.median(magnitude)), "all")


def _magnitude_and_std(blocks: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return, of the usable blocks (n, length, 3), median magnitude (n,) and std of each axis (n, 3)."""
    is_zero = np.all(blocks == 0, axis=2)
    usable = blocks[np.isfinite(blocks).all(axis=(1, 2)) & ~is_zero.any(axis=1)].astype(np.float64)
    return np.median(np.linalg.norm(usable, axis=2), axis=1), usable.std(axis=1)


def check_unit(rest: RestMagnitude | None, unit: Unit, source: str, *, strict: bool) -> list[str]:
    """Warn, or refuse if `strict`, when the magnitude at rest cannot be gravity.

    Returns
    -------
    list of str
        The warning's text, or nothing.

    Raises
    ------
    DataError
        If `strict` and the unit is implausible.

    Warns
    -----
    UnitWarning
        If not `strict` and the unit is implausible.
    """
    if rest is None or rest.plausible:
        return []
    read_as = f"is {rest.value_g:.3g} g when read as {unit!r}, not near 1 g"
    text = f"{source}: the magnitude at rest {read_as}; {_likely(rest, unit)}"
    if strict:
        raise DataError(text)
    warnings.warn(text, UnitWarning, stacklevel=3)
    return [text]


def _likely(rest: RestMagnitude, unit: Unit) -> str:
    raw = rest.value_g * PER_G[unit]
    low, high = _PLAUSIBLE_G[rest.basis]
    for name, per_g in PER_G.items():
        if low <= raw / per_g <= high:
            return f"the values look like {name!r}"
    return "it fits no known unit, so check the device's range setting"
