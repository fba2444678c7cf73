"""Measure whether a recogniser keeps up: `measure_feasibility` and what it is made of.

May import `benchmark.workloads` and every folder from `evaluation` down.
"""

from patchtst_har.benchmark.loops.measure import measure_cuda, measure_feasibility
from patchtst_har.records.measurement import HarnessSettings

__all__ = ["HarnessSettings", "measure_cuda", "measure_feasibility"]
