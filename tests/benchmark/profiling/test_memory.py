"""Resident memory, and one counter's peaks shared by intervals that overlap."""

import numpy as np

from patchtst_har.benchmark.profiling.memory import RESIDENT_PEAK, PeakMeter
from patchtst_har.support.process_memory import resident_bytes

MIB = 2**20


class Counter:
    """A level and the highest since the reset."""

    def __init__(self):
        self.level = self.highest = 10

    def set(self, level):
        self.level = level
        self.highest = max(self.highest, level)

    def reset(self):
        self.highest = self.level
        return True

    def meter(self):
        return PeakMeter(lambda: self.highest, self.reset)


def test_intervals_that_overlap_keep_their_own_peaks():
    counter = Counter()
    meter = counter.meter()
    counter.set(90)
    counter.set(10)
    meter.start(1)
    counter.set(30)
    counter.set(10)
    meter.start(2)
    counter.set(20)
    counter.set(5)
    meter.start(3)
    assert meter.stop(2) == 20
    counter.set(25)
    assert meter.stop(3) == 25
    assert meter.stop(1) == 30


def test_a_counter_that_cannot_be_reset_has_no_peaks():
    meter = PeakMeter(lambda: 1, lambda: False)
    meter.start(1)
    assert meter.stop(1) is None


def test_a_counter_that_cannot_be_read_has_no_peaks():
    meter = PeakMeter(lambda: None, lambda: True)
    meter.start(1)
    meter.start(2)
    assert meter.stop(2) is None
    assert meter.stop(1) is None


def test_resident_memory_and_its_peak_follow_what_is_touched():
    RESIDENT_PEAK.start(-1)
    before = resident_bytes()
    block = np.ones(8 * MIB)
    during = resident_bytes()
    del block
    after = resident_bytes()
    peak = RESIDENT_PEAK.stop(-1)
    assert during - before > 60 * MIB
    assert during - after > 60 * MIB
    assert peak > before + 60 * MIB
    RESIDENT_PEAK.start(-1)
    assert RESIDENT_PEAK.stop(-1) < peak - 50 * MIB
