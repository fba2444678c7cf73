"""Decisions to scores: metrics, confusions, scores per participant, bootstrap intervals, baselines.

Needs no torch, and imports only from `inference` down, with one exception: `ComprehensiveProfiler` is
defined in `benchmark`, a layer above, and loaded when the name is first used.
"""

from typing import TYPE_CHECKING

from patchtst_har.support.lazy import lazy_exports

if TYPE_CHECKING:
    from patchtst_har.benchmark.profiler import ComprehensiveProfiler
    from patchtst_har.evaluation.confusion import StreamingConfusion

__all__ = ["ComprehensiveProfiler", "StreamingConfusion"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "ComprehensiveProfiler": "patchtst_har.benchmark.profiler",
        "StreamingConfusion": "patchtst_har.evaluation.confusion",
    },
)
