import os
from pathlib import Path

import numpy as np
import pytest

from patchtst_har.errors import DataError
from patchtst_har.support import stored_arrays
from patchtst_har.support.npz import write_npz
from patchtst_har.support.stored_arrays import StoredArray, extract_array

VALUES = np.arange(60, dtype=np.float32).reshape(5, 4, 3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_npz(tmp_path / "a.npz", {"names": np.array(["x"]), "windows": VALUES})
    return tmp_path / "a.npz"


def values_of(array: StoredArray) -> np.ndarray:
    out = np.empty(array.shape, array.dtype)
    with array.reader() as read:
        read(0, out)
    return out


def test_pieces_are_those_of_the_array(path):
    array = StoredArray.find(path, "windows")
    assert (array.shape, array.dtype, array.in_place) == ((5, 4, 3), np.float32, True)
    array.check_values()
    np.testing.assert_array_equal(values_of(array), VALUES)
    out = np.empty((2, 3), np.float32)
    with array.reader() as read:
        for first in (54, 0, 15):
            read(first, out)
            np.testing.assert_array_equal(out.ravel(), VALUES.ravel()[first : first + 6])


@pytest.mark.parametrize("save", [np.savez_compressed, lambda path, **a: np.savez(path, **a)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_cannot_be_read_in_place_is_extracted(tmp_path, save, order):
    save(tmp_path / "a.npz", windows=np.asarray(VALUES, order=order))
    array = StoredArray.find(tmp_path / "a.npz", "windows")
    assert array.in_place == (order == "C" and save is not np.savez_compressed)
    extract_array(array, tmp_path / "b.npz")
    extracted = StoredArray.find(tmp_path / "b.npz", "windows")
    extracted.check_values()
    np.testing.assert_array_equal(values_of(extracted), VALUES)


def test_an_extraction_that_another_process_repeats_can_be_read_on(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", windows=VALUES)
    source, target = StoredArray.find(tmp_path / "a.npz", "windows"), tmp_path / "b.npz"
    extract_array(source, target)
    first = StoredArray.find(target, "windows")
    extract_array(source, target)
    np.testing.assert_array_equal(values_of(first), VALUES)


def test_more_than_memory_may_take_is_not_extracted(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", windows=VALUES)
    monkeypatch.setattr(stored_arrays, "MAX_EXPANDED_BYTES", VALUES.nbytes - 1)
    with pytest.raises(
        DataError, match=r"a\.npz: array 'windows' declares 240 bytes, more than the cap of 239"
    ):
        extract_array(StoredArray.find(tmp_path / "a.npz", "windows"), tmp_path / "b.npz")
    assert not (tmp_path / "b.npz").exists()


def test_a_file_that_is_gone_is_named(path):
    array = StoredArray.find(path, "windows")
    path.unlink()
    with pytest.raises(DataError, match=r"a\.npz: cannot be read \(No such file or directory\)"):
        array.check_values()


def test_compressed_values_are_not_read_in_place(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", windows=VALUES)
    with (
        pytest.raises(ValueError, match="windows is compressed or not in C order"),
        StoredArray.find(tmp_path / "a.npz", "windows").reader(),
    ):
        pass


def test_a_file_that_was_replaced_is_refused(path):
    array = StoredArray.find(path, "windows")
    write_npz(path, {"names": np.array(["x"]), "windows": VALUES + 1})
    with pytest.raises(DataError, match=r"a\.npz: was replaced or written to while it was in use"):
        values_of(array)
    path.unlink()
    with pytest.raises(DataError, match=r"a\.npz: cannot be read \(No such file"):
        values_of(array)


def test_a_file_that_ends_early_is_refused(path):
    array = StoredArray.find(path, "windows")
    status = path.stat()
    content = path.read_bytes()
    with array.reader() as read:
        os.truncate(path, len(content) // 2)
        with pytest.raises(DataError, match=r"a\.npz: ends before array 'windows' does"):
            read(0, np.empty(VALUES.shape, np.float32))
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    np.testing.assert_array_equal(values_of(array), VALUES)


def test_a_flipped_bit_is_found_by_the_checksum(path):
    array = StoredArray.find(path, "windows")
    content = bytearray(path.read_bytes())
    place = bytes(content).index(VALUES.tobytes()) + 7
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npz: array 'windows' is damaged \(its checksum is another\)"):
        array.check_values()


def test_a_missing_array_is_named(path):
    with pytest.raises(DataError, match=r"a\.npz: no array 'gone' \(found: names, windows\)"):
        StoredArray.find(path, "gone")
