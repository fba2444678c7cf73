"""The results of a document as Markdown, for docs/cuda.md."""

from __future__ import annotations

from collections.abc import Sequence

from on_cuda.document import STATUSES, Document, Part, Timing
from on_cuda.page import mebibytes, without_batch
from on_cuda.timing_names import FUSED, IN_A_GRAPH, PLAIN

_NONE = "\u2013"


def markdown(document: Document) -> str:
    """Return a table of the run and one for each part that has times: medians and p95 in microseconds."""
    machine = document.machine
    device = machine.device or "none (Triton's interpreter)"
    software = f"driver {machine.driver or _NONE}, torch {machine.torch}, Triton {machine.triton}"
    checks = ", ".join(f"{document.count(status)} {status}" for status in STATUSES)
    run = _table(
        ("device", "date", "software", "revision", "checks"),
        [(device, document.created[:10], software, document.revision or _NONE, checks)],
    )
    return "\n".join([run, *filter(None, map(_times, document.parts))])


def _times(part: Part) -> str:
    timings = [timing for check in part.checks for timing in check.timings]
    if not timings:
        return ""
    rows: dict[tuple[str, int], dict[str, Timing]] = {}
    for timing in timings:
        rows.setdefault((without_batch(timing), timing.batch), {})[timing.variant] = timing
    variants = list(dict.fromkeys(timing.variant for timing in timings))
    pairs = [(FUSED + end, PLAIN + end) for end in ("", IN_A_GRAPH) if PLAIN + end in variants]
    head = [
        "what",
        "batch",
        *variants,
        *(f"ratio{fused.removeprefix(FUSED)}" for fused, _ in pairs),
        "peak MiB",
    ]
    return f"{part.title}:\n\n" + _table(
        head, [_row(what, batch, found, variants, pairs) for (what, batch), found in rows.items()]
    )


def _row(
    what: str,
    batch: int,
    found: dict[str, Timing],
    variants: Sequence[str],
    pairs: Sequence[tuple[str, str]],
) -> list[str]:
    ratios = [
        f"{found[fused].p50_us / found[plain].p50_us:.2f}" if {fused, plain} <= found.keys() else _NONE
        for fused, plain in pairs
    ]
    peaks = [found[name].peak_bytes if name in found else None for name in (FUSED, PLAIN)]
    peak = " / ".join(_NONE if one is None else mebibytes(one) for one in peaks)
    times = [_percentiles(found.get(variant)) for variant in variants]
    return [what, str(batch), *times, *ratios, peak]


def _percentiles(timing: Timing | None) -> str:
    if timing is None:
        return _NONE
    p95 = "n/a" if timing.p95_us is None else f"{timing.p95_us:.0f}"
    return f"{timing.p50_us:.0f} / {p95}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
