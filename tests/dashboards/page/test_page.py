"""The page as text: what it says, and that nothing from a file gets out of its place."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from dashboards.page.comparison import render_comparison
from dashboards.page.page import render
from dashboards.page.parts import LIBRARY
from dashboards.page.sample_images import Shown
from dashboards.page.sections import SECTIONS
from orchestrator.store import layout
from orchestrator.store.storage import LocalStorage
from search_spaces.configuration import Configuration
from tests.support.configurations import changed
from tests.support.generated_study import (
    NOW,
    PARTITION,
    GeneratedStudy,
    segment_of,
    small_study,
    write_failure,
    write_lease,
)
from trainables.data.partition import Partition

HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"


class Elements(HTMLParser):
    """Start tags with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def tags_of(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Elements()
    parser.feed(page)
    return parser.tags


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    storage, _ = small_study(tmp_path_factory.mktemp("study"))
    counted: list[tuple[int, int]] = []
    page = render(storage, now=NOW, progress=lambda *one: counted.append(one))
    assert counted == [(1, 2), (2, 2)], "one partition, and one backbone on it"
    return page


def test_the_answer_comes_first_and_is_honest(page: str) -> None:
    sections = re.findall(r'<section id="([a-z-]+)">', page)
    assert sections == [section.name for section in SECTIONS if section.name not in ("search", "errors", "maps")]
    assert sections[0] == "answer"
    assert "Validation scores were used for selection and are optimistic" in page
    assert "never by the best repeat" in page
    assert page.count("synthetic data") >= 10
    assert "source image" in page


def test_a_study_of_real_data_is_not_called_synthetic(tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path, synthetic=False)
    page = render(storage, now=NOW)
    body = page[page.index("<body>") : page.index('<script type="application/json"')]
    assert "ynthetic" not in body


def test_every_chart_has_a_role_a_label_and_its_data(page: str) -> None:
    tags = tags_of(page)
    charts = [attributes for _, attributes in tags if attributes.get("class") == "chart"]
    # answer 3, heat maps 2 + 2 + 2, curves 3, single repeats 1, best repeat 1, depth 1, spread 4, data 1
    assert len(charts) == 3 + 6 + 3 + 1 + 1 + 1 + 4 + 1
    for chart in charts:
        assert chart["role"] == "img"
        assert len(chart["aria-label"] or "") > 20
        assert any(tag == "details" and attributes.get("data-chart") == chart["id"] for tag, attributes in tags)
        saved = {a["data-save"] for tag, a in tags if tag == "button" and a.get("data-of") == chart["id"]}
        assert saved == {"svg", "png", "csv"}
    assert page.count('<p class="reading">') >= 12


def test_the_page_asks_no_network(page: str) -> None:
    policy = next(a["content"] for _, a in tags_of(page) if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    assert "unsafe-eval" not in policy
    assert not [tag for tag, a in tags_of(page) if tag in ("link", "img", "iframe") or a.get("src")]
    assert page.count(f'id="{LIBRARY}"') == 1, "plotly lies in the page once"


def test_equal_studies_give_equal_pages(tmp_path: Path, page: str) -> None:
    storage, _ = small_study(tmp_path)
    assert render(storage, now=NOW) == page


def test_hostile_names_stay_text(tmp_path: Path, page: str) -> None:
    storage, _ = small_study(
        tmp_path,
        name=HOSTILE,
        classes=(HOSTILE, '"><b>'),
        backbones=(f"timm:{HOSTILE}",),
        group_meaning=HOSTILE,
        command=f"orch search '{HOSTILE}'",
    )
    hostile = tags_of(render(storage, now=NOW))
    assert [tag for tag, _ in hostile] == [tag for tag, _ in tags_of(page)]
    assert not [name for _, attributes in hostile for name in attributes if name.startswith("on")]


@pytest.mark.parametrize(("fit", "told"), [("crop", True), ("pad", False), ("squash", False)])
def test_what_is_left_out_of_images_that_are_not_square(tmp_path: Path, fit: str, told: bool) -> None:
    class Fitted(GeneratedStudy):
        def configuration(self, *args: Any) -> Configuration:
            return changed(super().configuration(*args), fit=fit)

    storage, _ = small_study(tmp_path, Fitted)
    assert "not square" not in render(storage, now=NOW)
    images = pq.read_table(io.BytesIO(storage.read(layout.MANIFEST))).to_pandas()
    images.loc[0, "width"] = 500
    target = io.BytesIO()
    images.to_parquet(target)
    storage.replace(layout.MANIFEST, target.getvalue())
    words = f"1 of {len(images)} images is not square; cropping to the centre leaves out 0.1% of the area"
    page = render(storage, now=NOW)
    assert (words in page) == told
    (flow,) = re.findall(r'<ol class="flow">.*?</ol>', page, re.DOTALL)
    assert "not square" not in flow, "no image is left out"


def test_filling_has_its_columns_where_it_was_used(tmp_path: Path) -> None:
    storage, made = small_study(tmp_path)
    path = layout.partition(PARTITION)
    partition = Partition.from_bytes(storage.read(path), path)
    for filled in ({}, {"mu": 0.5, "epsilon": 0.1}):
        classes = {name: {"shares": [0.7, 0.15, 0.15], "distance": 0.01, **filled} for name in made.classes}
        storage.replace(path, replace(partition, details={"classes": classes}).to_bytes())
        page = render(storage, now=NOW)
        assert "70.0% / 15.0% / 15.0%" in page
        assert ("μ</th>" in page) == bool(filled)
        assert ("iterative filling chose" in page) == bool(filled)


def test_a_study_without_results_says_so(tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path / "asked", skip=lambda _configuration, _repeat: True)
    page = render(storage, now=NOW)
    assert "nothing to rank" in page
    assert "0 of 24 repeats done" in page
    assert "No results here yet" in page
    GeneratedStudy(name="new").write_frame(empty := LocalStorage(tmp_path / "empty"))
    page = render(empty, now=NOW)
    assert "nothing has been searched" in page
    assert len(page) < 100_000
    assert "script-src 'none'" in page.replace("&#x27;", "'")


def test_several_backbones_have_a_chooser(tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path, backbones=("timm:one", "timm:two"))
    page = render(storage, now=NOW)
    assert re.search(r'<label>Backbone <select data-sets="backbone">', page)
    assert re.search(r'<label hidden>Partition <select data-sets="partition">', page)


def test_one_repeat_only(tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path, repeats=1, epochs=1)
    assert "n&nbsp;=&nbsp;1" in render(storage, now=NOW)


def test_all_diverged(tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path, diverges=lambda _configuration, _repeat: True)
    assert "24 repeats diverged" in render(storage, now=NOW)


def test_a_study_that_is_running(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path, skip=lambda c, repeat: c.optimiser.lr == 1e-2)
    write_lease(storage, segment_of(storage, study.configurations()[-1], 0), 2, NOW)
    write_failure(storage, segment_of(storage, study.configurations()[2], 0), "MemoryError: <b>no</b>")
    page = render(storage, now=NOW)
    assert "3 running, 6 waiting, 3 failed" in page
    assert "machine 1" in page
    assert "worker-0" not in page
    assert "worker-0" in render(storage, now=NOW, shown=Shown(names=True))
    assert "6 of 18" in page
    assert "MemoryError: &lt;b&gt;no&lt;/b&gt;" in page
    assert "about" in page


def test_several_studies_on_one_page(tmp_path: Path) -> None:
    one, _ = small_study(tmp_path / "one", name="one")
    two, _ = small_study(tmp_path / "two", name=HOSTILE, seed=5)
    page = render_comparison([one, two], now=NOW)
    assert "Same images, classes, partition and selection" in page
    assert "one, resnet18.tv_in1k" not in page[: page.index("<body>")]
    assert HOSTILE not in page
    assert len(re.findall(r'class="chart"', page)) == 2
    other, _ = small_study(tmp_path / "other", name="other", classes=("x", "y", "z"))
    assert "differ in classes" in render_comparison([one, other], now=NOW)
    GeneratedStudy(name="new").write_frame(empty := LocalStorage(tmp_path / "empty"))
    assert "has a ranked configuration yet" in render_comparison([empty], now=NOW)
