"""What an ELF file says of its hardening: enough of the format for a 64-bit shared library, without tools."""

from __future__ import annotations

import struct
from pathlib import Path

PT_DYNAMIC, PT_GNU_RELRO = 2, 0x6474E552
DT_STRTAB, DT_STRSZ, DT_BIND_NOW, DT_FLAGS, DT_FLAGS_1 = 5, 10, 24, 30, 0x6FFFFFFB
DF_BIND_NOW, DF_1_NOW = 8, 1


class Elf:
    """The segments and the dynamic section of a little-endian 64-bit ELF file.

    Raises
    ------
    ValueError
        If the file is none.
    """

    def __init__(self, path: Path) -> None:
        self._bytes = path.read_bytes()
        if self._bytes[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{path} is not a little-endian 64-bit ELF file")
        (start,) = struct.unpack_from("<Q", self._bytes, 0x20)
        size, count = struct.unpack_from("<HH", self._bytes, 0x36)
        # Of each: type, flags, offset, address, physical address, size in file, size in memory, alignment.
        self._segments = [
            struct.unpack_from("<IIQQQQQQ", self._bytes, start + i * size) for i in range(count)
        ]
        self._dynamic: dict[int, int] = {}
        for kind, _, offset, _, _, length, *_ in self._segments:
            if kind == PT_DYNAMIC:
                entries = struct.iter_unpack("<QQ", self._bytes[offset : offset + length])
                self._dynamic = dict(entries)

    def binds_at_load(self) -> bool:
        """Whether every symbol is bound when the file is loaded (BIND_NOW)."""
        flags, flags_1 = self._dynamic.get(DT_FLAGS, 0), self._dynamic.get(DT_FLAGS_1, 0)
        return DT_BIND_NOW in self._dynamic or bool(flags & DF_BIND_NOW or flags_1 & DF_1_NOW)

    def seals_relocations(self) -> bool:
        """Whether relocated memory becomes read only (RELRO)."""
        return any(segment[0] == PT_GNU_RELRO for segment in self._segments)

    def names(self) -> set[str]:
        """Return the names of dynamic symbols, and of the libraries that are needed."""
        address, size = self._dynamic[DT_STRTAB], self._dynamic[DT_STRSZ]
        for _, _, offset, start, _, length, *_ in self._segments:
            if start <= address < start + length:
                first = offset + address - start
                return {name.decode() for name in self._bytes[first : first + size].split(b"\0")}
        raise ValueError("the table of names lies in no segment")
