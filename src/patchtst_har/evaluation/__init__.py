"""Decisions to scores: metrics, confusions, scores per participant, bootstrap intervals, baselines.

May import everything from `inference` down; needs no torch. `ComprehensiveProfiler` lives in `benchmark`.
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
