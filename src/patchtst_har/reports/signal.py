"""What was done to the samples of a recording, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from patchtst_har.data.units import UNUSABLE
from patchtst_har.support.formatting import counted

Row = tuple[str, str, str]


def steps_in_words(signal: Mapping[str, Any]) -> list[Row]:
    """Return name, effect and settings of each step, in the order in which they were taken.

    Parameters
    ----------
    signal : mapping
        What `patchtst_har.data.signal_steps` reports; empty: no rows.
    """
    if not signal:
        return []
    return [
        _rate(signal),
        *_samples(signal),
        _gaps(signal),
        _non_wear(signal),
        _calibration(signal),
        _resampling(signal),
    ]


def _rate(signal: Mapping[str, Any]) -> Row:
    rate_hz = signal["sample_rate_hz"]
    effect = "not known" if rate_hz is None else f"{rate_hz:.2f} Hz measured"
    repeated = signal["n_repeated_stamps"]
    if repeated:
        effect += f"; {repeated:,} samples that share a stamp got their own times"
    return "Sampling rate", effect, "median over spans of up to 1,000 samples"


def _samples(signal: Mapping[str, Any]) -> list[Row]:
    lost = [f"{signal[name]:,} {what}" for name, what in UNUSABLE.items() if signal[name]]
    effect = f"of {signal['n_samples']:,} samples, " + ("; ".join(lost) if lost else "none")
    return [("Samples left out", effect, "never read as rest")]


def _gaps(signal: Mapping[str, Any]) -> Row:
    n_gaps = signal["n_gaps"]
    effect = f"{n_gaps:,}, {_minutes(signal['gaps_s'])} in all" if n_gaps else "none"
    return "Gaps", effect, "no window crosses a gap, smoothing restarts after it"


def _non_wear(signal: Mapping[str, Any]) -> Row:
    step = signal["non_wear"]
    if "non_wear_s" not in step:
        return "Non-wear", f"not looked for: {step.get('reason', 'switched off')}", ""
    found = (
        f"{_minutes(step['non_wear_s'])} in {counted(step['n_spans'], 'span', 'spans')}"
        if step["n_spans"]
        else "none"
    )
    if step["idle_s"]:
        found += f", of it {_minutes(step['idle_s'])} of idle sleep"
    if "reason" in step:
        found += f", kept: {step['reason']}"
    how = (
        f"{step['window_s'] / 60:g} min in which {step['min_axes']:g} axes have a standard deviation below "
        f"{step['max_std_mg']:g} mg or a range below {step['max_range_mg']:g} mg, every "
        f"{step['step_s'] / 60:g} min; a minute or more of idle sleep"
    )
    return "Non-wear", found, how


def _calibration(signal: Mapping[str, Any]) -> Row:
    step = signal["calibration"]
    if step["policy"] == "off":
        return "Calibration", "switched off", ""
    how = (
        f"{step['n_windows']:,} windows of {step['window_s']:g} s at rest (standard deviation below "
        f"{step['max_std_mg']:g} mg)"
    )
    before = step["error_before_mg"]
    if not step["applied"]:
        error = "" if before is None else f"error at rest {before:.1f} mg; "
        return "Calibration", f"{error}not applied: {step['reason']}", how
    scale = ", ".join(f"{value:.4f}" for value in step["scale"])
    offset = ", ".join(f"{1000 * value:+.1f}" for value in step["offset_g"])
    effect = f"error at rest {before:.1f} mg before, {step['error_after_mg']:.1f} mg after"
    return "Calibration", f"{effect}; scale {scale}; offset {offset} mg (x, y, z)", how


def _resampling(signal: Mapping[str, Any]) -> Row:
    step = signal["resampling"]
    effect = f"to {step['sample_rate_hz']:g} Hz"
    if step["n_low_passed_segments"]:
        effect += f", {step['n_low_passed_segments']:,} faster segments low-passed before"
    return "Resampling", effect, f"{step['method']} interpolation between the samples' own times"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:,.1f} min"
