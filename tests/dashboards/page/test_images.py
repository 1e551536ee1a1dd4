"""Images and names on the page: none unless asked, small ones from the data root, numbers in place of names."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

from dashboards.figures.registry import open_source
from dashboards.page import mistakes
from dashboards.page.names import without_names_of
from dashboards.page.page import render
from dashboards.page.sample_images import SIDE, Album, Shown, drawn, image_list, sample_data, thumbnail
from orchestrator.command_line import main
from orchestrator.evaluation.predictions import predictions_bytes
from orchestrator.evaluation.record import predictions_of, read_evaluation
from orchestrator.export.pseudonyms import pseudonyms
from orchestrator.store import layout
from orchestrator.store.storage import LocalStorage
from tests.support.generated_study import NOW, GeneratedStudy, segment_of, small_study, write_failure
from tests.support.made_up_evaluation import LOOK, add_evaluation
from trainables.data.decode import content_hash, read_rgb

HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
CLASSES = ("a", "b")


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    @property
    def images(self) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == "img"]


def read(path: Path, content: str) -> NDArray[np.uint8]:
    pixels = read_rgb(path, 10_000_000)
    if content and content_hash(pixels) != content:
        raise ValueError("another image")
    return pixels


def with_files(folder: Path, classes: tuple[str, ...] = CLASSES, prefix: str = "patient Meier") -> LocalStorage:
    """A small study whose 60 images of 12 groups, 6 of them test, lie in folder/images."""
    storage, _ = small_study(folder / "study", classes=classes)
    manifest = pq.read_table(io.BytesIO(storage.read(layout.MANIFEST))).to_pandas()
    kept = pd.concat(part.head(20) for _, part in manifest.groupby(manifest["group"].str.split().str[0]))
    root = folder / "images"
    root.mkdir()
    files, hashes = [], []
    for place in range(len(kept)):
        pixels = np.random.default_rng(place).integers(0, 255, (60, 200, 3), dtype=np.uint8)
        file = f"{prefix.replace('/', '')} {place}.png"
        Image.fromarray(pixels).save(root / file)
        files.append(file)
        hashes.append(content_hash(pixels))
    frame = kept.assign(file=files, content=hashes, bytes=1, reading="")
    target = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), target)
    storage.replace(layout.MANIFEST, target.getvalue())
    return storage


def evaluated_with_files(storage: LocalStorage, repeats: int = 3) -> pd.DataFrame:
    """Evaluate the test images: the first is missed by all repeats, the second by one, the others by none."""
    add_evaluation(storage, repeats=repeats)
    images = image_list(storage)
    test = images[images["group"].str.startswith("test")].reset_index(drop=True)
    classes = list(dict.fromkeys(images["label"]))
    truth = test["label"].map({name: place for place, name in enumerate(classes)}).to_numpy()
    sign = np.where(truth == 1, 3.0, -3.0)
    logits = np.tile(sign[None, :, None, None], (repeats, 1, 1, 1)).astype(np.float32)
    logits[:, 0] *= -1
    logits[0, 1] *= -1
    content = predictions_bytes(LOOK, test, logits, range(repeats), (0,), classes)
    storage.replace(predictions_of(LOOK), content)
    return test


def shown(folder: Path, **changes: object) -> Shown:
    made = Shown(images=True, root=folder / "images", read=read, numbers=pseudonyms)
    return replace(made, **changes)  # type: ignore[arg-type]


def test_nothing_is_shown_unless_asked(tmp_path: Path) -> None:
    storage = with_files(tmp_path)
    evaluated_with_files(storage)
    storage.replace(layout.REFUSED, b"file,reason\nMeier.tif,not an image: Meier\n")
    page = render(storage, now=NOW)
    assert not Tags(page).images
    assert "No images, file names or group names are in this page" in page
    assert "Meier" not in page
    assert "test patient" not in page


def test_images_come_with_numbers_in_place_of_names(tmp_path: Path) -> None:
    storage = with_files(tmp_path)
    test = evaluated_with_files(storage)
    storage.replace(layout.REFUSED, b"file,reason\nMeier.tif,not an image: Meier\n")
    page = render(storage, now=NOW, shown=shown(tmp_path))
    images = Tags(page).images
    # per class 6 of each split, 16 drawn, 1 mistake, 1 missed by all
    assert len(images) == 2 * 3 * 6 + 16 + 1 + 1
    assert all(image["alt"] and (image["src"] or "").startswith("data:image/") for image in images)
    assert "Meier" not in page
    assert "test patient" not in page
    numbers = pseudonyms(image_list(storage)["file"], "image", 0)
    assert numbers[test["file"][0]] in page
    assert "file 1" in page
    assert "Files and groups have numbers in place of names" in page
    assert "Predicted wrong by all 3 evaluated models: 1 of 20 test images" in page


def test_names_alone_give_tables(tmp_path: Path) -> None:
    storage = with_files(tmp_path)
    test = evaluated_with_files(storage)
    storage.replace(layout.REFUSED, b"file,reason\nMeier.tif,not an image: Meier\n")
    page = render(storage, now=NOW, shown=Shown(names=True, numbers=pseudonyms))
    assert not Tags(page).images
    assert test["file"][0] in page
    assert "Meier.tif" in page
    assert "names of files and groups of the study" in page


def test_test_images_are_shown_only_once_evaluated(tmp_path: Path) -> None:
    storage = with_files(tmp_path)
    page = render(storage, now=NOW, shown=shown(tmp_path))
    alts = {image["alt"] for image in Tags(page).images}
    assert alts == {f"{split} image of class {name}" for split in ("train", "valid") for name in CLASSES}
    assert "test images are closed" in page
    images = image_list(storage)
    data = sample_data(storage, "", images, set(images["file"][:1]), 0)
    assert set(data["split"]) <= {"train", "valid", "test"}
    assert set(data.loc[data["split"] == "test", "file"]) <= {images["file"][0]}


def test_missing_and_changed_images_are_told(tmp_path: Path) -> None:
    storage = with_files(tmp_path)
    away = render(storage, now=NOW, shown=shown(tmp_path, root=tmp_path / "elsewhere"))
    assert "their folder is not on this machine" in away
    assert str(tmp_path) not in away
    first, second, *_ = sorted((tmp_path / "images").iterdir())
    first.unlink()
    Image.new("RGB", (5, 5)).save(second)
    album = Album(storage, shown(tmp_path), 0)
    assert "not shown" in album.picture(first.name, "")
    assert "not shown" in album.picture(second.name, "")
    assert "2 images cannot be shown" in album.remarks()
    assert not album.remarks()


@pytest.mark.parametrize("file", ["../secret.png", "/etc/secret.png", "link.png"])
def test_nothing_outside_of_the_data_root_is_opened(tmp_path: Path, file: str) -> None:
    storage = with_files(tmp_path)
    Image.new("RGB", (5, 5)).save(tmp_path / "secret.png")
    (tmp_path / "images" / "link.png").symlink_to(tmp_path / "secret.png")

    def opened(path: Path, content: str) -> NDArray[np.uint8]:
        raise AssertionError(f"{path} was opened")

    assert "not shown" in Album(storage, shown(tmp_path, read=opened), 0).picture(file, "")


def test_a_budget_bounds_the_images(tmp_path: Path) -> None:
    storage = with_files(tmp_path)
    album = Album(storage, shown(tmp_path), 0, budget=30_000)
    pictures = [album.picture(file, "") for file in album.manifest["file"]]
    assert sum(len(picture) for picture in pictures if picture.startswith("<img")) < 32_000
    assert any("left out" in picture for picture in pictures)
    assert "Left out, so that the page stays small: " in album.remarks()


def test_a_thumbnail_holds_pixels_alone(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "patient Meier"
    path = tmp_path / "image.jpg"
    Image.new("RGB", (640, 300), "green").save(path, exif=exif, comment=b"patient Meier")
    assert b"Meier" in path.read_bytes()
    source = thumbnail(read_rgb(path, 10_000_000))
    content = base64.b64decode(source.partition(",")[2])
    assert b"Meier" not in content
    with Image.open(io.BytesIO(content)) as image:
        assert max(image.size) == SIDE
        assert not image.getexif()
    small = thumbnail(np.zeros((7, 5, 3), dtype=np.uint8))
    with Image.open(io.BytesIO(base64.b64decode(small.partition(",")[2]))) as image:
        assert image.size == (5, 7)


def test_samples_are_of_different_groups_and_drawn_once_for_all(tmp_path: Path) -> None:
    files = [f"{place}.png" for place in range(40)]
    frame = pd.DataFrame({"file": files, "group": ["big"] * 37 + ["x", "y", "z"], "class": "a"})
    first = drawn(frame, ["class"], 3)
    assert set(first["group"].head(4)) == {"big", "x", "y", "z"}
    assert list(first["file"]) == list(drawn(frame.sample(frac=1, random_state=0), ["class"], 3)["file"])
    assert list(first["file"]) != list(drawn(frame, ["class"], 4)["file"])


def test_worst_and_missed(tmp_path: Path) -> None:
    storage = with_files(tmp_path)
    test = evaluated_with_files(storage)
    source = open_source(storage, NOW)
    record = read_evaluation(storage, LOOK)
    data = mistakes.prediction_data(source, record).set_index("file")
    assert data["right"].tolist() == [0, 2] + [3] * (len(test) - 2)
    assert data["truth"].tolist() == test["label"].tolist()
    low, high = 1 / (1 + np.exp(3)), 1 / (1 + np.exp(-3))
    expected = [low, (low + 2 * high) / 3, high]
    np.testing.assert_allclose(data["probability"].to_numpy()[:3], expected, rtol=1e-5)
    whole = data.reset_index()
    assert mistakes.worst(whole)["file"].tolist() == [test["file"][0]]
    assert mistakes.missed([whole])["file"].tolist() == [test["file"][0]]
    other = whole.assign(right=[1, *whole["right"][1:]])
    assert mistakes.missed([whole, other]).empty
    assert mistakes.missed([]).empty
    storage.delete(record.predictions)
    assert mistakes.prediction_data(source, record).empty
    page = render(storage, now=NOW, shown=shown(tmp_path))
    assert "The predictions of the test images are not in this study" in page


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    storage = with_files(tmp_path, classes=(HOSTILE, '"><b>'), prefix=HOSTILE)
    evaluated_with_files(storage)
    storage.replace(layout.REFUSED, f'file,reason\n"{HOSTILE}","{HOSTILE}"\n'.encode())
    page = render(storage, now=NOW, shown=shown(tmp_path, names=True))
    tags = Tags(page)
    assert tags.images
    assert all((image["src"] or "").startswith("data:image/") for image in tags.images)
    assert not [name for _, attributes in tags.tags for name in attributes if name.startswith("on")]
    assert len(re.findall("<script", page)) == len([tag for tag, _ in tags.tags if tag == "script"])


def test_causes_of_failures_name_no_files(tmp_path: Path) -> None:
    storage = with_files(tmp_path)
    group = image_list(storage)["group"][0]
    cause = f"OSError: /data/patient Meier 3.png of {group} cannot be read"
    replaced = without_names_of(storage, [cause])
    assert replaced(cause) == "OSError: /data/[image] of [group] cannot be read"
    assert replaced("lr 1e-3 of resnet18") == "lr 1e-3 of resnet18"


def test_pages_and_status_leave_names_of_causes_out(tmp_path: Path) -> None:
    studies = tmp_path / "studies"
    study = GeneratedStudy(name="slides", depths=((0, 0),), repeats=2, epochs=3, skip=lambda _c, _r: True)
    storage = LocalStorage(studies / "slides")
    study.write(storage)
    file = image_list(storage)["file"][7]
    write_failure(storage, segment_of(storage, study.configurations()[0], 0), f"OSError: {file} cannot be read")
    assert file not in text_of(render(storage, now=NOW))
    plain = orch(["status", "slides", "--studies", str(studies)])
    assert f"{file} cannot" not in plain
    assert "[image] cannot be read" in plain
    assert "--with-names" in plain
    assert f"{file} cannot be read" in orch(["status", "slides", "--studies", str(studies), "--with-names"])
    assert f"{file} cannot" not in orch(["status", "slides", "--studies", str(studies), "--json"])


def test_the_command(tmp_path: Path) -> None:
    storage = with_files(tmp_path)
    studies = ["--studies", str(tmp_path)]
    page = tmp_path / "page.html"
    asked = ["dashboard", "study", *studies, "--output", str(page)]
    orch([*asked, "--with-images", "--data-root", str(tmp_path / "images")])
    assert len(Tags(page.read_text()).images) == 2 * 2 * 6
    orch(asked)
    assert not Tags(page.read_text()).images
    assert storage.list("dataset")
    for wrong, words in (
        (["--data-root", str(tmp_path)], "goes with --with-images"),
        (["--with-images", "--live"], "go with the written page of a single study"),
        (["--with-images", "--data-root", str(tmp_path / "none")], "expected the folder of the study's images"),
    ):
        extra = [] if "--live" in wrong else ["--output", str(page)]
        result = CliRunner().invoke(main, ["dashboard", "study", *studies, *extra, *wrong])
        assert result.exit_code == 2
        assert words in " ".join(result.output.split())


def orch(arguments: Iterable[str]) -> str:
    result = CliRunner().invoke(main, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def text_of(page: str) -> str:
    return page[page.index("<main") : page.index("</main>")]
