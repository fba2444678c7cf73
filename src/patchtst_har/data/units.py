"""Units of acceleration, and whether the unit that was named can be true."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from patchtst_har import _core
from patchtst_har.data.columns import Unit as Unit
from patchtst_har.errors import DataError
from patchtst_har.support.long_arrays import blocks, mapped

PER_G: dict[str, float] = {"g": 1.0, "m/s2": 9.80665, "mg": 1000.0}

MOST_G: float = _core.MOST_G
"""A sample with an axis beyond this, in g, is unusable: no wrist sensor measures so much."""

UNUSABLE = {
    "n_nonfinite": "NaN or infinite",
    "n_zero": "exactly (0, 0, 0), as devices write where they have none",
    "n_out_of_range": f"beyond {MOST_G:g} g, as markers of missing values are",
}
"""What samples are left out, by the name under which they are counted."""

MARKERS = (-9999.0, 9999.0, 32767.0, -32768.0)
"""What devices and loggers write where they have no value; in mg, some of them would lie within `MOST_G`."""

LIMITS = (32767.0, -32768.0)
"""Those that are a marker on a single axis, too: the ends of 16 bits, beyond any range in mg."""

_MAX_STILL_STD = 0.013
_MAX_BLOCKS = 20_000
_SECONDS_AT_A_TIME = 500
_MIN_STILL_BLOCKS = 10
_PLAUSIBLE_G = {"still": (0.8, 1.25), "all": (0.6, 1.6)}
_FEW = 0.01
_SURELY = 0.06
_MOST_WITHOUT_GRAVITY_G = 2.5


class SignalWarning(UserWarning):
    """A recording is probably not what a model needs."""


class UnitWarning(SignalWarning):
    """The magnitude at rest is far from 1 g: the unit or the scale is probably another one."""


def unusable_text(counts: Mapping[str, Any], n_samples: int) -> str:
    """Return in words how many samples are unusable, by the names in `UNUSABLE`; "" for none."""
    lost = [f"{counts[name]:,} {what}" for name, what in UNUSABLE.items() if counts.get(name)]
    return f"of {n_samples:,} samples, unusable are {', '.join(lost)}" if lost else ""


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


def to_g(values: NDArray[np.float32], unit: Unit) -> NDArray[np.float32]:
    """Return acceleration (n, 3) of a unit in g.

    A sample that is a marker of a missing one (-9999 and the like on all three axes, 32767 or -32768 on any)
    stays what it is, beyond `MOST_G`.
    """
    if unit == "g":
        return values
    return mapped(len(values), lambda rows: _block_to_g(values[rows], PER_G[unit]), values, like=values)


def _block_to_g(values: NDArray[np.float32], per_g: float) -> NDArray[np.float32]:
    with np.errstate(invalid="ignore"):  # A signalling NaN.
        converted = values / np.float32(per_g)
    same = (values[:, 0] == values[:, 1]) & (values[:, 0] == values[:, 2])
    rows = np.flatnonzero(same)
    rows = rows[np.isin(values[rows, 0], MARKERS)]
    at_limit = (values == LIMITS[0]) | (values == LIMITS[1])
    rows = np.union1d(rows, np.flatnonzero(at_limit.any(axis=1)))
    converted[rows] = values[rows]
    return converted


def rest_magnitude(acceleration_g: NDArray[np.float32], sample_rate_hz: float) -> RestMagnitude | None:
    """Estimate the acceleration magnitude at rest, which is 1 g whatever the posture.

    A second is still when the standard deviation of each axis is below 1.3 % of the typical magnitude: the
    13 mg criterion of van Hees et al. (2014), J Appl Physiol 117:738-744, made independent of the scale.

    Parameters
    ----------
    acceleration_g : (n, 3) float32
        Acceleration, supposedly in g. Non-finite and all-zero samples are left out, and those beyond `MOST_G`
        unless nearly all are.
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
    seconds = acceleration_g[: n_blocks * length].reshape(n_blocks, length, 3)
    parts = [
        _magnitude_and_std(seconds[chosen[part]])
        for part in blocks(len(chosen), acceleration_g, n_block=_SECONDS_AT_A_TIME)
    ]
    magnitude, std = (np.concatenate(values) for values in zip(*parts, strict=True))
    if not len(magnitude):
        return None
    measured = magnitude <= MOST_G
    # In another unit, nearly all seconds lie beyond it: the magnitude then shows which.
    if measured.mean() > _FEW:
        magnitude, std = magnitude[measured], std[measured]
    still = (std < _MAX_STILL_STD * np.median(magnitude)).all(axis=1)
    if np.count_nonzero(still) >= _MIN_STILL_BLOCKS:
        return RestMagnitude(float(np.median(magnitude[still])), "still")
    return RestMagnitude(float(np.median(magnitude)), "all")


def _magnitude_and_std(blocks: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return, of the usable blocks (n, length, 3), median magnitude (n,) and std of each axis (n, 3)."""
    is_zero = np.all(blocks == 0, axis=2)
    usable = blocks[np.isfinite(blocks).all(axis=(1, 2)) & ~is_zero.any(axis=1)].astype(np.float64)
    # As np.linalg.norm, in a third of the time.
    squares = usable * usable
    magnitude = np.sqrt(squares[:, :, 0] + squares[:, :, 1] + squares[:, :, 2])
    return np.median(magnitude, axis=1), usable.std(axis=1)


def unit_at_rest(rest: RestMagnitude | None) -> Unit | None:
    """Return m/s² if the magnitude at rest, read as g, can be nothing else than gravity in it."""
    if rest is None or rest.basis != "still" or abs(rest.value_g / PER_G["m/s2"] - 1) > _SURELY:
        return None
    return "m/s2"


def check_unit(
    rest: RestMagnitude | None, unit: Unit | None, source: str, *, strict: bool = False
) -> list[str]:
    """Refuse or warn when the magnitude at rest cannot be gravity.

    Parameters
    ----------
    rest : RestMagnitude or None
        Of the acceleration read as `unit`; None: nothing can be said.
    unit : {"g", "m/s2", "mg"} or None
        The unit that the user named; None: none was named, so g was supposed.
    source : str
        What the message begins with.
    strict : bool
        Refuse in every case.

    Returns
    -------
    list of str
        The warning's text, or nothing.

    Raises
    ------
    DataError
        If the values fit another unit and none was named, or `strict`.

    Warns
    -----
    UnitWarning
        If the unit was named, or the values fit none.
    """
    if rest is None or rest.plausible:
        return []
    supposed: Unit = unit or "g"
    text = (
        f"{source}: the magnitude at rest is {rest.value_g:.3g} g when read as {supposed!r}, not near 1 g; "
    )
    likely = _likely(rest, supposed)
    if likely is not None:
        text += f"the values look like {likely!r}"
        if unit is None:
            raise DataError(f"{text}: name the unit, --units {likely} (or --units g if they are in g)")
    elif rest.value_g < _MOST_WITHOUT_GRAVITY_G:
        text += (
            "it fits no known unit: gravity was probably removed, from one axis or all (user or linear "
            "acceleration), or the device's range is set otherwise; a model needs acceleration with gravity"
        )
    else:
        text += "it fits no known unit, so check the device's range setting"
    if strict:
        raise DataError(text)
    warnings.warn(text, UnitWarning, stacklevel=3)
    return [text]


def _likely(rest: RestMagnitude, unit: Unit) -> Unit | None:
    """Return the unit in which the magnitude at rest is gravity."""
    raw = rest.value_g * PER_G[unit]
    low, high = _PLAUSIBLE_G[rest.basis]
    units: tuple[Unit, ...] = get_args(Unit)
    return next((name for name in units if low <= raw / PER_G[name] <= high), None)
