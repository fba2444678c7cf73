import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from patchtst_har.data import ParticipantWindows, Windows
from patchtst_har.datasets.prepared import PreparedDataset, check_stored_windows
from patchtst_har.datasets.prepared_writer import PreparedWriter
from patchtst_har.errors import DataError
from patchtst_har.synthetic import ACTIVITIES as CLASSES
from prepared_data import make_prepared


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_prepared(
        tmp_path / "prepared", n_participants=3, bouts_per_class=1, windows_per_bout=2, window_size=50
    )
    return tmp_path / "prepared"


def rewrite(folder: Path, **changes: Any) -> None:
    """Change arrays of P01; None removes one."""
    with np.load(folder / "P01.npz") as archive:
        arrays = {**archive, **changes}
    np.savez(folder / "P01.npz", **{name: array for name, array in arrays.items() if array is not None})


def set_manifest(folder: Path, *rows: str) -> None:
    (folder / "manifest.csv").write_text("\n".join(["participant,status,outfile", *rows]) + "\n")


def test_the_seed_layout_is_read(folder: Path) -> None:
    dataset = PreparedDataset.open(folder)
    assert dataset.participants == ("P01", "P02", "P03")
    assert dataset.classes == CLASSES
    assert dataset.preparation is None
    assert dataset.failures == {}
    person = dataset.load("P02")
    with np.load(folder / "P02.npz") as archive:
        np.testing.assert_array_equal(person.windows, archive["windows"])
        np.testing.assert_array_equal(person.start_ns, archive["first_ts_epoch_ns"])
        assert person.labels.tolist() == archive["labels_str"].tolist()
    assert person.windows.flags.c_contiguous


def test_the_fingerprint_is_that_of_the_content(folder: Path, tmp_path: Path) -> None:
    def fingerprint(*people: str, of: Path = folder) -> str:
        return PreparedDataset.open(of).fingerprint(people)

    before = fingerprint("P01", "P02")
    assert len(before) == 64
    assert fingerprint("P02", "P01") == before
    assert fingerprint("P02") != before
    twin = Path(shutil.copytree(folder, tmp_path / "twin"))
    with np.load(twin / "P01.npz") as archive:
        np.savez_compressed(twin / "P01.npz", **dict(archive))
    assert fingerprint("P01", "P02", of=twin) == before, "packed in another way"
    others = fingerprint("P02", "P03")
    with np.load(folder / "P01.npz") as archive:
        windows = archive["windows"]
    windows[0, 0, 0] += 0.01
    rewrite(folder, windows=windows)
    assert fingerprint("P01", "P02") != before
    assert fingerprint("P02", "P03") == others
    (folder / "P01.npz").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"P01\.npz: not an NPZ archive with windows"):
        fingerprint("P01")


def test_classes_may_be_in_any_order_that_the_encoder_shares(folder: Path) -> None:
    (folder / "classes.json").write_text(json.dumps(["walking", "sitting", "running"]))
    (folder / "label_encoder.json").write_text(json.dumps({"walking": 0, "sitting": 1, "running": 2}))
    dataset = PreparedDataset.open(folder)
    with np.load(folder / "P01.npz") as archive:
        assert dataset.load("P01").labels.tolist() == archive["labels_str"].tolist()


def test_participants_are_strings(folder: Path) -> None:
    set_manifest(folder, "007,ok,P01.npz", "7,ok,P02.npz", "NA,error: broken file,")
    dataset = PreparedDataset.open(folder)
    assert dataset.participants == ("007", "7")
    assert dataset.failures == {"NA": "error: broken file"}
    with pytest.raises(DataError, match="participant 'NA' has status 'error: broken file'"):
        dataset.load("NA")


def test_an_unknown_participant_is_named_with_some_known_ones(folder: Path) -> None:
    with pytest.raises(DataError, match=r"no participant 'P9' \(known: P01"):
        PreparedDataset.open(folder).load("P9")


def test_identical_rows_count_once_with_a_warning(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    set_manifest(folder, *["P01,ok,P01.npz"] * 100, "P02,ok,P02.npz")
    with caplog.at_level(logging.WARNING):
        assert PreparedDataset.open(folder).participants == ("P01", "P02")
    assert [record.getMessage() for record in caplog.records] == [
        f"{folder / 'manifest.csv'}: 99 rows repeat an earlier row; each participant is counted once"
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["P01,ok,P01.npz", "P01,ok,P02.npz"], "row 2 contradicts an earlier row of participant 'P01'"),
        (["P01,ok,P01.npz", "P01,error: x,"], "row 2 contradicts"),
        (["P01,ok,P09.npz"], r"outfile 'P09\.npz' of participant 'P01' does not exist"),
        (["P01,ok,../prepared/P01.npz"], "is not in the folder"),
        (["P01,ok,/etc/passwd"], "is not in the folder"),
        (["P01,ok,C:\\P01.npz"], "is not in the folder"),
        (["P01,ok,..\\P01.npz"], "is not in the folder"),
        (["P01,ok,link.npz"], "is not in the folder"),
        (["P01,ok,"], "outfile '' of participant 'P01' is not in the folder"),
        (["P01,ok,."], "does not exist"),
        ([",ok,P01.npz"], "row 1 has no participant"),
        (["P01,,P01.npz"], "row 1 has no status"),
        (["P01,failed,"], "nobody has status ok"),
        ([], "nobody has status ok"),
    ],
)
def test_manifest_rows_are_checked(folder: Path, rows: list[str], message: str) -> None:
    (folder.parent / "outside.npz").write_bytes(b"")
    (folder / "link.npz").symlink_to(folder.parent / "outside.npz")
    set_manifest(folder, *rows)
    with pytest.raises(DataError, match=message) as caught:
        PreparedDataset.open(folder)
    assert "manifest.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "manifest.csv",
            "participant,status\nP01,ok\n",
            r"no column 'outfile' \(found: 'participant', 'status'\)",
        ),
        ("manifest.csv", "", r"no column 'participant', 'status', 'outfile' \(found: none\)"),
        ("manifest.csv", "participant,status,outfile,outfile\n", "2 columns are named 'outfile'"),
        ("manifest.csv", b"participant,status,outfile\n\xff,ok,a\n", "not UTF-8 text"),
        ("manifest.csv", 'participant,status,outfile\nP01,ok,"P01.npz\n', "not CSV text"),
        ("classes.json", "{}", "needs a list of class names"),
        ("classes.json", '["a\\nb"]', "class .* line"),
        ("classes.json", "[]", "needs a list of class names"),
        ("classes.json", '["a", 1]', "needs a list of class names"),
        ("classes.json", '["a", "a"]', "a class name occurs twice"),
        ("classes.json", '["a"', r"classes\.json: not JSON"),
        ("label_encoder.json", "[]", "needs a mapping of class names to indices"),
        (
            "label_encoder.json",
            '{"running": true, "sitting": 1, "walking": 2}',
            "needs a mapping of class names",
        ),
        (
            "label_encoder.json",
            '{"running": 0, "sitting": 2, "walking": 1}',
            r"has 2 for 'sitting', classes\.json has 1",
        ),
        (
            "label_encoder.json",
            '{"running": 0, "sitting": 1}',
            r"has None for 'walking', classes\.json has 2",
        ),
        (
            "label_encoder.json",
            '{"flying": 3, "running": 0, "sitting": 1, "walking": 2}',
            "has 3 for 'flying'",
        ),
        ("preparation.json", "[]", r"preparation\.json: needs a mapping"),
    ],
)
def test_common_files_are_checked(folder: Path, name: str, content: str | bytes, message: str) -> None:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message) as caught:
        PreparedDataset.open(folder)
    assert name in str(caught.value)


@pytest.mark.parametrize("name", ["classes.json", "label_encoder.json", "preparation.json"])
def test_a_folder_in_place_of_a_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    (folder / name).mkdir()
    with pytest.raises(DataError, match=rf"{name}: is a folder, a file is needed"):
        PreparedDataset.open(folder)


@pytest.mark.parametrize("name", ["manifest.csv", "classes.json", "label_encoder.json"])
def test_missing_common_files_are_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(DataError, match=f"{name}: no such file"):
        PreparedDataset.open(folder)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone: no such folder of prepared data"):
        PreparedDataset.open(tmp_path / "gone")


NAN = np.full((6, 50, 3), 1.0, np.float32)
NAN[4, 3, 2] = np.nan


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"windows": None}, "no array 'windows'"),
        ({"labels_str": None}, "no array 'labels_str'"),
        ({"first_ts_epoch_ns": None}, "no array 'first_ts_epoch_ns'"),
        ({"windows": np.ones((6, 50, 3))}, "windows holds float64, float32 is needed"),
        ({"windows": np.ones((6, 50), np.float32)}, r"windows has shape \(6, 50\)"),
        ({"windows": np.ones((6, 3, 50), np.float32)}, r"windows has shape \(6, 3, 50\), \(n, T, 3\)"),
        ({"windows": np.ones((0, 50, 3), np.float32)}, r"windows has shape \(0, 50, 3\)"),
        ({"windows": NAN}, r"windows holds NaN or infinity in window 4 \(1 such windows\)"),
        (
            {"windows": np.ones((5, 50, 3), np.float32)},
            r"first_ts_epoch_ns has shape \(6,\), but there are 5 windows",
        ),
        ({"first_ts_epoch_ns": np.arange(6.0)}, "first_ts_epoch_ns holds float64, int64 is needed"),
        (
            {"first_ts_epoch_ns": np.array([0, 1, 2, 2, 3, 4])},
            "first_ts_epoch_ns does not increase at window 3",
        ),
        (
            {"first_ts_epoch_ns": np.array([0, 1, 9, 2, 3, 4])},
            "first_ts_epoch_ns does not increase at window 3",
        ),
        ({"labels_str": np.array(["sitting"] * 5)}, r"labels_str has shape \(5,\), but there are 6 windows"),
        ({"labels_str": np.arange(6)}, "labels_str holds int64, strings are needed"),
        (
            {"labels_str": np.array(["sitting"] * 5 + ["flying"])},
            r"labels_str holds 'flying', .* not in classes\.json",
        ),
        (
            {"labels_str": np.array([0x110000] * 6, np.uint32).view("<U1")},
            "labels_str holds what is not Unicode text",
        ),
        ({"labels_str": np.array(["sitting"] * 6, object)}, "'labels_str' holds objects"),
    ],
)
def test_arrays_are_checked(folder: Path, changes: dict[str, Any], message: str) -> None:
    rewrite(folder, **changes)
    dataset = PreparedDataset.open(folder)
    with pytest.raises(DataError, match=message) as caught:
        dataset.load("P01")
    assert "P01.npz" in str(caught.value)
    assert len(dataset.load("P02")) == 6


def test_damaged_files_and_sizes_over_the_cap_are_refused(folder: Path) -> None:
    dataset = PreparedDataset.open(folder)
    with pytest.raises(DataError, match=r"P01\.npz: its arrays declare .* more than the cap"):
        dataset.load("P01", max_bytes=1000)
    (folder / "P01.npz").write_bytes((folder / "P01.npz").read_bytes()[:-100])
    with pytest.raises(DataError, match=r"P01\.npz: not an NPZ archive"):
        dataset.load("P01")
    (folder / "P02.npz").unlink()
    with pytest.raises(DataError, match=r"P02\.npz: no such file"):
        dataset.load("P02")


def windows_of(n: int) -> dict[str, Any]:
    return {
        "windows": np.random.default_rng(0).normal(size=(n, 20, 3)).astype(np.float32),
        "labels": np.array(["b", "a"] * n)[:n],
        "start_ns": np.arange(n, dtype=np.int64) * 10,
    }


def test_the_clock_is_read_from_the_preparation(folder: Path) -> None:
    assert PreparedDataset.open(folder).clock is None
    for preparation, clock in (({}, None), ({"clock": "utc"}, "utc"), ({"clock": "wall"}, "wall")):
        (folder / "preparation.json").write_text(json.dumps(preparation))
        assert PreparedDataset.open(folder).clock == clock
    (folder / "preparation.json").write_text(json.dumps({"clock": ["utc"]}))
    with pytest.raises(
        DataError, match=r"preparation\.json: clock \['utc'\] is not known \(known: utc, wall\)"
    ):
        PreparedDataset.open(folder)


@pytest.mark.parametrize(
    ("name", "noted"),
    [
        ("B c", "B c"),
        ("=1", "'=1'"),
        ("", "''"),
        (" c", "' c'"),
        ("a\nb", r"'a\nb'"),
        ("M\udcfcller", r"'M\udcfcller'"),
    ],
)
def test_a_failure_is_noted_under_any_name(tmp_path: Path, name: str, noted: str) -> None:
    writer = PreparedWriter(tmp_path)
    writer.add("c", **windows_of(2))
    writer.record_failure(name, "broken M\udcfcller.csv")
    assert writer.finish({}).failures == {noted: r"error: broken M\udcfcller.csv"}
    with pytest.raises(DataError, match="was added twice"):
        writer.record_failure(name, "again")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    writer = PreparedWriter(tmp_path / "new" / "folder")
    given = windows_of(4)
    writer.add("007", **given)
    writer.record_failure("008", "two\nlines, and a comma")
    dataset = writer.finish({"hop_size": 20}, classes=("never",))
    assert dataset.classes == ("a", "b", "never")
    assert dataset.participants == ("007",)
    assert dataset.failures == {"008": "error: two lines, and a comma"}
    assert dataset.preparation is not None
    assert dataset.preparation["hop_size"] == 20
    assert dataset.preparation["package_version"]
    person = dataset.load("007")
    np.testing.assert_array_equal(person.windows, given["windows"])
    assert person.labels.tolist() == ["b", "a", "b", "a"]
    assert json.loads((tmp_path / "new" / "folder" / "label_encoder.json").read_text()) == {
        "a": 0,
        "b": 1,
        "never": 2,
    }


def test_without_its_end_nothing_is_a_data_set(tmp_path: Path) -> None:
    PreparedWriter(tmp_path).add("P01", **windows_of(2))
    with pytest.raises(DataError, match=r"manifest\.csv: no such file"):
        PreparedDataset.open(tmp_path)


def test_a_data_set_is_replaced_only_on_request(tmp_path: Path) -> None:
    writer = PreparedWriter(tmp_path)
    writer.add("P01", **windows_of(2))
    writer.finish({})
    with pytest.raises(DataError, match="holds a prepared data set already"):
        PreparedWriter(tmp_path)
    writer = PreparedWriter(tmp_path, overwrite=True)
    writer.add("P02", **windows_of(3))
    assert PreparedDataset.open(tmp_path).participants == ("P01",)
    assert writer.finish({}).participants == ("P02",)
    assert not (tmp_path / "P01.npz").exists()


@pytest.mark.parametrize("kind", ["path", "spelling", "symlink_to", "hardlink_to", "copy", "rewritten"])
def test_one_file_of_two_participants_is_refused(folder: Path, kind: str) -> None:
    twin = folder / "twin.npz"
    outfile = {"path": "P01.npz", "spelling": "./P01.npz"}.get(kind, twin.name)
    if kind.endswith("_to"):
        getattr(twin, kind)(folder / "P01.npz")
    elif kind == "copy":
        twin.write_bytes((folder / "P01.npz").read_bytes())
    elif kind == "rewritten":
        with np.load(folder / "P01.npz") as arrays:
            np.savez(twin, **dict(reversed(list(arrays.items()))))
    set_manifest(folder, "P01,ok,P01.npz", f"other,ok,{outfile}")
    with pytest.raises(DataError, match=r"participant 'other' (is that of|has the same windows as) 'P01'"):
        PreparedDataset.open(folder)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("P\x0001,ok,P01.npz", r"row 1: participant 'P\\x0001' has a control character"),
        ("P01,ok,P\x0001.npz", r"row 1: outfile 'P\\x0001\.npz' cannot be a file's name"),
        ("=1+1,ok,P01.npz", "row 1: participant '=1[+]1' begins with '='"),
    ],
)
def test_names_that_no_table_can_hold_are_refused(folder: Path, row: str, message: str) -> None:
    set_manifest(folder, row)
    with pytest.raises(DataError, match=rf"manifest\.csv: {message}"):
        PreparedDataset.open(folder)


@pytest.mark.parametrize("name", ["manifest.csv", "classes.json", "label_encoder.json", "preparation.json"])
def test_a_pipe_in_place_of_a_file_is_refused_not_waited_for(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(DataError, match=rf"{name}: is not a regular file"):
        PreparedDataset.open(folder)


@pytest.mark.parametrize("name", ["", "../P01", "a/b", ".hidden", "P 1", "P01\n"])
def test_participants_that_cannot_name_a_file_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="cannot name a file"):
        PreparedWriter(tmp_path).add(name, **windows_of(2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"windows": np.ones((4, 20, 3))}, "windows holds float64"),
        ({"windows": np.full((4, 20, 3), np.inf, np.float32)}, "NaN or infinity in window 0"),
        ({"labels": np.array(["a"] * 3)}, r"labels_str has shape \(3,\)"),
        ({"labels": np.array(["a", "", "a", "a"])}, "labels_str holds an empty class name"),
        ({"start_ns": np.zeros(4, np.int64)}, "does not increase at window 1"),
    ],
)
def test_the_writer_refuses_what_the_reader_would(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    writer = PreparedWriter(tmp_path)
    with pytest.raises(DataError, match=message):
        writer.add("P01", **{**windows_of(4), **changes})
    assert not (tmp_path / "P01.npz").exists()


def test_nobody_and_the_same_person_twice_are_refused(tmp_path: Path) -> None:
    writer = PreparedWriter(tmp_path)
    with pytest.raises(DataError, match=r"nobody could be prepared \(no recordings\)"):
        writer.finish({})
    writer.add("P01", **windows_of(2))
    with pytest.raises(DataError, match="participant 'P01' was added twice"):
        writer.add("P01", **windows_of(2))


def test_windows_are_made_with_keywords_only():
    arrays = np.zeros((1, 2, 3), np.float32), np.zeros(1, np.int64), np.array(["walk"])
    with pytest.raises(TypeError, match="positional"):
        ParticipantWindows(*arrays, None)
    assert ParticipantWindows is Windows


def test_windows_with_markers_of_an_earlier_version_are_refused(tmp_path: Path) -> None:
    windows = np.zeros((3, 100, 3), np.float32)
    check_stored_windows(windows, tmp_path / "P01.npz")
    windows[2, 5, 0] = -9999.0
    with pytest.raises(DataError, match=r"P01\.npz: windows holds values beyond 50 g in window 2 \(1 such"):
        check_stored_windows(windows, tmp_path / "P01.npz")
