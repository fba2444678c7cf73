"""Scores, confidence intervals, plots, profiles and reports of a trained model. Imports no torch."""

from patchtst_har.evaluation.profiler import ComprehensiveProfiler
from patchtst_har.evaluation.streaming import StreamingConfusion

__all__ = ["ComprehensiveProfiler", "StreamingConfusion"]
