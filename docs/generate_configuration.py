"""Write docs/configuration.md from the configuration's own field descriptions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from patchtst_har.config import ExperimentConfig
from patchtst_har.support.settings import Section

HEAD = """# Configuration

Every setting with its default. A YAML file has one mapping per section; settings that it leaves out
keep their default. On the command line, `--set section.field=value` overrides one field. Unknown keys and
contradictions are errors, all reported at once. `docs/generate_configuration.py` writes this page.
"""


def sections(config: Section, prefix: str = "") -> Iterator[tuple[str, Section]]:
    """Yield every section under its dotted name, outer ones first."""
    yield prefix, config
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, Section):
            yield from sections(value, f"{prefix}.{name}".lstrip("."))


def page() -> str:
    """Return the whole page."""
    parts = [HEAD]
    for name, section in sections(ExperimentConfig()):
        title = f"`{name}`" if name else "Top level"
        rows = [
            f"| `{field}` | {_shown(field, getattr(section, field))} | {_one_line(info.description)} |"
            for field, info in type(section).model_fields.items()
            if not isinstance(getattr(section, field), Section)
        ]
        summary = (type(section).__doc__ or "").split("\n")[0]
        parts.append(
            f"## {title}\n\n{summary}\n\n| field | default | meaning |\n|---|---|---|\n"
            + "\n".join(rows)
            + "\n"
        )
    return "\n".join(parts)


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def _shown(field: str, value: object) -> str:
    if field == "n_stat_features":
        return "all of them"  # A number would be stale with every new feature.
    return "" if value is None or value == () else f"`{value}`"


if __name__ == "__main__":
    (Path(__file__).parent / "configuration.md").write_text(page(), encoding="utf-8")
