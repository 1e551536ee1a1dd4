"""How Sphinx makes the documentation site of docs/: `.venv/bin/sphinx-build -W docs build/site`."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # the command reference is made from the commands' own help

project = "orch"
author = "the orch contributors"
project_copyright = author
release = version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

extensions = ["myst_parser", "sphinx_click"]
source_suffix = {".md": "markdown"}
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
"""Headings have the anchors that they have on the pages of a repository, so that one link serves both."""
suppress_warnings = ["misc.highlighting_failure"]
"""Of diagrams in Mermaid, which is shown as text here."""

smartquotes = False
"""Two hyphens of an option stay two hyphens."""

html_theme = "furo"
html_title = f"orch {release}"
html_show_copyright = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}
