"""`orch maps` from the command line to its files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from orchestrator.command_line import main
from orchestrator.commands.maps import IMAGE_KINDS, METHOD_NAMES
from orchestrator.maps.images import KINDS
from orchestrator.maps.record import read_maps
from orchestrator.maps.registry import METHODS
from orchestrator.store import layout
from orchestrator.store.layout import BundleKey
from tests.support.finished_study import FinishedStudy
from trainables.bundles.kept_weights import in_bundle, in_partition
from trainables.bundles.trained import results
from trainables.data.manifest import read_manifest


def orch(study: FinishedStudy, *arguments: str, name: str = "plain") -> Result:
    chosen = [] if "--top" in arguments or "--of" in arguments else ["--of", study.configurations[name].id]
    return CliRunner().invoke(main, ["maps", "study", *study.options, *chosen, *arguments])


def test_the_command_knows_all_there_is() -> None:
    assert tuple(METHODS) == METHOD_NAMES
    assert KINDS == IMAGE_KINDS


def test_all_that_is_written(study: FinishedStudy, tmp_path: Path) -> None:
    page, folder, arrays = tmp_path / "maps.html", tmp_path / "png", tmp_path / "maps.npz"
    given = ["--images", "worst,random", "--count", "3", "--output", str(page), "--png", str(folder)]
    run = orch(study, *given, "--arrays", str(arrays), "--json")
    assert run.exit_code == 0, run.output
    (data,) = json.loads(run.stdout)["maps"]
    count = len(data["images"])
    assert (data["method"], data["layer"], data["places"]) == ("Grad-CAM", "layer4.0.act2", [3, 3])
    assert data["repeats"] == [0, 1]

    text = page.read_text(encoding="utf-8")
    shown = sum(len(image["chosen_as"]) for image in data["images"])
    assert text.count("<img ") == shown * (3 + 2)
    assert "<h2>Worst: lowest mean probability of the true class</h2>" in text
    assert "<h2>Drawn at random</h2>" in text

    assert len(list(folder.iterdir())) == 3 * count
    first = data["images"][0]["image"]
    with Image.open(folder / f"{first} mean.png") as picture:
        assert picture.size == (96, 96)

    with np.load(arrays) as found:
        maps = found["maps"]
        assert maps.shape == (2, count, 3, 3)
        assert maps.max(axis=(2, 3)).min() == 1
        np.testing.assert_allclose(found["mean"], maps.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(found["deviation"], maps.std(axis=0, ddof=1), atol=1e-6)
        assert found["images"].tolist() == [image["image"] for image in data["images"]]
        assert json.loads(str(found["about"]))["images"] == data["images"]

    kinds = {"worst", "random"}
    every = read_maps(study.tiny.storage)
    (record,) = (one for one in every if {kind for image in one.images for kind in image.kinds} == kinds)
    assert [image.agreement for image in record.images] == [image["agreement"] for image in data["images"]]
    with np.load(arrays) as found:
        for kept in record.kept:
            np.testing.assert_allclose(record.values(kept.mean), found["mean"][kept.image], atol=1 / 255)

    for name in ("train_", "valid_", "few-", "many/"):
        assert name not in run.output + text
        assert all(name not in file.name for file in folder.iterdir())


def test_the_page_of_the_study_is_written_again(study: FinishedStudy) -> None:
    storage = study.tiny.storage
    assert "Dashboard" not in orch(study, "--images", "worst", "--count", "1").stderr
    storage.replace(layout.DASHBOARD, b"<!DOCTYPE html>")
    assert "Dashboard: " in orch(study, "--images", "worst", "--count", "1").stderr
    assert b'<section id="maps">' in storage.read(layout.DASHBOARD)
    options = ["--with-images", "--data-root", str(study.tiny.data)]
    done = CliRunner().invoke(main, ["dashboard", "study", *study.options[:2], *options])
    assert done.exit_code == 0, done.output
    page = storage.read(layout.DASHBOARD).decode()
    assert page.count(': mean map"') >= 1
    assert "so it was not updated" in orch(study, "--images", "worst", "--count", "1").stderr
    storage.delete(layout.DASHBOARD)


def test_names_only_where_they_are_asked_for(study: FinishedStudy, tmp_path: Path) -> None:
    page = tmp_path / "maps.html"
    run = orch(study, "--image", "many/valid_03.png", "--with-names", "--output", str(page))
    assert run.exit_code == 0, run.output
    assert "many/valid_03.png" in run.stdout
    assert "<h3>many/valid_03.png</h3>" in page.read_text(encoding="utf-8")
    assert "group many-valid-1" in page.read_text(encoding="utf-8")


def test_the_same_command_gives_the_same_bits(study: FinishedStudy, tmp_path: Path) -> None:
    for name in ("one.npz", "other.npz"):
        assert orch(study, "--images", "random", "--arrays", str(tmp_path / name)).exit_code == 0
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "other.npz").read_bytes()


def test_only_valid_images_are_explained(study: FinishedStudy) -> None:
    run = orch(study, "--images", "random", "--count", "1000", "--with-names", "--json")
    manifest = read_manifest(study.tiny.storage.read(layout.MANIFEST))
    valid = manifest["file"][manifest["group"].map(study.tiny.groups()) == "valid"]
    assert {image["file"] for image in json.loads(run.stdout)["maps"][0]["images"]} == set(valid)


def test_it_says_before_what_is_trained_again(study: FinishedStudy) -> None:
    c = study.configurations["hidden"]
    key = BundleKey.of_repeat(study.tiny.partition, c.id, 0)
    shutil.rmtree(study.tiny.folder / f"{key.folder}/weights", ignore_errors=True)
    others = in_partition(study.tiny.storage, study.tiny.partition)
    first = orch(study, "--images", "worst", "--count", "2", name="hidden")
    assert "The weights of 2 repeats were not kept. They are trained again from the seed: " in first.stderr
    assert len(in_bundle(study.tiny.storage, key)) == 2
    assert set(others) <= set(in_partition(study.tiny.storage, study.tiny.partition))
    again = orch(study, "--images", "worst", "--count", "2", name="hidden")
    assert "Their weights are kept, so nothing is trained again." in again.stderr
    assert first.stdout == again.stdout


def test_maps_that_no_repeat_changes_say_so(study: FinishedStudy) -> None:
    run = orch(study, "--method", "activations")
    assert "the backbone is frozen: all repeats have the same ones" in run.stdout
    assert "the backbone is frozen" not in orch(study, "--method", "activations", name="deep").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--images", "worst,strange"],
            "--images: expected some of best, worst, uncertain, random, or files and folders, found strange",
        ),
        (["--class", "mani"], "--class 'mani': expected one of the 3 classes of these images"),
        (["--image", "many/train_00.png"], "--image 'many/train_00.png': expected the name of one image of this split"),
        (["--method", "rollout"], "expected a timm transformer"),
        (["--layer", "layer9"], "--layer 'layer9': expected a part whose output is feature maps or tokens"),
        (["--layer", "layer1", "--method", "occlusion"], "expected a method that reads a layer, found occlusion"),
    ],
)
def test_bad_input(study: FinishedStudy, arguments: list[str], said: str) -> None:
    run = orch(study, *arguments)
    assert run.exit_code == 2
    assert said in run.stderr


def test_nothing_is_trained_again_for_a_network_that_cannot_be_explained(study: FinishedStudy) -> None:
    key = BundleKey.of_repeat(study.tiny.partition, study.configurations["deep"].id, 0)
    shutil.rmtree(study.tiny.folder / f"{key.folder}/weights", ignore_errors=True)
    assert orch(study, "--method", "rollout", name="deep").exit_code == 2
    assert in_bundle(study.tiny.storage, key) == []
    assert results(study.tiny.storage, study.tiny.partition, study.configurations["deep"].id, (0, 1))
