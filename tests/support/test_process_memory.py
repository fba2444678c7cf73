import mmap

import numpy as np
import pytest

from patchtst_har.support import process_memory
from patchtst_har.support.process_memory import (
    mark,
    peak_resident_bytes,
    peak_rss_mb,
    pooled_slope,
    reset_peak,
    resident_bytes,
)


def test_resident_memory_grows_with_what_is_used():
    before = mark()
    # From the system: the allocator may have as much left that was used and given back before.
    with mmap.mmap(-1, 64 * 2**20) as held:
        held.write(b"1" * len(held))
        assert mark().rss_kb - before.rss_kb > 50 * 1024


def test_a_peak_is_remembered_after_the_memory_is_given_back_until_it_is_reset():
    base = mark().rss_kb / 1024
    np.ones(32 * 2**20).sum()
    assert peak_rss_mb() > base + 200
    if not reset_peak():
        pytest.skip("this system does not let a process reset its peak")
    assert peak_rss_mb() < base + 100


def test_pythons_blocks_are_counted():
    before = mark().python_blocks
    held = [[number] for number in range(1000, 11_000)]
    assert mark().python_blocks - before >= len(held)


def test_slopes_are_pooled_over_lines_of_different_levels():
    x = np.arange(5.0)
    assert pooled_slope([(x, 100 + 3 * x), (x, 7 + 3 * x)]) == pytest.approx(3)
    assert pooled_slope([(x, 0 * x), (2 * x, 4 * x)]) == pytest.approx(80 / 50)
    assert pooled_slope([(x[:1], x[:1])]) == 0.0


def test_without_proc_nothing_is_made_up(monkeypatch):
    monkeypatch.setattr(process_memory, "_content", lambda name: None)
    assert resident_bytes() is None
    assert peak_resident_bytes() is None
    assert mark().rss_kb == 0
    assert peak_rss_mb() > 0
