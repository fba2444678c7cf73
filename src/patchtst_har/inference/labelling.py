"""A whole recording labelled: cut, classified, smoothed, and put on the clock."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from patchtst_har.config import ExperimentConfig
from patchtst_har.data.calibration import calibration_doubt
from patchtst_har.data.times import Clock, check_clock, iana_zone
from patchtst_har.data.units import UNUSABLE, SignalWarning, unusable_text
from patchtst_har.data.windows import WindowBatches
from patchtst_har.errors import DataError
from patchtst_har.inference.familiarity import UnfamiliarWarning, unfamiliar_doubt
from patchtst_har.inference.inputs import BATCH_SIZE, model_inputs
from patchtst_har.inference.source_check import rate_doubt
from patchtst_har.inference.timeline import (
    build_timeline,
    decision_spans,
    non_wear_rows,
    window_table,
    with_rows,
)
from patchtst_har.smoothing.decide import decide, sequences_of
from patchtst_har.summaries.intensity import enmo_mg
from patchtst_har.support.progress import OnProgress

if TYPE_CHECKING:
    import pandas as pd

    from patchtst_har.inference.recognizer import Recognizer


@dataclass(frozen=True)
class LabelledRecording:
    """A recording's timeline, and what became of its samples.

    Attributes
    ----------
    timeline : DataFrame
        ``start``, ``end``, ``label``, ``probability``: rows tile the time that windows cover; gaps in the
        recording are gaps between rows. Time without wear has rows of its own, one per hop, with the label
        ``non_wear`` and no probability (NaN). Overlapping windows share time: each row is the hop around its
        window's centre, the first and last of a segment reach to the ends of their windows.
    windows : DataFrame
        One row per window, as long as the timeline: ``start``, ``end`` of the window, ``label`` and
        ``probability`` as in the timeline, ``enmo_mg`` (`patchtst_har.summaries.intensity`), ``raw_label``;
        for each class ``raw: CLASS``, the classifier's probability, and ``smoothed: CLASS``, that after
        smoothing; ``distance`` from the windows that the model was trained on and whether that is beyond 1
        (``unfamiliar``), if the model knows. Rows of time without wear are those of the timeline, without
        any of these.
    clock : str
        ``UTC``, the name of a zone, or ``local wall clock``.
    counts : dict of str to number
        Samples that were not usable, segments too short for a window, windows, and how many of them are
        unfamiliar (``n_unfamiliar``, if the model knows).
    warnings : tuple of str
        What makes the labels doubtful.
    signal : dict
        What was done to the samples (`data.signal_steps`).
    """

    timeline: pd.DataFrame
    windows: pd.DataFrame
    clock: str
    counts: dict[str, float]
    warnings: tuple[str, ...]
    signal: dict[str, Any]


def label_recording(
    recognizer: Recognizer,
    recording: pd.DataFrame,
    on_progress: OnProgress | None = None,
    *,
    idle_ns: ArrayLike | None = None,
) -> LabelledRecording:
    """Do the work of `Recognizer.label_recording`, which has the description."""
    config = recognizer.config
    cut = WindowBatches(recording, config.data, idle_ns=idle_ns)
    if config.model.n_time_features:
        check_clock(cut.clock, config.data.timezone, "recording")
    if not len(cut) and not len(cut.non_wear_ns):
        seconds = config.data.window_size / config.data.sample_rate_hz
        lost = unusable_text(cut.info, len(recording))
        raise DataError(
            f"the recording has no uninterrupted segment of {seconds:g} s: nothing to label"
            + (f"; {lost}" if lost else "")
        )
    probabilities, distances, enmo = _judge(recognizer, cut, on_progress)
    sequences = sequences_of(np.full(len(cut.start_ns), "recording"), cut.start_ns, config)
    made = decide(probabilities, sequences, recognizer.smoother, recognizer.lag)
    window_ns, hop_ns = (
        round(size * (1e9 / config.data.sample_rate_hz))
        for size in (config.data.window_size, config.data.hop_size)
    )
    begin, end = decision_spans(cut.start_ns, sequences, window_ns, hop_ns)
    shown = config.data.timezone if cut.clock == "utc" else None
    zone: Any = iana_zone(shown) if shown else getattr(recording.index, "tz", None)
    counts = {name: cut.info.get(name) or 0 for name in UNUSABLE}
    counts |= {"short_stretches": cut.n_short, "n_windows": len(cut)}
    known = n_unfamiliar = None
    if recognizer.familiarity is not None:
        known, n_unfamiliar = distances, int(np.count_nonzero(~(distances <= 1)))
        counts["n_unfamiliar"] = n_unfamiliar
    labels = np.array(recognizer.classes)[made.smoothed]
    timeline = build_timeline(begin, end, labels, made.probability, zone)
    windows = window_table(cut.start_ns, config.data, recognizer.classes, made, enmo, zone, known)
    unworn = non_wear_rows(cut.non_wear_ns, end, hop_ns, zone)
    return LabelledRecording(
        timeline=with_rows(timeline, unworn),
        windows=with_rows(windows, unworn),
        clock=str(zone or "local wall clock"),
        counts=counts,
        warnings=_doubts(recognizer, cut, n_unfamiliar),
        signal=cut.info,
    )


def _judge(
    recognizer: Recognizer, cut: WindowBatches, on_progress: OnProgress | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Cut and judge in batches, so that a long recording needs no memory for its windows; ENMO is added."""
    parts = [(np.empty((0, len(recognizer.classes))), np.empty(0), np.empty(0))]
    for rows, windows in cut.batches(BATCH_SIZE):
        judged = recognizer.judge(model_inputs(recognizer.config, windows, cut.start_ns[rows]))
        parts.append((*judged, enmo_mg(windows)))
        if on_progress is not None:
            on_progress(rows.stop, len(cut), "windows")
    probabilities, distances, enmo = (np.concatenate(part) for part in zip(*parts, strict=True))
    return probabilities, distances, enmo


def _doubts(recognizer: Recognizer, cut: WindowBatches, n_unfamiliar: int | None) -> tuple[str, ...]:
    """Return what makes the labels of a recording doubtful, and warn of it."""
    doubts = [*calibration_doubt(cut.info["calibration"]), *_zone_doubt(cut.clock, recognizer.config)]
    strange = [
        *rate_doubt(
            cut.info.get("sample_rate_hz"), recognizer.config.data.sample_rate_hz, recognizer.trained_on
        ),
        *unfamiliar_doubt(n_unfamiliar, len(cut)),
    ]
    for doubt in doubts:
        warnings.warn(doubt, SignalWarning, stacklevel=5)
    for doubt in strange:
        warnings.warn(doubt, UnfamiliarWarning, stacklevel=5)
    return (*doubts, *strange)


def _zone_doubt(clock: Clock | None, config: ExperimentConfig) -> list[str]:
    """Say so if a zone is named that the stamps have no use for."""
    if config.data.timezone is None or clock != "wall":
        return []
    return [
        f"the stamps carry no zone, so {config.data.timezone} (--timezone) changes nothing: hours and days "
        "are those of the stamps, also after clocks were changed; stamps that are UTC need --utc"
    ]
