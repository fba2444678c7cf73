"""Prepared windows joined again, and training windows cut from them, against a loop over samples."""

from dataclasses import replace

import numpy as np
import pytest

from patchtst_har.config import ExperimentConfig
from patchtst_har.datasets import feature_cache
from patchtst_har.datasets.featureset import FeatureSet, load_feature_set
from patchtst_har.datasets.prepared import PreparedDataset
from patchtst_har.datasets.stretches import Stretches
from patchtst_har.datasets.training_set import load_training_set
from patchtst_har.errors import DataError
from prepared_data import make_prepared

RATE_HZ = 50.0
SIZE = 20


def windows_of(people: dict[str, list[tuple[int, list[int]]]], hop: int) -> FeatureSet:
    """Return prepared windows; each person has segments (begin in samples, labels of its windows).

    A sample of a person says in its first axis when it was, in its second whose it is.
    """
    rows, starts, labels, names = [], [], [], []
    for number, (name, segments) in enumerate(people.items()):
        for begin, of_windows in segments:
            for i, label in enumerate(of_windows):
                first = begin + i * hop
                times = np.arange(first, first + SIZE)
                rows.append(np.column_stack([times, np.full(SIZE, number), np.full(SIZE, 0.5)]))
                starts.append(round(first * 1e9 / RATE_HZ))
                labels.append(label)
                names.append(name)
    n = len(rows)
    return FeatureSet(
        windows=np.array(rows, np.float32),
        times=np.zeros((n, 5), np.float32),
        stats=np.zeros((n, 2), np.float32),
        topo=np.zeros((n, 0), np.float32),
        topo_engines=np.full(n, "none"),
        labels=np.array(labels),
        participants=np.array(names),
        start_ns=np.array(starts),
        classes=("a", "b", "c"),
    )


def slow_stretches(features: FeatureSet) -> list[list[tuple[str, int]]]:
    """Return the samples (person, time) of each stretch, found sample by sample."""
    labels: dict[tuple[str, int], set[int]] = {}
    for window, label, name in zip(features.windows, features.labels, features.participants, strict=True):
        for sample in window:
            labels.setdefault((str(name), int(sample[0])), set()).add(int(label))
    stretches: list[list[tuple[str, int]]] = []
    for place in sorted(labels):
        name, time = place
        before = (name, time - 1)
        goes_on = stretches and stretches[-1][-1] == before and labels[before] == labels[place]
        if len(labels[place]) > 1:
            continue
        if goes_on:
            stretches[-1].append(place)
        else:
            stretches.append([place])
    return stretches


def slow_cuts(features: FeatureSet, hop: int) -> list[tuple[str, int, int, int]]:
    """Return person, time of the first sample, room before and after of each training window."""
    return [
        (*stretch[first], first, len(stretch) - first - SIZE)
        for stretch in slow_stretches(features)
        for first in range(0, len(stretch) - SIZE + 1, hop)
    ]


TILED = {
    "P1": [(0, [0, 0, 0, 1, 1, 0]), (130, [0]), (400, [2, 2])],
    "P2": [(160, [2, 1, 1, 1])],
    "P3": [(0, [1])],
}


@pytest.mark.parametrize("prepared_hop", [20, 10, 5, 7])
@pytest.mark.parametrize("hop", [1, 5, 7, 20])
def test_training_windows_are_those_of_a_loop_over_samples(prepared_hop, hop):
    features = windows_of(TILED, prepared_hop)
    stretches = Stretches.of(features, prepared_hop, RATE_HZ)
    cuts = stretches.cut(hop)
    windows = stretches.windows(cuts.starts)
    names = features.participants[cuts.rows]
    found = [
        (str(name), int(window[0, 0]), int(before), int(after))
        for name, window, (before, after) in zip(names, windows, cuts.room, strict=True)
    ]
    assert found == slow_cuts(features, hop)
    assert len(found) >= 3
    # Consecutive samples of one person, all the way.
    assert (np.diff(windows[:, :, 0], axis=1) == 1).all()
    assert (windows[:, :, 1] == windows[:, :1, 1]).all()
    rows = features.windows[cuts.rows]
    assert ((rows[:, 0, 0] <= windows[:, 0, 0]) & (windows[:, 0, 0] <= rows[:, -1, 0])).all()


def test_the_hop_of_a_window_gives_the_prepared_windows():
    features = windows_of(TILED, SIZE)
    stretches = Stretches.of(features, SIZE, RATE_HZ)
    cuts = stretches.cut(SIZE)
    np.testing.assert_array_equal(stretches.windows(cuts.starts), features.windows)
    np.testing.assert_array_equal(cuts.rows, np.arange(len(features)))
    prepared = stretches.prepared()
    np.testing.assert_array_equal(prepared.starts, cuts.starts)
    np.testing.assert_array_equal(prepared.room, cuts.room)


def test_windows_that_tile_share_their_memory_with_the_signal():
    features = windows_of(TILED, SIZE)
    for stretches in (Stretches.of(features, SIZE, RATE_HZ), Stretches.apart(features)):
        (part,) = stretches.signal.windows._parts
        assert np.shares_memory(part, features.windows)


def test_overlapping_windows_are_kept_once():
    features = windows_of({"P1": [(0, [0] * 9)]}, 5)
    stretches = Stretches.of(features, 5, RATE_HZ)
    assert len(stretches.signal) == 60
    np.testing.assert_array_equal(stretches.signal.read(np.array([0]), 60)[0, :, 0], np.arange(60))


def test_a_prepared_window_of_two_labels_has_no_room():
    features = windows_of({"P1": [(0, [0, 0, 0, 1, 1, 1])]}, 10)
    stretches = Stretches.of(features, 10, RATE_HZ)
    cuts = stretches.prepared()
    np.testing.assert_array_equal(stretches.windows(cuts.starts), features.windows)
    assert cuts.room.tolist() == [[0, 10], [10, 0], [0, 0], [0, 0], [0, 10], [10, 0]]


@pytest.mark.parametrize("jitter_ns", [-9_000_000, -1, 1, 9_000_000])
def test_stamps_may_be_rounded_to_less_than_half_a_sample(jitter_ns):
    features = windows_of({"P1": [(0, [0, 0])]}, SIZE)
    late = replace(features, start_ns=features.start_ns + np.array([0, jitter_ns]))
    assert Stretches.of(late, SIZE, RATE_HZ).bounds.tolist() == [[0, 40]]


@pytest.mark.parametrize("late_ns", [10_000_001, -10_000_001, 20_000_000, -20_000_000, 400_000_000])
def test_another_step_than_the_hop_is_a_gap(late_ns):
    features = windows_of({"P1": [(0, [0, 0])]}, SIZE)
    late = replace(features, start_ns=features.start_ns + np.array([0, late_ns]))
    assert Stretches.of(late, SIZE, RATE_HZ).bounds.tolist() == [[0, 20], [20, 40]]


def test_overlapping_windows_of_other_signals_are_refused():
    features = windows_of({"P1": [(0, [0, 0])]}, 10)
    features.windows[1] -= features.windows[1].mean(axis=0)
    with pytest.raises(
        DataError, match="participant 'P1': the windows that begin at 0 and 200000000 ns overlap"
    ):
        Stretches.of(features, 10, RATE_HZ)
    assert len(Stretches.apart(features).prepared()) == 2


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> PreparedDataset:
    folder = tmp_path_factory.mktemp("stretches")
    make_prepared(folder, n_participants=2, bouts_per_class=1, windows_per_bout=3, window_size=300)
    return PreparedDataset.open(folder)


def config_for(**training) -> ExperimentConfig:
    sections = {
        "data": {"window_size": 300, "hop_size": 300},
        "model": {"window_size": 300},
        "features": {"groups": ["statistical"]},
        "training": training,
    }
    return ExperimentConfig(**sections)


def test_features_are_those_of_the_new_windows_from_the_cache(dataset, monkeypatch):
    config = config_for(hop_s=1.0)
    features = load_feature_set(dataset, dataset.participants, config)
    found = load_training_set(dataset, features, config)
    assert len(found) == 2 * 3 * 7
    windows = found.stretches.windows(found.cuts.starts)
    alone = feature_cache.compute_features(windows, 100.0, config.features)
    np.testing.assert_array_equal(found.stats, alone.stats)
    np.testing.assert_array_equal(found.start_ns[:7] - found.start_ns[0], np.arange(7) * 1_000_000_000)
    assert found.topo.shape == (42, 0)
    same = found.start_ns[:, None] == features.start_ns
    assert same.any(axis=1).sum() == len(features)
    rows, prepared = np.nonzero(same)
    np.testing.assert_array_equal(found.labels[rows], features.labels[prepared])
    np.testing.assert_array_equal(found.times[rows], features.times[prepared])
    monkeypatch.setattr(feature_cache, "compute_features", None)
    again = load_training_set(dataset, features, config)
    np.testing.assert_array_equal(again.stats, found.stats)


def test_without_a_hop_the_windows_stay_as_they_are(dataset):
    for training in ({}, {"augmentation": {"shift_s": 1.0}}):
        config = config_for(**training)
        features = load_feature_set(dataset, dataset.participants, config)
        found = load_training_set(dataset, features, config)
        np.testing.assert_array_equal(found.stretches.windows(found.cuts.starts), features.windows)
        assert found.stats is features.stats
        assert bool(found.cuts.room.any()) == bool(training)


def test_windows_that_do_not_follow_each_other_are_told(dataset, caplog):
    config = config_for(hop_s=1.0)
    features = load_feature_set(dataset, dataset.participants, config)
    other = config.replace(data=config.data.replace(hop_size=290))
    found = load_training_set(dataset, features, other)
    assert len(found) == len(features)
    assert "no prepared window goes on where the one before it ends (data.hop_size is 290)" in caplog.text
    caplog.clear()
    load_training_set(dataset, features, config)
    assert "no prepared window" not in caplog.text


def test_no_stretch_as_long_as_a_window_is_named(dataset):
    config = config_for(hop_s=0.1)
    config = config.replace(data=config.data.replace(sample_rate_hz=RATE_HZ, hop_size=10))
    features = windows_of({"P1": [(0, [0, 1, 0])]}, 10)
    with pytest.raises(DataError, match=r"no stretch .* is as long as a window; training\.hop_s cannot"):
        load_training_set(dataset, features, config)
