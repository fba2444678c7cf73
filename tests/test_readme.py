"""The README's example is run as it stands there."""

import re
import subprocess
from pathlib import Path

import pytest

from doc_blocks import pages
from forking import python

ROOT = Path(__file__).parents[1]


@pytest.mark.trains
@pytest.mark.spawns
@pytest.mark.long
def test_the_python_example_runs(tmp_path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    command = [*python(), "-W", "error", "-c", example]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    score = re.search(r"macro F1 on held-out participants: (0\.\d\d|1\.00)", done.stdout)
    assert score is not None, done.stdout
    assert float(score[1]) > 0.5
    assert "probability" in done.stdout


@pytest.mark.parametrize("page", pages())
def test_links_inside_the_project_lead_somewhere(page):
    path = ROOT / page
    targets = re.findall(r"\]\((?!https?:)([^)]+)\)", path.read_text(encoding="utf-8"))
    missing = []
    for target in targets:
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        if not file.exists() or (anchor and anchor not in anchors_of(file)):
            missing.append(target)
    assert missing == []


def anchors_of(page):
    """Return the anchors that a page's headings get where it is shown."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_the_table_of_commands_is_complete():
    from patchtst_har.cli import app

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    names = {command.name for command in (*app.registered_commands, *app.registered_groups)}
    assert names == set(re.findall(r"`patchtst-har ([a-z]+)", text))
