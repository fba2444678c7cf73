"""Scores, confidence intervals, plots and reports of a trained model."""

from patchtst_har.evaluation.streaming import StreamingConfusion

__all__ = ["StreamingConfusion"]
