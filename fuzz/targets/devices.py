"""Files of devices: whole ones with odd fields, whose checksums fit, and bytes as they are."""

from __future__ import annotations

import gzip
import struct
from datetime import timedelta
from functools import cache

from device_writers import (
    ACTIVITY,
    BATTERY,
    EVENT,
    PARAMETERS,
    START,
    activity,
    cwa_blocks,
    cwa_header,
    geneactiv_header,
    geneactiv_pages,
    gt3x,
    info_txt,
    log_record,
    on_geneactiv_grid,
    packed_12_bits,
    parameters,
    sealed,
    seconds_1970,
    walk,
    zipped,
)
from fuzz.choices import Choices, as_it_is, by_choice, changed_bytes, changed_list, two_ways
from fuzz.frame import Target, file_of
from fuzz.targets.recordings import use_recording

# From the layout that the maker publishes.
_CWA_FIELDS = (
    (0, "H"), (2, "H"), (4, "H"), (6, "I"), (10, "I"), (14, "I"), (18, "H"), (24, "B"), (25, "B"), (26, "h"),
    (28, "H"), (30, "I"), (34, "H"),
)  # fmt: skip
_PACKINGS = (0x32, 0x30, 0x62)


@cache
def _cwa_parts(packing: int) -> list[bytes]:
    hardware = 0x64 if packing == 0x62 else 0x17
    return [cwa_header(hardware), *cwa_blocks(walk(400), packing=packing)]


def _set_field(block: bytes, choices: Choices) -> bytes:
    at, form = choices.one_of(_CWA_FIELDS)
    size = struct.calcsize(f"<{form}")
    value = (choices.whole() & (256**size - 1)).to_bytes(size, "little")
    return block[:at] + value + block[at + size :]


def cwa_of(choices: Choices) -> bytes:
    """Return an Axivity file: a valid one with changes, and checksums that fit unless one is spoilt."""
    header, *blocks = _cwa_parts(choices.one_of(_PACKINGS))
    if choices.below(4) == 3:
        header = changed_bytes(header, choices)
    for _ in range(choices.below(8)):
        at = choices.below(len(blocks))
        changed = _set_field(blocks[at], choices) if choices.below(4) else changed_bytes(blocks[at], choices)
        blocks[at] = sealed(changed.ljust(512, b"\0")[:512]) if choices.below(8) < 7 else changed
    return header + b"".join(changed_list(blocks, choices))


@cache
def _geneactiv_parts(line_end: str) -> tuple[list[str], list[list[str]]]:
    samples = on_geneactiv_grid(walk(700))
    pages = geneactiv_pages(samples, line_end=line_end)
    header = geneactiv_header(len(pages), line_end=line_end)
    return header.split(line_end), [page.split(line_end) for page in pages]


def _changed_lines(lines: list[str], choices: Choices) -> list[str]:
    lines = list(lines)
    for _ in range(choices.below(5)):
        if not lines:
            break
        at = choices.below(len(lines))
        name, colon, value = lines[at].partition(":")
        kind = choices.below(5)
        if kind == 0 and colon:
            lines[at] = f"{name}:{choices.text()}"
        elif kind == 1 and colon:
            lines[at] = f"{name}:{choices.number()}"
        elif kind == 2:
            lines[at] = changed_bytes(lines[at].encode("latin-1", "replace"), choices).decode("latin-1")
        elif kind == 3:
            lines[at] = name + value
        else:
            lines[at] = choices.text()
    return changed_list(lines, choices) if choices.below(4) == 3 else lines


def geneactiv_of(choices: Choices) -> bytes:
    """Return a GENEActiv file: a valid one with lines changed, left out or repeated."""
    line_end = choices.one_of(("\r\n", "\n"))
    header, pages = _geneactiv_parts(line_end)
    header = _changed_lines(header, choices)
    for _ in range(choices.below(5)):
        at = choices.below(len(pages))
        pages = [*pages[:at], _changed_lines(pages[at], choices), *pages[at + 1 :]]
    text = line_end.join([*header, *(line for page in changed_list(pages, choices) for line in page)])
    return text.encode("utf-8", "replace")


@cache
def _log_parts() -> list[tuple[int, int, bytes]]:
    first = seconds_1970(START)
    records = [(PARAMETERS, first, parameters(sleep_mode=True)), (BATTERY, first, b"\x10\x10")]
    for record in [
        *activity(walk(150)),
        *activity(walk(90), kind=ACTIVITY, start=START + timedelta(seconds=5)),
    ]:
        kind, second, size = struct.unpack_from("<BIH", record, 1)
        records.append((kind, second, record[8 : 8 + size]))
    return [*records, (EVENT, first + 9, b"\x08")]


def _changed_record(record: tuple[int, int, bytes], choices: Choices) -> tuple[int, int, bytes]:
    kind, second, payload = record
    what = choices.below(4)
    if what == 0:
        kind = choices.below(256) if choices.flag() else choices.one_of((0, 2, 3, 6, 21, 26))
    elif what == 1:
        second = (choices.whole() if choices.flag() else second + choices.whole()) & (2**32 - 1)
    elif what == 2 and kind == PARAMETERS:
        pair = struct.pack("<HHI", choices.below(3), choices.below(64), choices.whole() & (2**32 - 1))
        payload = payload + pair if choices.flag() else pair
    else:
        payload = changed_bytes(payload, choices)[: 2**16 - 1]
    return kind, second, payload


def gt3x_of(choices: Choices) -> bytes:
    """Return an ActiGraph file, of new or old firmware: records with checksums that fit, and odd contents."""
    kind = choices.below(4)
    changes = {name: choices.text() for name in ("Start Date", "Sample Rate") if choices.below(6) == 5}
    if choices.below(3) == 2:
        names = ("Serial Number", "Acceleration Scale", "Last Sample Time", "TimeZone", "Stop Date")
        changes[choices.one_of(names)] = choices.text() if choices.flag() else str(choices.whole())
    info = info_txt(serial="NEO1" if kind == 3 else "TAS1E00000001", **changes)
    records = list(_log_parts())
    for _ in range(choices.below(6)):
        at = choices.below(len(records))
        records[at] = _changed_record(records[at], choices)
    log = [log_record(*record) for record in changed_list(records, choices)]
    if kind == 3:
        packed = changed_bytes(packed_12_bits(walk(200), 341), choices)
        return zipped({"info.txt": info.encode(), "activity.bin": packed})
    if choices.below(5) == 4:
        log = [changed_bytes(b"".join(log), choices)]
    archive = gt3x(log, info)
    return changed_bytes(archive, choices) if choices.below(8) == 7 else archive


def _target(name: str, suffix: str, of: object) -> Target:
    def run(data: bytes) -> None:
        content, choices = two_ways(data)
        if content is None:
            content = of(choices)  # type: ignore[operator]
        # Gzip files have a checksum, too.
        packed = choices.below(8) == 7
        if packed:
            content = gzip.compress(content, 1)
        use_recording(file_of(f"recording{suffix}.gz" if packed else f"recording{suffix}", content))

    def seeds() -> list[bytes]:
        return [b"\1", *as_it_is(of(Choices(b""))), *by_choice(12)[1:]]  # type: ignore[operator]

    return Target(name, seeds, run)


TARGETS = {
    "cwa": _target("Axivity's .cwa", ".cwa", cwa_of),
    "geneactiv": _target("GENEActiv's .bin", ".bin", geneactiv_of),
    "gt3x": _target("ActiGraph's .gt3x", ".gt3x", gt3x_of),
}
