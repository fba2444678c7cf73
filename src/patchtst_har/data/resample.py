"""Put irregular samples on a regular grid, segment by segment, without bridging gaps.

Interpolation is linear between the real time stamps, so jitter and a rate that is a little off do not shift
the signal in time. Its price is bandwidth: midway between two samples of a device at rate r, a component of
frequency f keeps cos(pi f / r) of its amplitude, on the samples all of it, on average sinc(f / r) squared;
the difference appears at other frequencies (`docs/data.md` has figures). A device clearly faster than the
target is low-passed first, by a symmetric FIR filter that does not shift the signal either and makes up for
that loss.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from patchtst_har import _core
from patchtst_har.data.batches import spread_batches
from patchtst_har.data.calibration import SensorCalibration
from patchtst_har.data.epochs import Epochs, constant_runs, measure_epochs
from patchtst_har.data.frames import check_recording
from patchtst_har.data.non_wear import MIN_IDLE_S
from patchtst_har.data.rate import measure_rate_hz
from patchtst_har.data.stamps import count_repeated, find_gaps
from patchtst_har.data.units import MOST_G, UNUSABLE
from patchtst_har.errors import DataError
from patchtst_har.support.long_arrays import BLOCK_ROWS, GrowingArray, blocks, gathered, selected

if TYPE_CHECKING:
    import pandas as pd

_CLEARLY_FASTER = 1.1
# Of the target: no device is, and the filter grows with it.
_MOST_FASTER = 1_000
_HALF_TAPS_PER_FACTOR = 10
_POINTS_PER_SAMPLE = 5
_PASSBAND_OF_NYQUIST = 0.9
_LOCAL_SAMPLES = 1000
_FASTER_FOR_A_WHILE = 1.2


@dataclass(frozen=True, eq=False)
class Segment:
    """A part of a recording without a gap, on a regular grid."""

    start_ns: int
    """Stamp of the first sample, ns since 1970."""
    samples: NDArray[np.float32]
    """(n, 3) acceleration in g."""


@dataclass(frozen=True, eq=False)
class CleanSamples:
    """The usable samples of a recording, still at their own times, and where they can be joined."""

    time_ns: NDArray[np.int64]
    """(n,) non-decreasing; repeated stamps are spread."""
    acceleration: NDArray[np.float32]
    """(n, 3), finite."""
    source_rows: NDArray[np.intp] | None
    """(n,) row of each sample in the recording; None if every row is usable."""
    bounds: list[tuple[int, int]]
    """First and one past the last sample of each segment."""
    sample_rate_hz: float | None
    """Measured rate; None if no two samples belong together."""
    epochs: Epochs
    """What calibration and non-wear are found by."""
    repeats_ns: NDArray[np.int64]
    """(k, 2) begin and end of each run of one repeated value that lasts a minute or more."""
    zeros_ns: NDArray[np.int64]
    """(k, 2) the same of exact zeros, which are no usable samples."""
    info: dict[str, Any] = field(default_factory=dict)
    """Rate and counts, and what each step did, for reports."""
    calibration: SensorCalibration | None = None
    """Applied to what is resampled; None: the samples are taken as they are."""
    non_wear_ns: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 2), np.int64))
    """(k, 2) begin and end of the time without wear, which no segment covers, sorted."""
    _highest_hz: dict[int, float] = field(default_factory=dict, init=False, repr=False)

    @property
    def period_ns(self) -> int:
        """Time between two samples; 0 if the rate is not known."""
        return round(1e9 / self.sample_rate_hz) if self.sample_rate_hz else 0

    def highest_rate_hz(self, bounds: tuple[int, int], target_hz: float) -> float | None:
        """Return the rate by which a segment is low-passed: its highest if that is far above the target.

        A device may change its rate, which the median over the recording does not show.
        """
        usual_hz = self.sample_rate_hz
        if bounds[0] not in self._highest_hz:
            starts = np.arange(bounds[0], bounds[1] - _LOCAL_SAMPLES, _LOCAL_SAMPLES // 2)
            spans_ns = gathered(self.time_ns, starts + _LOCAL_SAMPLES) - gathered(self.time_ns, starts)
            shortest_ns = max(int(spans_ns.min()), 1) if len(starts) else math.inf
            self._highest_hz[bounds[0]] = _LOCAL_SAMPLES / shortest_ns * 1e9
        highest_hz = self._highest_hz[bounds[0]]
        return highest_hz if highest_hz > max(_FASTER_FOR_A_WHILE * target_hz, usual_hz or 0.0) else usual_hz


def clean_samples(recording: pd.DataFrame, max_gap_s: float) -> CleanSamples:
    """Drop unusable samples, spread repeated stamps, and find the segments.

    A sample is unusable if an axis is not finite or beyond `MOST_G` (a marker of a missing value, a wrong
    unit), or all three are exactly 0 (which gravity rules out; devices write zeros for blocks that they
    could not read). A hole that this leaves is treated like any
    other gap: bridged by interpolation up to `max_gap_s`, otherwise the end of a segment. Samples that
    repeat a value for a minute or more (idle sleep) are kept and counted; `data.signal_steps` says what
    becomes of them.

    Parameters
    ----------
    recording : pandas.DataFrame
        See `patchtst_har.data.recording`.
    max_gap_s : float
        Longest gap within a segment.

    Returns
    -------
    CleanSamples
        With ``info`` keys ``sample_rate_hz, n_samples, n_nonfinite, n_zero, n_out_of_range,
        n_repeated_stamps, repeated_s, idle_zero_s, n_gaps, gaps_s``.

    Raises
    ------
    DataError
        See `patchtst_har.data.frames.check_recording` and `patchtst_har.data.batches.spread_batches`.
    """
    time_ns, acceleration = check_recording(recording)
    n_repeated_stamps = count_repeated(time_ns)
    if n_repeated_stamps:
        time_ns = spread_batches(time_ns)
    sample_rate_hz = measure_rate_hz(time_ns, max_gap_s)
    usable, unusable = _usable(acceleration)
    rows, zeros_ns = None, np.empty((0, 2), np.int64)
    if any(unusable.values()):
        zeros_ns = _zero_runs(time_ns, acceleration, usable, max_gap_s)
        rows = _rows_within(usable)
        time_ns, acceleration = selected(time_ns, rows), selected(acceleration, rows)
    gaps = find_gaps(time_ns, max_gap_s)
    bounds = list(pairwise([0, *gaps.tolist(), len(time_ns)])) if len(time_ns) else []
    epochs = measure_epochs(time_ns, acceleration, bounds)
    repeats_ns = constant_runs(time_ns, acceleration, bounds, epochs, MIN_IDLE_S)
    info: dict[str, Any] = {
        "sample_rate_hz": sample_rate_hz,
        "n_samples": len(recording),
        **unusable,
        "n_repeated_stamps": n_repeated_stamps,
        "repeated_s": _seconds(repeats_ns),
        "idle_zero_s": _seconds(zeros_ns),
        "n_gaps": len(gaps),
        "gaps_s": float((gathered(time_ns, gaps) - gathered(time_ns, gaps - 1)).sum() * 1e-9),
    }
    clean = CleanSamples(
        time_ns, acceleration, rows, bounds, sample_rate_hz, epochs, repeats_ns, zeros_ns, info
    )
    # A sample stands for the time until the next.
    repeats_ns[:, 1] += clean.period_ns
    zeros_ns[:, 1] += clean.period_ns
    return clean


def _seconds(spans_ns: NDArray[np.int64]) -> float:
    """Return the summed length of spans (k, 2)."""
    return float((spans_ns[:, 1] - spans_ns[:, 0]).sum() * 1e-9)


def _zero_runs(
    time_ns: NDArray[np.int64], acceleration: NDArray[np.float32], usable: NDArray[np.intp], max_gap_s: float
) -> NDArray[np.int64]:
    """Return first and last moment (k, 2) of the runs of unusable samples that are all exactly zero.

    Runs that last a minute or more, longer than the gaps that are bridged: devices write them in idle sleep.
    """
    edges = np.append(np.append(0, usable), len(time_ns)).reshape(-1, 2)
    first, last = (edges[edges[:, 0] < edges[:, 1]] - [0, 1]).T
    begin_ns, end_ns = gathered(time_ns, first), gathered(time_ns, last)
    zero = end_ns - begin_ns >= max(MIN_IDLE_S, max_gap_s) * 1e9
    for at in np.flatnonzero(zero):
        samples = acceleration[first[at] : last[at] + 1]
        zero[at] = not any(samples[rows].any() for rows in blocks(len(samples), samples))
    return np.stack([begin_ns[zero], end_ns[zero]], axis=1)


def _usable(acceleration: NDArray[np.float32]) -> tuple[NDArray[np.intp], dict[str, int]]:
    """Return where usable samples begin and end, in turn (2 k,), and how many are not for which reason."""
    edges, counts = GrowingArray(), dict.fromkeys(UNUSABLE, 0)
    was_usable = False
    for rows in blocks(len(acceleration), acceleration):
        samples = acceleration[rows]
        # NaN is not below it either.
        measured, zero = _every_axis(np.abs(samples) <= MOST_G), _every_axis(samples == 0)
        usable = measured & ~zero
        edges.append(rows.start + np.flatnonzero(np.diff(usable, prepend=was_usable)))
        was_usable = bool(usable[-1])
        if usable.all():
            continue
        finite = _every_axis(np.isfinite(samples))
        for name, lost in zip(UNUSABLE, (~finite, zero, finite & ~measured), strict=True):
            counts[name] += int(np.count_nonzero(lost))
    if was_usable:
        edges.append(np.array([len(acceleration)], np.intp))
    return edges.whole().astype(np.intp, copy=False), counts


def _rows_within(edges: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the rows between where something begins and ends, in turn (2 k,)."""
    result = GrowingArray()
    for first, stop in edges.reshape(-1, 2):
        for rows in blocks(stop - first):
            result.append(np.arange(first + rows.start, first + rows.stop))
    return result.whole().astype(np.intp, copy=False)


def _every_axis(values: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return values[:, 0] & values[:, 1] & values[:, 2]


def resample_recording(
    recording: pd.DataFrame, sample_rate_hz: float = 100.0, *, max_gap_s: float = 1.0
) -> list[Segment]:
    """Return a recording as segments without gaps, on regular grids.

    Each segment's grid begins at its first usable sample. Labels are not carried along; `cut_windows` gives
    each window one.

    Parameters
    ----------
    recording : pandas.DataFrame
        See `patchtst_har.data.recording`.
    sample_rate_hz : float
        Rate of the result.
    max_gap_s : float
        A longer gap ends a segment.

    Returns
    -------
    list of Segment
        In order of time; empty if no sample is usable.

    Raises
    ------
    DataError
        If the rate or the gap is not positive, or the recording is not valid.
    """
    for name, value in (("sample_rate_hz", sample_rate_hz), ("max_gap_s", max_gap_s)):
        if not (value > 0 and math.isfinite(value)):
            raise DataError(f"{name} must be positive and finite, not {value}")
    clean = clean_samples(recording, max_gap_s)
    return [
        Segment(
            int(clean.time_ns[first]),
            resample_block(
                clean, (first, stop), 0, grid_length(clean, (first, stop), sample_rate_hz), sample_rate_hz
            ),
        )
        for first, stop in clean.bounds
    ]


def grid_length(clean: CleanSamples, bounds: tuple[int, int], sample_rate_hz: float) -> int:
    """Return how many grid points a segment has; the last may lie up to half a step past its last sample."""
    duration_ns = int(clean.time_ns[bounds[1] - 1] - clean.time_ns[bounds[0]])
    return math.floor(duration_ns * 1e-9 * sample_rate_hz + 0.5) + 1


def grid_ns(start_ns: int, first: int, count: int, sample_rate_hz: float) -> NDArray[np.int64]:
    """Return the stamps of `count` grid points from `first` on, each rounded to a ns, without drift."""
    offsets: NDArray[np.int64] = np.rint(np.arange(first, first + count) * (1e9 / sample_rate_hz)).astype(
        np.int64
    )
    return start_ns + offsets


def resample_block(
    clean: CleanSamples, bounds: tuple[int, int], first: int, count: int, sample_rate_hz: float
) -> NDArray[np.float32]:
    """Return grid points ``first .. first + count - 1`` of a segment, (count, 3) float32.

    Any block equals the same part of the whole segment, so memory stays bounded however long it is.
    """
    block = np.empty((count, 3), np.float32)
    factor = _oversampling(clean.highest_rate_hz(bounds, sample_rate_hz), sample_rate_hz)
    start_ns = int(clean.time_ns[bounds[0]])
    for rows in blocks(count, clean.time_ns, clean.acceleration, n_block=max(BLOCK_ROWS // factor, 1)):
        begin, length = first + rows.start, rows.stop - rows.start
        if factor == 1:
            block[rows] = _interpolate(clean, bounds, grid_ns(start_ns, begin, length, sample_rate_hz))
        else:
            block[rows] = _reduce(clean, bounds, begin, length, sample_rate_hz, factor)
    return block


def resampling_facts(clean: CleanSamples, sample_rate_hz: float) -> dict[str, Any]:
    """Return how samples are put on the grid, and how many segments are low-passed first, for reports."""
    factors = [
        _oversampling(clean.highest_rate_hz(bounds, sample_rate_hz), sample_rate_hz)
        for bounds in clean.bounds
    ]
    n_filtered = sum(factor > 1 for factor in factors)
    return {"sample_rate_hz": sample_rate_hz, "method": "linear", "n_low_passed_segments": n_filtered}


def _oversampling(measured_hz: float | None, target_hz: float) -> int:
    """Return by how much finer than the target the grid must be on which to low-pass; 1 for no filter."""
    if measured_hz is None or measured_hz <= _CLEARLY_FASTER * target_hz:
        return 1
    if measured_hz > _MOST_FASTER * target_hz:
        most = f"at most {_MOST_FASTER * target_hz:g} Hz can be resampled to {target_hz:g} Hz"
        raise DataError(f"the stamps are those of {measured_hz:.3g} Hz: {most}")
    # The images that linear interpolation leaves, and that fold back on this grid, are below -40 dB then.
    return math.ceil(_POINTS_PER_SAMPLE * measured_hz / target_hz)


@lru_cache(maxsize=8)
def _low_pass(measured_hz: float, target_hz: float, factor: int) -> NDArray[np.float64]:
    """Return a filter on a grid `factor` times finer than the target, of an odd number of taps.

    It also makes up for what linear interpolation between the samples of a device takes from the pass band:
    the square of a sinc where the grid falls between them anyhow, somewhat less where it always falls on
    the same places.
    """
    from scipy.signal import firwin2

    n_taps, nyquist_hz = 2 * _HALF_TAPS_PER_FACTOR * factor + 1, target_hz * factor / 2
    hz = np.linspace(0, _PASSBAND_OF_NYQUIST * target_hz / 2, 64)
    places = 1 + (np.pi * hz / (_POINTS_PER_SAMPLE * measured_hz)) ** 2 / 12
    gain = 1 / (np.sinc(hz / measured_hz) ** 2 * places)
    bands = np.concatenate([hz, [hz[-1] * (1 + 1e-6), nyquist_hz]]) / nyquist_hz
    taps = firwin2(n_taps, bands, [*gain, 0, 0], window=("kaiser", 5.0))
    return np.asarray(taps / taps.sum(), np.float64)


def _reduce(
    clean: CleanSamples, bounds: tuple[int, int], first: int, count: int, sample_rate_hz: float, factor: int
) -> NDArray[np.float64]:
    """Interpolate on a grid `factor` times finer, low-pass, and keep every `factor`-th point."""
    from scipy.signal import upfirdn

    half = _HALF_TAPS_PER_FACTOR * factor
    taps = _low_pass(float(clean.highest_rate_hz(bounds, sample_rate_hz) or 0.0), sample_rate_hz, factor)
    n_fine = (count - 1) * factor + 1 + 2 * half
    start_ns = int(clean.time_ns[bounds[0]])
    # Past its ends, the segment is continued with its first and last sample: _core.interpolate clamps.
    fine = _interpolate(
        clean, bounds, grid_ns(start_ns, first * factor - half, n_fine, sample_rate_hz * factor)
    )
    reduced: NDArray[np.float64] = upfirdn(taps, fine, down=factor, axis=0)
    delay = 2 * _HALF_TAPS_PER_FACTOR
    return reduced[delay : delay + count]


def _interpolate(
    clean: CleanSamples, bounds: tuple[int, int], grid: NDArray[np.int64]
) -> NDArray[np.float64]:
    stamps = clean.time_ns[bounds[0] : bounds[1]]
    low = max(int(np.searchsorted(stamps, grid[0], side="right")) - 1, 0)
    high = min(int(np.searchsorted(stamps, grid[-1], side="left")) + 1, len(stamps))
    low = min(low, high - 1)
    # Those of a table that somebody made may be strided.
    known = np.ascontiguousarray(stamps[low:high])
    values = np.ascontiguousarray(clean.acceleration[bounds[0] + low : bounds[0] + high])
    samples = _core.interpolate(known, values, grid)
    return samples if clean.calibration is None else clean.calibration.applied(samples)


def nearest_rows(clean: CleanSamples, bounds: tuple[int, int], grid: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the recording's row nearest in time to each grid point, the earlier one on a tie."""
    stamps = clean.time_ns[bounds[0] : bounds[1]]
    after = np.clip(np.searchsorted(stamps, grid), 1, max(len(stamps) - 1, 1))
    after = np.minimum(after, len(stamps) - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(grid - stamps[before] <= stamps[after] - grid, before, after)
    rows: NDArray[np.intp] = bounds[0] + nearest
    return rows if clean.source_rows is None else clean.source_rows[rows]
