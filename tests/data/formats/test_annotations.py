"""Annotations keep their exact text, whatever the format and wherever in the file they stand."""

import gzip
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from patchtst_har.data.formats.parquet import _annotation
from patchtst_har.data.recording import read_recording
from patchtst_har.errors import DataError

CODES = [
    "007",
    "1",
    "1.0",
    "+1",
    "1e3",
    "True",
    "true",
    "NA",
    "None",
    "nan",
    "null",
    "01",
    " walk ",
    "a;b",
    "ä",
]
STAMPS = pd.date_range("2024-05-01", periods=300, freq="10ms", unit="ns")


def labels(path: Path) -> list[str | None]:
    recording, _ = read_recording(path)
    column = recording["annotation"]
    assert column.cat.categories.tolist() == sorted(column.cat.categories)
    return [None if missing else text for text, missing in zip(column, column.isna(), strict=True)]


def csv(path: Path, annotations: list[str | None]) -> Path:
    rows = "".join(f"{t},0,0,1,{text or ''}\n" for t, text in zip(STAMPS, annotations, strict=False))
    text = "time,x,y,z,annotation\n" + rows
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def parquet(path: Path, annotations: pa.Array) -> Path:
    n = len(annotations)
    axes = {axis: np.full(n, value, np.float32) for axis, value in zip("xyz", (0, 0, 1), strict=True)}
    pq.write_table(pa.table({"time": pa.array(STAMPS[:n]), **axes, "annotation": annotations}), path)
    return path


def npz(path: Path, annotations: np.ndarray, **more: np.ndarray) -> Path:
    n = len(annotations)
    stamps = STAMPS[:n].astype("int64").to_numpy()
    np.savez(path, time_ns=stamps, acc=np.tile(np.float32([0, 0, 1]), (n, 1)), annotation=annotations, **more)
    return path


@pytest.mark.parametrize("chunk_rows", [3, 2**16])
@pytest.mark.slow
def test_every_format_gives_the_text_that_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_rows: int
) -> None:
    monkeypatch.setattr("patchtst_har.data.formats.csv._CHUNK_ROWS", chunk_rows)
    monkeypatch.setattr("patchtst_har.data.formats.parquet._BATCH_ROWS", chunk_rows)
    wanted = [None, None, None, None, *CODES, None, *CODES[::-1]]
    texts = ["" if text is None else text for text in wanted]
    assert labels(csv(tmp_path / "a.csv", wanted)) == wanted
    assert labels(csv(tmp_path / "a.csv.gz", wanted)) == wanted
    for name, array in {
        "text": pa.array(wanted),
        "empty": pa.array(texts),
        "large": pa.array(wanted, pa.large_string()),
        "binary": pa.array([text and text.encode() for text in wanted], pa.binary()),
        "dictionary": pa.array(wanted).dictionary_encode(),
        "categorical": pa.array(pd.Categorical(wanted)),
    }.items():
        assert labels(parquet(tmp_path / f"{name}.parquet", array)) == wanted
    assert labels(npz(tmp_path / "a.npz", np.array(texts))) == wanted
    assert labels(npz(tmp_path / "b.npz", np.char.encode(texts, "utf-8"))) == wanted
    assert labels(npz(tmp_path / "c.npz", np.array(texts).astype(">U8"))) == wanted


@pytest.mark.parametrize("codes", [["007", "1"], ["1.0", "1"], ["true", "false"], ["1e3", "1000"]])
def test_codes_that_look_like_numbers_in_all_of_a_chunk_stay_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codes: list[str]
) -> None:
    monkeypatch.setattr("patchtst_har.data.formats.csv._CHUNK_ROWS", 100)
    wanted = [*codes * 50, *["other"] * 100, *codes * 50]
    assert labels(csv(tmp_path / "a.csv", wanted)) == wanted


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (pa.array([1, None, 7]), ["1", None, "7"]),
        (pa.array([1.0, None, float("nan"), 1.5]), ["1.0", None, None, "1.5"]),
        (pa.array([True, None, False]), ["True", None, "False"]),
        (pa.array(pd.Categorical([3, None, 1])), ["3", None, "1"]),
        (pa.nulls(3), [None, None, None]),
    ],
)
def test_values_of_other_types_in_parquet_are_taken_as_their_text(
    tmp_path: Path, values: pa.Array, wanted: list[str | None]
) -> None:
    assert labels(parquet(tmp_path / "a.parquet", values)) == wanted
    frame = pd.read_parquet(tmp_path / "a.parquet")
    if pa.types.is_floating(values.type) or pa.types.is_boolean(values.type):
        # pandas writes these as they are; of whole numbers with gaps it makes floats.
        frame.to_csv(tmp_path / "a.csv", index=False)
        assert labels(tmp_path / "a.csv") == wanted


def test_numbers_and_truth_values_in_an_archive_are_taken_as_their_text(tmp_path: Path) -> None:
    assert labels(npz(tmp_path / "a.npz", np.array([7, 1]))) == ["7", "1"]
    assert labels(npz(tmp_path / "b.npz", np.array([1.0, np.nan]))) == ["1.0", None]
    assert labels(npz(tmp_path / "c.npz", np.array([True, False]))) == ["True", "False"]


def test_a_column_besides_the_axes_may_be_empty(tmp_path: Path) -> None:
    axes = {"time": [1, 2], "x": [0.1, 0.2], "y": [0.1, 0.2], "z": [1.0, 1.0]}
    pq.write_table(pa.table({**axes, "light": pa.nulls(2)}), tmp_path / "a.parquet")
    recording, _ = read_recording(tmp_path / "a.parquet", time_unit="s")
    assert recording["light"].isna().all()
    pq.write_table(pa.table({**axes, "x": pa.nulls(2)}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match="column 'x' holds null, numbers are needed"):
        read_recording(tmp_path / "b.parquet", time_unit="s")


@pytest.mark.parametrize(
    "values", [pa.array([["walk"]]), pa.array([{"a": 1}]), pa.array([0], pa.timestamp("ns"))]
)
def test_nested_annotations_in_parquet_are_refused(tmp_path: Path, values: pa.Array) -> None:
    with pytest.raises(DataError, match=r"a\.parquet: column 'annotation' holds (list|struct|timestamp)"):
        read_recording(parquet(tmp_path / "a.parquet", values))


@pytest.mark.parametrize(
    "values",
    [
        np.array([0.0, -0.0, np.nan, np.nan, 1.0, 1.0], np.float32),
        np.array([1.5, 1.5, -0.0], np.float64),
        np.array([1, 1, 2], np.float128),
        np.array([], "U3"),
        np.array(["a", "a", "", "b", "a"]),
        np.array([b"a", b"a", b"b"]),
        np.array([True, False, False]),
        np.array([3, 3, 1], ">i4"),
    ],
)
def test_runs_of_equal_values_are_read_as_the_values(tmp_path: Path, values: np.ndarray) -> None:
    path = npz(
        tmp_path / "a.npz",
        np.append(values, np.array(["z"] if values.dtype.kind in "US" else [1], values.dtype)),
    )
    texts = [
        value.decode() if isinstance(value, bytes) else str(value) for value in np.load(path)["annotation"]
    ]
    assert labels(path) == [None if text in ("", "nan") else text for text in texts]


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.parquet: column 'annotation': annotation .* is not UTF-8"):
        read_recording(parquet(tmp_path / "a.parquet", pa.array([b"\xff\xfe"])))
    with pytest.raises(DataError, match=r"a\.npz: array 'annotation': annotation .* is not UTF-8"):
        read_recording(npz(tmp_path / "a.npz", np.array([b"\xff\xfe"])))


@pytest.mark.parametrize("point", [0x110000, 0xD800, 2**32 - 1])
def test_code_points_that_do_not_exist_are_refused(tmp_path: Path, point: int) -> None:
    array = np.array([point, 97], np.uint32).view("<U1")
    with pytest.raises(DataError, match=r"array 'annotation' holds what is not Unicode text"):
        read_recording(npz(tmp_path / "a.npz", array))


def test_arrays_of_another_form_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"array 'annotation' holds <U1 \(3, 1\), text \(n,\) is needed"):
        read_recording(npz(tmp_path / "a.npz", np.full((3, 1), "a")))
    archive = {"t_ms": np.arange(2), "acc": np.ones((2, 3)), "y": np.array([0, 1])}
    np.savez(tmp_path / "b.npz", **archive, classes=np.array(["walk", "sit", "walk"]))
    with pytest.raises(DataError, match=r"b\.npz: array 'classes' holds 'walk' twice"):
        read_recording(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", **archive, classes=np.array("walk"))
    with pytest.raises(DataError, match=r"'y' must hold indices .* \(2,\) into <U4 \(\)"):
        read_recording(tmp_path / "c.npz")


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
@pytest.mark.parametrize(("n_different", "warned"), [(100, False), (101, True)])
def test_measurements_that_are_taken_for_annotations_are_said(
    tmp_path: Path, kind: str, n_different: int, warned: bool
) -> None:
    """Actigraphs write counts in a column `activity`, which is a name of annotations too."""
    path = tmp_path / f"a.{kind}"
    counts = np.arange(300) % n_different + 0.5
    if kind == "csv":
        csv(path, [str(value) for value in counts])
        path.write_text(path.read_text().replace("annotation", "activity"))
    elif kind == "parquet":
        table = pq.read_table(parquet(path, pa.array(counts)))
        pq.write_table(table.rename_columns(["time", "x", "y", "z", "activity"]), path)
    else:
        npz(path, counts)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        _, info = read_recording(path)
    name = "annotation" if kind == "npz" else "activity"
    said = f"{path}: column '{name}' is taken for annotations and has 101 different numbers; "
    assert [text.startswith(said) for text in info["warnings"]] == [True] * warned
    assert [str(warning.message) for warning in found] == info["warnings"]


def test_many_annotations_that_are_words_are_no_measurements(tmp_path: Path) -> None:
    words = [f"{number} MET" for number in range(300)]
    assert read_recording(csv(tmp_path / "a.csv", words))[1]["warnings"] == []


def test_many_distinct_annotations_take_no_time(tmp_path: Path) -> None:
    n = 30_000
    np.savez(
        tmp_path / "a.npz",
        t_ms=np.arange(n) * 10,
        acc=np.tile(np.float32([0, 0, 1]), (n, 1)),
        annotation=np.array([f"a{k}" for k in range(n)]),
    )
    assert len(read_recording(tmp_path / "a.npz")[0]["annotation"].cat.categories) == n


def test_damaged_text_of_a_parquet_file_is_named(tmp_path):
    """Arrow reads places beyond a dictionary, and text that is not UTF-8, without a look at them."""
    values = pa.array([b"sitting", b"\xa3"])
    damaged = pa.StringArray.from_buffers(2, *values.buffers()[1:])
    table = {
        "time": pd.date_range("2024-03-01", periods=2),
        "x": [0.0, 0.0],
        "y": [0.0, 0.0],
        "z": [1.0, 1.0],
    }
    path = tmp_path / "r.parquet"
    pq.write_table(pa.table({**table, "annotation": damaged}), path)
    with pytest.raises(DataError, match=r"r\.parquet: column 'annotation' is damaged \(Invalid UTF8"):
        read_recording(path)
    beyond = pa.DictionaryArray.from_arrays(pa.array([0, 7]), pa.array(["sitting"]), safe=False)
    with pytest.raises(DataError, match=r"r\.parquet: column 'label' is damaged \(Dictionary indices"):
        _annotation(beyond, "label", path)
