"""Recordings of the GENEActiv: ``.bin``, text of pages with samples as hexadecimal digits.

A header of lines ``key:value`` with gains and offsets, then pages of 300 samples, each with the time of the
first by the device's clock, a number and the rate. Light, temperature and the button are not read.
"""

from __future__ import annotations

import binascii
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from patchtst_har.data.formats import device_files
from patchtst_har.data.formats.device_files import BLOCK, Samples
from patchtst_har.data.options import Found, ReadOptions
from patchtst_har.data.stamps import TimeUnit
from patchtst_har.errors import DataError
from patchtst_har.support.long_arrays import GrowingArray

_BEGIN, _PAGE = b"Device Identity", b"Recorded Data"
_MOST_PAGE_BYTES = 2**16
_MOST_HEADER_BYTES = 2**16
_MOST_PAGES = 2**12
_HEX_PER_SAMPLE = 12
_GAINS = [f"{axis} {name}" for axis in "xyz" for name in ("gain", "offset")]
# numpy would also read zones, and wrap years that 64 bits of ns do not reach.
_CLOCK = re.compile(rb"((?:19|20|21)\d\d-\d\d-\d\d) (\d\d:\d\d:\d\d)[:.](\d{1,9})")
# Lines that actfast expects; what it reads from them is decimal points and whole numbers only.
_HEADER_LINES = 59
_PAGE_HEAD = (
    "Recorded Data\n-\nSequence Number:0\nPage Time:2000-01-01 00:00:00:000\n-\n-\n-\n-\n"
    "Measurement Frequency:100.0\n"
)


def read_geneactiv(
    path: Path, time_unit: TimeUnit | None, options: ReadOptions
) -> tuple[pd.DataFrame, Found]:
    """Read a GENEActiv recording (see `patchtst_har.data.formats`).

    Stamps are the device's local wall clock. A damaged or missing page, or a pause between pages, is a gap in
    time.
    """
    device_files.refuse_options(path, time_unit, options)
    samples, tables, n_damaged = Samples(path), GrowingArray(np.empty(0, BLOCK)), 0
    with device_files.opened(path) as file:
        begins = file.read(len(_BEGIN))
        if begins != _BEGIN:
            raise device_files.refuse_content(path, begins, "a GENEActiv")
        parts = _parts(file, path)
        header = _header(next(parts))
        gains = _gains(header, path)
        for texts in _batches(parts):
            pages = [page for page in map(_page, texts) if page is not None]
            n_damaged += len(texts) - len(pages)
            device_files.check_damaged(n_damaged, path)
            if pages:
                content = gains + "".join(f"{_PAGE_HEAD}{page[1]}\n" for page in pages)
                table = np.array([page[0] for page in pages], BLOCK)
                tables.append(table)
                n_samples = int(table["count"].sum())
                samples.append(device_files.decode(content.encode(), "high_frequency", n_samples, path))
    recording, found = device_files.recording_of_blocks(samples, tables.whole(), n_damaged, "page")
    found.facts |= _facts(header)
    return recording, found


def _parts(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """Yield the text before the first page, then that of each page."""
    rest = b""
    for chunk in device_files.chunks(file, path):
        *texts, rest = (rest + chunk).split(_PAGE)
        yield from texts
        if len(rest) > max(_MOST_PAGE_BYTES, _MOST_HEADER_BYTES):
            raise DataError(f"{path}: holds {len(rest):,} bytes without a page ({_PAGE.decode()})")
    yield rest


def _batches(parts: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Yield pages, some megabytes at a time."""
    batch, n_bytes = [], 0
    for part in parts:
        batch.append(part)
        n_bytes += len(part)
        if n_bytes > device_files.CHUNK or len(batch) >= _MOST_PAGES:
            yield batch
            batch, n_bytes = [], 0
    yield batch


def _header(text: bytes) -> dict[str, str]:
    """Return the values of a header by their names, which occur once but for the Device Type."""
    lines = (line.partition(":") for line in text.decode("utf-8", "replace").replace("\0", " ").splitlines())
    return {key.strip(): value.strip() for key, sign, value in lines if sign}


def _gains(header: dict[str, str], path: Path) -> str:
    """Return a header for actfast with gains and offsets, without which it would take 1 and 0."""
    lines = [_BEGIN.decode(), "Calibration Data"]
    for name in _GAINS:
        value = header.get(name, "")
        if not re.fullmatch(r"[+-]?\d{1,9}", value) or (name.endswith("gain") and not int(value)):
            raise DataError(f"{path}: its header has no usable {name!r} (found {value[:20]!r})")
        lines.append(f"{name}:{int(value)}")
    lines += ["Volts:1", "Lux:1", *["-"] * (_HEADER_LINES - len(lines) - 2)]
    return "\n".join(lines) + "\n"


def _page(text: bytes) -> tuple[tuple[Any, ...], str] | None:
    """Return the row of `BLOCK` and the digits of a page; None if it is damaged."""
    fields: dict[bytes, bytes] = {}
    digits = b""
    for line in text.splitlines():
        key, sign, value = line.partition(b":")
        if sign:
            fields[key.strip()] = value.strip()
        elif key.strip():
            digits += key.strip()
    n_samples, rest = divmod(len(digits), _HEX_PER_SAMPLE)
    try:
        sequence = int(fields[b"Sequence Number"])
        rate_hz = float(fields[b"Measurement Frequency"].replace(b",", b"."))
        start_ns = _ns(fields[b"Page Time"])
        content = zlib.crc32(binascii.unhexlify(digits))
    except (KeyError, ValueError):
        return None
    if rest or not n_samples or not 1 <= rate_hz <= 1000 or not 0 <= sequence < 2**62:
        return None
    return (n_samples, start_ns, 1e9 / rate_hz, sequence, 0, content), digits.decode()


def _ns(clock: bytes) -> int:
    """Return a page's time as ns since 1970; a ValueError if it is none."""
    found = _CLOCK.fullmatch(clock)
    if found is None:
        raise ValueError(clock)
    day, time, fraction = (part.decode() for part in found.groups())
    return int(np.datetime64(f"{day}T{time}.{fraction}", "ns").astype(np.int64))


def _facts(header: dict[str, str]) -> dict[str, Any]:
    return device_files.device_facts(
        "Activinsights",
        " ".join(filter(None, (header.get("Device Type"), header.get("Device Model")))),
        header.get("Device Unique Serial Code", ""),
        firmware=header.get("Device Firmware Version"),
        sample_rate_hz=_number(header.get("Measurement Frequency")),
        range_g=_number(header.get("Accelerometer Range", "").rpartition("to")[2]),
        time_zone=header.get("Time Zone"),
        location=header.get("Device Location Code") or None,
        start=header.get("Start Time"),
    )


def _number(text: str | None) -> float | None:
    found = re.match(r"\s*(\d+(?:[.,]\d+)?)", text or "")
    return float(found[1].replace(",", ".")) if found else None
