"""What the readers of device files share: opening them, decoding samples with actfast, blocks with stamps.

Each reader finds the blocks of a file itself, leaves out the damaged ones and gives the samples their times.
actfast decodes the samples of blocks that are whole, some megabytes at a time: it trusts what a file
declares, ends the process where that exceeds the memory, and holds every sample twice.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from patchtst_har.data.batches import block_times
from patchtst_har.data.frames import make_frame
from patchtst_har.data.options import MAX_SAMPLES, Found, ReadOptions
from patchtst_har.data.stamps import TimeUnit
from patchtst_har.errors import DataError
from patchtst_har.support.formatting import counted, size
from patchtst_har.support.long_arrays import GrowingArray
from patchtst_har.support.long_arrays import blocks as parts_of

CHUNK = 2**22
"""Bytes of a file that are read and decoded at a time."""

MOST_RATIO = 200
SMALL = 2**24
"""Archives that expand more than `MOST_RATIO`-fold, and to more than `SMALL` bytes, are refused."""

MOST_DAMAGED = 200_000
"""A file with more damaged places is not looked through: it is no recording, or none that is worth it."""

_OFF_SAMPLES = 2
_BLOCKS_AT_A_TIME = 2**12


def refuse_options(path: Path, time_unit: TimeUnit | None, options: ReadOptions) -> None:
    """Refuse what cannot be said about a device file: all of it stands in the file."""
    kind = "files of devices, which say it themselves"
    if time_unit is not None:
        raise DataError(f"{path}: time_unit does not apply to {kind}")
    names = ("columns", "delimiter", "decimal", "skip_rows", "time_format", "start", "rate_hz")
    options.refuse(path, *names, kind=kind)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a device file, plain or gzipped, and name it in the errors of reading."""
    try:
        if path.suffix.lower() == ".gz":
            with gzip.open(path) as packed:
                yield cast(BinaryIO, packed)
        else:
            with path.open("rb") as file:
                yield file
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: truncated or damaged gzip file ({error})") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def chunks(file: BinaryIO, path: Path, n_bytes: int = CHUNK) -> Iterator[bytes]:
    """Yield what follows in a file, in blocks; refuse a gzip file that expands beyond measure."""
    most = max(SMALL, MOST_RATIO * path.stat().st_size)
    n_read = 0
    while block := file.read(n_bytes):
        n_read += len(block)
        if n_read > most:
            raise DataError(f"{path}: {size(path.stat().st_size)} expand to more than {size(most)}")
        yield block


def check_damaged(n_damaged: int, path: Path) -> None:
    """Refuse a file that is damaged in more places than are looked at."""
    if n_damaged > MOST_DAMAGED:
        raise DataError(f"{path}: is damaged in more than {MOST_DAMAGED:,} places")


def refuse_content(path: Path, begins: bytes, device: str) -> DataError:
    """Return the error for a file whose content is not what its name says."""
    kinds = {
        b"MD": "Axivity's .cwa",
        b"Device Identity": "GENEActiv's .bin",
        b"PK\x03\x04": "a zip archive, as ActiGraph's .gt3x",
        b"\x1f\x8b": "gzip: name it .gz",
    }
    kind = next((name for start, name in kinds.items() if begins.startswith(start)), None)
    if not begins:
        return DataError(f"{path}: the file is empty")
    looks = f"it looks like {kind}" if kind else f"it begins with {begins[:8]!r}"
    return DataError(f"{path}: not a file of {device}; {looks}")


def decode(content: bytes, table: str, n_samples: int, path: Path) -> NDArray[np.float32]:
    """Return the acceleration (n_samples, 3) of a device file that is whole, as actfast decodes it, in g."""
    import actfast

    try:
        with _file_of(content) as file:
            acceleration = actfast.read(file)["timeseries"][table]["acceleration"]
    except (MemoryError, KeyboardInterrupt):
        raise
    # A panic of Rust is no Exception.
    except BaseException as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: actfast {version('actfast')} cannot decode it ({reason})") from error
    if not n_samples and not acceleration.size:
        return np.empty((0, 3), np.float32)
    if acceleration.shape != (n_samples, 3):
        raise DataError(f"{path}: actfast decodes {acceleration.shape} where {n_samples} samples are")
    return acceleration


@contextmanager
def _file_of(content: bytes) -> Iterator[str]:
    """Yield the path that actfast wants; the file lies in memory where the system has such (Linux)."""
    if not hasattr(os, "memfd_create"):
        with TemporaryDirectory(prefix="patchtst-har") as folder:
            file = Path(folder) / "blocks"
            file.write_bytes(content)
            yield str(file)
        return
    descriptor = os.memfd_create("patchtst-har")
    try:
        with open(descriptor, "wb", closefd=False) as memory:
            memory.write(content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


@dataclass(eq=False)
class Samples:
    """The samples of a recording as they are decoded."""

    path: Path
    acceleration: GrowingArray = field(default_factory=GrowingArray)

    def append(self, acceleration: NDArray[np.float32]) -> None:
        """Add samples (n, 3)."""
        self.acceleration.append(acceleration)
        if self.acceleration.n_rows > MAX_SAMPLES:
            raise DataError(f"{self.path}: has more than the {MAX_SAMPLES:,} samples that are read")


BLOCK = np.dtype(
    [
        ("count", np.intp),
        ("start_ns", np.int64),
        ("period_ns", np.float64),
        ("sequence", np.int64),
        ("session", np.int64),
        ("content", np.int64),
    ]
)
"""A block of samples: how many, the time of the first, the time between samples at the rate that is set, its
number, the number of its session, and a checksum."""


def recording_of_blocks(
    samples: Samples, blocks: NDArray[Any], n_damaged: int, noun: str, *, off_rate: float = 0.02
) -> tuple[pd.DataFrame, Found]:
    """Return the recording that blocks of samples make up; see `BLOCK`.

    Blocks that were left out as damaged, and blocks that the numbering shows to be missing, are gaps in time.
    A block that is there twice counts once; blocks that lie in the wrong place, as time and numbers agree,
    are moved. If only time goes back, the clock was wrong: that is left to the check of the order of time.

    Parameters
    ----------
    samples : Samples
        In the order of the blocks.
    blocks : (k,) array of BLOCK
        In the order of the file.
    n_damaged : int
        Blocks that were left out.
    noun : str
        What the device calls a block.
    off_rate : float
        By which part a device may be off the rate that it is set to.
    """
    path = samples.path
    if not len(blocks):
        if n_damaged:
            raise DataError(f"{path}: none of its {counted(n_damaged, noun, noun + 's')} is whole")
        raise DataError(f"{path}: has no samples")
    facts = {f"n_{noun}s": len(blocks) + n_damaged, f"n_damaged_{noun}s": n_damaged}
    acceleration = samples.acceleration.whole()
    kept = None if _in_order(blocks) else _kept(blocks)
    facts[f"n_duplicate_{noun}s"] = 0 if kept is None else len(blocks) - len(kept)
    facts[f"n_moved_{noun}s"] = 0 if kept is None else int(np.count_nonzero(np.diff(kept) < 0))
    if kept is not None and (len(kept) < len(blocks) or facts[f"n_moved_{noun}s"]):
        acceleration = _samples_of(acceleration, blocks, kept)
        blocks = blocks[kept]
    time_ns = _times(blocks, off_rate)

    def place(row: int) -> str:
        block = np.searchsorted(np.cumsum(blocks["count"]), row, side="right")
        return f"{noun} {int(blocks['sequence'][block])}"

    return make_frame(time_ns, acceleration), Found(facts, _warnings(path, facts, noun), place)


def _samples_of(
    acceleration: NDArray[np.float32], blocks: NDArray[Any], kept: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Return the samples of the blocks that are kept."""
    edges, result = np.append(0, np.cumsum(blocks["count"])), GrowingArray(acceleration)
    breaks = (np.flatnonzero(np.diff(kept) != 1) + 1).tolist()
    for begin, end in pairwise([0, *breaks, len(kept)]):
        samples = acceleration[edges[kept[begin]] : edges[kept[end - 1] + 1]]
        for rows in parts_of(len(samples), samples):
            result.append(samples[rows])
    return result.whole()


def _times(blocks: NDArray[Any], off_rate: float) -> NDArray[np.int64]:
    """Return the times of all samples."""
    times_ns = GrowingArray()
    for part in parts_of(len(blocks), blocks, n_block=_BLOCKS_AT_A_TIME):
        # What a block's times depend on: the one before, whose end depends on the one before that.
        n_before = min(part.start, 2)
        own = blocks[part.start - n_before : part.stop]
        made = block_times(own["count"], own["start_ns"], own["period_ns"], _joined(own, off_rate))
        times_ns.append(made[own["count"][:n_before].sum() :])
    return times_ns.whole()


def _joined(blocks: NDArray[Any], off_rate: float) -> NDArray[np.bool_]:
    """Return whether nothing is missing between each block and the next (k - 1,)."""
    expected_ns = blocks["count"] * blocks["period_ns"]
    excess_ns = np.diff(blocks["start_ns"]) - expected_ns[:-1]
    limit_ns = (off_rate * expected_ns + _OFF_SAMPLES * blocks["period_ns"])[:-1]
    joined: NDArray[np.bool_] = (np.abs(excess_ns) <= limit_ns) & (np.diff(blocks["sequence"]) == 1)
    joined &= (np.diff(blocks["session"]) == 0) & (np.diff(blocks["period_ns"]) == 0)
    return joined


def _in_order(blocks: NDArray[Any]) -> bool:
    """Whether the blocks are as a device writes them, so that `_kept` keeps all."""
    return all(
        (own["session"] == blocks["session"][0]).all()
        and (np.diff(own["sequence"]) > 0).all()
        and (np.diff(own["start_ns"]) >= 0).all()
        for rows in parts_of(len(blocks), blocks)
        for own in [blocks[max(rows.start - 1, 0) : rows.stop]]
    )


def _kept(blocks: NDArray[Any]) -> NDArray[np.intp]:
    """Return which blocks are kept, in the order of time if they are only stored in another one."""
    same = np.unique(blocks[["session", "sequence", "start_ns", "content"]], return_index=True)[1]
    kept: NDArray[np.intp] = np.sort(same)
    order = kept[np.argsort(blocks["start_ns"][kept], kind="stable")]
    in_time = blocks[order]
    if (np.diff(in_time["session"]) == 0).all() and (np.diff(in_time["sequence"]) > 0).all():
        return order
    return kept


def _warnings(path: Path, facts: dict[str, int], noun: str) -> list[str]:
    of_all = f"of {facts[f'n_{noun}s']:,} {noun}s"
    texts = {
        f"n_damaged_{noun}s": "damaged and left out: gaps in time",
        f"n_duplicate_{noun}s": "there twice, dropped the second time",
        f"n_moved_{noun}s": "out of order, moved to their place in time",
    }
    return [f"{path}: {facts[name]:,} {of_all} {text}" for name, text in texts.items() if facts[name]]


def device_facts(maker: str, model: str | None, serial: str, **more: Any) -> dict[str, Any]:
    """Return what is known about the device, for ``info["reading"]``; what is None is left out."""
    facts = {
        "maker": maker,
        "model": model,
        "serial": serial,
        **more,
        "library": f"actfast {version('actfast')}",
    }
    return {"device": {name: value for name, value in facts.items() if value is not None}}
