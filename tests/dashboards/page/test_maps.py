"""The section on maps: numbers on any page, maps over images where these may be shown, and nothing of it before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest

from dashboards.figures.choice import Choice
from dashboards.figures.registry import FIGURES, open_source
from dashboards.page.page import render
from dashboards.page.sample_images import BUDGET, Album
from dashboards.page.section_maps import PICTURED
from orchestrator.maps.redrawn import redrawn
from orchestrator.store import layout
from orchestrator.store.storage import LocalStorage
from tests.dashboards.page.test_images import Tags, evaluated_with_files, shown, with_files
from tests.support.generated_study import NOW
from tests.support.made_up_maps import HOSTILE, add_maps
from tests.support.predicted_study import predicted_study

HOW = "orch dashboard STUDY --with-images"
FIGURE = FIGURES["deletion-curves"]


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return predicted_study(tmp_path, partitions=1)[0]


def section(page: str) -> str:
    start = page.index('<section id="maps">')
    return page[start : page.index("</section>", start)]


def test_there_is_no_section_before_somebody_asked(storage: LocalStorage) -> None:
    assert FIGURE.data(open_source(storage, NOW), Choice()).empty
    page = render(storage, now=NOW)
    assert '<section id="maps">' not in page
    assert 'href="#maps"' not in page


def test_without_images_there_are_numbers_and_a_sentence(storage: LocalStorage) -> None:
    record = add_maps(storage)
    page = render(storage, now=NOW)
    found = section(page)
    assert "Random network</th>" in found
    assert "0.50 [0.25, 0.75]" in found
    assert HOW in found
    assert "<img" not in found
    assert HOSTILE not in page
    assert [image.file for image in record.images if image.file in page] == []


def test_with_images_maps_lie_over_them(tmp_path: Path) -> None:
    storage = with_files(tmp_path)
    record = add_maps(storage, groups="valid")
    page = render(storage, now=NOW, shown=shown(tmp_path, redrawn=redrawn))
    found = section(page)
    images = Tags(found).images
    assert len(images) == 3 * len(record.kept) == 12
    assert [image["alt"].rpartition(": ")[2] for image in images[:3] if image["alt"]] == [
        "image",
        "mean map",
        "deviation",
    ]
    assert HOW not in found
    assert "Meier" not in found
    assert HOSTILE not in page
    away = render(storage, now=NOW, shown=shown(tmp_path, redrawn=redrawn, root=tmp_path / "elsewhere"))
    assert "their folder is not on this machine" in section(away)
    (tmp_path / "images" / record.images[0].file).unlink()
    lost = section(render(storage, now=NOW, shown=shown(tmp_path, redrawn=redrawn)))
    assert len(Tags(lost).images) == 9
    assert "1 image cannot be shown" in lost


def test_test_images_are_shown_only_once_evaluated(tmp_path: Path) -> None:
    storage = with_files(tmp_path)
    add_maps(storage, split="test", groups="test")
    with_images = shown(tmp_path, redrawn=redrawn)
    assert "<img" not in section(render(storage, now=NOW, shown=with_images))
    evaluated_with_files(storage)
    assert len(Tags(section(render(storage, now=NOW, shown=with_images))).images) == 12


def test_the_newest_stand_first_and_no_more_than_a_page_holds(tmp_path: Path) -> None:
    storage = with_files(tmp_path)
    for number in range(PICTURED + 2):
        add_maps(storage, number, groups="valid")
    source = open_source(storage, NOW)
    assert [record.id[-1] for record in source.maps] == list("6543210")
    found = section(render(storage, now=NOW, shown=shown(tmp_path, redrawn=redrawn)))
    assert len(Tags(found).images) == 12 * PICTURED
    assert found.count("<h4>Grad-CAM: ") == PICTURED
    album = Album(storage, shown(tmp_path), 0, budget=BUDGET // 2)
    assert album.element("x" * BUDGET, "") == '<span class="gone">left out</span>'


def test_curves_are_those_that_were_kept(storage: LocalStorage) -> None:
    first, second = add_maps(storage), add_maps(storage, 1)
    data = FIGURE.data(open_source(storage, NOW), Choice())
    assert len(data) == 2 * 2 * 11
    assert data["maps"].iloc[0] == f"Grad-CAM, {second.name}, valid images"
    one = data[(data["order"] == "map") & (data["maps"] == f"Grad-CAM, {first.name}, valid images")]
    assert first.sanity is not None
    assert one["probability"].tolist() == list(first.sanity.curve)
    assert one["blurred"].to_numpy() == pytest.approx(np.arange(11) / 10)
    spec = FIGURE.draw(data, Choice())
    go.Figure(spec)
    assert [trace["line"]["dash"] for trace in spec["data"]] == ["solid", "dot"] * 2
    assert len({trace["line"]["color"] for trace in spec["data"]}) == 2


@pytest.mark.parametrize("change", [{"mean": "AAAA"}, {"mean": "?" * 8}, {"image": 4}])
def test_a_damaged_record_costs_itself_alone(storage: LocalStorage, change: dict[str, object]) -> None:
    record = add_maps(storage)
    wrong = record.model_copy(update={"id": "f" * 12, "kept": (record.kept[0].model_copy(update=change),)})
    storage.replace(layout.maps(wrong.id), wrong.model_dump_json().encode())
    page = render(storage, now=NOW)
    assert "The same `orch maps` makes them again" in page
    assert section(page).count("<tr>") == 2
