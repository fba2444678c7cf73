"""Which recordings were meant: files, folders, globs and lists, and a name for each."""

from __future__ import annotations

import csv
import glob
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from patchtst_har.cohort.settings import COHORT_FILE
from patchtst_har.data.formats import known_suffixes, not_read, recording_suffix
from patchtst_har.errors import DataError
from patchtst_har.records.prediction import SourceState
from patchtst_har.support.documents import read_text
from patchtst_har.support.formatting import listed
from patchtst_har.support.names import printable

MOST_LIST_BYTES = 256 * 2**20

_OUTPUTS = ("_labels", "_windows", "_daily", "_bouts")
_WILD = "*?["
_END_BYTES = 2**16


@dataclass(frozen=True)
class Source:
    """A recording and what it is called.

    Attributes
    ----------
    path : pathlib.Path
        Absolute, so that every worker finds it.
    name : str
        Unique in a cohort; ``/`` separates folders, as in ``site1/P01``.
    """

    path: Path
    name: str


def find_sources(recordings: Iterable[str | os.PathLike[str]], list_file: Path | None = None) -> list[Source]:
    """Return the recordings that files, folders, globs and a list name, sorted by name.

    A file in a folder, or found by a glob, is named after its path below that folder, or below the glob's
    part without wildcards; any other after itself. The names never depend on which other recordings there
    are.

    Parameters
    ----------
    recordings : iterable of path-like
        Files; folders, searched with all folders in them; or globs, of which ``**`` means any folders.
    list_file : pathlib.Path, optional
        Text with one path per line, or CSV with the columns ``path`` and, optionally, ``name``; paths are
        relative to its folder. Lines that begin with ``#`` are passed over.

    Raises
    ------
    DataError
        If a folder holds no recording, nothing matches a glob, the list is malformed, or two files would get
        the same name.
    OSError
        If a folder or the list cannot be read.
    """
    found: dict[Path, Source] = {}
    for source in _all(recordings, list_file):
        found.setdefault(source.path, source)
    if not found:
        raise DataError("no recording is named: give files, folders, globs or --list")
    _refuse_clashes(found.values())
    return sorted(found.values(), key=lambda source: source.name)


def source_state(path: Path) -> SourceState:
    """Return by what a file is recognised: size, time of the last change, both ends.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        status = path.stat()
        digest = hashlib.sha256(file.read(_END_BYTES))
        file.seek(max(0, status.st_size - _END_BYTES))
        digest.update(file.read(_END_BYTES))
    return SourceState(size=status.st_size, mtime_ns=status.st_mtime_ns, ends=digest.hexdigest())


def is_single_file(recordings: Sequence[str | os.PathLike[str]]) -> bool:
    """Whether exactly one argument is given, which is neither a folder nor a glob."""
    return len(recordings) == 1 and not Path(recordings[0]).is_dir() and not _is_glob(recordings[0])


def shard_of(sources: Sequence[Source], shard: tuple[int, int] | None) -> list[Source]:
    """Return every n-th source, beginning with the i-th, for a shard (i, n); i counts from 1."""
    if shard is None:
        return list(sources)
    number, total = shard
    return list(sources[number - 1 :: total])


def parse_shard(text: str) -> tuple[int, int]:
    """Return (i, n) of a text such as ``3/10``.

    Raises
    ------
    DataError
        If it is not of this form, or i is not one of 1 to n.
    """
    first, slash, second = text.partition("/")
    if slash and first.isascii() and first.isdigit() and second.isascii() and second.isdigit():
        number, total = int(first), int(second)
        if 1 <= number <= total:
            return number, total
    raise DataError(f"--shard must be like 3/10, the third of ten, from 1/10 to 10/10; is {text!r}")


def _all(recordings: Iterable[str | os.PathLike[str]], list_file: Path | None) -> Iterator[Source]:
    for argument in recordings:
        path = Path(argument)
        if path.is_dir():
            yield from _below(path)
        elif _is_glob(argument):
            yield from _matching(os.fspath(argument))
        else:
            yield _named(path, path.name)
    if list_file is not None:
        yield from _listed(list_file)


def _below(folder: Path) -> list[Source]:
    files = list(_files_below(folder))
    found = [_named(path, path.relative_to(folder)) for path in files if _is_recording(path)]
    if not found:
        others = not_read(files)
        holds = f"; it holds {others}" if others else ""
        raise DataError(f"{folder}: holds no recordings ({', '.join(known_suffixes())}){holds}")
    return found


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and of those in it, once each, in the order of their names.

    Passed over are what begins with a dot, and folders into which recordings were labelled.
    """
    seen = set()
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        status = here.stat()
        # Links may lead to a folder above.
        if (status.st_dev, status.st_ino) in seen or (here / COHORT_FILE).exists():
            continue
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(here) as entries:
            shown = sorted((entry for entry in entries if not entry.name.startswith(".")), key=_name)
        waiting += [here / entry.name for entry in reversed(shown) if entry.is_dir()]
        yield from (here / entry.name for entry in shown if not entry.is_dir())


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _is_recording(path: Path) -> bool:
    return recording_suffix(path) is not None and not _is_output(path)


def _is_output(path: Path) -> bool:
    """Whether a file is one that labelling a recording left next to its summary."""
    stem = _without_suffix(path.name)
    ending = next((end for end in _OUTPUTS if stem.endswith(end)), None)
    return ending is not None and path.with_name(f"{stem.removesuffix(ending)}_summary.json").exists()


def _is_glob(argument: str | os.PathLike[str]) -> bool:
    text = os.fspath(argument)
    return any(character in text for character in _WILD) and not os.path.lexists(text)


def _matching(pattern: str) -> list[Source]:
    fixed = Path()
    for part in Path(pattern).parts:
        if any(character in part for character in _WILD):
            break
        fixed /= part
    files = [Path(match) for match in sorted(glob.glob(pattern, recursive=True)) if not Path(match).is_dir()]  # noqa: PTH207 - from any folder
    ours = {path: any((above / COHORT_FILE).exists() for above in path.parents) for path in files}
    found = [
        _named(path, path.relative_to(fixed)) for path in files if _is_recording(path) and not ours[path]
    ]
    if not found:
        others = not_read(files)
        raise DataError(f"{pattern}: matches no recording" + (f", but {others}" if others else ""))
    return found


def _named(path: Path, name: str | Path) -> Source:
    relative = PurePosixPath(name)
    return Source(path.absolute(), printable(str(relative.with_name(_without_suffix(relative.name)))))


def _without_suffix(name: str) -> str:
    suffix = recording_suffix(name) or Path(name).suffix
    return name[: len(name) - len(suffix)] or name


def _listed(list_file: Path) -> list[Source]:
    text = read_text(list_file, MOST_LIST_BYTES)
    lines = [
        (number, line)
        for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        raise DataError(f"{list_file}: lists no recording")
    for delimiter in ",;\t":
        head = [cell.lower() for cell in _cells(lines[0][1], delimiter)]
        if "path" in head:
            return [_row(list_file, number, _cells(line, delimiter), head) for number, line in lines[1:]]
    return [_named(list_file.parent / line.strip(), Path(line.strip()).name) for _, line in lines]


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]


def _row(list_file: Path, number: int, cells: Sequence[str], head: Sequence[str]) -> Source:
    place = f"{list_file}: line {number}"
    if len(cells) != len(head):
        raise DataError(f"{place}: has {len(cells)} columns, the header {len(head)}")
    row = dict(zip(head, cells, strict=True))
    if not row["path"]:
        raise DataError(f"{place}: column path is empty")
    path = list_file.parent / row["path"]
    name = row.get("name")
    if not name:
        return _named(path, path.name)
    if name.startswith("/") or any(part in ("", ".", "..") for part in name.split("/")):
        raise DataError(f"{place}: column name: {name!r} must be a name such as P01 or site1/P01")
    return Source(path.absolute(), name)


def _refuse_clashes(sources: Iterable[Source]) -> None:
    by_name: dict[str, list[Path]] = {}
    for source in sources:
        by_name.setdefault(source.name, []).append(source.path)
    clashes = {name: paths for name, paths in by_name.items() if len(paths) > 1}
    if not clashes:
        return
    texts = (f"{' and '.join(map(str, paths[:3]))} (both {name})" for name, paths in clashes.items())
    raise DataError(
        f"several recordings would get the same name: {listed(texts, most=3, width=400)}; give the folder "
        "above them, a glob for one kind of file such as 'FOLDER/**/*.cwa', or a list with a column name"
    )
