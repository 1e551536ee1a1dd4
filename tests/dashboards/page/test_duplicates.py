"""Near-duplicates on the page: counts always, pictures and names only as asked, closed test images never."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboards.figures.registry import open_source
from dashboards.page.duplicates import duplicate_data
from dashboards.page.page import render
from dashboards.page.sample_images import Shown, image_list
from orchestrator.export.pseudonyms import pseudonyms
from orchestrator.store import layout
from orchestrator.store.storage import LocalStorage
from tests.dashboards.page.test_images import HOSTILE, Tags, evaluated_with_files, shown, text_of, with_files
from tests.support.generated_study import NOW


def with_pairs(storage: LocalStorage) -> list[list[str]]:
    """Two train images of one group, two of different groups and labels, and a train and a test image."""
    images = image_list(storage)
    train = images[images["group"].str.startswith("train")]
    one, other = train.iloc[0], train[train["group"] != train["group"].iloc[0]]
    near = train[train["group"] == one["group"]].iloc[2]
    far = other[other["label"] != one["label"]].iloc[0]
    test = images[images["group"].str.startswith("test")].iloc[0]
    pairs = [[one["file"], near["file"]], [one["file"], far["file"]], [near["file"], test["file"]]]
    rows = "".join(f'"{first}","{second}",0.91,{place}\n' for place, (first, second) in enumerate(pairs))
    storage.replace(layout.NEAR_DUPLICATES, f"file,other,similarity,symmetry\n{rows}".encode())
    return pairs


def section(page: str) -> str:
    start = page.index("<h3>Near-duplicates</h3>")
    rest = page[start + 1 : page.index("</section>", start)]
    return page[start] + rest.partition("<h3>")[0]


def test_counts_without_names_or_images(tmp_path: Path) -> None:
    storage = with_files(tmp_path)
    assert "made by an earlier version" in section(render(storage, now=NOW))
    storage.replace(layout.NEAR_DUPLICATES, b"file,other,similarity,symmetry\n")
    assert "None was found. The comparison of small grey copies recognises a picture that was saved again" in section(
        render(storage, now=NOW)
    )
    pairs = with_pairs(storage)
    told = duplicate_data(open_source(storage, NOW), "")
    assert told is not None
    assert told["kind"].tolist() == ["across splits", "across groups", "within a group"]
    assert told["differs"].tolist()[1:] == [True, False]
    page = render(storage, now=NOW)
    assert "Across splits" in section(page)
    assert not [name for pair in pairs for name in pair if name in text_of(page)]
    assert not Tags(section(page)).images


def test_pictures_without_closed_test_images(tmp_path: Path) -> None:
    storage = with_files(tmp_path)
    pairs = with_pairs(storage)
    page = section(render(storage, now=NOW, shown=shown(tmp_path)))
    assert len(Tags(page).images) == 4
    assert all((image["alt"] or "").startswith("train image of class") for image in Tags(page).images)
    assert "1 pair with closed test images counted but not shown." in page
    assert "Meier" not in page
    assert pseudonyms(image_list(storage)["file"], "image", 0)[pairs[1][1]] in page
    evaluated_with_files(storage)
    opened = section(render(storage, now=NOW, shown=shown(tmp_path)))
    assert len(Tags(opened).images) == 6
    assert "second rotated by 180°" in opened


@pytest.mark.parametrize("images", [False, True])
def test_names_only_with_names_and_hostile_ones_stay_text(tmp_path: Path, images: bool) -> None:
    storage = with_files(tmp_path, classes=(HOSTILE, '"><b>'), prefix=HOSTILE.replace(",", ""))
    with_pairs(storage)
    asked = shown(tmp_path, names=True) if images else Shown(names=True, numbers=pseudonyms)
    page = section(render(storage, now=NOW, shown=asked))
    assert "onerror=alert(1)" in page
    assert {tag for tag, _ in Tags(page).tags} <= {
        *("h3", "p", "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "ul", "li", "span", "i", "img")
    }
    assert not [key for _, attributes in Tags(page).tags for key in attributes if key.startswith("on")]
