"""The text of a CSV file, block by block and in bounded memory: what a table reader may be given.

Comment lines become blank ones, so that line numbers stay true, and a last line that was cut off is left
out. Lines of absurd length, floods of blank lines and archives that expand beyond measure are refused when
they are met, before they cost memory or time.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from patchtst_har.errors import DataError
from patchtst_har.support.formatting import size

_MAX_LINE = 2**20
_BLOCK = 2**18
_MIN_MEAN_LINE = 4
_SAMPLE = 2**12
_MAX_RATIO = 200
_SMALL = 2**24


def open_text(path: Path) -> IO[str]:
    """Open a CSV file, plain or gzipped, as UTF-8 text with the line ends that it has."""
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


class CsvText:
    """A text file that is read from some line on; it has what pandas and `csv.reader` need of a file.

    Parameters
    ----------
    path : pathlib.Path
        The file, plain or gzipped.
    skip_lines : int
        Lines to leave out at the beginning.
    is_cut : callable, optional
        Says of a last line without a line end, and the line before it, whether it was cut off.

    Attributes
    ----------
    cut_line : int or None
        Number of the last line, from 1, if it was left out; known when all is read.

    Raises
    ------
    DataError
        While reading: if a line is longer than 2**20 characters, a block is blank lines almost alone, or a
        gzip file expands more than 200-fold.
    """

    def __init__(
        self, path: Path, skip_lines: int = 0, is_cut: Callable[[str, str], bool] | None = None
    ) -> None:
        self.cut_line: int | None = None
        self._path, self._is_cut = path, is_cut
        self._most_chars = max(_SMALL, _MAX_RATIO * path.stat().st_size)
        self._n_chars = 0
        self._rest = self._before = ""
        self._in_quotes = self._ended = False
        self._lines: Iterator[str] = iter(())
        self._file = open_text(path)
        for _ in range(skip_lines):
            line = self._file.readline(_MAX_LINE + 1)
            if not line:
                break
            self._check(line, len(line))

    def __enter__(self) -> CsvText:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, size: int = _BLOCK) -> str:
        """Return the next lines, about `size` characters of them; "" at the end."""
        while not self._ended:
            if block := self._next(size):
                return block
        return ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """Return the next line, with its end."""
        line = next(self._lines, "")
        while not line:
            block = self.read()
            if not block:
                raise StopIteration
            self._lines = iter(io.StringIO(block, newline=""))
            line = next(self._lines, "")
        return line

    def _next(self, n_chars: int) -> str:
        block = self._file.read(n_chars)
        if not block:
            self._ended = True
            return self._last_line()
        # A carriage return at the end may be the first half of a line end.
        end = max(block.rfind("\n"), block.rfind("\r", 0, -1)) + 1
        if not end:
            self._rest += block
            self._check(block, len(self._rest))
            return ""
        lines, self._rest = self._rest + block[:end], block[end:]
        if len(lines) > _BLOCK // 2 and _is_blank(lines):
            at = self._line_at(self._n_chars + end - len(lines))
            raise DataError(f"{self._path}: nearly all lines from line {at} on are blank")
        self._check(block, len(self._rest))
        self._before = lines
        return self._without_comments(lines)

    def _check(self, block: str, line_length: int) -> None:
        self._n_chars += len(block)
        if line_length > _MAX_LINE:
            at = self._line_at(self._n_chars - line_length)
            raise DataError(f"{self._path}: line {at} is longer than {_MAX_LINE:,} characters")
        if self._n_chars > self._most_chars:
            packed = size(self._path.stat().st_size)
            raise DataError(f"{self._path}: {packed} expand to more than {size(self._most_chars)} of text")

    def _line_at(self, n_chars: int) -> int:
        """Return the number of the line, from 1, that begins after so many characters."""
        n_feeds = n_returns = 0
        with open_text(self._path) as file:
            while n_chars > 0 and (block := file.read(min(n_chars, _BLOCK))):
                n_chars -= len(block)
                n_feeds += block.count("\n")
                n_returns += block.count("\r")
        return (n_feeds or n_returns) + 1

    def _without_comments(self, lines: str) -> str:
        """Return lines with comments made blank; a line that begins within quotes is none."""
        # One character is found much faster than two, and found much faster than counted.
        if "#" not in lines:
            self._in_quotes ^= '"' in lines and lines.count('"') % 2 == 1
            return lines
        kept = []
        for line in io.StringIO(lines, newline=""):
            if line.startswith("#") and not self._in_quotes:
                kept.append(line[len(line.rstrip("\r\n")) :])
            else:
                self._in_quotes ^= line.count('"') % 2 == 1
                kept.append(line)
        return "".join(kept)

    def _last_line(self) -> str:
        """Return what follows the last line end, unless it was cut off."""
        line = self._rest
        if self._is_cut is not None and line.strip() and not line.endswith("\r"):
            before = self._before.rstrip("\r\n")
            before = before[max(before.rfind("\n"), before.rfind("\r")) + 1 :]
            if self._is_cut(line, before):
                self.cut_line = self._line_at(self._n_chars - len(line))
                return ""
        return self._without_comments(line)


def _is_blank(lines: str) -> bool:
    """Whether lines have hardly any characters; counted in full only where the beginning looks like it."""
    ends = "\n" if "\n" in lines else "\r"
    return all(part.count(ends) * _MIN_MEAN_LINE > len(part) for part in (lines[:_SAMPLE], lines))
