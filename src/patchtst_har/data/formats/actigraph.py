"""Recordings of ActiGraph: ``.gt3x``, zip archives of log records with a checksum, or of packed samples.

The layouts are published by the maker (``GT3X-File-Format``, ``NHANES-GT3X-File-Format``). ``log.bin`` holds
records of a second each, with the second by the device's local clock; older firmware (up to 2.5) wrote
``activity.bin``, samples without a break from the start on.
"""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from patchtst_har.data.formats import device_files
from patchtst_har.data.formats.actigraph_log import ACTIVITY, ACTIVITY2, PARAMETERS, Records, record
from patchtst_har.data.formats.device_files import BLOCK, Samples
from patchtst_har.data.frames import make_frame
from patchtst_har.data.options import Found, ReadOptions
from patchtst_har.data.stamps import TimeUnit
from patchtst_har.errors import DataError
from patchtst_har.support.formatting import size
from patchtst_har.support.long_arrays import GrowingArray
from patchtst_har.support.zip_archives import open_zip

_MOST_INFO_BYTES = 2**16
_TICKS_1970, _MOST_US = 621_355_968_000_000_000, 2**32 * 10**6
_MOST_RATE_HZ = 1000
_RATE, _SCALE, _FEATURES = (1, 10), (0, 55), (1, 2)
_SLEEP_MODE = 4
_PACKED_BITS, _PLAIN_BITS = 36, 48
# Two packed samples fill 9 bytes; a record holds less than 2**16.
_PIECE_BYTES = 9 * 4096


def read_gt3x(path: Path, time_unit: TimeUnit | None, options: ReadOptions) -> tuple[pd.DataFrame, Found]:
    """Read an ActiGraph recording (see `patchtst_har.data.formats`).

    Stamps are the device's local wall clock; ``info["reading"]["device"]["time_zone"]`` is its offset from
    UTC. In idle sleep mode a device writes nothing while it lies still: these spans are gaps in time, and
    ``info["reading"]["idle_sleep"]`` lists them as ``[start, end]`` in ns since 1970, by the recording's
    clock. A damaged record is a gap, too.
    """
    device_files.refuse_options(path, time_unit, options)
    with device_files.opened(path) as file, _archive(file, path) as archive:
        names = archive.namelist()
        for name in sorted(name for name, count in Counter(names).items() if count > 1):
            raise DataError(f"{path}: the archive has two members named {name!r}")
        if "info.txt" not in names:
            raise DataError(f"{path}: no ActiGraph recording: the archive has no 'info.txt'")
        info = _Info.parse(b"".join(_member(archive, "info.txt", path, _MOST_INFO_BYTES)), path)
        if "log.bin" in names:
            return _Log(path, info).read(_member(archive, "log.bin", path))
        if "activity.bin" in names:
            return _old_recording(path, info, _member(archive, "activity.bin", path))
    raise DataError(f"{path}: the archive has neither 'log.bin' nor 'activity.bin'")


@contextmanager
def _archive(file: BinaryIO, path: Path) -> Iterator[zipfile.ZipFile]:
    begins = file.read(4)
    if begins != b"PK\x03\x04":
        raise device_files.refuse_content(path, begins, "ActiGraph")
    if path.suffix.lower() == ".gz":
        file.seek(0)
        for _ in device_files.chunks(file, path):
            pass
    with open_zip(file, path) as archive:
        yield archive


def _member(archive: zipfile.ZipFile, name: str, path: Path, most: int | None = None) -> Iterator[bytes]:
    """Yield a member of an archive in chunks; refuse first what it declares beyond measure."""
    member = archive.getinfo(name)
    limit = most or max(device_files.SMALL, device_files.MOST_RATIO * member.compress_size)
    if member.file_size > limit:
        packed = size(member.compress_size)
        raise DataError(f"{path}: {name!r} declares {size(member.file_size)}, more than {packed} hold")
    try:
        with archive.open(member) as file:
            while chunk := file.read(device_files.CHUNK):
                yield chunk
    except (zlib.error, EOFError) as error:
        raise DataError(f"{path}: {name!r} is damaged ({error})") from error


@dataclass(frozen=True)
class _Info:
    """What ``info.txt`` says."""

    values: dict[str, str]
    rate_hz: float

    @classmethod
    def parse(cls, text: bytes, path: Path) -> _Info:
        lines = (line.partition(":") for line in text.decode("utf-8-sig", "replace").splitlines())
        values = {key.strip(): value.strip() for key, sign, value in lines if sign}
        rate_hz = _number(values, "Sample Rate", path)
        if not 1 <= rate_hz <= _MOST_RATE_HZ:
            raise DataError(f"{path}: 'Sample Rate' in info.txt is {rate_hz:g}")
        return cls(values, rate_hz)

    @property
    def start(self) -> str | None:
        """The moment that is set for the first sample, ISO 8601, local; None if there is none."""
        text = self.values.get("Start Date", "")
        microseconds = (int(text) - _TICKS_1970) // 10 if re.fullmatch("[0-9]{1,19}", text) else 0
        return str(np.datetime64(microseconds, "us")) if 0 < microseconds < _MOST_US else None

    @property
    def serial(self) -> str:
        return self.values.get("Serial Number", "")

    def scale(self, path: Path) -> float:
        """Return the units of a sample per g, where no record of parameters says them."""
        text = self.values.get("Acceleration Scale")
        if text is not None:
            return _checked_scale(_number(self.values, "Acceleration Scale", path), "info.txt", path)
        for serials, scale in ((("NEO", "CLE", "MRA"), 341.0), (("MOS", "TAS"), 256.0)):
            if self.serial.startswith(serials):
                return scale
        raise DataError(f"{path}: neither 'Acceleration Scale' nor a known serial number ({self.serial!r})")

    def facts(self, scale: float, **more: Any) -> dict[str, Any]:
        values = self.values
        return device_files.device_facts(
            "ActiGraph",
            values.get("Device Type"),
            self.serial,
            firmware=values.get("Firmware"),
            sample_rate_hz=self.rate_hz,
            range_g=round(2048 / scale),
            time_zone=values.get("TimeZone"),
            location=" ".join(filter(None, (values.get("Side"), values.get("Limb")))) or None,
            start=self.start,
            **more,
        )


def _number(values: dict[str, str], name: str, path: Path) -> float:
    text = values.get(name, "").replace(",", ".")
    try:
        return int(text) if text.isdigit() else float(text)
    except ValueError as error:
        raise DataError(f"{path}: info.txt has no usable {name!r} (found {text[:30]!r})") from error


def _checked_scale(scale: float, source: str, path: Path) -> float:
    if not 1 <= scale <= 2**15:
        raise DataError(f"{path}: {source} gives a scale of {scale:g} per g")
    return scale


@dataclass
class _Log:
    """The log of a device as it is read."""

    path: Path
    info: _Info
    samples: Samples = field(init=False)
    parameters: dict[tuple[int, int], int] = field(default_factory=dict)
    tables: GrowingArray = field(default_factory=lambda: GrowingArray(np.empty(0, BLOCK)))
    n_damaged: list[NDArray[np.intp]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.samples = Samples(self.path)

    def read(self, chunks: Iterator[bytes]) -> tuple[pd.DataFrame, Found]:
        records = Records(most_tried=device_files.MOST_DAMAGED)
        for data, table in records.read(chunks):
            device_files.check_damaged(records.n_tried, self.path)
            for row in table[table["kind"] == PARAMETERS]:
                payload = data[row["first"] : row["first"] + row["size"] // 8 * 8]
                self.parameters |= {
                    (space, key): value for space, key, value in struct.iter_unpack("<HHI", payload)
                }
            self._add_activity(data, table[np.isin(table["kind"], (ACTIVITY, ACTIVITY2))])
        blocks = self.tables.whole()
        rate_hz = float(np.median(blocks["count"])) if len(blocks) else self.info.rate_hz
        # More samples than usual are still those of one second.
        blocks["period_ns"] = 1e9 / np.maximum(blocks["count"], rate_hz)
        recording, found = device_files.recording_of_blocks(self.samples, blocks, records.n_damaged, "record")
        if rate_hz != self.info.rate_hz:
            found.warnings.append(
                f"{self.path}: a second has {rate_hz:g} samples, "
                f"the sample rate in info.txt is {self.info.rate_hz:g}"
            )
        sleeps = bool(self.parameters.get(_FEATURES, 0) & _SLEEP_MODE)
        found.facts |= self.info.facts(self.scale, idle_sleep_mode=sleeps)
        if sleeps:
            found.facts["idle_sleep"] = self._idle_sleep(blocks)
        return recording, found

    def _idle_sleep(self, blocks: NDArray[Any]) -> list[list[int]]:
        """Return the spans (start, end) in ns without records, but for those where records are damaged."""
        order = np.argsort(blocks["start_ns"], kind="stable")
        starts_ns, n_damaged = blocks["start_ns"][order], np.concatenate(self.n_damaged)[order]
        ends_ns = starts_ns + 10**9
        gaps = np.flatnonzero((starts_ns[1:] > ends_ns[:-1]) & (np.diff(n_damaged) == 0))
        return [[int(ends_ns[at]), int(starts_ns[at + 1])] for at in gaps]

    @property
    def scale(self) -> float:
        """The units of a sample per g."""
        if _SCALE not in self.parameters:
            return self.info.scale(self.path)
        value = self.parameters[_SCALE]
        # Three bytes of a fraction, a byte of a power of two; both signed.
        fraction, power = ((value & 0xFFFFFF) ^ 0x800000) - 0x800000, ((value >> 24) ^ 0x80) - 0x80
        return _checked_scale(float(fraction / 2**23 * 2.0**power), "its log", self.path)

    def _add_activity(self, data: bytes, table: NDArray[Any]) -> None:
        bits = np.where(table["kind"] == ACTIVITY, _PACKED_BITS, _PLAIN_BITS)
        counts = table["size"] * 8 // bits
        # A record of one byte is written when the device is connected; one of none has no samples.
        table, counts = table[counts > 0], counts[counts > 0]
        if not len(table):
            return
        payloads = [data[row["first"] : row["first"] + row["size"]] for row in table]
        blocks = np.zeros(len(table), BLOCK)
        blocks["count"], blocks["sequence"] = counts, table["stamp"]
        blocks["start_ns"] = table["stamp"] * 10**9
        blocks["content"] = list(map(zlib.crc32, payloads))
        self.tables.append(blocks)
        self.n_damaged.append(table["n_damaged"])
        edges = [0, *(np.flatnonzero(np.diff(table["kind"])) + 1).tolist(), len(table)]
        for first, stop in pairwise(edges):
            decode = self._packed if table["kind"][first] == ACTIVITY else self._plain
            decode(payloads[first:stop], counts[first:stop].tolist())

    def _packed(self, payloads: list[bytes], counts: list[int]) -> None:
        self.samples.append(_decode_packed(payloads, sum(counts), self.scale, self.path))

    def _plain(self, payloads: list[bytes], counts: list[int]) -> None:
        """Add what actfast passes over without a word: 16-bit samples, which newer devices write."""
        whole = b"".join(payload[: n * _PLAIN_BITS // 8] for payload, n in zip(payloads, counts, strict=True))
        self.samples.append(
            np.frombuffer(whole, "<i2").reshape(-1, 3).astype(np.float32) / np.float32(self.scale)
        )


def _decode_packed(payloads: list[bytes], n_samples: int, scale: float, path: Path) -> NDArray[np.float32]:
    """Decode samples of 12 bits an axis.

    actfast takes rate and scale from a record of parameters, or wrong ones; without dates close to each
    other, it reserves 4 GB.
    """
    fraction, power = math.frexp(scale)
    pairs = ((*_RATE, _MOST_RATE_HZ), (*_SCALE, int(fraction * 2**23) | power << 24))
    log = [record(PARAMETERS, 0, b"".join(struct.pack("<HHI", *pair) for pair in pairs))]
    log += [record(ACTIVITY, 0, payload) for payload in payloads]
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("info.txt", "Sample Rate: 100\nStart Date: 1\nLast Sample Time: 2\n")
        archive.writestr("log.bin", b"".join(log))
    return device_files.decode(content.getvalue(), "acceleration", n_samples, path)


def _old_recording(path: Path, info: _Info, chunks: Iterator[bytes]) -> tuple[pd.DataFrame, Found]:
    """Read the container of old firmware, which actfast refuses: the same packed samples, in one piece."""
    if info.start is None:
        raise DataError(
            f"{path}: info.txt has no usable 'Start Date' ({info.values.get('Start Date', '')[:30]!r})"
        )
    samples, rest, scale = Samples(path), b"", info.scale(path)
    for chunk in chunks:
        data = rest + chunk
        n_whole = len(data) // _PIECE_BYTES
        pieces = [data[at * _PIECE_BYTES : (at + 1) * _PIECE_BYTES] for at in range(n_whole)]
        rest = data[n_whole * _PIECE_BYTES :]
        n_samples = n_whole * _PIECE_BYTES * 8 // _PACKED_BITS
        samples.append(_decode_packed(pieces, n_samples, scale, path))
    n_rest = len(rest) * 8 // _PACKED_BITS
    samples.append(_decode_packed([rest], n_rest, scale, path))
    if not samples.acceleration.n_rows:
        raise DataError(f"{path}: has no samples")
    acceleration = samples.acceleration.whole()
    stamps = ReadOptions(start=info.start, rate_hz=info.rate_hz)
    time_ns, _ = stamps.all_stamps(len(acceleration))
    return make_frame(time_ns, acceleration), Found(info.facts(scale))
