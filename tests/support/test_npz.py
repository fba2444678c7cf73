import io
import os
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from patchtst_har.errors import DataError
from patchtst_har.support import npz
from patchtst_har.support.npz import read_npz, write_npz


def _member(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def _npy_header(shape: tuple[int, ...], descr: str = "<f4") -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def _archive(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_round_trip_of_names_types_and_values(tmp_path: Path) -> None:
    arrays = {
        "windows": np.arange(12, dtype=np.float32).reshape(2, 2, 3),
        "names": np.array(["a", "bc"]),
        "empty": np.empty((0, 3), np.int64),
    }
    write_npz(tmp_path / "a.npz", arrays)
    found = read_npz(tmp_path / "a.npz", ("names", "windows"), ("empty", "absent"))
    assert list(found) == ["names", "windows", "empty"]
    for name, array in found.items():
        np.testing.assert_array_equal(array, arrays[name])
        assert array.dtype == arrays[name].dtype


def test_compressed_archives_are_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", zeros=np.zeros((1000, 1000)))
    assert read_npz(tmp_path / "a.npz", ["zeros"])["zeros"].shape == (1000, 1000)


def test_a_missing_array_is_named_with_those_found(tmp_path: Path) -> None:
    write_npz(tmp_path / "a.npz", {"here": np.zeros(1)})
    with pytest.raises(DataError, match=r"a\.npz: no array 'gone' \(found: here\)"):
        read_npz(tmp_path / "a.npz", ["gone", "here"])


def test_object_arrays_are_neither_read_nor_written(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "exploded"),)

    path = _archive(tmp_path / "a.npz", {"bad.npy": _member(np.array([Bomb()], dtype=object))})
    with pytest.raises(DataError, match="'bad' holds objects"):
        read_npz(path, ["bad"])
    assert not (tmp_path / "exploded").exists()
    with pytest.raises(DataError, match="'bad' holds objects"):
        write_npz(tmp_path / "b.npz", {"bad": np.array([None])})
    assert not (tmp_path / "b.npz").exists()


def test_what_slips_through_the_header_is_not_unpickled_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second line of defence: the reader itself never takes a pickle."""

    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "exploded"),)

    bombs = np.empty(1, object)
    bombs[0] = Bomb()
    path = _archive(tmp_path / "a.npz", {"bombs.npy": _member(bombs)})
    monkeypatch.setattr(npz, "declared_bytes", lambda *_: 8)
    with pytest.raises(DataError, match=r"a\.npz: array 'bombs' cannot be read \(Object arrays"):
        read_npz(path, ["bombs"])
    assert not (tmp_path / "exploded").exists()


def test_object_fields_inside_a_structured_array_are_refused(tmp_path: Path) -> None:
    array = np.zeros(1, dtype=[("a", "i4"), ("b", "O")])
    path = _archive(tmp_path / "a.npz", {"bad.npy": _member(array)})
    with pytest.raises(DataError, match="'bad' holds objects"):
        read_npz(path, ["bad"])


def test_a_duplicate_member_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", _member(np.zeros(1)))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("x.npy", _member(np.ones(1)))
    with pytest.raises(DataError, match=r"two members named 'x\.npy'"):
        read_npz(path, ["x"])


def test_a_header_that_declares_terabytes_is_refused_before_allocation(tmp_path: Path) -> None:
    path = _archive(tmp_path / "a.npz", {"x.npy": _npy_header((2**40,))})
    with pytest.raises(DataError, match=r"'x' declares shape \(1099511627776,\) of float32"):
        read_npz(path, ["x"])


def test_sizes_over_the_cap_are_refused_summed_over_the_arrays(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros(1000, np.float32), y=np.zeros(1000, np.float32))
    with pytest.raises(DataError, match="declare 8,000 bytes, more than the cap of 7,999"):
        read_npz(tmp_path / "a.npz", ["x", "y"], max_bytes=7_999)
    assert len(read_npz(tmp_path / "a.npz", ["x", "y"], max_bytes=8_000)) == 2


def test_a_directory_that_claims_more_than_its_member_holds_is_refused(tmp_path: Path) -> None:
    header = _npy_header((2**26,))
    path = _archive(tmp_path / "a.npz", {"x.npy": header})
    data = bytearray(path.read_bytes())
    central = data.rindex(b"PK\x01\x02")
    # The expanded size in the central directory: 256 MiB that a few stored bytes cannot hold.
    data[central + 24 : central + 28] = (len(header) + 4 * 2**26).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(DataError, match="stored bytes cannot hold"):
        read_npz(path, ["x"])


def test_negative_or_malformed_headers_are_refused(tmp_path: Path) -> None:
    path = _archive(tmp_path / "a.npz", {"x.npy": b"\x93NUMPY\x01\x00\x10\x00not a dictionary"})
    with pytest.raises(DataError, match="'x' has no readable NPY header"):
        read_npz(path, ["x"])
    path = _archive(tmp_path / "a.npz", {"x.npy": _npy_header((-1,))})
    with pytest.raises(DataError, match="'x'"):
        read_npz(path, ["x"])
    path = _archive(tmp_path / "a.npz", {"x.npy": b"\x93NUMPY\x09\x00"})
    with pytest.raises(DataError, match=r"'x' has NPY version \(9, 0\)"):
        read_npz(path, ["x"])


def _raw_header(text: str, version: int = 1, length: int | None = None) -> bytes:
    size = len(text) if length is None else length
    return (
        b"\x93NUMPY" + bytes([version, 0]) + size.to_bytes(2 if version == 1 else 4, "little") + text.encode()
    )


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (_raw_header(" " * 100, 2, 3 * 2**30), r"3,221,225,472 bytes, at most 10,000 are read"),
        (_raw_header(" " * 10_001), "10,001 bytes, at most"),
        (_raw_header(" ", 3, 3 * 2**30), r"NPY version \(3, 0\)"),
        (_raw_header("-" * 9000), "no readable NPY header"),
        (_raw_header("1+" * 4500), "no readable NPY header"),
        (_raw_header("[" * 4500), "no readable NPY header"),
        (
            _raw_header("{'descr': '<f4', 'fortran_order': False, 'shape': (True, 3)}"),
            "not made of whole numbers",
        ),
        (
            _raw_header("{'descr': '<f4', 'fortran_order': False, 'shape': (1%s, 0)}" % ("0" * 30)),
            "not made of whole numbers",
        ),
        (
            _raw_header("{'descr': '<f4', 'fortran_order': False, 'shape': (1%s, 0)}" % ("0" * 5000)),
            "no readable NPY header",
        ),
        (_npy_header((10**9,), "<U0"), "values without a size"),
        (_npy_header((2**62, 2**62, 2**62), "|V0"), "values without a size"),
    ],
)
def test_headers_made_to_exhaust_the_reader_are_refused(tmp_path: Path, header: bytes, message: str) -> None:
    path = _archive(tmp_path / "a.npz", {"x.npy": header})
    with pytest.raises(DataError, match=message) as raised:
        read_npz(path, ["x"])
    assert "'x'" in str(raised.value)
    assert len(str(raised.value)) < 500 + len(str(tmp_path))


@pytest.mark.parametrize("key", [r"'\&'", "1and'descr'", "1if 2else 3"])
def test_a_header_of_which_the_compiler_would_warn_is_refused(tmp_path: Path, key: str) -> None:
    path = _archive(tmp_path / "a.npz", {"x.npy": _raw_header(f"{{{key}: '<f4', 'shape': (1,)}}")})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(DataError, match="no readable NPY header"):
            read_npz(path, ["x"])
    assert caught == []


def test_a_list_of_members_without_end_is_refused_unread(tmp_path: Path) -> None:
    path = _archive(tmp_path / "a.npz", {"x.npy": _member(np.zeros(3))})
    data = bytearray(path.read_bytes())
    end = data.rindex(b"PK\x05\x06")
    data[end + 12 : end + 16] = (2**20 + 1).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"list of members takes 1,048,577 bytes, more than 1,048,576"):
        read_npz(path, ["x"])


def test_many_members_take_no_time(tmp_path: Path) -> None:
    members = {f"m{k}.npy": b"" for k in range(10_000)}
    path = _archive(tmp_path / "a.npz", {**members, "x.npy": _member(np.arange(3))})
    assert read_npz(path, ["x"])["x"].tolist() == [0, 1, 2]
    with pytest.raises(DataError, match=r"no array 'y' \(found: m0, m1, .*, and 9,989 more\)"):
        read_npz(path, ["y"])


def test_the_end_record_of_large_archives_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    path = _archive(tmp_path / "a.npz", {"x.npy": _member(np.arange(3)), "y.npy": _member(np.zeros(3))})
    data = bytearray(path.read_bytes())
    assert b"PK\x06\x06" in data
    assert read_npz(path, ["x"])["x"].tolist() == [0, 1, 2]
    at = data.rindex(b"PK\x06\x06")
    data[at + 40 : at + 48] = (2**33).to_bytes(8, "little")
    path.write_bytes(data)
    with pytest.raises(DataError, match="list of members takes 8,589,934,592 bytes"):
        read_npz(path, ["x"])


@pytest.mark.parametrize("content", [b"", b"PK", b"time,x,y,z\n", b"\x93NUMPY\x01\x00"])
def test_what_is_no_archive_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npz: not an NPZ archive"):
        read_npz(path, ["x"])


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_truncated_and_flipped_archives_are_refused(tmp_path: Path, compression: int) -> None:
    path = _archive(
        tmp_path / "a.npz", {"x.npy": _member(np.random.default_rng(0).normal(size=5000))}, compression
    )
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="not an NPZ archive"):
        read_npz(path, ["x"])
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    path.write_bytes(flipped)
    with pytest.raises(DataError, match=r"a\.npz"):
        read_npz(path, ["x"])


@pytest.mark.parametrize(
    "compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
@pytest.mark.slow
def test_every_flipped_byte_is_refused_with_the_name_of_the_file(tmp_path: Path, compression: int) -> None:
    array = np.random.default_rng(0).integers(0, 9, 100).astype(np.float32)
    path = _archive(tmp_path / "a.npz", {"x.npy": _member(array)}, compression)
    np.testing.assert_array_equal(read_npz(path, ["x"])["x"], array)
    whole = path.read_bytes()
    refused = 0
    for position in range(len(whole)):
        for flip in (0x01, 0x50, 0xFF):
            flipped = bytearray(whole)
            flipped[position] ^= flip
            path.write_bytes(flipped)
            try:
                # Some bytes say nothing about the content, such as the date.
                found = read_npz(path, ["x"])["x"]
            except DataError as error:
                assert str(path) in str(error)  # noqa: PT017
                refused += 1
            else:
                np.testing.assert_array_equal(found, array)
    assert refused > 2 * len(whole)


def test_an_archive_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.npz").symlink_to("a.npz")
    with pytest.raises(DataError, match=r"a\.npz: cannot be read \(Too many levels of symbolic links\)"):
        read_npz(tmp_path / "a.npz", ["x"])


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_npz(tmp_path / "a.npz", ["x"])
    with pytest.raises(DataError, match="is a folder"):
        read_npz(tmp_path, ["x"])


def test_a_name_that_is_no_unicode_is_refused(tmp_path):
    """The local header's: the directory at the end may have another."""
    path = tmp_path / "a.npz"
    np.savez(path, time_ns=np.arange(3))
    content = bytearray(path.read_bytes())
    content[30] = 0x80
    for flags in (6, content.index(b"PK\x01\x02") + 8):
        content[flags + 1] |= 0x08
    path.write_bytes(content)
    refused = pytest.raises(DataError, match=r"a\.npz: array 'time_ns' cannot be read \('utf-8'")
    with zipfile.ZipFile(path) as archive, refused, npz.open_member(archive, "time_ns", path):
        pass
