"""The table of the latency page: every row of what was measured, and only between its marks."""

from __future__ import annotations

import json

import numpy as np
import pytest

import latency_table
from feasibility_documents import feasibility_document, percentiles, times
from patchtst_har.errors import DataError


@pytest.fixture
def folder(tmp_path):
    """Return a folder as `make latency-table` leaves it."""
    rng = np.random.default_rng(0)
    (tmp_path / "feasibility.json").write_text(json.dumps(feasibility_document(n=700, n_blocks=10)))
    for name, n in ("live", 130), ("replay", 700):
        lines = [json.dumps({"latency_ms": us / 1e3}) for us in times(rng, 400.0, n)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    runs = [
        {"share": share, "deadline_s": 0.2, "latency": percentiles(times(rng, 500.0, 130))}
        for share in (None, 0.25)
    ]
    (tmp_path / "small.txt").write_text(f"| processor |\n{json.dumps({'runs': runs})}\n")
    rows = [{"name": "test_push", "stats": {"data": [2e-3] * 130}, "extra_info": {"per_round": 100}}]
    (tmp_path / "bench.json").write_text(json.dumps({"benchmarks": rows}))
    return tmp_path


def test_every_measurement_has_a_row(folder):
    lines = latency_table.text_of(folder).splitlines()
    assert lines[0] == "Example CPU, avx2, 4 cores, 2026-03-04."
    rows = {cells[1].strip(): cells[2:-1] for line in lines if (cells := line.split("|"))[1:]}
    names = ("still", "walking", "noisy", "worst_case", "recorded")
    for name in names:
        assert f"closed loop, {name}" in rows
        assert f"after 0.1 s of rest (cold cache), {name}" in rows
    for name in ("of the closed loop, recorded: topology", "of the closed loop, recorded: overhead"):
        assert rows[name][0].strip() == "700"
    assert rows["open loop, 500 streams, worst_case"][-1].strip() == "A"
    assert [cell.strip() for cell in rows["in a row: push"]] == ["130", "20", "20", "n/a", "n/a", "20", "E"]
    assert rows["live, at its own pace"][0].strip() == "130"
    assert rows["25 % of a core, a decision every 0.2 s"][-1].strip() == "D"
    assert "end to end" not in "".join(rows)
    assert "a core carried 1,500 streams (p99 400 ms)" in lines[-1]


def test_only_the_part_between_the_marks_is_written(folder, tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{latency_table.BEGIN}earlier\n{latency_table.END}after\n")
    monkeypatch.setattr(latency_table, "PAGE", page)
    latency_table.main(str(folder))
    text = page.read_text()
    assert text.startswith(f"before\n{latency_table.BEGIN}Example CPU")
    assert text.endswith(f"MiB.\n{latency_table.END}after\n")
    assert "earlier" not in text


def test_the_page_has_the_marks():
    text = latency_table.ROOT.joinpath("docs/latency.md").read_text(encoding="utf-8")
    assert text.count(latency_table.BEGIN) == text.count(latency_table.END) == 1


def test_a_folder_without_measurements_is_refused(tmp_path):
    with pytest.raises(DataError, match="no feasibility"):
        latency_table.text_of(tmp_path)
