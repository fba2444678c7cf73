"""The table of a profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

_PERCENTILES = ("p50", "p95", "p99")
_MIB = 2**20


def table_of(profile: Mapping[str, Any]) -> Table:
    """Return a table in milliseconds and MiB from `ComprehensiveProfiler.to_dict`."""
    device, overhead = profile["device"], profile["overhead"]
    table = Table(
        title="Profile: milliseconds a call, seconds in all, MiB",
        caption=escape(_caption(profile["operations"], device, overhead)),
    )
    table.add_column("operation")
    numbers = (
        "calls",
        "failed",
        *_PERCENTILES,
        "total s",
        "self s",
        "CPU s",
        "RSS change",
        "RSS peak",
        "CUDA peak",
    )
    for name in numbers:
        table.add_column(name, justify="right")
    no_device = "no device" if device["cuda"] == "no device" else "n/a"
    for row in profile["operations"]:
        table.add_row(*_cells(row, no_device))
    return table


def _cells(row: Mapping[str, Any], no_device: str) -> list[str]:
    *outer, name = row["path"].split("/")
    wall = row["wall"] or {}
    cuda = row["cuda_peak_bytes"]
    return [
        escape("  " * len(outer) + name),
        str(row["n_calls"]),
        str(row["n_failed"]),
        *(_number(wall.get(f"{percentile}_us"), 1e3, ".3f") for percentile in _PERCENTILES),
        *(_number(row[key], 1, ".3f") for key in ("total_s", "self_s", "cpu_process_s")),
        _number(row["resident_change_bytes"], _MIB, "+.1f"),
        _number(row["resident_peak_bytes"], _MIB, ".1f"),
        no_device if cuda is None else _number(cuda, _MIB, ".1f"),
    ]


def _number(value: float | None, unit: float, form: str) -> str:
    return "n/a" if value is None else format(value / unit, form)


def _caption(
    operations: list[dict[str, Any]], device: Mapping[str, str], overhead: Mapping[str, float]
) -> str:
    lines = [
        f"CUDA: {device['cuda']}. NVML: {device['nvml']}.",
        f"An empty operation records {overhead['recorded_us']:.1f} µs "
        f"and takes {overhead['whole_us']:.1f} µs.",
    ]
    for row in operations:
        if row["gpu_utilisation_percent"] is not None:
            lines.append(f"{row['path']}: GPU busy {row['gpu_utilisation_percent']} % at most")
        if row["leak"] is not None:
            lines.append(f"{row['path']}: {row['leak']['verdict']}")
    return "\n".join(lines)
