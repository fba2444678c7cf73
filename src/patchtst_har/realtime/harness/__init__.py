"""Measure whether a recogniser keeps up: `measure_feasibility` and what it is made of."""

from patchtst_har.realtime.harness.measure import measure_cuda, measure_feasibility
from patchtst_har.realtime.harness.settings import HarnessSettings

__all__ = ["HarnessSettings", "measure_cuda", "measure_feasibility"]
