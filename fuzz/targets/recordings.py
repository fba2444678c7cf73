"""Recordings as tables and arrays: CSV, NPZ, Parquet; and what every recording has to stand."""

from __future__ import annotations

import io
import warnings
import zipfile
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from device_writers import walk
from fuzz.choices import Choices, as_it_is, by_choice, changed_bytes, changed_list, two_ways
from fuzz.frame import Finding, Target, file_of
from patchtst_har.config import DataConfig
from patchtst_har.data.options import ReadOptions
from patchtst_har.data.recording import read_recording
from patchtst_har.data.windows import cut_windows

_MOST_CUT = 20_000
_WINDOWS = DataConfig(window_size=100, hop_size=50)


def use_recording(path: Path, **how: Any) -> None:
    """Read a recording, check what reading promises, and cut it into windows."""
    recording, info = read_recording(path, **how)
    acceleration = recording[["x", "y", "z"]].to_numpy()
    if not info["n_samples"] == len(recording) > 0 or acceleration.dtype != np.float32:
        raise Finding("promise: a recording has samples in float32, as many as its facts say")
    times_ns = recording.index.asi8
    if (times_ns[1:] < times_ns[:-1]).any():
        raise Finding("promise: time does not run backwards")
    if len(recording) <= _MOST_CUT:
        windows = cut_windows(recording, _WINDOWS)
        if not np.isfinite(windows.windows).all():
            raise Finding("promise: windows are finite")


def _options(choices: Choices) -> dict[str, Any]:
    """Return how the file is read, most often without any option."""
    how: dict[str, Any] = {}
    if choices.below(4) == 3:
        how["time_unit"] = choices.one_of(("s", "ms", "us", "ns"))
    if choices.below(6) == 5:
        how["units"] = choices.one_of(("g", "m/s2", "mg"))
    if choices.below(4) == 3:
        how["options"] = ReadOptions(
            on_disorder=choices.one_of(("refuse", "sort", "drop")),
            start="2024-03-04 09:30:00" if (made := choices.flag()) else None,
            rate_hz=100.0 if made else None,
        )
    return how


_START = datetime(2024, 3, 4, 9, 30)
_HEADS = (
    ("time", "x", "y", "z"),
    ("time", "x", "y", "z", "annotation"),
    ("timestamp", "acc_x", "acc_y", "acc_z"),
    ("Time", "X", "Y", "Z", "temperature", "light"),
    ("time", "x (g)", "y (g)", "z (g)"),
    ("timestamp", "X (mg)", "Y (mg)", "Z (mg)"),
    (),
)
_STAMPS = (
    "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S.%fZ", "%d/%m/%Y %H:%M:%S.%f", "%m/%d/%Y %H:%M:%S",
    "%H:%M:%S.%f", "%Y-%m-%d %H:%M:%S.%f+02:00", "s", "ms", "ns", "excel",
)  # fmt: skip
_CELLS = (
    "",
    "nan",
    "NA",
    "1e40",
    "-0",
    "0x10",
    "1_0",
    "1,5",
    '"0.1"',
    '"',
    "\0",
    "9" * 400,
    "1e-400",
    "--",
    "x",
)


def _stamp(form: str, moment: datetime) -> str:
    seconds = (moment - datetime(1970, 1, 1)).total_seconds()
    if form in ("s", "ms", "ns"):
        return f"{seconds * {'s': 1, 'ms': 1e3, 'ns': 1e9}[form]:.3f}"
    return f"{seconds / 86_400 + 25_569:.9f}" if form == "excel" else moment.strftime(form)


def csv_of(choices: Choices) -> bytes:
    """Return a CSV file: a header and rows in one of many forms, and some cells that do not fit."""
    head, form = choices.one_of(_HEADS), choices.one_of(_STAMPS)
    delimiter, decimal = choices.one_of((",", ";", "\t", "|", " ")), choices.one_of((".", ","))
    width = max(len(head), 4)
    rows = [list(head)] if head else []
    samples = walk(20 + choices.below(60)).tolist()
    step_s = choices.one_of((0.01, 0.02, 0.001, 1.0, 0.0, -0.01, 60.0, 1e7))
    for number, sample in enumerate(samples):
        try:
            moment = _START + timedelta(seconds=number * step_s)
        except OverflowError:
            moment = _START
        extras = ["walk"] if width == 5 else ["20.5", "3"][: width - 4]
        values = [f"{value:.6f}".replace(".", decimal) for value in sample]
        rows.append([_stamp(form, moment), *values, *extras])
    for _ in range(choices.below(8)):
        row = rows[choices.below(len(rows))]
        at = choices.below(len(row)) if row else 0
        cell = (choices.one_of(_CELLS), choices.text(), str(choices.whole()), repr(choices.number()))
        row[at : at + choices.below(3)] = [cell[choices.below(4)]]
    lines = [delimiter.join(row) for row in changed_list(rows, choices)]
    lines[:0] = [choices.text() for _ in range(choices.below(4))]
    line_end = choices.one_of(("\n", "\r\n", "\r"))
    encoding = choices.one_of(("utf-8", "utf-8-sig", "latin-1", "utf-16"))
    return (line_end.join(lines) + line_end * choices.below(3)).encode(encoding, "replace")


_TYPES = (
    "<f4",
    "<f8",
    "<i8",
    "<i4",
    "<u8",
    "<u1",
    "<U5",
    "<S5",
    "|b1",
    ">f4",
    "<f2",
    "<c8",
    "<M8[ns]",
    "|O",
    "|V3",
)
_TYPES += ("<f16", "<U0", "<m8[s]", "|S0", "[('a', '<f4')]")


def _npy(name_of_type: str, shape: object, payload: bytes, choices: Choices) -> bytes:
    """Return an NPY member whose header says what it is told to say."""
    version = choices.one_of((b"\1\0", b"\1\0", b"\2\0", b"\3\0", b"\0\0"))
    descr = name_of_type if name_of_type.startswith("[") else repr(name_of_type)
    order = choices.one_of(("False", "False", "True", "0", "None"))
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"
    if choices.below(8) == 7:
        text = changed_bytes(text.encode(), choices).decode("latin-1")
    wide = 4 if version in (b"\2\0", b"\3\0") else 2
    length = -(-(len(text) + 7 + wide + 1) // 64) * 64 - 6 - 2 - wide
    encoded = text.encode("latin-1", "replace").ljust(max(length - 1, 0)) + b"\n"
    return b"\x93NUMPY" + version + len(encoded).to_bytes(wide, "little") + encoded + payload


Arrays = dict[str, np.ndarray[Any, Any]]


def npz_of(arrays: Arrays, choices: Choices) -> bytes:
    """Return an NPZ archive that is whole, with arrays of other types, shapes, names and values."""
    members: list[tuple[str, bytes]] = []
    for given, values in arrays.items():
        name, changes = given, choices.below(6) == 5
        array, kind, shape = values, values.dtype.str, str(values.shape)
        payload = array.tobytes()
        if changes:
            what = choices.below(6)
            if what == 0:
                name = choices.text()
            elif what == 1:
                kind = choices.one_of(_TYPES)
            elif what == 2:
                shape = str(tuple(choices.whole() for _ in range(choices.below(4))))
            elif what == 3 and array.size:
                kind = choices.one_of(("<f4", "<f8", "<i8", "<i4", "<u8", "|u1", "<U5", "|b1", ">i8", "|S3"))
                with np.errstate(all="ignore"):
                    payload = np.zeros(array.shape, np.dtype(kind)).tobytes()
            elif what == 4:
                payload = changed_bytes(payload, choices)
            else:
                kept = array[: choices.below(len(array) + 1)] if array.ndim else array
                shape, payload = str(kept.shape), kept.tobytes()
        members.append((f"{name}.npy", _npy(kind, shape, payload, choices)))
    packed = zipfile.ZIP_DEFLATED if choices.flag() else zipfile.ZIP_STORED
    content = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(content, "w", packed) as archive:
        warnings.simplefilter("ignore")  # of two members of one name
        for name, text in changed_list(members, choices) if choices.below(4) == 3 else members:
            archive.writestr(zipfile.ZipInfo(name.replace("\0", "") or "_"), text, packed)
    whole = content.getvalue()
    return changed_bytes(whole, choices) if choices.below(8) == 7 else whole


@cache
def _arrays(kind: int) -> Arrays:
    samples = walk(300)
    stamps = 1_700_000_000_000_000_000 + np.arange(300) * 10_000_000
    named = np.repeat(["walk", "sit", ""], 100)
    axes = dict(zip("xyz", samples.T.astype(np.float64), strict=True))
    return (
        {"time_ns": stamps, "acc": samples, "annotation": named},
        {"t_ms": stamps // 1_000_000, **axes, "temperature": samples[:, 0], "light": samples[:, 1]},
        {"time_ns": stamps, "acc": samples, "y": np.repeat([0, 1, -1], 100), "classes": np.array(["a", "b"])},
    )[kind]


def npz_recording_of(choices: Choices) -> bytes:
    """Return an NPZ recording."""
    return npz_of(_arrays(choices.below(3)), choices)


def parquet_of(choices: Choices) -> bytes:
    """Return a Parquet file with columns of any type, or a common one with bytes changed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    n = 200
    stamps = 1_700_000_000_000_000_000 + np.arange(n) * 10_000_000
    columns: dict[str, Any] = {"time": pa.array(stamps.astype("M8[ns]"))}
    columns |= {name: pa.array(axis) for name, axis in zip("xyz", walk(n).T, strict=True)}
    if choices.flag():
        columns["annotation"] = pa.array(np.repeat(["walk", "sit"], n // 2)).dictionary_encode()
    for name in tuple(columns):
        if choices.below(5) == 4:
            columns[name] = _odd_column(n, choices)
    names = [choices.text() if choices.below(12) == 11 else name for name in columns]
    table = pa.table(list(columns.values()), names=names)
    sink = io.BytesIO()
    compression = choices.one_of(("none", "snappy", "gzip", "zstd"))
    try:
        pq.write_table(
            table,
            sink,
            compression=compression,
            row_group_size=choices.one_of((1000, 7)),
            data_page_version=choices.one_of(("1.0", "2.0")),
            use_dictionary=choices.flag(),
        )
    except pa.ArrowException:  # what this writer cannot write, others might
        return b"PAR1"
    content = sink.getvalue()
    return changed_bytes(content, choices) if choices.below(3) == 2 else content


def _odd_column(n: int, choices: Choices) -> Any:
    import pyarrow as pa

    kinds = (
        pa.int64(), pa.float64(), pa.string(), pa.timestamp("s"), pa.timestamp("us", "Europe/Berlin"),
        pa.timestamp("ns", "+02:00"), pa.date32(), pa.time64("ns"), pa.duration("ms"), pa.bool_(),
        pa.binary(),
        pa.decimal128(10, 2), pa.list_(pa.float32()), pa.null(), pa.uint64(), pa.float16(), pa.int8(),
        pa.large_string(), pa.dictionary(pa.int32(), pa.int64()), pa.struct([("a", pa.int32())]),
        pa.string_view(),
    )  # fmt: skip
    kind = choices.one_of(kinds)
    made = [choices.one_of((None, choices.whole(), choices.number(), choices.text())) for _ in range(8)]
    if pa.types.is_integer(kind) or pa.types.is_temporal(kind):
        made = [choices.whole() if value is not None else None for value in made]
    try:
        return pa.array((made * n)[:n], kind, from_pandas=choices.flag())
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return pa.nulls(n, kind) if choices.flag() else pa.array(["a"] * n)


def _target(reads: str, suffix: str, of: Any) -> Target:
    def run(data: bytes) -> None:
        content, choices = two_ways(data)
        how = _options(choices)
        use_recording(file_of(f"recording{suffix}", of(choices) if content is None else content), **how)

    def seeds() -> list[bytes]:
        return [b"\1", *as_it_is(of(Choices(b""))), *by_choice(16)[1:]]

    return Target(reads, seeds, run)


TARGETS = {
    "csv": _target("CSV recordings", ".csv", csv_of),
    "npz": _target("NPZ recordings", ".npz", npz_recording_of),
    "parquet": _target("Parquet recordings", ".parquet", parquet_of),
}
