"""The documentation site, as far as it can be judged without Sphinx: `make docs` builds and checks it."""

import re
import runpy
from xml.etree import ElementTree

import pytest

from doc_blocks import ROOT, blocks, pages


def children(page):
    """Return the pages in the toctrees of a page, relative to the repository."""
    found = []
    for block in blocks(page):
        if block.language == "{toctree}":
            lines = [line for line in block.text.splitlines() if line and not line.startswith(":")]
            for line in lines:
                titled = re.fullmatch(r".* <(.*)>", line)
                target = (ROOT / page).parent / f"{titled[1] if titled else line}.md"
                found.append(str(target.resolve().relative_to(ROOT)))
    return found


def test_every_page_has_one_place_in_the_site():
    found, waiting = ["docs/index.md"], ["docs/index.md"]
    while waiting:
        below = children(waiting.pop())
        found += below
        waiting += below
    assert sorted(found) == pages()


@pytest.mark.draws
def test_the_picture_of_the_whole_way_is_there_and_can_be_drawn():
    stored = (ROOT / "docs" / "way.svg").read_text(encoding="utf-8")
    drawn = runpy.run_path(str(ROOT / "docs" / "generate_way_picture.py"))["picture"]()
    (about,) = {ElementTree.fromstring(text).get("aria-label") for text in (stored, drawn)}  # noqa: S314 - ours
    assert "timeline" in about
    assert stored.count("<rect") == drawn.count("<rect")


def test_dead_links_and_files_from_elsewhere_are_found(tmp_path):
    problems = runpy.run_path(str(ROOT / "docs" / "check_site.py"))["problems"]
    (tmp_path / "a.html").write_text(
        '<a href="b.html#here">b</a><a href="b.html#gone">b</a><a href="c.html">c</a><a href="https://example.org">e</a>'
        '<img src="way.svg"><script src="https://example.org/x.js"></script>'
    )
    (tmp_path / "b.html").write_text('<p id="here">')
    (tmp_path / "a.css").write_text("@font-face { src: url('https://example.org/font') }")
    assert problems(tmp_path) == [
        "a.html loads https://example.org/x.js",
        "a.html links to b.html#gone, which is not there",
        "a.html links to c.html, which is not there",
        "a.html links to way.svg, which is not there",
        "a.css loads a file from elsewhere",
    ]
    (tmp_path / "a.css").unlink()
    (tmp_path / "a.html").write_text('<a href="b.html#here">b</a>')
    assert problems(tmp_path) == []
