"""The table of all benchmarks: one line each, percentiles for CPU and CUDA side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COLUMNS = ("p50_us", "p95_us", "p99_us")
PARTS = ("statistics", "plugins", "topology", "attention", "model", "hmm", "end to end", "stream")
_DEVICES = ("cpu", "cuda")
_KEPT = {*COLUMNS, "device", "per_round", "speed_us", "interrupted_share"}


@dataclass
class Line:
    """A benchmark: what was measured on each device (None: not yet), by device."""

    part: str
    name: str
    results: dict[str, Mapping[str, Any] | None] = field(default_factory=dict)

    def cells(self, *, has_cuda: bool) -> list[str]:
        """Return six cells: p50, p95, p99 on the CPU and with CUDA.

        ``-``: there is no such benchmark; ``no device``: there is one and no GPU; ``n/a``: too few rounds.
        """
        cells = []
        for device in _DEVICES:
            found = self.results.get(device)
            if found is not None and COLUMNS[0] in found:
                cells += [_number(found[column]) for column in COLUMNS]
            elif device not in self.results:
                cells += ["-"] * 3
            else:
                cells += ["no device" if device == "cuda" and not has_cuda else "not run", "", ""]
        return cells

    def notes(self) -> str:
        """Return what else the benchmark put into `extra_info`."""
        entries = [entry for found in self.results.values() if found for entry in found.items()]
        return ", ".join(f"{name} {value}" for name, value in entries if name not in _KEPT)


def table_lines(lines: Iterable[Line], *, has_cuda: bool) -> list[str]:
    """Return the lines of text, part by part."""
    lines = sorted(lines, key=lambda line: place_of(line.part))
    width = max([len(line.name) for line in lines], default=0) + 2
    headings = [f"{device} {column[:3]}" for device in ("CPU", "CUDA") for column in COLUMNS]
    text = [" " * width + _row(headings)]
    part = None
    for line in lines:
        if line.part != part:
            part = line.part
            text.append(part)
        notes = line.notes()
        text.append(f"  {line.name:<{width - 2}}{_row(line.cells(has_cuda=has_cuda))}  {notes}".rstrip())
    return text


def without_device(name: str, device: str) -> tuple[str, str]:
    """Return part and name of a benchmark's line: the same for its CPU and its CUDA variant."""
    file, _, own = name.rpartition("::")
    base, _, ids = own.removeprefix("test_").partition("[")
    others = [one for one in ids.removesuffix("]").split("-") if one and one != device]
    part = Path(file).stem.removeprefix("bench_").replace("_", " ")
    return part, f"{base}[{'-'.join(others)}]" if others else base


def place_of(part: str) -> tuple[int, str]:
    """Return where a part of the package stands in tables: in the order of the pipeline."""
    return (PARTS.index(part) if part in PARTS else len(PARTS), part)


def _row(cells: Iterable[str]) -> str:
    return "".join(f"{cell:>12}" for cell in cells)


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:,.2f}"
