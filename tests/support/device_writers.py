"""Writers of device files, from the published layouts: what the readers are held against.

CWA: Open Movement, ``cwa.h``. GENEActiv: pages of text, 300 samples of 48 bits as hexadecimal digits. GT3X:
the maker's ``GT3X-File-Format`` and, for the old container, ``NHANES-GT3X-File-Format``. Nothing is shared
with the readers.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

START = datetime(2024, 3, 4, 9, 30, 0)
_1970, _YEAR_1 = datetime(1970, 1, 1), datetime(1, 1, 1)

AX3_HEADER, AX6_HEADER = (0x17, 0x4A), (0x64, 0x0A)


def walk(n_samples: int, *, grid: int = 256, most: float = 1.9, seed: int = 0) -> NDArray[np.float32]:
    """Return samples (n, 3) in g on a grid of 1 / `grid` g: gravity along z and some movement."""
    rng = np.random.default_rng(seed)
    samples = rng.normal([0.0, 0.2, 0.9], [0.2, 0.3, 0.2], (n_samples, 3)).clip(-most, most)
    return (np.rint(samples * grid) / grid).astype(np.float32)


# Axivity


def cwa_header(hardware: int = 0x17, rate_code: int = 0x4A, serial: int = 12345, session: int = 7) -> bytes:
    header = bytearray(b"\0" * 1024)
    struct.pack_into("<2sHBHIH", header, 0, b"MD", 1020, hardware, serial & 0xFFFF, session, serial >> 16)
    struct.pack_into("<BBIBh", header, 35, 0, rate_code, 0, 45, -1)
    header[64:512] = b" " * 448
    return bytes(header)


def cwa_stamp(moment: datetime) -> int:
    date = (moment.year - 2000) << 26 | moment.month << 22 | moment.day << 17
    return date | moment.hour << 12 | moment.minute << 6 | moment.second


def sealed(block: bytes) -> bytes:
    """Return a block of 512 bytes whose 16-bit words add up to zero."""
    words = struct.unpack("<255H", block[:510])
    return block[:510] + struct.pack("<H", -sum(words) & 0xFFFF)


def cwa_blocks(
    samples: NDArray[np.float32],
    *,
    start: datetime = START,
    rate_hz: float = 100.0,
    rate_code: int = 0x4A,
    packing: int = 0x32,
    session: int = 7,
    first: int = 0,
    fractions: bool = True,
) -> list[bytes]:
    """Return samples in g as blocks; `rate_hz` is the real rate, the code says to what the device was set.

    Packing 0x30: three values of 10 bits with a common exponent; 0x32: of 16 bits, 1/256 g; 0x62: gyroscope
    and accelerometer, of 16 bits, 1/2048 g.
    """
    n_bytes, per_g, scale_code = {0x30: (4, 256, 0), 0x32: (6, 256, 0), 0x62: (12, 2048, 3)}[packing]
    length = 480 // n_bytes
    set_hz = 3200 // 2 ** (15 - (rate_code & 15))
    blocks = []
    for number, at in enumerate(range(0, len(samples), length)):
        values = np.rint(samples[at : at + length] * per_g).astype(int)
        # The device notes the time at some sample of each block: here, of its last.
        noted = len(values) - 1
        seconds = (at + noted) / rate_hz
        if not fractions:
            seconds = math.floor(seconds) + (start.microsecond > 0)
            noted = round(seconds * rate_hz) - at
        moment = start + timedelta(seconds=seconds)
        fraction = moment.microsecond * 2**15 // 10**6
        offset = noted - ((2 * fraction * set_hz) >> 16) if fractions else noted
        head = struct.pack(
            "<2sHHIIIHHBBBBhH",
            b"AX",
            508,
            fraction | 0x8000 if fractions else 0x1234,
            session,
            first + number,
            cwa_stamp(moment),
            scale_code << 13 | 5 << 10 | 100,
            250,
            0,
            200,
            rate_code,
            packing,
            offset,
            len(values),
        )
        data = b"".join(_packed(row, packing) for row in values.tolist())
        blocks.append(sealed((head + data).ljust(512, b"\0")))
    return blocks


def _packed(values: Sequence[int], packing: int) -> bytes:
    if packing == 0x32:
        return struct.pack("<3h", *values)
    if packing == 0x62:
        return struct.pack("<6h", 100, -200, 300, *values)
    exponent = next(e for e in range(4) if all(-512 <= value >> e < 512 for value in values))
    x, y, z = ((value >> exponent) & 0x3FF for value in values)
    return struct.pack("<I", x | y << 10 | z << 20 | exponent << 30)


def cwa(samples: NDArray[np.float32], **how: Any) -> bytes:
    """Return a whole file of an AX3."""
    return cwa_header(rate_code=how.get("rate_code", 0x4A)) + b"".join(cwa_blocks(samples, **how))


# GENEActiv

GAINS = {"x": (25522, 272), "y": (25457, -1129), "z": (24829, 101)}


def geneactiv_header(n_pages: int = 1, *, line_end: str = "\r\n", **changes: str) -> str:
    sections: dict[str, dict[str, str]] = {
        "Device Identity": {
            "Device Unique Serial Code": "051386",
            "Device Type": "GENEActiv",
            "Device Model": "1.1",
            "Device Firmware Version": "Ver4.08a date14Jul14",
            "Calibration Date": "2019-02-04 13:49:24:000",
        },
        "Device Capabilities": {
            "Accelerometer Range": "-8 to 8",
            "Accelerometer Resolution": "0.0039",
            "Accelerometer Units": "g",
            "Light Meter Range": "0 to 5000",
            "Light Meter Resolution": "5",
            "Light Meter Units": "lux",
            "Temperature Sensor Range": "0 to 70",
            "Temperature Sensor Resolution": "0.1",
            "Temperature Sensor Units": "deg. C",
        },
        "Configuration Info": {
            "Measurement Frequency": "100 Hz",
            "Measurement Period": "360 Hours",
            "Start Time": "2024-03-04 09:30:00:000",
            "Time Zone": "GMT +01:00",
        },
        "Trial Info": dict.fromkeys(
            (
                "Study Centre",
                "Study Code",
                "Investigator ID",
                "Exercise Type",
                "Config Operator ID",
                "Config Time",
                "Config Notes",
                "Extract Operator ID",
                "Extract Time",
                "Extract Notes",
            ),
            "\0" * 20,
        ),
        "Subject Info": {
            "Device Location Code": "left wrist",
            "Subject Code": "0001",
            "Date of Birth": "1900-1-1",
            "Sex": "",
            "Height": "",
            "Weight": "",
            "Handedness Code": "",
            "Subject Notes": "\0" * 20,
        },
        "Calibration Data": {
            **{
                f"{axis} {name}": str(value)
                for axis, pair in GAINS.items()
                for name, value in zip(("gain", "offset"), pair, strict=True)
            },
            "Volts": "42",
            "Lux": "886",
        },
        "Memory Status": {"Number of Pages": str(n_pages)},
    }
    for values in sections.values():
        values |= {name: value for name, value in changes.items() if name in values}
    lines: list[str] = []
    for name, values in sections.items():
        lines += [name, *(f"{key}:{value}" for key, value in values.items()), ""]
    return line_end.join(lines) + line_end


def geneactiv_pages(
    samples: NDArray[np.float32], *, start: datetime = START, rate_hz: float = 100.0, line_end: str = "\r\n"
) -> list[str]:
    pages = []
    for number, at in enumerate(range(0, len(samples), 300)):
        moment = start + timedelta(seconds=at / rate_hz)
        clock = moment.strftime("%Y-%m-%d %H:%M:%S:") + f"{moment.microsecond // 1000:03d}"
        lines = [
            "Recorded Data",
            "Device Unique Serial Code:051386",
            f"Sequence Number:{number}",
            f"Page Time:{clock}",
            "Unassigned:",
            "Temperature:28.2",
            "Battery voltage:4.1642",
            "Device Status:Recording",
            f"Measurement Frequency:{rate_hz:.1f}",
            "".join(map(_digits, samples[at : at + 300])),
        ]
        pages.append(line_end.join(lines) + line_end)
    return pages


def on_geneactiv_grid(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the nearest samples that a GENEActiv can write."""
    gains, offsets = np.array(list(GAINS.values())).T
    return ((np.rint((samples * gains + offsets) / 100) * 100 - offsets) / gains).astype(np.float32)


def _digits(sample: NDArray[np.float32]) -> str:
    bits = 0
    for value, (gain, offset) in zip(sample.tolist(), GAINS.values(), strict=True):
        bits = bits << 12 | round((value * gain + offset) / 100) & 0xFFF
    return f"{bits << 12:012X}"


def geneactiv(samples: NDArray[np.float32], **how: Any) -> bytes:
    pages = geneactiv_pages(samples, **how)
    return (geneactiv_header(len(pages)) + "".join(pages)).encode()


# ActiGraph

ACTIVITY, BATTERY, EVENT, METADATA, PARAMETERS, ACTIVITY2 = 0, 2, 3, 6, 21, 26


def ticks(moment: datetime) -> int:
    return (moment - _YEAR_1) // timedelta(microseconds=1) * 10


def info_txt(
    *, rate_hz: int = 30, serial: str = "TAS1E00000001", start: datetime = START, **more: str
) -> str:
    values = {
        "Serial Number": serial,
        "Device Type": "Link",
        "Firmware": "1.7.2",
        "Battery Voltage": "4.09",
        "Sample Rate": str(rate_hz),
        "Start Date": str(ticks(start)),
        "Stop Date": str(ticks(start) + 10**10),
        "TimeZone": "-05:00:00",
        "Limb": "Wrist",
        "Side": "Right",
        "Subject Name": "A",
    }
    return "".join(f"{name}: {value}\r\n" for name, value in (values | more).items())


def seconds_1970(moment: datetime) -> int:
    return int((moment - _1970).total_seconds())


def log_record(kind: int, second: int, payload: bytes) -> bytes:
    text = struct.pack("<BBIH", 0x1E, kind, second, len(payload)) + payload
    checksum = 0
    for byte in text:
        checksum ^= byte
    return text + bytes([~checksum & 0xFF])


def parameters(rate_hz: int = 30, scale: float = 256.0, *, sleep_mode: bool = False) -> bytes:
    exponent = math.floor(math.log2(scale)) + 1
    coded = int(scale / 2**exponent * 2**23) | exponent << 24
    pairs = [(0, 6, 2), (0, 55, coded), (1, 2, 0x10 | sleep_mode << 2), (1, 10, rate_hz)]
    return b"".join(struct.pack("<HHI", *pair) for pair in pairs)


def packed_12_bits(samples: NDArray[np.float32], scale: float) -> bytes:
    """Return samples as 12-bit values in the order y, x, z, the first bit first."""
    values = np.rint(samples[:, [1, 0, 2]] * scale).astype(int).reshape(-1) & 0xFFF
    bits = "".join(f"{value:012b}" for value in values.tolist())
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))


def plain_16_bits(samples: NDArray[np.float32], scale: float) -> bytes:
    return np.rint(samples * scale).astype("<i2").tobytes()


def activity(
    samples: NDArray[np.float32],
    *,
    start: datetime = START,
    rate_hz: int = 30,
    scale: float = 256.0,
    kind: int = ACTIVITY2,
) -> list[bytes]:
    """Return a record for each second of samples."""
    pack = plain_16_bits if kind == ACTIVITY2 else packed_12_bits
    first = seconds_1970(start)
    return [
        log_record(kind, first + number, pack(samples[at : at + rate_hz], scale))
        for number, at in enumerate(range(0, len(samples), rate_hz))
    ]


def gt3x(records: Iterable[bytes], info: str | None = None, **members: bytes) -> bytes:
    return zipped({"info.txt": (info or info_txt()).encode(), "log.bin": b"".join(records)} | members)


def zipped(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return content.getvalue()
