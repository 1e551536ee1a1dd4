"""Files that are not of the study."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from orchestrator.maps.methods.gradcam import maps
from orchestrator.maps.ranks import scaled
from orchestrator.maps.record import read_maps
from orchestrator.maps.redrawn import framed
from tests.orchestrator.maps.conftest import Opened
from tests.orchestrator.maps.test_maps_command import orch
from tests.support.finished_study import FinishedStudy
from trainables.data.decode import read_rgb

Open = Callable[..., Opened]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three images that no study has; one lies deeper."""
    root = tmp_path_factory.mktemp("patient Meier")
    (root / "more").mkdir()
    for number, name in enumerate(("a.png", "b.png", "more/c.png")):
        pixels = np.random.default_rng(number).normal(110 + 15 * number, 30, size=(70, 50, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / name)
    return root


def test_they_are_prepared_as_the_studys_own(study: FinishedStudy, folder: Path, tmp_path: Path, opened: Open) -> None:
    before = len(read_maps(study.tiny.storage))
    files = ["--arrays", str(tmp_path / "maps.npz"), "--output", str(tmp_path / "maps.html")]
    run = orch(study, "--images", str(folder), "--json", *files, name="hidden")
    assert run.exit_code == 0, run.output
    assert "3 given images × 2 repeats" in run.stderr
    (data,) = json.loads(run.stdout)["maps"]
    assert [image["chosen_as"] for image in data["images"]] == [["given"]] * 3
    assert {image["truth"] for image in data["images"]} == {""}
    assert "Meier" not in run.output + (tmp_path / "maps.html").read_text(encoding="utf-8").replace(str(folder), "")
    assert len(read_maps(study.tiny.storage)) == before, "the study's page is of its own images"

    repeats, c = opened("hidden").repeats, study.configurations["hidden"]
    frozen = study.tiny.bench().frozen_ready(c, study.tiny.partition)
    squares = [framed(read_rgb(folder / name, 10_000), c) for name in ("a.png", "b.png", "more/c.png")]
    plain = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).float() / 255
    images = (plain - torch.tensor(frozen.mean).view(3, 1, 1)) / torch.tensor(frozen.std).view(3, 1, 1)
    chances = repeats.chances(images).numpy()
    targets = chances.mean(axis=0).argmax(axis=1)
    assert [image["map_of"] for image in data["images"]] == [c.data.classes[target] for target in targets]
    own = chances[:, np.arange(3), targets]
    assert [image["probability_of_map_of"] for image in data["images"]] == pytest.approx(own.mean(axis=0), abs=1e-6)
    expected = scaled(maps(repeats, images, torch.from_numpy(targets)).numpy())
    with np.load(tmp_path / "maps.npz") as found:
        np.testing.assert_allclose(found["maps"], expected, atol=1e-4)


def test_several_configurations_explain_one_class(study: FinishedStudy, folder: Path) -> None:
    of = ",".join(study.configurations[name].id for name in ("deep", "plain", "hidden"))
    run = orch(study, "--of", of, "--images", f"{folder / 'b.png'},{folder / 'more'}", "--json", "--with-names")
    assert run.exit_code == 0, run.output
    found = json.loads(run.stdout)["maps"]
    assert [one["configuration"] for one in found] == of.split(",")
    assert len({tuple(image["map_of"] for image in one["images"]) for one in found}) == 1
    assert [image["file"] for image in found[0]["images"]] == [str(folder / "b.png"), str(folder / "more/c.png")]


def test_images_of_the_study_are_no_given_ones(study: FinishedStudy, tmp_path: Path) -> None:
    """A test image under another name stays closed; all faults come together."""
    shutil.copy(study.tiny.data / "many/test_00.png", tmp_path / "mine.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    run = orch(study, "--images", str(tmp_path))
    assert run.exit_code == 2
    assert "expected images from outside the study, found 1 image that belongs to it" in run.stderr
    assert f"{tmp_path}/broken.png: " in run.stderr
    assert "--split test explains test images after orch evaluate" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--images", "worst,{folder}"], "--images: expected kinds of images, or files and folders, found both"),
        (
            ["--images", "{folder}", "--class", "few", "--for", "true"],
            "--class, --for: cannot be used with files and folders",
        ),
        (["--images", "{folder}/none"], "or files and folders, found {folder}/none"),
    ],
)
def test_bad_input(study: FinishedStudy, folder: Path, arguments: list[str], said: str) -> None:
    run = orch(study, *(one.format(folder=folder) for one in arguments))
    assert run.exit_code == 2
    assert said.format(folder=folder) in " ".join(run.stderr.split())


def test_a_folder_without_images(study: FinishedStudy, tmp_path: Path) -> None:
    run = orch(study, "--images", str(tmp_path))
    assert run.exit_code == 2
    assert "--images: expected files or folders with images" in run.stderr
    assert "--images FILE,DIR" in run.stderr
