"""Real-time use: live streams, and measured latency against the time between decisions."""

from patchtst_har.realtime.decision import Decision, StreamStats
from patchtst_har.realtime.latency import LatencyReport, measure_stages
from patchtst_har.realtime.pool import StreamPool
from patchtst_har.realtime.stream import Stream

__all__ = ["Decision", "LatencyReport", "Stream", "StreamPool", "StreamStats", "measure_stages"]
