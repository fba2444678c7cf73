import gzip
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from patchtst_har.config import DataConfig, ExperimentConfig
from patchtst_har.data.annotations import LabelMap
from patchtst_har.data.recording import read_recording, write_recording
from patchtst_har.data.windows import cut_windows
from patchtst_har.datasets.prepare import (
    count_windows,
    find_recordings,
    not_calibrated,
    prepare_recordings,
)
from patchtst_har.datasets.prepared import PreparedDataset
from patchtst_har.errors import DataError
from patchtst_har.synthetic import recording as make_recording
from patchtst_har.training.fitting import fit_to_data

CONFIG = DataConfig(window_size=200, hop_size=200)
DICTIONARY = """annotation,label:WillettsSpecific2018,label:Walmsley2020
"7030 sleeping;MET 0.95",sleep,sleep
"home, sitting",sitting,sedentary
walking,walking,light
odd,odd,
"""


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    for number, name in enumerate(["P001.csv.gz", "P002.csv"]):
        bouts = (("sitting", 8.0), (None, 4.0), ("walking", 6.0))
        write_recording(folder / name, make_recording(bouts=bouts, seed=number))
    return folder


def test_a_folder_of_recordings(recordings: Path, tmp_path: Path) -> None:
    (recordings / "README.md").write_text("not a recording")
    (recordings / ".hidden.csv").write_text("")
    seen: list[tuple[int, int, str]] = []
    dataset = prepare_recordings(
        recordings, tmp_path / "out", CONFIG, on_progress=lambda *progress: seen.append(progress)
    )
    assert dataset.participants == ("P001", "P002")
    assert dataset.classes == ("sitting", "walking")
    assert seen == [(1, 2, "P001"), (2, 2, "P002")]
    expected = cut_windows(read_recording(recordings / "P002.csv")[0], CONFIG)
    person = dataset.load("P002")
    np.testing.assert_array_equal(person.windows, expected.windows)
    np.testing.assert_array_equal(person.start_ns, expected.start_ns)
    assert person.labels.tolist() == [dataset.classes[0]] * 4 + [dataset.classes[1]] * 3
    assert dataset.preparation is not None
    assert dataset.preparation["window_size"] == 200
    report = dataset.preparation["participants"]["P001"]
    assert report["source"] == "P001.csv.gz"
    assert report["dropped"]["unlabelled"] == 2
    assert report["signal"]["sample_rate_hz"] == pytest.approx(100)


def test_steps_of_the_signal_are_recorded(recordings: Path, tmp_path: Path) -> None:
    config = CONFIG.replace(calibration="auto", non_wear="off")
    dataset = prepare_recordings(recordings, tmp_path / "out", config)
    assert dataset.preparation is not None
    assert (dataset.preparation["calibration"], dataset.preparation["non_wear"]) == ("auto", "off")
    report = dataset.preparation["participants"]["P001"]
    assert report["signal"]["non_wear"] == {"policy": "off", "applied": False}
    assert not report["signal"]["calibration"]["applied"]
    assert report["warnings"][-1].startswith("Not calibrated: ")
    assert not_calibrated(dataset) == dict.fromkeys(("P001", "P002"), report["warnings"][-1])
    usual = prepare_recordings(recordings, tmp_path / "usual", CONFIG)
    assert not_calibrated(usual) == {}
    np.testing.assert_array_equal(dataset.load("P001").windows, usual.load("P001").windows)
    fitted, chosen = fit_to_data(
        ExperimentConfig.from_mapping(
            {"data": {"proc_dir": str(tmp_path / "out")}, "model": {"patch_len": 20}}
        )
    )
    assert (fitted.data.calibration, fitted.data.non_wear) == ("auto", "off")
    assert chosen["data.calibration"] == "auto"


def test_calibration_that_is_required_refuses_recordings(recordings: Path, tmp_path: Path) -> None:
    config = CONFIG.replace(calibration="require")
    with pytest.raises(DataError, match=r"P001\.csv\.gz: cannot be calibrated: 0 stationary windows"):
        prepare_recordings(recordings, tmp_path / "out", config)
    assert not (tmp_path / "out" / "manifest.csv").exists()


def test_equal_recordings_give_equal_files(recordings: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        prepare_recordings(recordings, tmp_path / name, CONFIG)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_mapping_of_participants(recordings: Path, tmp_path: Path) -> None:
    dataset = prepare_recordings(
        {"zoe": recordings / "P002.csv", "ann": recordings / "P001.csv.gz"}, tmp_path / "out", CONFIG
    )
    assert dataset.participants == ("ann", "zoe")


def test_a_bad_recording_ends_the_run_and_leaves_no_data_set(recordings: Path, tmp_path: Path) -> None:
    (recordings / "P003.csv").write_text("time,x,y\n")
    with pytest.raises(DataError, match=r"P003\.csv: .*no column 'z'"):
        prepare_recordings(recordings, tmp_path / "out", CONFIG)
    with pytest.raises(DataError, match=r"manifest\.csv: no such file"):
        PreparedDataset.open(tmp_path / "out")
    assert not list((tmp_path / "out").glob(".*"))


def test_a_bad_recording_can_be_noted_instead(recordings: Path, tmp_path: Path) -> None:
    (recordings / "P003.csv").write_text("time,x,y\n")
    write_recording(recordings / "P004.csv", make_recording(bouts=((None, 10.0),)))
    write_recording(recordings / "P005.csv", make_recording(bouts=(("walking", 1.0),)))
    write_recording(recordings / "P006.csv", make_recording().drop(columns="annotation"))
    dataset = prepare_recordings(recordings, tmp_path / "out", CONFIG, on_error="record")
    assert dataset.participants == ("P001", "P002")
    assert "no column 'z'" in dataset.failures["P003"]
    assert "'unlabelled': 5" in dataset.failures["P004"]
    assert "'short_stretches': 1" in dataset.failures["P005"]
    assert "no column 'annotation'" in dataset.failures["P006"]


def test_when_all_fail_the_first_reasons_are_told(tmp_path: Path) -> None:
    (tmp_path / "P001.csv").write_text("")
    with pytest.raises(DataError, match=r"nobody could be prepared \(P001: error: .*the file is empty"):
        prepare_recordings(tmp_path, tmp_path / "out", CONFIG, on_error="record")


def test_another_reader(tmp_path: Path) -> None:
    recording = make_recording()
    recording[["x", "y", "z"]] *= 1000
    write_recording(tmp_path / "P1.csv", recording)
    reader = partial(read_recording, units="mg", strict=True)
    dataset = prepare_recordings({"P1": tmp_path / "P1.csv"}, tmp_path / "out", CONFIG, reader=reader)
    assert np.median(np.linalg.norm(dataset.load("P1").windows, axis=2)) == pytest.approx(1, abs=0.1)


def test_the_options_of_the_reader_reach_every_recording(tmp_path: Path) -> None:
    recording = make_recording()
    table = recording[["x", "y", "z"]] * 9.80665
    table.insert(0, "time", recording.index.as_unit("ms").astype("int64"))
    table["annotation"] = recording["annotation"]
    table.to_csv(tmp_path / "P1.csv", index=False)
    reader = partial(read_recording, units="m/s2", time_unit="ms", strict=True)
    dataset = prepare_recordings(tmp_path, tmp_path / "out", CONFIG, reader=reader)
    person = dataset.load("P1")
    assert person.start_ns[0] == recording.index[0].as_unit("ns").value
    assert np.median(np.linalg.norm(person.windows, axis=2)) == pytest.approx(1, abs=0.1)
    wrong = partial(read_recording, units="mg", time_unit="ms", strict=True)
    with pytest.raises(DataError, match=r"P1\.csv: the magnitude at rest"):
        prepare_recordings(tmp_path, tmp_path / "again", CONFIG, reader=wrong)


def test_the_clock_is_recorded(recordings: Path, tmp_path: Path) -> None:
    assert prepare_recordings(recordings, tmp_path / "wall", CONFIG).clock == "wall"
    (tmp_path / "zoned").mkdir()
    write_recording(tmp_path / "zoned" / "P1.csv", make_recording().tz_localize("Europe/London"))
    dataset = prepare_recordings(tmp_path / "zoned", tmp_path / "utc", CONFIG)
    assert dataset.clock == "utc"
    assert dataset.preparation is not None
    assert dataset.preparation["clock"] == "utc"


def test_recordings_of_two_clocks_are_no_data_set(recordings: Path, tmp_path: Path) -> None:
    write_recording(recordings / "P003.csv", make_recording().tz_localize("Europe/London"))
    message = r"P003\.csv: its stamps are UTC, those of the recordings before it are local wall-clock time"
    with pytest.raises(DataError, match=message):
        prepare_recordings(recordings, tmp_path / "out", CONFIG)
    dataset = prepare_recordings(recordings, tmp_path / "noted", CONFIG, on_error="record")
    assert dataset.participants == ("P001", "P002")
    assert "its stamps are UTC" in dataset.failures["P003"]
    assert dataset.clock == "wall"


def test_a_recording_that_failed_sets_no_clock(recordings: Path, tmp_path: Path) -> None:
    write_recording(recordings / "A.csv", make_recording(bouts=((None, 5.0),)).tz_localize("UTC"))
    dataset = prepare_recordings(recordings, tmp_path / "out", CONFIG, on_error="record")
    assert dataset.participants == ("P001", "P002")
    assert dataset.clock == "wall"


def test_a_name_that_is_not_allowed_stops_before_anything_is_written(
    recordings: Path, tmp_path: Path
) -> None:
    prepare_recordings(recordings, tmp_path / "out", CONFIG)
    (recordings / "P002.csv").rename(recordings / "Q c.csv")
    with pytest.raises(DataError, match=r"Q c\.csv: participant 'Q c' cannot name a file"):
        prepare_recordings(recordings, tmp_path / "new", CONFIG)
    assert not (tmp_path / "new").exists()
    with pytest.raises(DataError, match="cannot name a file"):
        prepare_recordings(recordings, tmp_path / "out", CONFIG, overwrite=True)
    assert PreparedDataset.open(tmp_path / "out").participants == ("P001", "P002")


def test_a_name_that_is_not_allowed_can_be_noted_instead(recordings: Path, tmp_path: Path) -> None:
    write_recording(recordings / "B c.csv", make_recording())
    dataset = prepare_recordings(recordings, tmp_path / "out", CONFIG, on_error="record")
    assert dataset.participants == ("P001", "P002")
    assert "B c.csv: participant 'B c' cannot name a file" in dataset.failures["B c"]


def test_files_that_cannot_be_read_are_named_and_can_be_noted(recordings: Path, tmp_path: Path) -> None:
    (recordings / "P000.csv").symlink_to(recordings / "gone.csv")
    (recordings / "loop.npz").symlink_to(recordings / "loop.npz")
    (recordings / "folder.csv").mkdir()

    def reader(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
        if path.name == "P001.csv.gz":
            raise PermissionError(13, "Permission denied", str(path))
        return read_recording(path)

    dataset = prepare_recordings(recordings, tmp_path / "out", CONFIG, reader=reader, on_error="record")
    assert dataset.participants == ("P002",)
    assert set(dataset.failures) == {"P000", "P001", "loop"}
    assert "P000.csv: is a link to a file that does not exist" in dataset.failures["P000"]
    assert "P001.csv.gz: cannot be read (Permission denied)" in dataset.failures["P001"]
    assert "loop.npz" in dataset.failures["loop"]
    with pytest.raises(DataError, match=r"P000\.csv: is a link to a file that does not exist"):
        prepare_recordings(recordings, tmp_path / "again", CONFIG)
    with pytest.raises(DataError, match=r"P001\.csv\.gz: cannot be read \(Permission denied\)"):
        prepare_recordings({"P001": recordings / "P001.csv.gz"}, tmp_path / "third", CONFIG, reader=reader)


def test_an_output_that_cannot_be_written_is_no_fault_of_the_recording(
    recordings: Path, tmp_path: Path
) -> None:
    (tmp_path / "out" / "P002.npz").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        prepare_recordings(recordings, tmp_path / "out", CONFIG, on_error="record")


def test_folders_are_checked(recordings: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone: no such folder of recordings"):
        find_recordings(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: holds no recordings$"):
        find_recordings(tmp_path / "empty")
    with pytest.raises(DataError, match="there are none"):
        find_recordings({})
    (recordings / "P001.csv").write_text("")
    with pytest.raises(DataError, match=r"P001\.csv and P001\.csv\.gz are both participant 'P001'"):
        find_recordings(recordings)
    with pytest.raises(DataError, match="on_error='ignore' is not known"):
        prepare_recordings(recordings, tmp_path, on_error="ignore")  # type: ignore[arg-type]


def test_output_below_a_file_is_refused(recordings: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="a part of this path is a file"):
        prepare_recordings(recordings, tmp_path / "file" / "out", CONFIG)


def dictionary(folder: Path, text: str = DICTIONARY) -> Path:
    path = folder / "annotation-label-dictionary.csv"
    path.write_text(text)
    return path


def test_annotations_are_mapped_before_windows_vote(tmp_path: Path) -> None:
    label_map = LabelMap.from_csv(dictionary(tmp_path), "label:Walmsley2020")
    assert label_map.classes == ("light", "sedentary", "sleep")
    recording = make_recording(bouts=(("sitting", 6.0),))
    recording["annotation"] = (
        ["walking"] * 90 + ["home, sitting"] * 60 + ["odd"] * 50 + [None] * 200 + ["odd"] * 200
    )
    mapped = label_map.apply(recording)
    cut = cut_windows(mapped, CONFIG)
    assert cut.labels is not None
    assert cut.labels.tolist() == ["light"]
    assert cut.dropped["unlabelled"] == 2
    assert recording["annotation"].iloc[0] == "walking", "the recording given stays as it was"


def test_mapped_classes_are_listed_even_if_nobody_has_them(tmp_path: Path) -> None:
    write_recording(tmp_path / "P1.csv", make_recording(bouts=(("walking", 10.0),)))
    label_map = LabelMap.from_csv(dictionary(tmp_path), "label:Walmsley2020")
    dataset = prepare_recordings({"P1": tmp_path / "P1.csv"}, tmp_path / "out", CONFIG, label_map=label_map)
    assert dataset.classes == ("light", "sedentary", "sleep")
    assert set(dataset.load("P1").labels) == {dataset.classes[0]}


def test_an_annotation_that_is_not_in_the_map_is_named_with_both_files(tmp_path: Path) -> None:
    write_recording(tmp_path / "P1.csv", make_recording(bouts=(("running", 10.0),)))
    label_map = LabelMap.from_csv(dictionary(tmp_path), "label:Walmsley2020")
    with pytest.raises(
        DataError,
        match=r"P1\.csv: row 1 \(2024-03-01 08:00:00\): annotation 'running' is not in .*-dictionary\.csv",
    ):
        prepare_recordings({"P1": tmp_path / "P1.csv"}, tmp_path / "out", CONFIG, label_map=label_map)
    with pytest.raises(DataError, match="has no column 'annotation' to map"):
        label_map.apply(make_recording().drop(columns="annotation"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DICTIONARY, r"no column 'label:Doherty2018' \(found: 'annotation', 'label:WillettsSpecific2018'"),
        ("", "no column 'annotation', 'label:Doherty2018'"),
        ("annotation,label:Doherty2018\n", "has a header but no annotations"),
        (
            "annotation,label:Doherty2018\na,b\na,c\n",
            "annotation 'a' has two classes in column 'label:Doherty2018'",
        ),
        ("annotation,label:Doherty2018\nhome, sitting,b\n", "line 2 has 3 values, the header 2"),
        ("annotation,label:Doherty2018\na,b\n\nc\n", "line 4 has 1 value, the header 2"),
        (
            "annotation,label:Doherty2018,label:Doherty2018\na,b,c\n",
            "2 columns are named 'label:Doherty2018'",
        ),
    ],
)
def test_dictionaries_are_checked(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        LabelMap.from_csv(dictionary(tmp_path, text), "label:Doherty2018")


def test_blanks_around_a_class_do_not_count(tmp_path: Path) -> None:
    text = "annotation,class\nwalk, W\nrun,W \nrest, \n"
    label_map = LabelMap.from_csv(dictionary(tmp_path, text), "class")
    assert label_map.classes == ("W",)
    assert label_map.classes_by_annotation["rest"] == ""


def test_a_byte_order_mark_and_blanks_in_the_header_do_not_count(tmp_path: Path) -> None:
    text = "\ufeffannotation , label:Doherty2018\r\n a b,c\r\n\r\n a b,c\r\n"
    label_map = LabelMap.from_csv(dictionary(tmp_path, text), "label:Doherty2018")
    assert label_map.classes_by_annotation == {" a b": "c"}
    recording = make_recording(bouts=(("sitting", 0.1),)).assign(annotation="a  b")
    with pytest.raises(DataError, match=r"row 1 .*'a  b' is not in .*, but ' a b' is, with other blanks"):
        label_map.apply(recording)


def test_missing_and_foreign_dictionaries_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.csv: no such file"):
        LabelMap.from_csv(tmp_path / "gone.csv", "a")
    (tmp_path / "a.csv").write_bytes(b"annotation,a\n\xff,b\n")
    with pytest.raises(DataError, match="not UTF-8 text"):
        LabelMap.from_csv(tmp_path / "a.csv", "a")


def test_windows_are_counted_and_lost_annotations_named(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    bouts = (("sitting", 30.0), ("running", 3.0), ("walking", 30.0))
    for seed, name in enumerate(("A", "B")):
        write_recording(folder / f"{name}.csv", make_recording(bouts=bouts, seed=seed))
    dataset = prepare_recordings(folder, tmp_path / "out")
    assert count_windows(dataset) == ({"sitting": 6, "walking": 6}, ["running"])


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to", "copy", "compressed"])
@pytest.mark.slow
def test_one_recording_of_two_participants_is_refused(recordings: Path, tmp_path: Path, link: str) -> None:
    """The same person could be trained on and tested with."""
    source, twin = recordings / "P002.csv", recordings / "P003.csv"
    if link == "copy":
        twin.write_bytes(source.read_bytes())
    elif link == "compressed":
        twin = recordings / "P003.csv.gz"
        twin.write_bytes(gzip.compress(source.read_bytes()))
    else:
        getattr(twin, link)(source)
    found_early = link.endswith("_to")
    message = "is the recording of participant 'P002'" if found_early else "has the same windows as 'P002'"
    with pytest.raises(DataError, match=rf"P003\..*{message}"):
        prepare_recordings(recordings, tmp_path / "out", CONFIG)
    assert (tmp_path / "out").exists() != found_early
    dataset = prepare_recordings(recordings, tmp_path / "noted", CONFIG, on_error="record")
    assert dataset.participants == ("P001", "P002")
    assert message in dataset.failures["P003"]


def test_one_path_of_two_participants_is_refused(recordings: Path, tmp_path: Path) -> None:
    path = recordings / "P002.csv"
    with pytest.raises(DataError, match=r"P002\.csv: is the recording of participant 'ann', too"):
        prepare_recordings(
            {"ann": path, "zoe": recordings / ".." / "recordings" / path.name}, tmp_path / "out"
        )


@pytest.mark.parametrize("name", ["=1+1", "a\x00b"])
def test_a_class_that_tables_cannot_hold_is_refused_with_a_way_out(
    recordings: Path, tmp_path: Path, name: str
) -> None:
    def reader(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
        recording, info = read_recording(path)
        return LabelMap({"sitting": name, "walking": "walking"}).apply(recording), info

    with pytest.raises(DataError, match=r"P001\.npz: class .*; map it to another name \(--labels\)"):
        prepare_recordings(recordings, tmp_path / "out", CONFIG, reader=reader)


# Imports once, and for every line that it is sent starts a process that replaces a data set, by turns with
# one and with two people, and with windows of another length, until it is killed.
REPLACERS = """
import os
import sys
from pathlib import Path
from patchtst_har.config import DataConfig
from patchtst_har.datasets.prepare import prepare_recordings
folder, recordings = map(Path, sys.argv[1:])
names = {"P001": recordings / "P001.csv.gz", "P002": recordings / "P002.csv"}
for _ in sys.stdin:
    child = os.fork()
    if child:
        print(child, flush=True)
        os.waitpid(child, 0)
        print("killed", flush=True)
    while not child:
        for n in (1, 2):
            chosen = dict(list(names.items())[:n])
            config = DataConfig(window_size=200 * n, hop_size=200)
            prepare_recordings(chosen, folder, config, overwrite=True)
            print("replaced", flush=True)
"""


@pytest.mark.spawns
@pytest.mark.parametrize("n_kills", [4, pytest.param(30, marks=pytest.mark.study)])
def test_a_kill_at_any_moment_leaves_a_whole_data_set(recordings: Path, tmp_path: Path, n_kills: int) -> None:
    folder = tmp_path / "out"
    prepare_recordings(recordings, folder, CONFIG)
    (folder / "features_cache").mkdir()
    (folder / "features_cache" / "a.npz").write_bytes(b"cached")
    chance = np.random.default_rng(0)
    command = [sys.executable, "-c", REPLACERS, str(folder), str(recordings)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as replacers:
        assert replacers.stdout is not None
        for _ in range(n_kills):
            print(file=replacers.stdin, flush=True)
            child = int(replacers.stdout.readline())
            assert replacers.stdout.readline() == "replaced\n"
            time.sleep(chance.uniform(0.0, 0.15))
            os.kill(child, signal.SIGKILL)
            assert "killed\n" in iter(replacers.stdout.readline, "")
            dataset = PreparedDataset.open(folder)
            assert dataset.participants in (("P001",), ("P001", "P002"))
            assert dataset.preparation is not None
            assert tuple(dataset.preparation["participants"]) == dataset.participants
            size = 200 * len(dataset.participants)
            assert dataset.preparation["window_size"] == size
            assert all(dataset.load(name).windows.shape[1] == size for name in dataset.participants)
    prepare_recordings(recordings, folder, CONFIG, overwrite=True)
    assert (folder / "features_cache" / "a.npz").read_bytes() == b"cached"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "recordings"]
    assert not (folder / ".lock").exists()


def test_a_replacement_that_fails_leaves_the_earlier_data_set(recordings: Path, tmp_path: Path) -> None:
    prepare_recordings(recordings, tmp_path / "out", CONFIG)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    (recordings / "P003.csv").write_text("time,x,y\n")
    with pytest.raises(DataError, match=r"P003\.csv: .*no column 'z'"):
        prepare_recordings(recordings, tmp_path / "out", CONFIG, overwrite=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "recordings"]


def test_a_data_set_behind_a_link_is_replaced_where_it_lies(recordings: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk" / "real")
    (tmp_path / "disk" / "real").mkdir()
    prepare_recordings(recordings, tmp_path / "out", CONFIG)
    (recordings / "P001.csv.gz").unlink()
    assert prepare_recordings(recordings, tmp_path / "out", CONFIG, overwrite=True).participants == ("P002",)
    assert (tmp_path / "out").is_symlink()
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["real"]
    assert not (tmp_path / "disk" / "real" / "P001.npz").exists()


def test_two_preparations_into_one_folder_are_refused(recordings: Path, tmp_path: Path) -> None:
    messages = []

    def reader(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
        def other() -> None:
            with pytest.raises(
                DataError, match=rf"out: is being written by process {os.getpid()} on "
            ) as caught:
                prepare_recordings(recordings, tmp_path / "out", CONFIG)
            messages.append(str(caught.value))

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        return read_recording(path)

    assert prepare_recordings(recordings, tmp_path / "out", CONFIG, reader=reader).participants
    assert len(messages) == 2


def test_what_a_folder_holds_that_is_not_read_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.agd", "b.AGD", "c.agd", ".hidden.omx"):
        (tmp_path / name).write_bytes(b"MD")
    (tmp_path / "notes").mkdir()
    with pytest.raises(
        DataError,
        match=r"holds no recordings, but 3 \.agd files, which are not read yet; convert them to CSV",
    ):
        find_recordings(tmp_path)
    with pytest.raises(DataError, match=r"is a folder, a recording is a file; it holds 3 \.agd files, which"):
        read_recording(tmp_path)
    with pytest.raises(
        DataError, match=r"a\.agd: unknown kind of file .*; convert it to CSV or Parquet first"
    ):
        read_recording(tmp_path / "a.agd")
    (tmp_path / "P1.csv").write_text("time,x,y,z\n")
    (tmp_path / "P2.cwa").write_bytes(b"MD")
    message = r"it holds 2 recordings, such as P1\.csv; and 3 \.agd files, which are not read yet"
    with pytest.raises(DataError, match=message):
        read_recording(tmp_path)
    (tmp_path / "read.me").write_text("")
    assert list(find_recordings(tmp_path)) == ["P1", "P2"]
    assert "passed over 3 .agd files, 1 .me file, which are not read yet" in caplog.text
