"""Patches put together to what they were cut from."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image as Picture

from orchestrator.command_line import main
from orchestrator.maps.explained import Made, agreement_of
from orchestrator.maps.items import drawn, items, layers
from orchestrator.maps.ranks import scaled
from orchestrator.maps.record import read_maps
from orchestrator.maps.sources import Source, Tile, put_together
from orchestrator.store import layout
from orchestrator.store.storage import LocalStorage
from tests.orchestrator.maps.test_explained import IMAGE, explained
from tests.support.finished_study import FinishedStudy
from trainables.data.manifest import manifest_bytes, read_manifest

SOURCE = replace(IMAGE, file="field.png", called="source 1")


def flat(value: int, side: int = 4, channels: int = 3) -> np.ndarray:
    return np.full((side, side, channels), value, dtype=np.uint8)


def test_patches_lie_where_they_were_cut() -> None:
    """Two of four squares behind a margin; what nothing was kept of is grey, or clear."""
    source = Source(SOURCE, (Tile(0, 5, 3, 4, 4), Tile(1, 9, 7, 4, 4)))
    found = put_together(source, 1.0, lambda place: flat(place))
    assert found.shape == (8, 8, 3)
    assert (found[:4, :4] == 0).all()
    assert (found[4:, 4:] == 1).all()
    assert (found[:4, 4:] == 235).all()
    assert (put_together(source, 1.0, lambda place: flat(9, channels=4))[4:, :4] == 0).all()
    small = put_together(source, 1.0, lambda place: flat(place, 32), most=4)
    assert small[..., 0].tolist() == [[0, 0, 235, 235]] * 2 + [[235, 235, 1, 1]] * 2
    centre = put_together(source, 0.5, lambda place: flat(place))
    assert (centre[1:3, 1:3] == 0).all()
    assert (centre == 235).all(axis=2).sum() == 64 - 8


def test_patches_of_a_source_have_one_scale() -> None:
    raw = np.array([[[[1.0, 2.0]], [[4.0, 0.0]], [[0.5, 0.25]]]], dtype=np.float32)
    assert scaled(raw, [(0, 1)]).tolist() == [[[[0.25, 0.5]], [[1.0, 0.0]], [[1.0, 0.5]]]]
    assert raw.max() == 4


def test_a_source_is_listed_and_drawn_as_one() -> None:
    maps = scaled(np.random.default_rng(1).random((3, 2, 2, 2), dtype=np.float32))
    source = Source(SOURCE, (Tile(0, 0, 0, 4, 4), Tile(1, 4, 0, 4, 4)))
    found = replace(explained(maps), sources=(source,))
    made = Made(found, lambda places: np.stack([flat(50 * (1 + place)) for place in places]))
    (item,) = items(found)
    assert (item.image.called, item.places) == ("source 1", (0, 1))
    assert item.agreement == pytest.approx(agreement_of(maps.reshape(3, -1)))
    assert drawn(made, item, lambda place, pixels: pixels)[:, ::4, 0].tolist() == [[50, 100]] * 4
    assert {kind: pixels.shape for kind, pixels in layers(made, item).items()} == dict.fromkeys(
        ("image", "mean map", "deviation"), (4, 8, 3)
    )


@pytest.fixture
def cut(study: FinishedStudy, tmp_path: Path) -> Path:
    """The study as if two images of each group were patches of one field, side by side."""
    shutil.copytree(study.tiny.folder, tmp_path / "study")
    storage = LocalStorage(tmp_path / "study")
    manifest = read_manifest(storage.read(layout.MANIFEST))
    place = manifest.groupby("group").cumcount()
    sides = dict.fromkeys(("user_width", "user_height"), "48")
    manifest = manifest.assign(user_source=manifest["group"] + ".png", user_x=(48 * place).astype(str), user_y="0")
    storage.replace(layout.MANIFEST, manifest_bytes(manifest.assign(**sides)))
    return tmp_path


def orch(study: FinishedStudy, folder: Path, *arguments: str) -> Result:
    given = ["--of", study.configurations["plain"].id, "--cache", str(study.tiny.cache), "--data-root"]
    return CliRunner().invoke(
        main, ["maps", "study", "--studies", str(folder), *given, str(study.tiny.data), *arguments]
    )


def test_the_command_explains_whole_fields(study: FinishedStudy, cut: Path) -> None:
    page, pictures, drawings = cut / "maps.html", cut / "png", cut / "svg"
    files = ["--output", str(page), "--png", str(pictures), "--svg", str(drawings), "--arrays", str(cut / "maps.npz")]
    before = len(read_maps(LocalStorage(cut / "study")))
    run = orch(study, cut, "--whole", "--images", "worst", "--count", "2", "--json", *files)
    assert run.exit_code == 0, run.output
    (data,) = json.loads(run.stdout)["maps"]
    assert len(data["sources"]) == 2
    by_name = {image["image"]: image for image in data["images"]}
    for source in data["sources"]:
        patches = [by_name[patch["image"]] for patch in source["patches"]]
        assert {patch["map_of"] for patch in patches} == {source["map_of"]}
        chances = [patch["probability_of_truth"] for patch in patches]
        assert source["probability_of_truth"] == pytest.approx(np.mean(chances))
        with Picture.open(pictures / f"{source['image']} mean.png") as picture:
            assert picture.size == (48 * len(patches), 48)
        assert "<text" in (drawings / f"{source['image']}.svg").read_text(encoding="utf-8")
    with np.load(cut / "maps.npz") as found:
        names = found["images"].tolist()
        for source in data["sources"]:
            places = [names.index(patch["image"]) for patch in source["patches"]]
            assert found["maps"][:, places].max(axis=(1, 2, 3)).tolist() == [1, 1]
    text = page.read_text(encoding="utf-8")
    assert "patches put together: 2; their maps share one scale" in text
    assert ".png</h3>" not in text
    assert len(read_maps(LocalStorage(cut / "study"))) == before, "the page shows images"


def test_images_that_were_not_cut_are_refused(study: FinishedStudy) -> None:
    run = orch(study, study.studies, "--whole")
    assert run.exit_code == 2
    assert "--whole: expected images cut by orch data patches" in run.stderr
    assert "found none of source, x, y, width, height" in run.stderr
