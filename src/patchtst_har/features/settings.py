"""Settings of the features; `config` takes them up as sections of an experiment."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from patchtst_har.support.settings import Section


class TopologyConfig(Section):
    """Takens embedding of the acceleration's magnitude, and the engine that computes its persistence."""

    max_points: Annotated[int, Field(ge=2, le=2048)] = 128
    """Most embedded points; the magnitude is decimated by the smallest integer that keeps to it."""
    dimension: Annotated[int, Field(ge=1, le=16)] = 3
    """Embedding dimension."""
    delay_s: Annotated[float, Field(gt=0, le=3600)] = 0.1
    """Delay between coordinates (at least one decimated sample)."""
    engine: Literal["native", "ripser"] = "native"
    """Implementation: compiled, or with ripser.py (much slower). Both give the same features."""
    on_error: Literal["raise", "fallback"] = "raise"
    """If a window's features fail: `raise`, or `fallback` to simplified ones and then to zeros.

    It holds for data sets, training and prediction; each fallback is logged and counted in the run."""
