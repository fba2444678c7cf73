"""Bytes as a sequence of choices, and what they choose: odd values, and changes to documents and to bytes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, TypeVar

T = TypeVar("T")

_WHOLE = (0, 1, -1, 2, 3, 7, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**31, -(2**31), 2**32 - 1, 2**53 + 1)
_WHOLE += (2**62, 2**63 - 1, -(2**63), 2**63, 2**64 - 1, 10**30)
_REAL = (0.0, -0.0, 0.5, 1.0, -1.0, 1e-9, 5e-324, 1e38, 1e39, -1e308, 1.7976931348623157e308, 50.0, 9.81)
_TEXT = (
    "",
    " ",
    "a",
    "\0",
    "\n",
    "é",
    "\U0001f600",
    "x" * 300,
    "0",
    "-1",
    "1e5",
    "nan",
    "inf",
    "NaT",
    "null",
)
_TEXT += ("../up", "/etc/passwd", "time", "x", "2024-03-04 09:30:00.010", "24:00:00", "=1+1", '"', ",", "1,5")


class Choices:
    """Reads choices from the front of some bytes; where they end, every further choice is the first one."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def raw(self, n_bytes: int) -> bytes:
        """Return the next bytes, at most so many."""
        taken = self._data[self._at : self._at + n_bytes]
        self._at += n_bytes
        return taken

    def rest(self) -> bytes:
        """Return all bytes that are left."""
        return self.raw(len(self._data))

    def below(self, n: int) -> int:
        """Return a whole number from 0 to n - 1."""
        n_bytes = max(1, (max(n - 1, 0).bit_length() + 7) // 8)
        return int.from_bytes(self.raw(n_bytes), "little") % max(n, 1)

    def one_of(self, values: Sequence[T]) -> T:
        """Return one of some values."""
        return values[self.below(len(values))]

    def flag(self) -> bool:
        """Return True or False."""
        return bool(self.below(2))

    def whole(self) -> int:
        """Return a whole number that is odd for a count, or any."""
        if self.flag():
            return self.one_of(_WHOLE)
        return int.from_bytes(self.raw(2), "little", signed=True)

    def text(self) -> str:
        """Return a text that is odd for a name, or any."""
        if self.flag():
            return self.one_of(_TEXT)
        return self.raw(self.below(24)).decode("latin-1")

    def number(self) -> float:
        """Return a real number; infinity and NaN too."""
        return self.one_of((*_REAL, float("inf"), float("-inf"), float("nan"), float(self.whole())))

    def value(self, depth: int = 0) -> Any:
        """Return a value that JSON and YAML can hold."""
        kind = self.below(8 if depth < 3 else 6)
        if kind < 2:
            return self.one_of((None, True, False))
        if kind < 6:
            return (self.whole, self.number, self.text, self.text)[kind - 2]()
        values = [self.value(depth + 1) for _ in range(self.below(4))]
        return values if kind == 6 else {self.text(): value for value in values}


def changed_document(document: Any, choices: Choices) -> Any:
    """Return a copy of a document of mappings, lists and values, with some of it changed."""
    result = {"": copy.deepcopy(document)}
    for _ in range(choices.below(6)):
        holder: Any = result
        key: Any = ""
        while isinstance(holder[key], dict | list) and holder[key] and choices.below(6):
            holder = holder[key]
            key = choices.one_of(sorted(holder, key=str) if isinstance(holder, dict) else range(len(holder)))
        kind = choices.below(6)
        if kind == 0 and holder is not result:
            del holder[key]
        elif kind == 1 and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        elif kind == 2 and isinstance(holder[key], dict):
            holder[key][choices.text()] = choices.value()
        elif kind == 3 and isinstance(holder[key], int | float):
            holder[key] = choices.whole() if choices.flag() else choices.number()
        else:
            holder[key] = choices.value()
    return result[""]


def changed_bytes(content: bytes, choices: Choices, most_changes: int = 8) -> bytes:
    """Return a copy of some bytes with pieces changed, cut out, repeated or exchanged."""
    for _ in range(choices.below(most_changes)):
        first, n = (
            choices.below(len(content) + 1),
            choices.below(1024) if choices.flag() else choices.below(8),
        )
        piece, rest = content[first : first + n], content[first + n :]
        kind = choices.below(6)
        if kind < 3:
            new = choices.raw(max(n if kind else 1, 1))
            content = content[:first] + new + content[first + len(new) :]
        else:
            content = content[:first] + (b"", piece * 2, bytes(n))[kind - 3] + rest
    return content


def changed_list(items: list[T], choices: Choices) -> list[T]:
    """Return a copy of a list with items left out, repeated or exchanged."""
    items = list(items)
    for _ in range(choices.below(4)):
        if not items:
            break
        at, other, kind = choices.below(len(items)), choices.below(len(items)), choices.below(4)
        if kind == 0:
            del items[at]
        elif kind == 1:
            items.insert(at, items[other])
        elif kind == 2:
            items[at], items[other] = items[other], items[at]
        else:
            del items[at:]
    return items


def two_ways(data: bytes) -> tuple[bytes | None, Choices]:
    """Return what an input is: the content of a file as it is, or None and the choices that make one."""
    return (data[1:], Choices(b"")) if data[:1] == b"\0" else (None, Choices(data[1:]))


def as_it_is(*contents: bytes) -> list[bytes]:
    """Return seeds that are contents of files."""
    return [b"\0" + content for content in contents]


def by_choice(n: int) -> list[bytes]:
    """Return seeds that are choices, the first of which changes nothing."""
    import random

    rng = random.Random(0)  # noqa: S311
    return [b"\1", *(b"\1" + rng.randbytes(rng.choice((8, 40, 200))) for _ in range(n - 1))]
