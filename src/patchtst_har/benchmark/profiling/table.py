"""The table of a profile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

_MIB = 2**20


def table_of(profile: Mapping[str, Any]) -> Table:
    """Return a table in milliseconds and MiB from `ComprehensiveProfiler.to_dict`."""
    table = Table(
        title="Profile: milliseconds a call, seconds in all, MiB", caption=escape(_caption(profile))
    )
    table.add_column("operation")
    columns = _columns("no device" if profile["device"]["cuda"] == "no device" else "n/a")
    for title in columns:
        table.add_column(title, justify="right")
    for row in profile["operations"]:
        *outer, name = row["path"].split("/")
        cells = (text_of(row) for text_of in columns.values())
        table.add_row(escape("  " * len(outer) + name), *cells)
    return table


def _columns(no_device: str) -> dict[str, Callable[[Mapping[str, Any]], str]]:
    """Return what stands in each column of an operation, by title."""
    return {
        "calls": lambda row: str(row["n_calls"]),
        "failed": lambda row: str(row["n_failed"]),
        "p50": lambda row: _number((row["wall"] or {}).get("p50_us"), 1e3, ".3f"),
        "p95": lambda row: _number((row["wall"] or {}).get("p95_us"), 1e3, ".3f"),
        "p99": lambda row: _number((row["wall"] or {}).get("p99_us"), 1e3, ".3f"),
        "total s": lambda row: _number(row["total_s"], 1, ".3f"),
        "self s": lambda row: _number(row["self_s"], 1, ".3f"),
        "CPU s": lambda row: _number(row["cpu_process_s"], 1, ".3f"),
        "RSS change": lambda row: _number(row["resident_change_bytes"], _MIB, "+.1f"),
        "RSS peak": lambda row: _number(row["resident_peak_bytes"], _MIB, ".1f"),
        "CUDA peak": lambda row: _number(row["cuda_peak_bytes"], _MIB, ".1f", no_device),
    }


def _number(value: float | None, unit: float, form: str, unknown: str = "n/a") -> str:
    return unknown if value is None else format(value / unit, form)


def _caption(profile: Mapping[str, Any]) -> str:
    device, overhead = profile["device"], profile["overhead"]
    lines = [
        f"CUDA: {device['cuda']}. NVML: {device['nvml']}.",
        "An empty operation records {recorded_us:.1f} µs and takes {whole_us:.1f} µs.".format(**overhead),
    ]
    for row in profile["operations"]:
        if row["gpu_utilisation_percent"] is not None:
            lines.append(f"{row['path']}: GPU busy {row['gpu_utilisation_percent']} % at most")
        if row["leak"] is not None:
            lines.append(f"{row['path']}: {row['leak']['verdict']}")
    return "\n".join(lines)
