"""The page of a document: one HTML file without scripts, by the standard library alone."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from on_cuda.document import Check, Clocks, Document, Part, Timing

_STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1b1f24; --line: #d7dce2;
  --good: #1a6b35; --bad: #a8201a; --open: #6a5300; }
@media (prefers-color-scheme: dark) { :root { --page: #12181e; --ink: #e6ebf0; --line: #36414c;
  --good: #5fca80; --bad: #ff8a80; --open: #d9b84a; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem;
  background: var(--page); color: var(--ink); overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: .6rem 0 1.4rem; }
table { border-collapse: collapse; font-size: 14px; overflow-wrap: normal; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.passed { color: var(--good); } .failed { color: var(--bad); font-weight: 600; } .not { color: var(--open); }
.detail { overflow-wrap: anywhere; max-width: 40rem; }
figure { display: inline-block; width: 460px; max-width: 100%; overflow-x: auto; margin: .5rem 1.5rem .5rem 0;
  vertical-align: top; }
figure span { white-space: nowrap; }
figcaption { font-weight: 600; }
svg text { fill: var(--ink); } svg line { stroke: var(--line); }
summary { cursor: pointer; }
"""
_NONE = "\u2013"
_COLOURS = ("#2f86d8", "#e0622d", "#2a9d55", "#a35be0")
# The label of the last batch reaches into the margin on the right.
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _BOTTOM = 460, 280, 56, 24, 40


def write(document: Document, path: Path) -> Path:
    """Write the page whole or not at all; return its path."""
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(render(document), encoding="utf-8")
    temporary.replace(path)
    return path


def render(document: Document) -> str:
    """Return the HTML of a document."""
    body = "".join(
        (_summary(document), _machine(document), _not_good(document), _times(document), _all_checks(document))
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>CUDA check</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """Return a table; cells are HTML already, `numbers` are the columns of figures."""

    def row(cells: Sequence[str], tag: str) -> str:
        kind = [' class="number"' if number in numbers else "" for number in range(len(cells))]
        marked = "".join(f"<{tag}{kind[i]}>{cell}</{tag}>" for i, cell in enumerate(cells))
        return f"<tr>{marked}</tr>\n"

    return (
        f'<div class="scroll" tabindex="0"><table>\n{row(head, "th") if head else ""}'
        f"{''.join(row(cells, 'td') for cells in rows)}</table></div>\n"
    )


def _status(status: str) -> str:
    return f'<span class="{status.split()[0]}">{status}</span>'


def _summary(document: Document) -> str:
    where = document.machine.device or "no device"
    if document.mode == "interpreter":
        where = "Triton's interpreter: numerics only, no times; says nothing about a device"
    counts = ", ".join(
        f'<span class="{status.split()[0] if (n := document.count(status)) else "none"}">{n} {status}</span>'
        for status in ("passed", "failed", "not run")
    )
    rows = [
        (
            escape(part.title),
            *(str(sum(c.status == s for c in part.checks)) for s in ("passed", "failed", "not run")),
            _seconds(part.took_s),
            _seconds(part.allowed_s),
        )
        for part in document.parts
    ]
    head = ("part", "passed", "failed", "not run", "took", "was given")
    return f"<h1>CUDA check</h1>\n<p>{escape(where)}, {escape(document.created)}. {counts}.</p>\n" + _table(
        head, rows, range(1, 6)
    )


def _seconds(value: float | None) -> str:
    return _NONE if value is None else f"{value:.1f} s"


def _machine(document: Document) -> str:
    machine = dataclasses.asdict(document.machine)
    packages = machine.pop("packages")
    facts = {name.replace("_", " "): value for name, value in machine.items()}
    facts["packages"] = ", ".join(f"{name} {version}" for name, version in packages.items())
    facts["patchtst-har"] = f"{document.package_version}, revision {document.revision or 'not readable'}"
    facts["schema of the document"] = document.schema_check
    facts["tolerances"] = "; ".join(
        f"{name}: {relative:g} relative and {absolute:g} absolute"
        for name, (relative, absolute) in document.tolerances.items()
    )
    rows = [
        (escape(name), escape("not readable" if value is None else str(value)))
        for name, value in facts.items()
    ]
    return "<h2>Machine</h2>\n" + _table((), rows)


def _not_good(document: Document) -> str:
    """Return the checks that failed and those that were not run, each with its reason."""
    text = ""
    for status in ("failed", "not run"):
        rows = [
            (escape(part.title), escape(check.name), f'<div class="detail">{escape(check.detail)}</div>')
            for part in document.parts
            for check in part.checks
            if check.status == status
        ]
        if rows:
            text += f"<h2>{status.capitalize()}</h2>\n" + _table(("part", "check", "why"), rows)
    return text


def _times(document: Document) -> str:
    timings = [timing for part in document.parts for check in part.checks for timing in check.timings]
    if not timings:
        return ""
    text = (
        "<h2>Times</h2>\n<p>Microseconds per call between two events of the device, contestants in turn, "
        "each compared with a reference before. A call contains what the host needs to launch it; one in "
        "a graph does not. n/a: too few samples for this percentile.</p>\n"
    )
    for what, group in _groups(timings).items():
        if len({timing.batch for timing in group}) > 1:
            text += _figure(what, group)
    rows = [
        (
            escape(timing.what),
            escape(timing.variant),
            str(timing.batch),
            str(timing.n_samples),
            *(_number(value) for value in (timing.min_us, timing.p50_us, timing.p95_us, timing.p99_us)),
            _NONE if timing.peak_bytes is None else mebibytes(timing.peak_bytes),
        )
        for timing in timings
    ]
    head = ("what", "variant", "batch", "samples", "least", "p50", "p95", "p99", "peak MiB")
    return text + _table(head, rows, range(2, 9)) + _clocks(document.parts)


def mebibytes(n: int) -> str:
    return f"{n / 2**20:.3f}" if n < 2**20 else f"{n / 2**20:,.1f}"


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:,.1f}"


def _groups(timings: Sequence[Timing]) -> dict[str, list[Timing]]:
    """Return the timings by what was timed, without the sizes that differ within it."""
    groups: dict[str, list[Timing]] = {}
    for timing in timings:
        groups.setdefault(without_batch(timing), []).append(timing)
    return groups


def without_batch(timing: Timing) -> str:
    """Return what was timed, without the batch."""
    return timing.what.replace(f"B={timing.batch} ", "")


def _figure(title: str, timings: Sequence[Timing]) -> str:
    """Return the medians of each variant over the batch, both axes logarithmic."""
    batches = sorted({timing.batch for timing in timings})
    low = math.floor(math.log10(min(timing.p50_us for timing in timings)))
    high = max(low + 1, math.ceil(math.log10(max(timing.p50_us for timing in timings))))
    span = math.log(batches[-1] / batches[0])

    def x(batch: int) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * math.log(batch / batches[0]) / span

    def y(microseconds: float) -> float:
        return 10 + (_HEIGHT - _BOTTOM - 10) * (1 - (math.log10(microseconds) - low) / (high - low))

    parts = []
    for power in range(low, high + 1):
        at = y(10.0**power)
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{10.0**power:,.10g}</text>')
    parts += [
        f'<text x="{x(batch):.1f}" y="{_HEIGHT - 20}" text-anchor="middle">{batch}</text>'
        for batch in batches
    ]
    legend = ""
    for number, variant in enumerate(dict.fromkeys(timing.variant for timing in timings)):
        colour = _COLOURS[number % len(_COLOURS)]
        points = sorted((timing.batch, timing.p50_us) for timing in timings if timing.variant == variant)
        path = " ".join(f"{x(batch):.1f},{y(p50):.1f}" for batch, p50 in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x(b):.1f}" cy="{y(p50):.1f}" r="3" fill="{colour}"/>' for b, p50 in points]
        legend += f'<span style="color:{colour}">■ {escape(variant)}</span> '
    parts.append(f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 4}" text-anchor="middle">batch; median in µs</text>')
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>"
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" font-size="12" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg><br>{legend}</figure>\n"
    )


def _clocks(parts: Sequence[Part]) -> str:
    rows = [
        (escape(check.name), when, *(_fact(value) for value in dataclasses.astuple(clocks)))
        for part in parts
        for check in part.checks
        for when, clocks in zip(("before", "after"), check.clocks, strict=False)
    ]
    if not rows:
        return ""
    head = ("check", "", *(field.name.replace("_", " ") for field in dataclasses.fields(Clocks)))
    return f"<details><summary>Clocks, temperature and power</summary>\n{_table(head, rows)}</details>\n"


def _fact(value: object) -> str:
    return "n/a" if value is None else escape(str(value))


def _all_checks(document: Document) -> str:
    text = "<h2>Every check</h2>\n"
    for part in document.parts:
        rows = [_row(check) for check in part.checks]
        head = ("check", "", "took", "figures", "")
        text += f"<details><summary>{escape(part.title)}</summary>\n{_table(head, rows, (2,))}</details>\n"
    return text


def _row(check: Check) -> tuple[str, ...]:
    figures = ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in check.figures.items())
    detail = f'<div class="detail">{escape(check.detail)}</div>'
    return escape(check.name), _status(check.status), _seconds(check.seconds), escape(figures), detail
