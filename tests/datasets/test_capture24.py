import gzip
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from patchtst_har.config import DataConfig
from patchtst_har.data.recording import read_recording, write_recording
from patchtst_har.datasets.capture24 import (
    DICTIONARY,
    METADATA,
    find_participants,
    prepare_capture24,
    read_dictionary,
    schemas,
)
from patchtst_har.datasets.prepare import count_dropped, count_without_class
from patchtst_har.datasets.simulated_capture24 import CAPTURE24_SCHEMAS, write_capture24
from patchtst_har.datasets.splits import split_participants
from patchtst_har.errors import ConfigError, DataError

DOCS = Path(__file__).parents[2] / "docs"
PEOPLE = ("P001", "P101")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "capture24"
    write_capture24(folder, PEOPLE, bout_s=15)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "capture24"))


def test_the_layout_is_the_published_one(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "P001.csv.gz", "P101.csv.gz", DICTIONARY, METADATA,
    ]  # fmt: skip
    with gzip.open(folder / "P001.csv.gz", "rt", encoding="utf-8") as file:
        lines = file.read().splitlines()
    assert lines[0] == "time,x,y,z,annotation"
    first = lines[1].split(",", 4)
    assert len(first[0]) == len("2016-03-02 08:00:00.000000")
    table = pd.read_csv(folder / "P001.csv.gz", parse_dates=["time"], dtype={"annotation": str})
    assert (table["time"].diff().dropna() == pd.Timedelta(10, unit="ms")).all()
    assert table["annotation"].isna().sum() == 1500
    words = pd.read_csv(folder / DICTIONARY, index_col="annotation")
    assert list(words.columns) == [f"label:{name}" for name in CAPTURE24_SCHEMAS]
    assert {*table["annotation"].dropna()} < {*words.index}
    assert words.index.str.fullmatch(r".*;MET \d\.\d|\d+ .*;MET \d\.\d").all()
    assert words.loc[words.index.str.startswith("unknown")].isna().all(axis=None)
    assert list(pd.read_csv(folder / METADATA).columns) == ["pid", "age", "sex"]


def test_equal_arguments_give_equal_files_and_participants_differ(made: Path, tmp_path: Path) -> None:
    (again,) = write_capture24(tmp_path / "again", ("P101",), bout_s=15)
    assert again.read_bytes() == (made / "P101.csv.gz").read_bytes()
    assert again.read_bytes() != (made / "P001.csv.gz").read_bytes()
    (other,) = write_capture24(tmp_path / "other", ("P101",), bout_s=15, seed=1)
    assert other.read_bytes() != again.read_bytes()
    for wrong in ((), ("P1",), ("P001", "P001"), ("P001/../x",)):
        with pytest.raises(DataError, match="participants: need different names such as P001"):
            write_capture24(tmp_path / "wrong", wrong)
    with pytest.raises(DataError, match="bout_s: must be from 10 to 3600, is 9"):
        write_capture24(tmp_path / "wrong", bout_s=9)


@pytest.mark.parametrize("schema", ["Walmsley2020", "label:WillettsSpecific2018"])
def test_windows_are_labelled_by_the_schema(folder: Path, tmp_path: Path, schema: str) -> None:
    dataset = prepare_capture24(folder, tmp_path / "out", schema)
    words = pd.read_csv(folder / DICTIONARY, index_col="annotation")
    column = "label:" + schema.removeprefix("label:")
    assert dataset.participants == PEOPLE
    assert dataset.classes == tuple(sorted(words[column].dropna().unique()))
    assert dataset.preparation is not None
    assert dataset.preparation["schema"] == column.removeprefix("label:")
    table = pd.read_csv(folder / "P001.csv.gz", parse_dates=["time"], index_col="time")
    labels, windows = [], []
    for _, part in table.resample("10s", origin="start"):
        classes = part["annotation"].map(words[column]).dropna()
        if len(part) == 1000 and len(classes):
            labels.append(classes.mode().iloc[0])
            windows.append(part[["x", "y", "z"]].to_numpy(np.float32))
    person = dataset.load("P001")
    assert person.labels is not None
    assert person.labels.tolist() == labels
    np.testing.assert_array_equal(person.windows, np.stack(windows))
    offsets_ns = person.start_ns - table.index[0].as_unit("ns").value
    assert (offsets_ns % 10**10 == 0).all()


def test_a_class_that_nobody_has_is_a_class(folder: Path, tmp_path: Path) -> None:
    dataset = prepare_capture24(folder, tmp_path / "out", "Willetts2018")
    assert dataset.classes == ("bicycling", "mixed", "sit-stand", "sleep", "walking")
    used = {name for person in PEOPLE for name in np.unique(dataset.load(person).labels)}
    assert "bicycling" not in used


def test_what_has_no_class_and_who_people_are_is_noted(folder: Path, tmp_path: Path) -> None:
    dataset = prepare_capture24(folder, tmp_path / "out", "Walmsley2020")
    assert dataset.preparation is not None
    entry = dataset.preparation["participants"]["P101"]
    assert (entry["age"], entry["sex"]) == ("30-37", "M")
    unknown = "unknown;9900 camera covered, activity not visible;MET 1.5"
    assert entry["samples_without_class"] == {unknown: 1000}
    assert count_without_class(dataset) == ({unknown: 2000}, 2)
    # 105 s with a class, 15 s without annotation and 10 s without a class: two windows without any.
    assert entry["dropped"] == {"unlabelled": 2, "incomplete": 0, "unusable": 0}
    assert entry["n_windows"] == 11
    assert count_dropped(dataset)["unlabelled"] == 4
    labels = Counter(dataset.load("P101").labels.tolist())
    assert entry["n_windows_by_class"] == dict(labels)


def test_an_annotation_is_looked_up_by_its_full_text(folder: Path, tmp_path: Path) -> None:
    recording, _ = read_recording(folder / "P101.csv.gz")
    texts = recording["annotation"].astype(object)
    texts.iloc[1234] = "9000 asleep in bed"
    write_recording(folder / "P101.csv.gz", recording.assign(annotation=texts))
    with pytest.raises(
        DataError,
        match=r"P101\.csv\.gz: row 1,235 \(2016-03-18 08:00:12\.34.*\): annotation '9000 asleep in bed' is",
    ):
        prepare_capture24(folder, tmp_path / "out", "Walmsley2020")


def test_a_schema_that_is_not_there_lists_those_that_are(folder: Path, tmp_path: Path) -> None:
    assert schemas(folder) == CAPTURE24_SCHEMAS
    known = ", ".join(CAPTURE24_SCHEMAS)
    with pytest.raises(DataError, match=rf"{DICTIONARY}: no schema 'Walmsley' \(it has {known}\)"):
        prepare_capture24(folder, tmp_path / "out", "Walmsley")
    assert not (tmp_path / "out").exists()


def test_windows_cannot_be_others(folder: Path, tmp_path: Path) -> None:
    config = DataConfig(hop_size=500, calibration="auto", label_policy="unanimous")
    with pytest.raises(ConfigError) as caught:
        prepare_capture24(folder, tmp_path / "out", "Walmsley2020", config)
    assert [problem.split(":")[0] for problem in caught.value.problems[:-1]] == [
        "data.hop_size", "data.label_policy", "data.calibration",
    ]  # fmt: skip
    assert not (tmp_path / "out").exists()


def _damage(name: str):
    """Return what writes a file of the layout anew, from its former bytes."""
    return lambda change: lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


WORDS, PEOPLE_TABLE, RECORDING = _damage(DICTIONARY), _damage(METADATA), _damage("P101.csv.gz")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: shutil.rmtree(folder), "capture24: no such folder"),
        (lambda folder: (folder / DICTIONARY).unlink(), rf"{DICTIONARY}: no such file"),
        (lambda folder: (folder / METADATA).unlink(), rf"{METADATA}: no such file"),
        (
            lambda folder: [path.unlink() for path in folder.glob("P*")],
            r"holds no recordings named P001\.csv\.gz, P002\.csv\.gz and so on",
        ),
        (
            lambda folder: (folder / "P101.csv").touch(),
            r"P101\.csv and P101\.csv\.gz are both participant P101",
        ),
        (WORDS(lambda _: b""), rf"{DICTIONARY}: no column 'annotation' \(found: none\)"),
        (
            WORDS(lambda _: b"annotation,class\na,b\n"),
            r"no column 'label:\.\.\.' \(found: 'annotation', 'class'",
        ),
        (WORDS(lambda _: b"annotation,label:Walmsley2020\n"), "has a header but no annotations"),
        (WORDS(lambda _: b"annotation,label:Walmsley2020\na,\n"), "no annotation has a class in column"),
        (
            WORDS(lambda old: old + b"9000 asleep in bed;MET 1.0,a,a,a,a,a,awake\n"),
            "has two classes in column",
        ),
        (WORDS(lambda old: old + b"9000 asleep, in bed;MET 1.0,a,a,a,a,a,a\n"), "has 8 values, the header 7"),
        (WORDS(lambda _: b"\xff\xfea\x00"), "not UTF-8 text"),
        (PEOPLE_TABLE(lambda _: b"pid,age\nP001,1\n"), r"metadata\.csv: no column 'sex'"),
        (PEOPLE_TABLE(lambda old: old.replace(b"P101", b"P102")), r"metadata\.csv: no row of P101"),
        (PEOPLE_TABLE(lambda old: old + b"P001,53+,F\n"), "two rows of 'P001' contradict each other"),
        (RECORDING(lambda old: old[:-50]), r"P101\.csv\.gz: truncated or damaged gzip file"),
        (
            RECORDING(lambda old: old[:9] + bytes(len(old) - 9)),
            r"P101\.csv\.gz: truncated or damaged gzip file",
        ),
        (RECORDING(lambda _: b""), r"P101\.csv\.gz: the file is empty"),
        (
            RECORDING(lambda _: gzip.compress(b"time,x,y,annotation\n")),
            r"P101\.csv\.gz: line 1: no column 'z'",
        ),
        (RECORDING(lambda _: gzip.compress(b"time,x,y,z\n2016-01-01,0,0,1\n")), "has no column 'annotation'"),
        (RECORDING(lambda _: gzip.compress(b"time,x,y,z,annotation\n")), "has a header but no samples"),
    ],
)
@pytest.mark.slow
def test_what_is_wrong_with_the_folder_is_named(folder: Path, tmp_path: Path, damage, message: str) -> None:
    damage(folder)
    with pytest.raises(DataError, match=message):
        prepare_capture24(folder, tmp_path / "out", "Walmsley2020")
    assert not (tmp_path / "out" / "manifest.csv").exists()


def test_marks_blanks_and_equal_rows_do_no_harm(folder: Path, tmp_path: Path) -> None:
    usual = prepare_capture24(folder, tmp_path / "usual", "Walmsley2020")
    text = (folder / DICTIONARY).read_text("utf-8").replace(",sleep\n", ", sleep \n")
    lines = text.splitlines()
    (folder / DICTIONARY).write_text("\r\n".join([*lines, lines[1], ""]), "utf-8-sig")
    (folder / METADATA).write_text((folder / METADATA).read_text().replace(",", " , ") + "\n", "utf-8-sig")
    dataset = prepare_capture24(folder, tmp_path / "out", "Walmsley2020")
    assert dataset.classes == usual.classes
    assert dataset.preparation == usual.preparation
    assert read_dictionary(folder, "Walmsley2020").classes == usual.classes


def test_other_files_are_passed_over_with_a_word(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("README.txt", "notes.csv", ".P003.csv.gz", "P1.csv.gz"):
        (folder / name).write_text("")
    assert list(find_participants(folder)) == [*PEOPLE]
    assert "passed over P1.csv.gz, notes.csv, not named as recordings of CAPTURE-24" in caplog.text


@pytest.mark.slow
def test_the_example_of_the_documentation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    section = (DOCS / "data.md").read_text("utf-8").split("## CAPTURE-24\n")[1].split("\n## ")[0]
    (example,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)  # noqa: S102
    assert names["dataset"].participants == ("P001", "P002", "P006", "P101")
    split = split_participants(
        names["dataset"].participants, DataConfig(split="capture24-seed", split_missing="leave_out")
    )
    assert (split.train, split.val, split.test) == (("P001", "P002"), ("P006",), ("P101",))
    drawn = re.search(r"\(0 by default: ([^)]*)\)", section)
    assert drawn is not None
    everyone = [f"P{number:03d}" for number in range(1, 152)]
    assert split_participants(everyone, DataConfig(split="capture24-seed")).val == tuple(drawn[1].split(", "))
