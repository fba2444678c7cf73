"""Real-time use: measured latency against the time between decisions."""

from patchtst_har.realtime.latency import LatencyReport, measure_stages

__all__ = ["LatencyReport", "measure_stages"]
