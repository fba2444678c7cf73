"""Decisions to scores: metrics, confusions, scores per participant, bootstrap intervals, baselines.

Needs no torch, and imports only from `inference` down, with one exception: `ComprehensiveProfiler` is
defined in `benchmark`, a layer above, and loaded when the name is first used.
"""

from typing import TYPE_CHECKING

from patchtst_har.support.lazy import lazy_exports

if TYPE_CHECKING:
    from patchtst_har.benchmark.profiler import ComprehensiveProfiler as ComprehensiveProfiler
    from patchtst_har.evaluation.confusion import StreamingConfusion as StreamingConfusion
else:
    __getattr__, __dir__, __all__ = lazy_exports(
        __name__,
        {
            "patchtst_har.benchmark.profiler": ["ComprehensiveProfiler"],
            "patchtst_har.evaluation.confusion": ["StreamingConfusion"],
        },
    )
