"""What happens to the samples of a recording before they are resampled: checked, calibrated, wear-marked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from patchtst_har.config import DataConfig
from patchtst_har.data import calibration, non_wear
from patchtst_har.data.epochs import EPOCH_NS
from patchtst_har.data.resample import CleanSamples, clean_samples, resampling_facts
from patchtst_har.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


def prepared_samples(
    recording: pd.DataFrame, config: DataConfig, *, idle_ns: ArrayLike | None = None, worn: bool = False
) -> CleanSamples:
    """Return the samples of a recording as windows are cut from them.

    Unusable samples are left out, segments end at gaps (`clean_samples`). Time without wear is taken out of
    the segments like a gap, so no window holds any of it and smoothing restarts after it: what the wearer
    did meanwhile is not known. Calibration is fitted to what is left, and applied where samples are
    resampled.

    Parameters
    ----------
    recording : pandas.DataFrame
        See `patchtst_har.data.recording`.
    config : DataConfig
        `max_gap_s`, `calibration`, `non_wear`.
    idle_ns : array_like of int64, shape (k, 2), optional
        Begin and end of the spans for which the file says that the device slept and wrote nothing
        (``info["reading"]["idle_sleep"]`` of `read_recording`).
    worn : bool
        Somebody noted what the wearer did, so the sensor was worn: non-wear is recorded, but not taken out.

    Returns
    -------
    CleanSamples
        ``info`` also has the keys ``non_wear`` and ``calibration``: mappings with the policy, the parameters,
        whether the step changed anything (``applied``), its effect and, if it was refused, the ``reason``;
        and ``resampling``, how windows are resampled.

    Raises
    ------
    DataError
        If the recording is not valid, or calibration is required and refused.
    """
    clean = clean_samples(recording, config.max_gap_s)
    still_ns = non_wear.still_hours(clean.epochs, clean.sample_rate_hz)
    empty_ns = non_wear.merged(clean.zeros_ns, _long_spans(idle_ns))
    unworn_ns = non_wear.merged(still_ns, clean.repeats_ns, empty_ns)
    fitted, calibrating = _calibrate(clean, config, unworn_ns)
    bounds, taken_ns, wearing = _take_out(clean, config, unworn_ns, empty_ns, worn=worn)
    prepared = replace(clean, bounds=bounds, calibration=fitted, non_wear_ns=taken_ns)
    resampling = resampling_facts(prepared, config.sample_rate_hz)
    prepared.info.update(non_wear=wearing, calibration=calibrating, resampling=resampling)
    return prepared


def _long_spans(idle_ns: ArrayLike | None) -> NDArray[np.int64]:
    """Return spans (k, 2) that last a minute or more."""
    spans_ns = np.asarray([] if idle_ns is None else idle_ns, np.int64).reshape(-1, 2)
    return spans_ns[np.diff(spans_ns)[:, 0] >= non_wear.MIN_IDLE_S * 1e9]


def _take_out(
    clean: CleanSamples,
    config: DataConfig,
    unworn_ns: NDArray[np.int64],
    empty_ns: NDArray[np.int64],
    *,
    worn: bool,
) -> tuple[list[tuple[int, int]], NDArray[np.int64], dict[str, Any]]:
    """Return the segments without the time that nobody wore the sensor, that time, and what was done.

    Of `unworn_ns`, time counts that holds samples or is idle sleep without any, `empty_ns`.
    """
    facts: dict[str, Any] = {"policy": config.non_wear, "applied": False}
    if config.non_wear == "off":
        return clean.bounds, clean.non_wear_ns, facts
    moments = [*clean.time_ns[[0, -1] if len(clean.time_ns) else []], *empty_ns.ravel()]
    lasts_s = float((max(moments) - min(moments)) * 1e-9) if moments else 0.0
    if lasts_s <= non_wear.WINDOW_S:
        reason = f"the recording does not last more than {non_wear.WINDOW_S / 60:g} min"
        return clean.bounds, clean.non_wear_ns, {**facts, "reason": reason}
    bounds, taken_ns = non_wear.without(clean.time_ns, clean.bounds, unworn_ns, clean.period_ns)
    taken_ns = non_wear.merged(taken_ns, empty_ns)
    facts |= {
        "non_wear_s": float(np.diff(taken_ns).sum() * 1e-9),
        "idle_s": clean.info["repeated_s"] + float(np.diff(empty_ns).sum() * 1e-9),
        "n_spans": len(taken_ns),
        **non_wear.parameters(),
    }
    if worn:
        return clean.bounds, clean.non_wear_ns, {**facts, "reason": "annotated recordings count as worn"}
    return bounds, taken_ns, {**facts, "applied": len(taken_ns) > 0}


def _calibrate(
    clean: CleanSamples, config: DataConfig, unworn_ns: NDArray[np.int64]
) -> tuple[calibration.SensorCalibration | None, dict[str, Any]]:
    """Return the calibration, if it is asked for and possible, and what was done."""
    facts: dict[str, Any] = {"policy": config.calibration, "applied": False}
    if config.calibration == "off":
        return None, facts
    start_ns = clean.epochs.start_ns
    unworn = non_wear.overlapped(start_ns, start_ns + EPOCH_NS, unworn_ns)
    found = calibration.fit_calibration(
        calibration.stationary_means(clean.epochs, clean.sample_rate_hz, unworn)
    )
    facts |= {**found.facts(), **calibration.parameters()}
    if isinstance(found, calibration.SensorCalibration):
        return found, {**facts, "applied": True}
    if config.calibration == "require":
        raise DataError(f"cannot be calibrated: {found.reason}")
    return None, facts
