"""Tensors in safetensors files that may come from anyone: the header is bounded before it is parsed."""

from __future__ import annotations

import math
import stat
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from patchtst_har.errors import DataError
from patchtst_har.support.documents import parse_json

MOST_TENSOR_BYTES = 4 * 2**30
"""Largest file that is read."""
_MOST_HEADER_BYTES = 4 * 2**20
_LENGTH_BYTES = 8
_ITEM_BYTES = {"F16": 2, "F32": 4}


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of a file: float32 or float16, and single int64 numbers (batch norm's counters).

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Raises
    ------
    DataError
        If it is no safetensors file or one too large, a tensor is of another type, or has values that are
        not finite; the message names file and tensor.
    MemoryError
        If memory does not suffice.
    """
    for name, entry in read_header(path).items():
        _check_entry(path, name, entry)
    try:
        tensors: dict[str, NDArray[Any]] = safetensors.numpy.load_file(path)
    # Besides its own error: those of numpy on a shape, and of the system on a mapping.
    except (SafetensorError, ValueError, RuntimeError) as error:
        if "allocate memory" in str(error):
            raise MemoryError from error
        raise DataError(f"{path}: not a safetensors file ({error})") from error
    for name, values in tensors.items():
        if not np.isfinite(values).all():
            raise DataError(f"{path}: {name} has values that are not finite")
    return tensors


def read_header(path: Path) -> dict[str, Any]:
    """Return the description of every tensor by its name, as the header gives it.

    Raises
    ------
    DataError
        If the file is no regular one or too large, or its header is too long, not JSON, or names a tensor
        twice.
    """
    header = _header(path)
    header.pop("__metadata__", None)
    return header


def _header(path: Path) -> dict[str, Any]:
    """Return the header as it is written."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{path}: is not a regular file")
    if status.st_size > MOST_TENSOR_BYTES:
        raise DataError(f"{path}: is larger than the {MOST_TENSOR_BYTES:,} bytes that are read")
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        if length > status.st_size - _LENGTH_BYTES:
            raise DataError(f"{path}: not a safetensors file (shorter than the header that it declares)")
        if length > _MOST_HEADER_BYTES:
            raise DataError(f"{path}: has a header of {length:,} bytes, more than {_MOST_HEADER_BYTES:,}")
        content = file.read(length)
    try:
        header = parse_json(content.decode("utf-8"), str(path))
    except (UnicodeDecodeError, DataError) as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise DataError(f"{path}: not a safetensors file ({reason})") from error
    if not isinstance(header, dict):
        raise DataError(f"{path}: not a safetensors file (its header is no mapping)")
    return header


def read_metadata(path: Path) -> dict[str, str]:
    """Return the texts that a file holds in addition to its tensors; raises as `read_header`."""
    metadata = _header(path).get("__metadata__") or {}
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise DataError(f"{path}: not a safetensors file (its metadata are no texts)")
    return metadata


def _check_entry(path: Path, name: str, entry: Any) -> None:
    """Refuse what is not read as it is: integers, complex numbers, types that numpy does not have."""
    dtype, shape = (entry.get(key) if isinstance(entry, dict) else None for key in ("dtype", "shape"))
    if dtype == "I64" and shape == []:
        return
    if not isinstance(dtype, str) or dtype not in _ITEM_BYTES:
        known = " and ".join(_ITEM_BYTES)
        raise DataError(f"{path}: {name[:80]} is of type {str(dtype)[:40]}, read are {known}")
    if not isinstance(shape, list) or not all(type(length) is int and length >= 0 for length in shape):
        raise DataError(f"{path}: {name[:80]} has no shape")
    if math.prod(shape) * _ITEM_BYTES[dtype] > MOST_TENSOR_BYTES:
        raise DataError(f"{path}: {name[:80]} has shape {shape}, which its file cannot hold")
