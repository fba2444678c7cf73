"""Gaps in the stamps of a recording."""

import numpy as np
import pytest

from patchtst_har.data.stamps import find_gaps

MS = 1_000_000


@pytest.mark.parametrize(("pause_ms", "gaps"), [(100, []), (140, []), (150, [30]), (3000, [30])])
def test_samples_that_share_a_stamp_last_until_as_many_periods_later(pause_ms: int, gaps: list[int]) -> None:
    """Ten samples of 10 ms a batch: 90 ms of a pause are theirs, of the rest 50 ms are no gap."""
    batches_ms = np.cumsum([0, 100, 100, pause_ms, 100, 100, 100])
    time_ns = np.repeat(batches_ms, 10) * MS
    assert find_gaps(time_ns, 0.055).tolist() == gaps


def test_a_batch_alone_has_no_period() -> None:
    assert find_gaps(np.array([0, 0, 0, 2000 * MS]), 1.0).tolist() == [3]
