"""What an adaptation brings is scored on blocks of time that it was not fitted to."""

import numpy as np
import pytest

from patchtst_har import Recognizer
from patchtst_har.data.windows import Windows
from patchtst_har.errors import DataError
from patchtst_har.evaluation.adaptation import _folds, bouts_of, gain_by_blocks
from patchtst_har.inference.labelled_windows import labelled_windows
from patchtst_har.synthetic import recording as make_recording

WINDOW_NS, HOP_NS = 10 * 10**9, 25 * 10**8


def starts_of(*bouts):
    """Return labels and starts: for each bout its class, its begin in s and its number of windows."""
    labels = np.concatenate([np.full(n, k) for k, _, n in bouts])
    starts = np.concatenate([int(begin * 1e9) + HOP_NS * np.arange(n) for _, begin, n in bouts])
    return labels, starts


@pytest.mark.parametrize(
    "bouts",
    [
        [(0, 0, 9), (1, 40, 9)],
        [(0, 0, 9), (1, 40, 9), (0, 100, 5), (1, 200, 20)],
        [(0, 0, 3), (1, 40, 3), (0, 80, 3), (1, 120, 3), (0, 160, 3), (1, 200, 3), (0, 240, 3)],
    ],
)
def test_what_is_left_out_shares_no_sample_with_what_is_kept(bouts):
    labels, starts = starts_of(*bouts)
    numbers = bouts_of(labels, starts)
    assert len(np.unique(numbers)) == len(bouts)
    tested = np.zeros(len(labels), int)
    for left_out, kept in _folds(labels, numbers, starts, WINDOW_NS):
        apart = np.abs(starts[left_out][:, None] - starts[kept])
        assert apart.min() >= WINDOW_NS
        tested += left_out
        for bout in np.unique(numbers):
            if len(np.unique(numbers[labels == labels[numbers == bout][0]])) > 1:
                assert left_out[numbers == bout].all() or not left_out[numbers == bout].any()
    # Of two short bouts, the middle shares samples with both ends.
    np.testing.assert_array_equal(tested[numbers > 1], 1)
    assert tested.max() == 1
    assert tested.mean() > 0.6


def test_a_pause_of_a_minute_is_another_bout():
    labels, starts = starts_of((0, 0, 3), (0, 50, 3), (0, 200, 3))
    assert bouts_of(labels, starts).tolist() == [0] * 6 + [1] * 3


@pytest.fixture(scope="module")
def turned():
    """A person who wears the sensor turned, and sits twice but walks and runs once."""
    bouts = (("sitting", 40.0), ("walking", 60.0), ("sitting", 40.0), ("running", 60.0))
    recording = make_recording(bouts=bouts, start="2024-01-01")
    recording[["x", "y", "z"]] = recording[["z", "x", "y"]].to_numpy()
    return recording


def test_the_gain_of_a_person_unlike_the_others(small_run, turned):
    recognizer = Recognizer.from_pretrained(small_run.folder / "model")
    windows, labels = labelled_windows(turned, recognizer.config)
    gain = gain_by_blocks(recognizer, windows, labels)
    assert gain.single_bout == ("running", "walking")
    assert gain.n_windows == len(windows)
    before = recognizer.predict(windows.windows, windows.start_ns).labels
    assert gain.accuracy_before == pytest.approx((before == np.array(labels)).mean())
    assert gain.accuracy_after > gain.accuracy_before + 0.2
    assert gain.macro_f1_after > gain.macro_f1_before + 0.2


def test_too_few_windows_have_no_score(small_run):
    recognizer = Recognizer.from_pretrained(small_run.folder / "model")
    made = make_recording(bouts=(("sitting", 14.0),), start="2024-01-01")
    windows, labels = labelled_windows(made, recognizer.config)
    assert gain_by_blocks(recognizer, windows, labels) is None


def test_windows_with_one_annotation_throughout(small_run):
    config = Recognizer.from_pretrained(small_run.folder / "model").config
    recording = make_recording(bouts=(("sitting", 30.0), ("walking", 30.0)), start="2024-01-01")
    windows, labels = labelled_windows(recording, config)
    assert isinstance(windows, Windows)
    assert labels == ["sitting"] * 9 + ["walking"] * 9
    recording.loc[recording.index[500], "annotation"] = None
    assert labelled_windows(recording, config)[1].count("sitting") == 9 - 3
    with pytest.raises(DataError, match="no column annotation"):
        labelled_windows(recording.drop(columns="annotation"), config)
    recording["annotation"] = None
    with pytest.raises(DataError, match="no 10 s without a gap that have one annotation"):
        labelled_windows(recording, config)
