"""Classes of few images, and those that the best configuration never gets right, are named wherever it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from dashboards.page.page import render
from orchestrator.command_line import main
from orchestrator.results.class_recalls import class_recalls, weak_words
from orchestrator.results.summary import summarise
from orchestrator.store.schema import History
from orchestrator.store.storage import LocalStorage
from search_spaces.configuration import Configuration
from tests.support.generated_study import NOW, GeneratedStudy, small_study
from tests.support.search_study import partitioned_study

SAID = (
    "Little is known about classes with few images, or none predicted right: mixed (recall 0), "
    "rare (3 training images, 1 validation image)."
)


class RareClasses(GeneratedStudy):
    """Of the second class nothing is ever right, the third has 3 images to train on and 1 to validate with."""

    def history(self, configuration: Configuration, repeat: int, epochs: int, diverged: int | None) -> History:
        made = super().history(configuration, repeat, epochs, diverged)
        counts = made.statistics.copy()
        counts[:, :, 1, 0] += counts[:, :, 1, 1]
        counts[:, :, 1, 1] = 0
        counts[:, :, 2] = 0
        counts[:, 0, 2, 2], counts[:, 1, 2, 2] = 3, 1
        return History(made.splits, made.loss, counts)


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> LocalStorage:
    folder = tmp_path_factory.mktemp("studies") / "rare"
    return small_study(folder, RareClasses, name="rare", classes=("plain", "mixed", "rare"))[0]


def test_weak_classes_are_named_on_the_terminal_in_json_and_on_the_page(storage: LocalStorage) -> None:
    studies = str(storage.root.parent)
    told = CliRunner().invoke(main, ["best", "rare", "--studies", studies])
    assert SAID in told.output.splitlines()
    data = json.loads(CliRunner().invoke(main, ["best", "rare", "--json", "--studies", studies]).stdout)
    assert [(one["class"], one["train"], one["valid"]) for one in data["classes"]] == [
        ("plain", 140, 30),
        ("mixed", 140, 30),
        ("rare", 3, 1),
    ]
    assert [one["recall"] for one in data["classes"]][1:] == [0.0, 1.0]
    assert f"<p>{SAID}</p>" in render(storage, now=NOW)


def test_a_class_without_validation_images_has_no_recall(tmp_path: Path) -> None:
    class Without(RareClasses):
        def history(self, configuration: Configuration, repeat: int, epochs: int, diverged: int | None) -> History:
            made = super().history(configuration, repeat, epochs, diverged)
            made.statistics[:, 1, 2] = 0
            return made

    storage, _ = small_study(tmp_path, Without, classes=("plain", "mixed", "rare"))
    summary = summarise(storage, NOW)
    *_, rare = class_recalls(summary, summary.configurations[0])
    assert (rare.recall, rare.words) == (None, "3 training images, 0 validation images")


def test_nothing_is_said_of_classes_with_enough_images(tmp_path: Path) -> None:
    summary = summarise(small_study(tmp_path)[0], NOW)
    found = class_recalls(summary, summary.configurations[0])
    assert [one.valid for one in found] == [45, 45]
    assert weak_words(found) == ""


def test_the_best_over_several_partitions_names_them_of_the_first(tmp_path: Path) -> None:
    partitioned_study(tmp_path / "slides")
    told = CliRunner().invoke(main, ["best", "slides", "--json", "--studies", str(tmp_path)])
    assert [one["valid"] for one in json.loads(told.stdout)["classes"]] == [45, 45]
