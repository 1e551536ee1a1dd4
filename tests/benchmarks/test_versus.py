"""What the comparison with Ray Tune and with a plain script rests on: its table, its extrapolation, equal draws."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.checkout import ROOT
from tests.support.tiny_study import TinyStudy, make_tiny_study
from trainables.learning.group import Group
from trainables.learning.learner import Lane
from trainables.learning.material import Material, learner_of

sys.path.insert(0, str(ROOT / "benchmarks"))

import images
from by_hand import Search
from counted import count
from race import extrapolated, sampled
from table import Table, alternately, median_ratio
from task import Task, spread

EPOCHS = 3


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    torch.set_num_threads(1)
    return make_tiny_study(tmp_path_factory.mktemp("versus"), ("few", "many", "some"))


def test_images_without_a_limit_are_as_many_as_the_real_set_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "SYNTHETIC_IMAGES", 12)
    made = images.choose(argparse.Namespace(data=images.REAL, synthetic=True), tmp_path, None)
    assert made.count == 12
    assert len(made.table.read_text().splitlines()) == 13


def task(**changes: Any) -> Task:
    settings: dict[str, Any] = {
        "root": "/images",
        "files": ("a.png", "b.png", "c.png"),
        "labels": (0, 1, 2),
        "training": (True, True, False),
        "classes": 3,
        "library": "timm",
        "network": "test_resnet",
        "weights": "",
        "image_size": 32,
        "interpolation": "bilinear",
        "mean": (0.5,) * 3,
        "std": (0.5,) * 3,
        "precision": "fp32",
        "grid": ((0.1, 4), (0.1, 8), (0.2, 4), (0.2, 8)),
        "momentum": 0.9,
        "non_linearities": 0,
        "negative_slope": 0.1,
        "dropout": 0.0,
        "repeats": 6,
        "epochs": 10,
        "seed": 5,
    }
    return Task(**(settings | changes))


def test_sides_alternate_and_begin_at_either_end() -> None:
    asked: list[str] = []

    def side(name: str) -> float:
        asked.append(name)
        return float(len(asked))

    found = alternately({"a": lambda: side("a"), "b": lambda: side("b")}, 3)
    assert asked == ["a", "b", "b", "a", "a", "b"]
    assert found == {"a": [1.0, 4.0, 5.0], "b": [2.0, 3.0, 6.0]}
    assert median_ratio([(1.0, 2.0), (9.0, 3.0), (4.0, 4.0)]) == 1.0
    assert math.isnan(median_ratio([]))


def test_a_table_says_where_it_was_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("Speed", ("what", "s"))
    table.add("a | b", 12345.6)
    table.add("c", None)
    table.notes.append("measured once")
    with pytest.raises(ValueError, match="expected 2 cells"):
        table.add("d")
    table.show()
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["### Speed", "", "| what   |      s |"]
    assert "| a \\| b | 12,346 |" in lines
    assert "* measured once" in lines
    assert "cores" in lines[-2]
    table.write_json(tmp_path / "table.json")
    content = json.loads((tmp_path / "table.json").read_text())
    assert content["rows"] == [{"what": "a | b", "s": 12345.6}, {"what": "c", "s": None}]
    assert {"processor", "memory", "GPU", "torch", "ray", "date"} <= set(content["machine"])


def test_a_task_survives_its_file(tmp_path: Path) -> None:
    task().save(tmp_path / "task.json")
    assert Task.load(tmp_path / "task.json") == task()


def test_a_sample_has_all_batch_sizes() -> None:
    assert [task().grid[index] for index in sampled(task(), 6)] == [
        *((0.1, 4), (0.1, 8), (0.2, 4), (0.2, 8)),
        *((0.1, 4), (0.1, 8)),
    ]
    assert spread(20, 3) == [0, 10, 19]
    assert spread(2, 5) == [0, 1]


def test_extrapolation_is_exact_where_every_trial_takes_the_same() -> None:
    """A made-up run: two trials at a time, each 3 s before its first epoch, 5 s an epoch, 4 s to the next trial."""
    start, between, before, epoch, end, slots = 20.0, 4.0, 3.0, 5.0, 1.0, 2

    def wall(waves: float, epochs: int) -> float:
        return start + waves * (before + epochs * epoch) + (waves - 1) * between + end

    waves, epochs = 3, 2
    trials = []
    for number in range(waves * slots):
        began = start + number // slots * (before + epochs * epoch + between)
        reports = [
            {
                "began": began,
                "epoch_began": began + before + index * epoch,
                "ended": began + before + (index + 1) * epoch,
            }
            for index in range(epochs)
        ]
        trials.append({"reports": reports})
    sample = {"slots": slots, "trials": trials}
    expected = wall(4 * 6 / slots, 10)
    assert extrapolated(sample, task(), wall(waves, epochs)) == pytest.approx(expected)


def test_multiply_adds_are_those_of_the_loops(study: TinyStudy, tmp_path: Path) -> None:
    import timm

    torch.save(timm.create_model("test_resnet", num_classes=0).state_dict(), tmp_path / "fresh.pth")
    counted = count(task(weights=str(tmp_path / "fresh.pth")))
    runs, forward = 4 * 6, counted.width * 3
    assert counted.passes_every_step == runs * 10 * 3
    assert counted.passes_once == 3
    heads_a = runs * 10 * (2 * 2 * forward + forward)
    heads_c = runs * (10 * 2 * 2 * forward + 11 * 3 * forward)
    backbone = (counted.once - heads_c) / 3
    assert counted.every_step == pytest.approx(counted.passes_every_step * backbone + heads_a)
    assert backbone > 1e6


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(("non_linearities", "dropout"), [(0, 0.0), (1, 0.4), (2, 0.4)])
def test_the_plain_loop_gives_the_products_losses(
    tmp_path: Path, study: TinyStudy, non_linearities: int, dropout: float, classes: int
) -> None:
    study = make_tiny_study(tmp_path) if classes == 2 else study
    configuration = study.configuration(non_linearities=non_linearities, dropout=dropout, lr=0.1)
    bench = study.bench()
    material: Material = bench.material(configuration, study.partition)
    lanes = [Lane(configuration, 2)]
    group = Group(lanes, learner_of(lanes, material), material.samples, EPOCHS, 4096, torch.device("cpu"))
    group.advance(100.0)
    training = set(material.samples.training.tolist())
    rows = range(material.samples.rows)
    described = task(
        files=tuple(f"{row}.png" for row in rows),
        labels=tuple(material.labels.tolist()),
        training=tuple(row in training for row in rows),
        classes=classes,
        grid=((0.1, configuration.optimiser.batch_size),),
        non_linearities=non_linearities,
        dropout=dropout,
        epochs=EPOCHS,
    )
    plain = Search(described, material.features, same_draws=True).train(0.1, configuration.optimiser.batch_size, 2)
    history = group.history(0)
    assert torch.tensor(plain["loss"]).numpy() == pytest.approx(history.loss, abs=1e-5)
    assert torch.tensor(plain["confusion"]).view(history.statistics.shape).tolist() == history.statistics.tolist()
    other = Search(described, material.features, same_draws=True).train(0.1, configuration.optimiser.batch_size, 3)
    assert other["loss"] != plain["loss"]
