"""Settings of the documentation site (`make docs`).

The source folder is the repository, so pages outside docs/ are part of the site, and links between files that
work on a code host work in the site, too.
"""

import patchtst_har

project = "patchtst-har"
author = "The patchtst-har developers"
copyright = "the patchtst-har developers"  # noqa: A001 - the name that Sphinx reads
release = version = patchtst_har.__version__

root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "studies/README.md",
    "csrc/README.md",
    "[A-Z]*.md",
]
# Folders that are not searched; the patterns above would take nothing from them.
exclude_patterns = [".git", ".venv", "build", "dist", "runs", "src", "tests", "benches/results", ".*_cache"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
source_suffix = {".md": "markdown"}
# Anchors of headings as code hosts make them.
myst_heading_anchors = 4
highlight_language = "text"

# Types stand in the docstrings, in words ("ndarray, shape (n, T, 3)"), and are not looked up as references.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autosummary_generate = False
numpydoc_show_class_members = False
# `name` in a docstring is a link where it is a documented object, else code.
default_role = "py:obj"
nitpicky = True
nitpick_ignore_regex = [("py:obj", ".*")]
toc_object_entries_show_parents = "hide"

html_use_index = False
html_theme = "pydata_sphinx_theme"
html_title = "patchtst-har"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_persistent": ["search-button"],
    "navbar_align": "left",
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "header_links_before_dropdown": 7,
    "navigation_with_keys": False,
    "back_to_top_button": False,
}
# The front page lies in docs/, as its source does; the first page of the folder leads there.
html_additional_pages = {"index": "start.html"}
templates_path = ["_templates"]
