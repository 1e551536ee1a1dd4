"""Test images are explained only where an evaluation of the same models has opened them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from orchestrator.command_line import main
from orchestrator.evaluation.looks import looks_at, short_hashes
from orchestrator.store.open import open_storage
from tests.support.evaluated_study import EvaluatedStudy
from tests.support.trained_study import copy_trained_study, make_trained_study


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained")
    sized = {"image_size": 64, "store_size": 64}
    make_trained_study(root, ("few", "many", "some"), settings=(sized, {**sized, "lr": 0.001}))
    return root


@pytest.fixture
def evaluated(trained_once: Path, tmp_path: Path) -> EvaluatedStudy:
    study, tiny = copy_trained_study(trained_once, tmp_path)
    return EvaluatedStudy(study, tiny, [])


def orch(evaluated: EvaluatedStudy, *arguments: str) -> Result:
    folder = str(evaluated.tiny.folder.parent)
    given = ["tiny", "--studies", folder, "--cache", str(evaluated.tiny.cache), *arguments]
    return CliRunner().invoke(main, ["maps", *given])


def test_they_are_left_out_and_refused_before_they_were_opened(evaluated: EvaluatedStudy) -> None:
    run = orch(evaluated, "--images", "worst", "--count", "2")
    assert run.exit_code == 0, run.output
    assert "Test images are left out." in run.stderr
    best, other = evaluated.ranked
    refused = orch(evaluated, "--split", "test")
    assert refused.exit_code == 2
    assert f"--split test: expected an evaluation of configuration {best}" in refused.stderr
    assert f"orch evaluate tiny --configuration {best}" in refused.stderr
    evaluated.evaluate(configuration=other, tta=None)
    assert orch(evaluated, "--split", "test").exit_code == 2
    both = orch(evaluated, "--split", "test", "--of", f"{other},{best}")
    assert f"--split test: expected an evaluation of configuration {best}" in both.stderr


def test_after_an_evaluation_they_are_explained_without_a_further_look(
    evaluated: EvaluatedStudy, tmp_path: Path
) -> None:
    record = evaluated.evaluate()
    manifest = evaluated.manifest
    tested = manifest[manifest["group"].map(evaluated.tiny.groups()) == "test"]
    hashes = short_hashes(tested["content"])
    beside = open_storage(evaluated.study.place.parent)
    before = looks_at(evaluated.study.storage, beside, hashes)
    given = ("--split", "test", "--images", "random", "--count", "100", "--with-names", "--json")
    run = orch(evaluated, *given, "--arrays", str(tmp_path / "maps.npz"), "--output", str(tmp_path / "maps.html"))
    assert run.exit_code == 0, run.output
    (data,) = json.loads(run.stdout)["maps"]
    assert (data["split"], data["configuration"]) == ("test", record.configuration)
    assert {image["file"] for image in data["images"]} == set(tested["file"])
    assert looks_at(evaluated.study.storage, beside, hashes) == before
    assert "These are test images, on which these models were evaluated before." in run.stderr
    with np.load(tmp_path / "maps.npz") as found:
        assert found["maps"].shape == (3, len(tested), 2, 2)
        assert found["maps"].max() == 1
    assert not list(evaluated.tiny.cache.glob("squares-*"))


def test_a_map_does_not_depend_on_what_else_is_explained(evaluated: EvaluatedStudy, tmp_path: Path) -> None:
    evaluated.evaluate()
    name = "many/test_01.png"
    for place, order in (("one.npz", ("--image", name)), ("all.npz", ("--images", "random", "--count", "100"))):
        run = orch(evaluated, "--split", "test", *order, "--with-names", "--arrays", str(tmp_path / place))
        assert run.exit_code == 0, run.output
    with np.load(tmp_path / "one.npz") as one, np.load(tmp_path / "all.npz") as every:
        place = every["images"].tolist().index(name)
        np.testing.assert_allclose(one["maps"][:, 0], every["maps"][:, place], atol=1e-5)
