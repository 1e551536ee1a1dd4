"""Several configurations in one command: the same images and classes, one pass where their frozen network is one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from orchestrator.maps.images import Wanted
from orchestrator.maps.passes import passes
from orchestrator.maps.plan import MapOptions, make_plan
from orchestrator.maps.record import read_maps
from tests.orchestrator.maps.test_maps_command import orch
from tests.support.finished_study import FinishedStudy

GIVEN = ("--images", "random", "--count", "3", "--for", "true", "--sanity")


def ids(study: FinishedStudy, *names: str) -> list[str]:
    return [study.configurations[name].id for name in names]


def test_frozen_networks_share_a_pass_and_trained_ones_have_their_own(study: FinishedStudy) -> None:
    named = tuple(ids(study, "deep", "plain", "vit", "hidden"))
    options = MapOptions(method="occlusion", wanted=Wanted(("worst",), 2), of=named)
    plan = make_plan(study.study, options)
    found = passes(study.tiny.bench(), plan, "")
    together = [[member.choice.entry.id for member in one.members] for one in found]
    deep, plain, vit, hidden = named
    assert together == [[deep], [plain, hidden], [vit]]
    assert {tuple(image.row for image in member.images) for member in plan.members} == {
        tuple(image.row for image in plan.images)
    }


def test_maps_and_checks_are_those_of_each_alone(study: FinishedStudy, tmp_path: Path) -> None:
    """To the bit: nothing depends on what else is explained."""
    names = ("plain", "hidden", "deep")
    of = ids(study, *names)
    run = orch(study, "--of", ",".join(of), *GIVEN, "--json", "--arrays", str(tmp_path / "maps.npz"))
    assert run.exit_code == 0, run.output
    several = json.loads(run.stdout)["maps"]
    assert [one["configuration"] for one in several] == of
    for name, one in zip(names[1:], several[1:], strict=True):
        alone = orch(study, *GIVEN, "--json", "--arrays", str(tmp_path / f"{name}.npz"), name=name)
        (found,) = json.loads(alone.stdout)["maps"]
        assert one["images"] == found["images"]
        assert one["sanity"] == found["sanity"]
        with np.load(tmp_path / f"maps-{found['configuration']}.npz") as ours, np.load(tmp_path / f"{name}.npz") as his:
            assert np.array_equal(ours["maps"], his["maps"])


def test_the_best_ones_are_shown_image_by_image(study: FinishedStudy, tmp_path: Path) -> None:
    page, folder = tmp_path / "maps.html", tmp_path / "png"
    files = ["--output", str(page), "--png", str(folder), "--json"]
    run = orch(study, "--top", "2", "--images", "worst", "--count", "2", *files)
    assert run.exit_code == 0, run.output
    assert "place 2 of 6 by mean loss" in run.stderr
    worst = [one for one in read_maps(study.tiny.storage) if one.images[0].kinds == ("worst",)]
    kept = {one.configuration: one for one in worst if one.method == "Grad-CAM" and one.explains == "predicted"}
    first, second = (kept[one["configuration"]] for one in json.loads(run.stdout)["maps"])
    text = page.read_text(encoding="utf-8")
    headings = [part.partition("</h3>")[0] for part in text.split("<h3>")[1:]]
    assert len(headings) == 4
    assert headings[0] == headings[1] != headings[2] == headings[3]
    assert f"{first.name} ({first.configuration}), best" in run.stderr
    assert (first.place, second.place) == (0, 1)
    assert {one.name for one in folder.iterdir()} == {first.configuration, second.configuration}
    for one in (first, second):
        assert text.count(f"{one.name} ({one.configuration})</p>") == 2
        assert len(list((folder / one.configuration).iterdir())) == 6
    assert [image.file for image in first.images] == [image.file for image in second.images]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--top", "2", "--of", "abcd"], ["--top and --of cannot be used together"]),
        (["--of", "ab,0000"], ["--of ab: expected at least the first 4 digits", "--of 0000: expected at least"]),
    ],
)
def test_bad_names(study: FinishedStudy, arguments: list[str], said: list[str]) -> None:
    run = orch(study, *arguments)
    assert run.exit_code == 2
    assert all(words in run.stderr for words in said), run.stderr
