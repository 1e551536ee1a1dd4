"""The documentation site: its navigation leads to every page, its messages are those of the code, and it builds."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from docs.rooms import files
from search_spaces.loader import bundled
from tests.support.checkout import ROOT

DOCS = ROOT / "docs"
TREE = re.compile(r"^:::\{toctree\}\n(?::[^\n]*\n)*\n(.*?)^:::", re.M | re.S)


def navigation() -> list[str]:
    """Names of pages in the order in which the index shows them."""
    trees = TREE.findall((DOCS / "index.md").read_text(encoding="utf-8"))
    return [line for lines in trees for line in lines.splitlines() if line]


@cache
def literals() -> str:
    """Every text of the code, one after the other; of those with places for values the fixed parts."""
    nodes = (node for path in files() for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    return "\n".join(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def test_the_navigation_leads_to_every_page_once() -> None:
    assert sorted(navigation()) == sorted(path.stem for path in DOCS.glob("*.md") if path.stem != "index")
    assert list(DOCS.glob("*/*.md")) == []


def test_every_study_of_a_report_has_a_page_and_a_row_of_the_gallery() -> None:
    names = {name for name in bundled() if name != "default"}
    gallery = (DOCS / "gallery.md").read_text(encoding="utf-8")
    assert {path.stem.removeprefix("study-") for path in DOCS.glob("study-*.md")} == names
    assert {name for name in names if f"(study-{name}.md)" in gallery} == names


def test_messages_that_troubleshooting_explains_are_said_by_the_code() -> None:
    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    messages = re.findall(r"^### `(.*)`$", text, re.M)
    assert len(messages) > 20
    parts = {message: [part.strip(" :") for part in message.split("…") if part.strip(" :")] for message in messages}
    assert [one for one, fixed in parts.items() if not all(part in literals() for part in fixed)] == []


def test_one_command_of_contributing_builds_it() -> None:
    assert ".venv/bin/sphinx-build -W docs build/site" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("sphinx") is None, reason="Sphinx is not installed (group docs)")
def test_it_builds_without_a_warning(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "-q",
        "-d",
        str(tmp_path / "trees"),
        "docs",
        str(tmp_path / "site"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("index", *navigation()):
        assert (tmp_path / "site" / f"{name}.html").is_file()
    reference = (tmp_path / "site" / "commands.html").read_text(encoding="utf-8")
    assert 'id="orch-search"' in reference
    assert "--group-by" in reference
