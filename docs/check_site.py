"""Check the built site (`make docs` runs it): no dead links, and a browser fetches nothing from elsewhere."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Attributes by which a browser loads a file when it opens a page.
LOADED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}


class Page(HTMLParser):
    """The links of a page, what it loads, and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the attributes of one element."""
        for name, value in attrs:
            if value is None:
                continue
            if name == "id":
                self.anchors.add(value)
            elif (tag, name) in LOADED:
                self.loaded.add(value)
            elif (tag, name) == ("a", "href"):
                self.links.add(value)


def problems(site: Path) -> list[str]:
    """Return a line for each dead link and each file that a browser would fetch from elsewhere."""
    # The theme has templates in its static files.
    files = [path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts]
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in files}
    found = []
    for path, page in pages.items():
        name = path.relative_to(site)
        found += [f"{name} loads {target}" for target in sorted(page.loaded) if is_elsewhere(target)]
        for target in sorted(page.links | page.loaded):
            if not is_elsewhere(target) and not leads_somewhere(path, target, pages):
                found.append(f"{name} links to {target}, which is not there")
    for sheet in sorted(site.rglob("*.css")):
        if "url(http" in sheet.read_text(encoding="utf-8").replace('"', "").replace("'", ""):
            found.append(f"{sheet.relative_to(site)} loads a file from elsewhere")
    return found


def is_elsewhere(target: str) -> bool:
    """Whether a link leads out of the site."""
    parts = urlsplit(target)
    return bool(parts.scheme or parts.netloc)


def leads_somewhere(path: Path, target: str, pages: dict[Path, Page]) -> bool:
    """Whether the file of a link is there, and its anchor in it."""
    parts = urlsplit(target)
    file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not file.is_file():
        return False
    return not parts.fragment or file not in pages or unquote(parts.fragment) in pages[file].anchors


if __name__ == "__main__":
    lines = problems(Path(sys.argv[1]).resolve())
    print(*lines, sep="\n", end="\n" if lines else "")
    sys.exit(1 if lines else 0)
