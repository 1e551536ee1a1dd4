"""The page of a check: what stands on it, how much, and that nothing from a file gets there unescaped."""

from __future__ import annotations

import re

import numpy as np
import pytest

from dashboards.check.findings import CASES
from dashboards.check.page import check_page
from dashboards.check.pictures import MOST, Pictures
from orchestrator.checking.finding import Finding, Item, Section, Told, Weight
from tests.support.pictures import picture

NOW = "2026-11-30T10:00:00+00:00"
HOSTILE = '"><script>alert(1)</script><b>'


def read(file: str) -> np.ndarray:
    return np.asarray(picture(len(file)))


def told(cases: int = 3) -> Told:
    items = tuple(
        Item(f"{HOSTILE}{number}.png and {number}.png", (f"{number}.png", f"x{number}.png")) for number in range(cases)
    )
    return Told(
        HOSTILE,
        "30 images, 2 classes",
        (("root", HOSTILE), ("group", "column patient")),
        (f"Note {HOSTILE}",),
        Section(["class", "images", "train"], [[HOSTILE, "20", "14 in 7"], ["b", "10", "7 in 3"]]),
        "Classes of a search",
        ((HOSTILE, ("a.png", "b.png")),),
        ((HOSTILE, "empty file"), ("b.txt", "not an image by its name: .txt suffix")),
        (
            Finding("copies", Weight.RUINS, "3 pairs look alike.", "Scores too high.", f"Type {HOSTILE}", items),
            Finding("few groups", Weight.LOOK, "2 classes have few.", "Says little.", "", (Item(f"words {HOSTILE}"),)),
            Finding("range", Weight.TOLD, "All have 8 bits.", "As it is."),
        ),
    )


def test_nothing_from_a_file_gets_there_unescaped() -> None:
    page = check_page(told(), read, NOW)
    assert "<script>alert" not in page
    assert "<b>" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 8
    assert "script-src &#x27;none&#x27;" in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)


def test_the_heaviest_stands_first_and_the_overview_leads_to_it() -> None:
    page = check_page(told(), read, NOW)
    places = [page.index(f'<section id="finding-{number}">') for number in (1, 2, 3)]
    assert places == sorted(places)
    assert places[-1] < page.index('<section id="classes">') < page.index('<section id="refused">')
    assert all(f'<a href="#finding-{number}">' in page for number in (1, 2, 3))
    assert "1 finding would ruin a study; 1 more is worth a look." in page


def test_pictures_are_bounded_and_the_page_says_how_many_of_how_many() -> None:
    page = check_page(told(400), read, NOW)
    assert page.count("<img ") == 2 * CASES + 2
    assert f"{CASES} of 400 are shown." in page
    assert "The first 200 of 400; --json has all." in page
    assert f"holds {2 * CASES + 2} small pictures" in page


def test_a_budget_leaves_pictures_out_and_an_unreadable_one_is_no_fault() -> None:
    pictures = Pictures(read, most=2)
    html = pictures.strip([((f"{number}.png",), "one", ("words",)) for number in range(5)])
    assert html.count("<img ") == 2
    assert html.count('class="gone"') == 3
    assert pictures.shown == 2
    assert MOST > 100

    def fails(file: str) -> np.ndarray:
        raise ValueError(file)

    assert "not shown" in Pictures(fails).strip([(("a.png",), "one", ("words",))])


@pytest.mark.parametrize("findings", [(), told().findings[:1]])
def test_a_check_that_could_read_nothing_has_a_page(findings: tuple[Finding, ...]) -> None:
    page = check_page(Told("data", "", findings=findings, unusable=True), read, NOW)
    assert "A search would stop" in page
    assert 'id="classes"' not in page
