"""Safetensors files of anyone: what is not read as it is, is refused before memory is spent on it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from patchtst_har.errors import DataError, ModelFolderError
from patchtst_har.model_folder import read_model_folder
from patchtst_har.support.tensors import MOST_TENSOR_BYTES, read_header, read_metadata, read_tensors
from streams import small_recognizer


def write(path: Path, header: object, n_bytes: int = 0, length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    with path.open("wb") as file:
        file.write((len(text) if length is None else length).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + n_bytes)
    return path


def one(dtype: object, shape: object, n_bytes: int = 8) -> dict[str, object]:
    return {"head.weight": {"dtype": dtype, "shape": shape, "data_offsets": [0, n_bytes]}}


def test_float32_and_float16_are_read(tmp_path):
    header = {
        "__metadata__": {"format": "np"},
        **one("F32", [1, 2]),
        "half": {"dtype": "F16", "shape": [2], "data_offsets": [8, 12]},
        "norm.num_batches_tracked": {"dtype": "I64", "shape": [], "data_offsets": [12, 20]},
    }
    tensors = read_tensors(write(tmp_path / "m", header, 20))
    assert {name: (values.dtype, values.shape) for name, values in tensors.items()} == {
        "head.weight": (np.dtype("f4"), (1, 2)),
        "half": (np.dtype("f2"), (2,)),
        "norm.num_batches_tracked": (np.dtype("i8"), ()),
    }


def test_values_that_are_not_finite_are_named(tmp_path):
    path = write(tmp_path / "m", one("F32", [2]), 8)
    path.write_bytes(path.read_bytes()[:-4] + np.float32(np.nan).tobytes())
    with pytest.raises(DataError, match=r"m: head\.weight has values that are not finite"):
        read_tensors(path)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "m")
    with pytest.raises(DataError, match="m: is not a regular file"):
        read_tensors(tmp_path / "m")


@pytest.mark.parametrize("metadata", [["a"], {"a": 1}, "a"])
def test_metadata_are_texts(tmp_path, metadata):
    path = write(tmp_path / "m", {"__metadata__": metadata, **one("F32", [2])}, 8)
    with pytest.raises(DataError, match=r"m: not a safetensors file \(its metadata are no texts\)"):
        read_metadata(path)


TYPES = [
    "F64",
    "BF16",
    "F8_E4M3",
    "F8_E5M2",
    "F8_E8M0",
    "F4",
    "BOOL",
    "I8",
    "U8",
    "I16",
    "U16",
    "I32",
    "U32",
    "I64",
    "U64",
    "C64",
]


@pytest.mark.parametrize("dtype", [*TYPES, "f32", None, 7, ["F32"], {}])
def test_another_type_is_refused_and_named(tmp_path, dtype):
    path = write(tmp_path / "model.safetensors", one(dtype, [1]))
    name = re.escape(str(dtype))
    with pytest.raises(DataError, match=rf"model\.safetensors: head\.weight is of type {name}, read are"):
        read_tensors(path)


@pytest.mark.parametrize(
    ("header", "n_bytes", "reason"),
    [
        (b'{"a": {}, "a": {}}', 0, "'a' stands twice"),
        (b"[" * 100_000, 0, "nested too deeply"),
        (b'{"a": ' + b"9" * 10_000 + b"}", 0, "a number has 10000 digits"),
        (b"\xff", 0, "utf-8"),
        (b"[]", 0, "no mapping"),
        ({"a": 3}, 0, "a is of type None"),
        (one("F32", [2**62, 4, 0]), 8, "not a safetensors file"),
        (one("F32", [2**62, 4]), 8, "head.weight has shape"),
        (one("F32", [-2]), 8, "has no shape"),
        (one("F32", "2"), 8, "has no shape"),
        (one("F32", [True, 2]), 8, "has no shape"),
        (one("F32", [3]), 8, "not a safetensors file"),
        (one("F32", [2], 2**40), 8, "not a safetensors file"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path, header, n_bytes, reason):
    with pytest.raises(DataError, match=rf"model\.safetensors: .*{re.escape(reason)}"):
        read_tensors(write(tmp_path / "model.safetensors", header, n_bytes))


@pytest.mark.parametrize(
    ("length", "n_bytes", "reason"),
    [
        (2**64 - 1, 100, "shorter than the header that it declares"),
        (2**31, 2**31, "header of 2,147,483,648 bytes"),
        (2, MOST_TENSOR_BYTES, "is larger than"),
    ],
)
def test_a_length_that_would_fill_memory_is_refused(tmp_path, length, n_bytes, reason):
    with pytest.raises(DataError, match=reason):
        read_header(write(tmp_path / "m", b"{}", n_bytes, length))


LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from patchtst_har.errors import ModelFolderError
from patchtst_har.inference.recognizer import Recognizer
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 2**25,) * 2)
try:
    Recognizer.from_pretrained(sys.argv[1])
except ModelFolderError as error:
    print(error)
"""


@pytest.mark.spawns
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs the size of this process")
def test_too_little_memory_names_the_model_folder(tmp_path):
    folder = small_recognizer().save_pretrained(tmp_path / "model")
    write(folder / "model.safetensors", one("F32", [2**27], 2**29), 2**29)
    command = [sys.executable, "-c", LITTLE_MEMORY, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == f"{folder}: needs more memory than this process can get\n"


FORMULAS = (
    "=1+1",
    '=HYPERLINK("x")',
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    " =1",
    "a\0b",
    "a\nb",
    "\t=1",
)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_class_that_is_a_formula_or_no_line_of_text_is_refused(tmp_path, name):
    recognizer = small_recognizer()
    folder = recognizer.save_pretrained(tmp_path / "model")
    (folder / "classes.json").write_text(json.dumps([name, "sit", "walk"]))
    with pytest.raises(ModelFolderError, match=r"classes\.json: class .* (begins with|has a control)"):
        read_model_folder(folder)
    recognizer.classes = (name, "sit", "walk")
    with pytest.raises(ModelFolderError, match=r"other/classes\.json: class"):
        recognizer.save_pretrained(tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_usual_class_names_are_kept_as_they_are(tmp_path):
    names = (
        "-1",
        "+0.5",
        "lying - left",
        "home,\u00a0sitting",
        "7030 sleeping;MET 0.95",
        "<b>fast</b> & far",
    )
    folder = small_recognizer().save_pretrained(tmp_path / "model")
    for three in (names[:3], names[3:]):
        (folder / "classes.json").write_text(json.dumps(three))
        assert read_model_folder(folder).classes == three
