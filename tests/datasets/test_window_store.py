import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from patchtst_har.config import ExperimentConfig
from patchtst_har.datasets.featureset import load_feature_set
from patchtst_har.datasets.prepared import PreparedDataset
from patchtst_har.datasets.stretches import Signal
from patchtst_har.datasets.window_store import WindowStore, blocks_of_windows
from patchtst_har.errors import DataError
from patchtst_har.support.npz import write_npz
from patchtst_har.support.stored_arrays import StoredArray
from prepared_data import make_prepared

RNG = np.random.default_rng(0)
PARTS = [RNG.normal(size=(n, 6, 3)).astype(np.float32) for n in (4, 1, 5)]
WHOLE = np.concatenate(PARTS)


@pytest.fixture(params=["memory", "disk"])
def store(request, tmp_path: Path) -> WindowStore:
    if request.param == "memory":
        return WindowStore(PARTS)
    for number, part in enumerate(PARTS):
        write_npz(tmp_path / f"{number}.npz", {"windows": part})
    return WindowStore([StoredArray.find(tmp_path / f"{n}.npz", "windows") for n in range(len(PARTS))])


@pytest.mark.parametrize(
    "rows",
    [
        3,
        -1,
        np.int64(4),
        slice(None),
        slice(2, 7),
        slice(-3, None),
        slice(8, 2),
        slice(9, 1, -3),
        np.array([9, 0, 4, 4, -1]),
        np.array([], np.int64),
        WHOLE[:, 0, 0] > 0,
    ],
    ids=repr,
)
def test_it_is_indexed_like_an_array(store, rows):
    found = store[rows]
    np.testing.assert_array_equal(found, WHOLE[rows])
    assert found.dtype == np.float32
    assert found.flags.writeable


def test_it_is_as_long_and_large_as_its_parts(store):
    assert (len(store), store.shape, store.nbytes) == (10, (10, 6, 3), WHOLE.nbytes)
    np.testing.assert_array_equal(np.asarray(store), WHOLE)
    joined = WindowStore.join([store, store])
    np.testing.assert_array_equal(joined[:], np.concatenate([WHOLE, WHOLE]))
    np.testing.assert_array_equal(np.concatenate(list(blocks_of_windows(store, 3))), WHOLE)


@pytest.mark.parametrize("row", [10, -11])
def test_a_window_that_does_not_exist_is_refused(store, row):
    with pytest.raises(IndexError):
        store[row]
    with pytest.raises(IndexError, match="there are 10 windows"):
        store[np.array([0, row])]


def test_samples_of_overlapping_windows_are_read_once():
    size, steps = 6, np.array([6, 2, 3, 6, 6, 1])
    ends = np.cumsum(steps)
    samples = RNG.normal(size=(int(ends[-1]), 3)).astype(np.float32)
    windows = np.stack([samples[end - size : end] for end in ends])
    signal = Signal(WindowStore.of(windows), ends, steps)
    assert (len(signal), signal.n_bytes) == (len(samples), samples.nbytes)
    starts, lengths = np.array([7, 0, 1, 22]), np.array([17, 24, 6, 2])
    found = signal.read(starts, lengths)
    assert found.shape == (4, 24, 3)
    for row, start, length in zip(found, starts, lengths, strict=True):
        np.testing.assert_array_equal(row[:length], samples[start : start + length])
    places = np.array([[3, 3, 4, 9], [20, 21, 23, 23]])
    np.testing.assert_array_equal(signal.at(places), samples[places])


def config_of(folder: Path, size: int) -> ExperimentConfig:
    return ExperimentConfig.from_mapping(
        {
            "data": {"proc_dir": str(folder), "window_size": size, "hop_size": size},
            "model": {"window_size": size, "n_time_features": 0},
            "features": {"groups": ["statistical"]},
        }
    )


def test_a_feature_set_on_disk_is_that_in_memory(tmp_path):
    make_prepared(tmp_path, n_participants=3, bouts_per_class=1, windows_per_bout=2, window_size=300)
    packed = tmp_path / "P02.npz"
    np.savez_compressed(packed, **dict(np.load(packed)))
    dataset, config = PreparedDataset.open(tmp_path), config_of(tmp_path, 300)
    people = ["P03", "P02", "P01"]
    here = load_feature_set(dataset, people, config)
    for _ in range(2):
        there = load_feature_set(dataset, people, config, in_memory=False)
        np.testing.assert_array_equal(there.windows[:], here.windows)
        for name in ("times", "stats", "labels", "participants", "start_ns"):
            np.testing.assert_array_equal(getattr(there, name), getattr(here, name))
    (extracted,) = (tmp_path / "features_cache" / "windows").iterdir()
    # A damaged copy is written again; damage of the data set itself is an error.
    extracted.write_bytes(extracted.read_bytes()[:-60])
    again = load_feature_set(dataset, people, config, in_memory=False)
    np.testing.assert_array_equal(again.windows[:], here.windows)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_is_wrong_with_windows_is_said_as_for_those_in_memory(tmp_path, save):
    make_prepared(tmp_path, n_participants=1, bouts_per_class=1, windows_per_bout=2, window_size=300)
    path = tmp_path / "P01.npz"
    good = dict(np.load(path))
    dataset = PreparedDataset.open(tmp_path)
    wrong = {"nan": good["windows"].copy(), "far": good["windows"].copy(), "double": np.zeros((6, 300, 3))}
    wrong["nan"][2, 5, 1], wrong["far"][3, 0, 0] = np.nan, -300
    wrong["flat"] = good["windows"][:, :, 0]
    for windows in wrong.values():
        save(path, **{**good, "windows": windows})
        with pytest.raises(DataError) as in_memory:
            dataset.load("P01")
        with pytest.raises(DataError) as on_disk:
            dataset.stored("P01", tmp_path / "kept")
        assert str(on_disk.value) == str(in_memory.value)
    save(path, **{**good, "labels_str": good["labels_str"][:-1]})
    with pytest.raises(DataError, match="labels_str has shape"):
        dataset.stored("P01", tmp_path / "kept")


@pytest.mark.slow
def test_windows_on_disk_take_no_memory(tmp_path):
    size, n_people, n_windows = 500, 10, 300
    samples = RNG.normal(0, 0.3, (n_windows, size, 3)).astype(np.float32)
    start_ns = 5 * 10**9 * np.arange(n_windows)
    rows = ["participant,status,outfile"]
    for person in range(n_people):
        arrays = {"windows": samples + np.float32(person / 100), "first_ts_epoch_ns": start_ns}
        write_npz(tmp_path / f"P{person}.npz", {**arrays, "labels_str": np.resize(["a", "b"], n_windows)})
        rows.append(f"P{person},ok,P{person}.npz")
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "classes.json").write_text('["a", "b"]')
    (tmp_path / "label_encoder.json").write_text('{"a": 0, "b": 1}')
    dataset, config = PreparedDataset.open(tmp_path), config_of(tmp_path, size)
    peaks = {}
    for in_memory in (False, True):
        tracemalloc.start()
        found = load_feature_set(dataset, dataset.participants, config, in_memory=in_memory)
        for block in blocks_of_windows(found.windows, 256):
            assert np.isfinite(block).all()
        peaks[in_memory] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    whole = n_people * samples.nbytes
    assert whole > 17e6
    assert peaks[True] > whole
    assert peaks[False] < whole / 3
