"""Samples to decisions: live streams, their sources, backlog and saved states, the live page.

May import `datasets`, `data` and everything below; knows no network: a stream is given a function that
classifies one window.
"""

from patchtst_har.realtime.decision import Decision, StreamStats
from patchtst_har.realtime.pool import StreamPool
from patchtst_har.realtime.stream import Stream

__all__ = ["Decision", "Stream", "StreamPool", "StreamStats"]
