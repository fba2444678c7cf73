"""Write docs/data-dictionary.md from the package's own data dictionary."""

from __future__ import annotations

from pathlib import Path

from patchtst_har.summaries.dictionary import TABLES

HEAD = """# Data dictionary

Every column and key that `patchtst-har predict` writes. NAME is the recording's, CLASS stands for each class
of the model, and `*` for keys that depend on the file. `recordings.csv`, `daily.csv`, `failures.csv` and
`timings.csv` are of [many recordings](cohorts.md). [summaries.md](summaries.md) has the definitions of days,
bouts and means, [data.md](data.md) those of the rest. `docs/generate_data_dictionary.py` writes this
page from `patchtst_har.summaries.dictionary`.
"""


def page() -> str:
    """Return the whole page."""
    parts = [HEAD]
    for table, entries in TABLES.items():
        what = "key" if table.endswith(".json") else "column"
        rows = [f"| `{entry.name}` | {entry.type} | {entry.unit} | {entry.meaning} |" for entry in entries]
        head = [f"## `{table}`\n", f"| {what} | type | unit | meaning |", "|---|---|---|---|"]
        parts.append("\n".join([*head, *rows, ""]))
    return "\n".join(parts)


if __name__ == "__main__":
    (Path(__file__).parent / "data-dictionary.md").write_text(page(), encoding="utf-8")
