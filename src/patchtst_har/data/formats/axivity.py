"""Recordings of Axivity's AX3 and AX6: ``.cwa``, blocks of 512 bytes with a checksum.

The layout is published (Open Movement, ``Docs/ax3/cwa.h``): a header of 1024 bytes, then blocks, each with
the time of one of its samples by the device's clock, a number, the rate and the scale. Light, temperature
and gyroscope are not read.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from patchtst_har.data.formats import device_files
from patchtst_har.data.formats.device_files import BLOCK, Samples
from patchtst_har.data.options import Found, ReadOptions
from patchtst_har.data.stamps import TimeUnit
from patchtst_har.errors import DataError
from patchtst_har.support.long_arrays import GrowingArray

_HEADER_BYTES = 1024
_BLOCK_BYTES = 512
_CHUNK_BLOCKS = 2**12
_DATA_BYTES = 480
_FIELDS = np.dtype(
    {
        "names": ["magic", "length", "fraction", "session", "sequence", "stamp", "light", "rate", "axes",
                  "offset", "count", "checksum"],
        "formats": ["<u2", "<u2", "<u2", "<u4", "<u4", "<u4", "<u2", "u1", "u1", "<i2", "<u2", "<u2"],
        "offsets": [0, 2, 4, 6, 10, 14, 18, 24, 25, 26, 28, 510],
        "itemsize": _BLOCK_BYTES,
    }
)  # fmt: skip
_MAGIC, _LENGTH = int.from_bytes(b"AX", "little"), _BLOCK_BYTES - 4
_SAMPLE_BYTES = {0x30: 4, 0x32: 6, 0x62: 12, 0x92: 18}
_MODELS = {0x00: "AX3", 0x17: "AX3", 0xFF: "AX3", 0x64: "AX6"}
# Sensors run up to some 4 % off the rate that they are set to.
_OFF_RATE = 0.1
# Below 6.25 Hz, no device records.
_LOWEST_RATE = 6


def read_cwa(path: Path, time_unit: TimeUnit | None, options: ReadOptions) -> tuple[pd.DataFrame, Found]:
    """Read a CWA recording (see `patchtst_har.data.formats`).

    Stamps are the device's local wall clock. Between blocks that follow each other, the samples are spread
    evenly, as the maker's converter does, because a device is up to some percent off the rate that it is set
    to. A damaged or missing block is a gap in time.
    """
    device_files.refuse_options(path, time_unit, options)
    samples, tables, n_damaged = Samples(path), GrowingArray(np.empty(0, BLOCK)), 0
    with device_files.opened(path) as file:
        header = file.read(_HEADER_BYTES)
        if not header.startswith(b"MD"):
            raise device_files.refuse_content(path, header, "an Axivity sensor")
        if len(header) < _HEADER_BYTES:
            raise DataError(f"{path}: the file ends within its header")
        rest = 0
        for chunk in device_files.chunks(file, path, _CHUNK_BLOCKS * _BLOCK_BYTES):
            blocks = np.frombuffer(chunk, _FIELDS, len(chunk) // _BLOCK_BYTES)
            rest = len(chunk) % _BLOCK_BYTES
            stamps_ns = _stamps_ns(blocks["stamp"])
            whole = _whole(blocks, chunk) & ~np.isnat(stamps_ns)
            filled = blocks["count"] > 0
            n_damaged += int(np.count_nonzero(~whole))
            kept = np.flatnonzero(whole & filled)
            tables.append(_table(blocks[kept], stamps_ns[kept].astype(np.int64)))
            raw = np.frombuffer(chunk, f"V{_BLOCK_BYTES}", len(blocks))[kept]
            _decode(header, blocks[kept], raw, samples)
    recording, found = device_files.recording_of_blocks(
        samples, tables.whole(), n_damaged, "block", off_rate=_OFF_RATE
    )
    if rest:
        found.warnings.append(f"{path}: the file ends within a block, which is left out")
    found.facts |= _facts(header)
    return recording, found


def _whole(blocks: NDArray[Any], chunk: bytes) -> NDArray[np.bool_]:
    """Return which blocks are what a device writes."""
    words = np.frombuffer(chunk, "<u2", len(blocks) * _BLOCK_BYTES // 2).reshape(-1, _BLOCK_BYTES // 2)
    whole: NDArray[np.bool_] = (blocks["magic"] == _MAGIC) & (blocks["length"] == _LENGTH)
    whole &= words.sum(axis=1, dtype=np.uint16) == 0
    whole &= (blocks["rate"] & 15) >= _LOWEST_RATE
    most = np.zeros(256, np.int64)
    for axes, n_bytes in _SAMPLE_BYTES.items():
        most[axes] = _DATA_BYTES // n_bytes
    whole &= blocks["count"] <= most[blocks["axes"]]
    return whole


def _stamps_ns(packed: NDArray[np.uint32]) -> NDArray[np.datetime64]:
    """Return packed stamps (years since 2000, month, day, hour, minute, second) as ns; NaT for no date."""
    packed = packed.astype(np.int64)
    parts = [
        (packed >> shift) & mask for shift, mask in ((26, 63), (22, 15), (17, 31), (12, 31), (6, 63), (0, 63))
    ]
    year, month, day, hour, minute, second = parts
    months = ((year + 30) * 12 + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    fits = (month >= 1) & (month <= 12) & (day >= 1) & (days.astype("datetime64[M]") == months)
    fits &= (hour < 24) & (minute < 60) & (second < 60)
    stamps = days.astype("datetime64[ns]") + (hour * 3600 + minute * 60 + second) * np.timedelta64(
        10**9, "ns"
    )
    return np.where(fits, stamps, np.datetime64("NaT", "ns"))


def _table(blocks: NDArray[Any], stamps_ns: NDArray[np.int64]) -> NDArray[Any]:
    shift = 15 - (blocks["rate"] & 15).astype(np.int64)
    period_ns = 1e9 / 3200 * 2.0**shift
    # With a fraction of the second, the firmware has moved the offset by as many samples, for older readers.
    fraction = np.where(blocks["fraction"] & 0x8000, (blocks["fraction"] & 0x7FFF).astype(np.int64) << 1, 0)
    offset = blocks["offset"] + ((fraction * (3200 >> shift)) >> 16)
    table = np.empty(len(blocks), BLOCK)
    table["start_ns"] = stamps_ns + (fraction * 10**9 >> 16) - np.rint(offset * period_ns).astype(np.int64)
    table["period_ns"] = period_ns
    for name, source in (("count", "count"), ("sequence", "sequence"), ("session", "session")):
        table[name] = blocks[source]
    table["content"] = blocks["checksum"]
    return table


def _decode(header: bytes, blocks: NDArray[Any], raw: NDArray[np.void], samples: Samples) -> None:
    """Decode blocks; actfast takes scale and packing of a file from its first block."""
    form = blocks["axes"].astype(np.int64) << 3 | blocks["light"] >> 13
    changes = (np.flatnonzero(np.diff(form)) + 1).tolist()
    for first, stop in pairwise([0, *changes, len(form)] if len(form) else []):
        content = header + raw[first:stop].tobytes()
        n_samples = int(blocks["count"][first:stop].sum(dtype=np.int64))
        samples.append(device_files.decode(content, "high_frequency", n_samples, samples.path))


def _facts(header: bytes) -> dict[str, Any]:
    upper, rate = int.from_bytes(header[11:13], "little"), header[36]
    serial = int.from_bytes(header[5:7], "little") + (upper << 16 if upper != 0xFFFF else 0)
    session = int.from_bytes(header[7:11], "little")
    return device_files.device_facts(
        "Axivity",
        _MODELS.get(header[4], f"unknown model {header[4]:#x}"),
        str(serial),
        session=session,
        firmware=header[41],
        sample_rate_hz=3200 / 2 ** (15 - (rate & 15)),
        range_g=16 >> (rate >> 6),
    )
