"""The log of an ActiGraph device: records with a kind, a second, a payload and a checksum.

Laid out as the maker publishes it (``GT3X-File-Format``). Zeros between records are allowed; after a damaged
record, the next that is whole is looked for.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ACTIVITY, PARAMETERS, ACTIVITY2 = 0, 21, 26
RECORD = np.dtype(
    [("kind", np.uint8), ("stamp", np.int64), ("first", np.intp), ("size", np.intp), ("n_damaged", np.intp)]
)
"""A record: its kind, its second since 1970, where its payload begins, the payload's bytes, and how many
damaged places lie before it in the log."""

_SEPARATOR, _HEAD = 0x1E, struct.Struct("<BIH")
_HEAD_BYTES, _TAIL_BYTES = 8, 1
_FILLED = re.compile(rb"[^\0]")
_HIGHEST_KIND = 31
_LONGEST_PAUSE_S = 60 * 24 * 3600


@dataclass
class Records:
    """The records of a log as they are read.

    Attributes
    ----------
    n_damaged : int
        Places where something else than a whole record is.
    n_tried : int
        Bytes that look like the beginning of a record and are none.
    most_tried : int
        With more of them, the search ends.
    """

    n_damaged: int = 0
    n_tried: int = 0
    most_tried: int = 2**62
    _stamp: int | None = None
    _lost: bool = False

    def read(self, chunks: Iterator[bytes]) -> Iterator[tuple[bytes, NDArray[Any]]]:
        """Yield parts of the log, each with a table of its whole records (k,) of `RECORD`."""
        rest = b""
        for chunk in chunks:
            data = rest + chunk
            rows, at = self._scan(data, is_last=False)
            yield data, np.array(rows, RECORD)
            rest = data[at:]
        rows, _ = self._scan(rest, is_last=True)
        yield rest, np.array(rows, RECORD)

    def _scan(self, data: bytes, *, is_last: bool) -> tuple[list[tuple[int, ...]], int]:
        """Return the rows of the whole records, and where the first begins that may go on after `data`."""
        xors = b"\0" + np.bitwise_xor.accumulate(np.frombuffer(data, np.uint8)).tobytes() if data else b"\0"
        rows: list[tuple[int, ...]] = []
        at, n_bytes = 0, len(data)
        while at < n_bytes and self.n_tried <= self.most_tried:
            if data[at] == 0:
                filled = _FILLED.search(data, at)
                at = filled.start() if filled else n_bytes
                continue
            end = n_bytes + 1
            if data[at] == _SEPARATOR:
                if at + _HEAD_BYTES <= n_bytes:
                    kind, stamp, size = _HEAD.unpack_from(data, at + 1)
                    end = at + _HEAD_BYTES + size + _TAIL_BYTES
                if end > n_bytes and not is_last:
                    break
                # A record and its checksum have an odd number of ones in every bit.
                if end <= n_bytes and xors[end] ^ xors[at] == 0xFF and self._fits(kind, stamp):
                    rows.append((kind, stamp, at + _HEAD_BYTES, size, self.n_damaged))
                    self._stamp, self._lost, at = stamp, False, end
                    continue
            self.n_damaged += not self._lost
            self.n_tried += 1
            self._lost = True
            at = data.find(_SEPARATOR, at + 1)
            at = n_bytes if at < 0 else at
        return rows, at

    def _fits(self, kind: int, stamp: int) -> bool:
        """Whether what has the checksum of a record can be one, where damage may have made it look so."""
        if not self._lost:
            return True
        near = self._stamp is None or 0 <= stamp - self._stamp <= _LONGEST_PAUSE_S
        return kind <= _HIGHEST_KIND and near


def record(kind: int, stamp: int, payload: bytes) -> bytes:
    """Return a record of a log."""
    text = bytes([_SEPARATOR]) + _HEAD.pack(kind, stamp, len(payload)) + payload
    return text + bytes([0xFF ^ int(np.bitwise_xor.reduce(np.frombuffer(text, np.uint8)))])
