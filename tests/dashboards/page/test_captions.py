"""Captions are at most two sentences; what else it takes to read a figure or a table is folded away."""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import dashboards
from dashboards.export.files import caption
from dashboards.figures.choice import Choice
from dashboards.figures.registry import FIGURES, open_source
from dashboards.page.controls import reading
from dashboards.page.page import render
from orchestrator.store.storage import LocalStorage
from tests.support.generated_study import NOW
from tests.support.made_up_evaluation import add_evaluation
from tests.support.made_up_maps import add_maps
from tests.support.made_up_mistakes import add_mistakes
from tests.support.opened_page import Opened
from tests.support.search_study import off_grid_study
from tests.support.undecided_study import UndecidedStudy

MOST = 2
_WRITERS = ("reading", "nothing")
"""What writes a caption or a note; its first argument is what stands there at once."""


def sentences(text: str) -> int:
    """Ends of sentences: a mark with a blank or nothing behind it; at the end one may be missing."""
    return len(re.findall(r"[.!?](?=\s|$)", text.strip())) + (not re.search(r"[.!?]$", text.strip()))


def test_sentences_are_counted() -> None:
    assert sentences("One at 0.5 of n. Two (e.g., lr 1e-3)") == 2
    assert sentences("One: two; three.") == 1


def test_every_figure_has_a_caption_of_at_most_two_sentences() -> None:
    for figure in FIGURES.values():
        captions = [
            figure.reading,
            figure.page.reading_on_top or "",
            figure.compared.reading if figure.compared else "",
        ]
        for one in filter(None, captions):
            assert sentences(one) <= MOST, f"{figure.name}: {one}"


def _texts(node: ast.AST) -> Iterator[str]:
    """Literal text of an expression, an x in the place of what is filled in."""
    if isinstance(node, ast.JoinedStr):
        yield "".join(part.value if isinstance(part, ast.Constant) else "x" for part in node.values)  # type: ignore[misc]
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    else:
        for child in ast.iter_child_nodes(node):
            yield from _texts(child)


def test_captions_in_the_code_are_at_most_two_sentences() -> None:
    known = 0
    for path in Path(dashboards.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _WRITERS:
                for one in _texts(node.args[0]):
                    known += 1
                    assert sentences(one) <= MOST, f"{path.name}: {one}"
    assert known > 25


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> LocalStorage:
    """A study with everything that a page can show but images: searches, a test, errors, maps."""
    storage, study = off_grid_study(tmp_path_factory.mktemp("study"))
    desk = UndecidedStudy(storage, study)  # type: ignore[arg-type]
    desk.decide(desk.search(desk.names, 3, 8, proposer="adaptive", settings={"epochs": "halving"}))
    add_evaluation(storage)
    add_mistakes(storage)
    add_maps(storage)
    return storage


@pytest.fixture(scope="module")
def page(storage: LocalStorage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "dashboard.html"
    path.write_text(render(storage, now=NOW), encoding="utf-8")
    return path


def test_captions_as_they_stand_on_the_page_are_at_most_two_sentences(page: Path) -> None:
    written = page.read_text("utf-8")
    body = written[written.index('<main id="main">') : written.index("</main>")]
    captions = re.findall(r'<p class="(?:reading|note)">(.*?)</p>', body)
    assert len(captions) > 25
    for one in captions:
        assert sentences(html.unescape(re.sub(r"<[^>]*>", "", one))) <= MOST, one
    folds = re.findall(r'<details class="how">', body)
    assert len(folds) > 8
    assert "<details open" not in body


def test_a_caption_for_print_says_the_rest_too(storage: LocalStorage) -> None:
    words = caption("slices", Choice(), open_source(storage, NOW))
    assert FIGURES["slices"].reading in words
    assert FIGURES["slices"].how in words


def test_without_anything_to_fold_there_is_no_fold() -> None:
    assert "<details" not in reading("One.")
    assert reading("One.", " Of n − 1 < 3.").endswith("<p>Of n&nbsp;−&nbsp;1 &lt; 3.</p></details>")


def test_what_is_folded_opens_for_paper_and_closes_behind_it(browser: Any, page: Path) -> None:
    opened = Opened(browser, page, viewport={"width": 1280, "height": 900})
    count = "(wanted) => [...document.querySelectorAll('details.how')].filter(one => one.open === wanted).length"
    total = opened.page.locator("details.how").count()
    assert opened.page.evaluate(count, False) == total > 8
    opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.page.evaluate(count, True) == total
    opened.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert opened.page.evaluate(count, False) == total
    assert opened.faults == []
