"""Slow, obvious definitions of what `patchtst_har.summaries` computes."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd


def enmo_mg(window: np.ndarray) -> float:
    """Return the mean of max(|a| - 1, 0) in mg, sample by sample."""
    above = [max(np.sqrt(sum(float(value) ** 2 for value in sample)) - 1.0, 0.0) for sample in window]
    return 1000.0 * sum(above) / len(above)


def seconds_by_day(timeline: pd.DataFrame, names: list[str]) -> dict[str, dict[str, int]]:
    """Return seconds of each name on each local day, counted second by second; edges are whole seconds."""
    counts: dict[str, dict[str, int]] = {}
    for row in timeline.itertuples():
        for moment in pd.date_range(row.start, row.end, freq="s", inclusive="left"):
            day = counts.setdefault(f"{moment:%Y-%m-%d}", dict.fromkeys(names, 0))
            day[row.label] += 1
    return counts


def bouts(seconds: list[str | None], chosen: str, least_s: int, max_break_s: int, share: float):
    """Return (begin, end, seconds of the class) of bouts in a list of one state a second; None ends all.

    Split until it holds: every part is tried as a whole, then cut at all of its longest breaks.
    """
    found = []
    begin = 0
    for state, group in itertools.groupby(seconds, key=lambda state: state is None):
        length = len(list(group))
        if not state:
            found += _parts(seconds, begin, begin + length, chosen, max_break_s, share)
        begin += length
    return [bout for bout in found if bout[1] - bout[0] >= least_s]


def _parts(seconds, begin, end, chosen, max_break_s, share):
    while begin < end and seconds[begin] != chosen:
        begin += 1
    while end > begin and seconds[end - 1] != chosen:
        end -= 1
    if begin == end:
        return []
    breaks, at = [], begin
    for is_chosen, group in itertools.groupby(seconds[begin:end], key=lambda state: state == chosen):
        length = len(list(group))
        if not is_chosen:
            breaks.append((at, length))
        at += length
    inside = seconds[begin:end].count(chosen)
    longest = max((length for _, length in breaks), default=0)
    if longest <= max_break_s and inside >= share * (end - begin):
        return [(begin, end, inside)]
    cuts = [(at, length) for at, length in breaks if length == longest]
    edges = [begin, *(at for at, _ in cuts), end]
    return [
        part
        for low, high in itertools.pairwise(edges)
        for part in _parts(seconds, low, high, chosen, max_break_s, share)
    ]
