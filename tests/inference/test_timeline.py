import numpy as np
import pytest

from patchtst_har.inference.timeline import build_timeline, decision_spans

S = 1_000_000_000


def test_windows_back_to_back_speak_for_themselves():
    start = np.array([0, 10, 20]) * S
    begin, end = decision_spans(start, np.zeros(3, np.int64), 10 * S, 10 * S)
    assert begin.tolist() == start.tolist()
    assert end.tolist() == (start + 10 * S).tolist()


def test_overlapping_windows_share_the_time_around_their_centres():
    start = np.array([0, 4, 8]) * S
    begin, end = decision_spans(start, np.zeros(3, np.int64), 10 * S, 4 * S)
    assert (begin // S).tolist() == [0, 7, 11]
    assert (end // S).tolist() == [7, 11, 18]


def test_each_sequence_covers_its_own_windows():
    start = np.array([0, 5, 100, 105]) * S
    begin, end = decision_spans(start, np.array([0, 0, 1, 1]), 10 * S, 5 * S)
    assert (begin / S).tolist() == [0, 7.5, 100, 107.5]
    assert (end / S).tolist() == [7.5, 15, 107.5, 115]


@pytest.mark.parametrize("hop", [1, 3, 5, 7, 10])
def test_spans_tile_without_overlap_for_any_hop(hop):
    start = np.arange(6) * hop * S
    begin, end = decision_spans(start, np.zeros(6, np.int64), 10 * S, hop * S)
    assert begin[0] == 0
    assert end[-1] == start[-1] + 10 * S
    assert (begin[1:] == end[:-1]).all()
    assert (end > begin).all()


def test_nothing_gives_nothing():
    begin, end = decision_spans(np.zeros(0, np.int64), np.zeros(0, np.int64), S, S)
    assert len(begin) == len(end) == 0
    timeline = build_timeline(begin, end, np.zeros(0, np.str_), np.zeros(0))
    assert list(timeline.columns) == ["start", "end", "label", "probability"]
