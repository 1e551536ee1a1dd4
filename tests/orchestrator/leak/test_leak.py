"""The leak experiment: its partitions, what it finds where groups matter and where not, and that it stays apart."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from scipy import stats

from orchestrator.commands.data import data
from orchestrator.export.chosen import choose
from orchestrator.leak.difference import contributions
from orchestrator.leak.experiment import LeakOptions, memoriser, train
from orchestrator.leak.partitions import (
    EXPERIMENTS,
    HELD_BACK,
    SPLITS,
    TRAIN,
    VALID,
    LeakPartition,
    check_groups,
    leak_partitions,
)
from orchestrator.leak.records import (
    FOLDER,
    LeakAnswer,
    LeakRun,
    answer,
    answer_data,
    answer_lines,
    pack_run,
    read_runs,
    run_path,
    selected_epoch,
)
from orchestrator.results.histories import list_bundles
from orchestrator.results.summary import summarise
from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.store.layout import BUNDLES, PARTITIONS
from orchestrator.store.record import pack, unpack
from orchestrator.store.schema import History
from orchestrator.store.storage import LocalStorage
from search_spaces.configuration import Configuration
from tests.support.configurations import configured
from tests.support.finished_study import FinishedStudy, finished_study
from trainables.data.manifest import read_manifest
from trainables.features.samples import Samples
from trainables.learning.learner import Resident
from trainables.learning.material import Material
from trainables.learning.tasks import confusion

SETTINGS = {"backbone": "timm:x", "epochs": 15, "group_meaning": "slide"}


def images(groups_per_class: tuple[int, ...] = (5, 4, 3, 2), each: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Labels and groups of images in manifest order."""
    labels = np.repeat(np.repeat(np.arange(len(groups_per_class)), groups_per_class), each)
    return labels, np.repeat(np.arange(sum(groups_per_class)), each)


def split_of(groups: np.ndarray, split: np.ndarray) -> list[set[int]]:
    return [set(split[groups == group].tolist()) for group in np.unique(groups)]


@pytest.mark.parametrize("repeat", range(6))
def test_what_each_experiment_mixes(repeat: int) -> None:
    labels, groups = images()
    apart, exchanged, shuffled = leak_partitions(labels, groups, repeat, 3)
    assert all(len(found) == 1 for found in split_of(groups, apart.split)), "experiment 0 divides no group"
    for partition in (exchanged, shuffled):
        assert np.array_equal(partition.rows(HELD_BACK), apart.rows(HELD_BACK)), "the same groups are held back"
    moved = exchanged.split != apart.split
    for group in np.unique(groups):
        held = apart.split[groups == group][0] == HELD_BACK
        assert moved[groups == group].sum() == (0 if held else 1)
    for split in (TRAIN, VALID):
        assert len(shuffled.rows(split)) == len(apart.rows(split))
    divided = [found for found in split_of(groups, shuffled.split) if found == {TRAIN, VALID}]
    assert len(divided) > 5
    for label in range(4):
        assert (labels[apart.rows(TRAIN)] == label).any()


def test_classes_with_two_groups_take_turns() -> None:
    labels, groups = images((2, 2))
    held = [set(labels[leak_partitions(labels, groups, r, 0)[0].rows(HELD_BACK)].tolist()) for r in range(4)]
    assert held == [{0}, {1}, {0}, {1}] or held == [{1}, {0}, {1}, {0}]


def test_every_class_is_everywhere_when_it_has_three_groups() -> None:
    labels, groups = images((3, 6, 9))
    for repeat in range(5):
        apart = leak_partitions(labels, groups, repeat, 0)[0]
        for split in (TRAIN, VALID, HELD_BACK):
            assert set(labels[apart.rows(split)].tolist()) == {0, 1, 2}


def test_repeats_differ_and_are_reproducible() -> None:
    labels, groups = images((9, 9))
    first, again, other = (leak_partitions(labels, groups, r, 0) for r in (0, 0, 1))
    assert all(np.array_equal(a.split, b.split) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0].split, other[0].split)


def test_groups_of_several_classes_are_given_once() -> None:
    groups = np.repeat(np.arange(8), 6)
    labels = np.tile([0, 0, 0, 1, 1, 2], 8)
    apart = leak_partitions(labels, groups, 0, 0)[0]
    assert all(len(found) == 1 for found in split_of(groups, apart.split))
    assert {int(s) for s in apart.split} == {TRAIN, VALID, HELD_BACK}


def test_a_group_of_one_image_stays_where_it_is() -> None:
    labels = np.array([0, 0, 0, 0, 0, 0, 0])
    groups = np.array([0, 0, 0, 1, 2, 2, 3])
    apart, exchanged, _ = leak_partitions(labels, groups, 0, 0)
    for image in (3, 6):
        assert apart.split[image] == exchanged.split[image]


def test_what_cannot_be_asked() -> None:
    labels, groups = images((2, 1, 1))
    with pytest.raises(InputError) as caught:
        check_groups(labels, groups, ("a", "b", "c"), "slides")
    assert "class 'b' has 1 group" in str(caught.value)
    assert "class 'c' has 1 group" in str(caught.value)
    with pytest.raises(InputError, match="every image is a group of its own"):
        check_groups(np.zeros(4, dtype=int), np.arange(4), ("a",), "slides")


def made_up(groups_matter: bool) -> tuple[Configuration, Material, np.ndarray, np.ndarray]:
    """Features whose noise is shared by a group, or each image's own."""
    torch.set_num_threads(1)  # as the command does: two threads for products this small wait for each other
    labels, groups = images((6, 6, 6), 8)
    draw = np.random.default_rng(0)
    size = 32
    centres = draw.normal(size=(3, size)) * (0.25 if groups_matter else 1.0)
    shared = draw.normal(size=(18, size)) * (1.5 if groups_matter else 0.0)
    features = (centres[labels] + shared[groups] + draw.normal(size=(len(labels), size)) * 0.4).astype(np.float32)
    configuration = configured(
        task="multiclass",
        classes=("a", "b", "c"),
        study_seed=1,
        non_linearities=1,
        negative_slope=0.2,
        lr=5e-3,
        batch_size=32,
        optimiser="adam",
        betas=(0.9, 0.999),
    )
    import pandas as pd

    views = np.stack([np.arange(len(labels)), np.zeros(len(labels))], axis=1).astype(np.int32)
    samples = Samples(pd.DataFrame({"group": groups}), views, labels.astype(np.int64), np.arange(0), {}, None)
    tensors = torch.from_numpy(features), torch.from_numpy(labels.astype(np.int64))
    material = Material(samples, tensors[1], None, size, Resident(tensors[0]), None, "the pooled features")
    return configuration, material, labels, groups


def test_it_finds_a_leak_where_there_is_one_and_none_where_not() -> None:
    shown = {}
    for matters, repeats in ((True, 4), (False, 3)):
        configuration, material, labels, groups = made_up(matters)
        runs = [
            train(configuration, material, partition, 15, torch.device("cpu"))
            for repeat in range(repeats)
            for partition in leak_partitions(labels, groups, repeat, 1)
        ]
        shown[matters] = answer(runs, SETTINGS)
    leaky, clean = shown[True], shown[False]
    assert leaky.shown > 0.9
    assert leaky.real < 0.75
    assert f"would have shown {leaky.shown:.2f} instead of {leaky.real:.2f}" in leaky.sentence()
    valid = [result.balanced[VALID] for result in leaky.results]
    assert valid[0] < valid[1] < valid[2], "the more images are exchanged, the better it looks"
    held = [result.balanced[HELD_BACK] for result in leaky.results]
    assert max(held) - min(held) < 0.25
    assert leaky.results[2].final_loss[VALID] < 0.5 < leaky.results[0].final_loss[VALID]
    assert all(result.trained > 0.99 for result in leaky.results)
    assert clean.sentence().startswith("No difference shown: ")
    assert clean.sentence().endswith("Groups hardly matter here.")
    assert leaky.difference.low > 0
    assert "did not memorise" not in "\n".join(answer_lines("x", leaky))
    assert len(answer_data(leaky)["experiments"][2]["mean_loss"]["held_back"]) == 16


@pytest.mark.parametrize(("rule", "epoch"), [("valid", 1), ("worse_of_both", 2)])
def test_the_epoch_is_that_of_the_configuration_s_rule(rule: str, epoch: int) -> None:
    loss = np.array([[0.9, 0.9, 0.0], [0.8, 0.3, 0.0], [0.5, 0.5, 0.9]])
    history = History(SPLITS, loss, np.zeros((3, 3, 2, 2), dtype=np.int32))
    assert selected_epoch(configured(rule=rule), history) == epoch


def scored(*right: tuple[int, int]) -> LeakAnswer:
    """Of experiment 2, one pair per repeat: how many of 50 valid and 50 held-back images of each class were right."""
    runs = []
    for experiment in EXPERIMENTS:
        for repeat, pair in enumerate(right):
            counts = np.zeros((1, 3, 2, 2), dtype=np.int32)
            for split, number in zip((VALID, HELD_BACK), pair, strict=True):
                counts[0, split] = [[number, 50 - number], [50 - number, number]]
            counts[0, TRAIN] = [[50, 0], [0, 50]]
            partition = LeakPartition(experiment, repeat, np.zeros(1, dtype=np.int64))
            runs.append(LeakRun(partition, History(SPLITS, np.zeros((1, 3)), counts), 0))
    return answer(runs, SETTINGS)


def test_two_repeats_that_vary_show_no_difference() -> None:
    """Former failure: "0.97 instead of 0.94" of two repeats whose differences are 0.01 and 0.05."""
    found = scored((49, 49), (48, 45))
    assert (found.shown, found.real) == pytest.approx((0.97, 0.94))
    pairs = np.array([0.0, 0.06])
    reach = stats.t.ppf(0.975, 1) * pairs.std(ddof=1) / 2**0.5
    assert (found.difference.mean, found.difference.n) == (pytest.approx(0.03), 2)
    assert (found.difference.low, found.difference.high) == pytest.approx((0.03 - reach, 0.03 + reach))
    assert found.sentence() == (
        "No difference shown: a random split would have shown 0.97, and unseen groups score 0.94 "
        "(balanced accuracy); 0.03 apart [-0.35, 0.41], over 2 repeats."
    )
    assert answer_data(found)["difference"]["low"] == pytest.approx(found.difference.low)
    assert answer_lines("x", found)[0] == f"x: {found.sentence()}"


def test_what_a_difference_is_called() -> None:
    assert scored((48, 30), (47, 31), (49, 29)).sentence() == (
        "A random split would have shown 0.96 instead of 0.60 (balanced accuracy): 0.36 better [0.26, 0.46], over 3 "
        "repeats."
    )
    worse = scored((40, 45), (41, 46), (39, 44), (40, 46)).sentence()
    assert "0.10 worse [0." in worse, "as much worse as the interval says"
    assert "; -0.0" in scored((40, 41), (41, 40), (40, 42)).sentence(), "apart in the direction of its interval"
    one = scored((49, 40))
    assert one.sentence().startswith("No difference shown by one repeat: a random split would have shown 0.98")
    assert answer_data(one)["difference"]["low"] is None
    assert scored((49, 49), (48, 48), (49, 49)).sentence().endswith("over 3 repeats. Groups hardly matter here.")


def test_a_repeat_that_lacks_a_class_says_nothing_of_it() -> None:
    counts = np.random.default_rng(0).integers(1, 9, size=(4, 3, 2, 2))
    counts[0, VALID, 1] = counts[1, HELD_BACK, 0] = 0
    parts = contributions(counts)
    assert parts.mean(axis=0) == pytest.approx(confusion.balanced_accuracy(counts.sum(axis=0)))
    recall = counts[:, VALID, 0, 0].sum() / counts[:, VALID, 0].sum()
    of_first = (counts[0, VALID, 0, 0] - recall * counts[0, VALID, 0].sum()) / counts[:, VALID, 0].sum(axis=1).mean()
    assert parts[0, VALID] - parts[:, VALID].mean() == pytest.approx(of_first / 2)


def test_records_are_kept_whole_and_damaged_ones_are_passed_over(tmp_path: Path) -> None:
    configuration, material, labels, groups = made_up(True)
    storage = LocalStorage(tmp_path)
    runs = [
        train(configuration, material, partition, 1, torch.device("cpu"))
        for partition in leak_partitions(labels, groups, 0, 1)
    ]
    for run in runs:
        storage.create(run_path("k", run.partition.experiment, 0), pack_run(run, SETTINGS))
    storage.create(run_path("k", 0, 1), b"torn")
    meta, arrays = unpack(storage.read(run_path("k", 0, 0)))
    for number, selected in enumerate((1e400, 10**30, -1, "x", None), 2):
        storage.create(run_path("k", 0, number), pack({**meta, "selected": selected}, arrays))
    found = read_runs(storage, "k")
    assert [run.partition.experiment for run in found] == [0, 1, 2]
    assert all(np.array_equal(a.partition.split, b.partition.split) for a, b in zip(found, runs, strict=True))
    assert all(np.array_equal(a.history.loss, b.history.loss) for a, b in zip(found, runs, strict=True))
    assert unpack(storage.read(run_path("k", 2, 0)))[0]["kind"] == "leak"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> FinishedStudy:
    return finished_study(tmp_path_factory.mktemp("leaky"), ("few", "many"), probe={})


said: list[str] = []


def ask(study: FinishedStudy, *more: str) -> dict[str, object]:
    run = CliRunner().invoke(data, ["leak", "study", *study.options, "--epochs", "3", "--json", *more])
    assert run.exit_code == 0, (run.output, run.exception)
    found: dict[str, object] = json.loads(run.stdout)
    said.append(run.stderr)
    return found


def test_the_command_leaves_everything_else_as_it_was(study: FinishedStudy) -> None:
    storage = study.tiny.storage
    before = summarise(storage)
    bundles, partitions = list_bundles(storage), storage.list(PARTITIONS)
    found = ask(study, "--repeats", "2")
    assert re.search(r"^6 trainings of 3 epochs, about \d+ s\.$", said[-1], re.MULTILINE)
    assert "random split would have shown" in str(found["sentence"])
    assert list_bundles(storage) == bundles
    assert storage.list(PARTITIONS) == partitions
    after = summarise(storage)
    assert [m.id for m in after.configurations] == [m.id for m in before.configurations]
    (key,) = storage.list(FOLDER)
    assert storage.list(BUNDLES) == [study.tiny.partition]
    with pytest.raises(InputError, match="expected the beginning of one of"):
        choose(storage, after, partition=key)


def test_test_images_take_no_part(study: FinishedStudy) -> None:
    ask(study, "--repeats", "2")
    storage = study.tiny.storage
    manifest = read_manifest(storage.read(layout.MANIFEST))
    seen = (manifest["group"].map(study.tiny.groups()) != "test").sum()
    (key,) = storage.list(FOLDER)
    for run in read_runs(storage, key):
        assert len(run.partition.split) == seen
        assert run.history.statistics[0].sum() == seen


def test_it_goes_on_where_it_stopped(study: FinishedStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ask(study, "--repeats", "2")
    trained = []
    monkeypatch.setattr(
        "orchestrator.leak.experiment.train", lambda *arguments: trained.append(arguments) or train(*arguments)
    )
    assert ask(study, "--repeats", "2") == first
    assert not trained
    ask(study, "--repeats", "3")
    assert len(trained) == 3


def test_the_curves_as_a_page(study: FinishedStudy, tmp_path: Path) -> None:
    found = ask(study, "--repeats", "2", "--figure", str(tmp_path / "leak.html"))
    page = (tmp_path / "leak.html").read_text()
    assert str(found["sentence"]) in page


def test_a_backbone_that_was_not_searched(study: FinishedStudy) -> None:
    run = CliRunner().invoke(data, ["leak", "study", *study.options, "--backbone", "vgg"])
    assert isinstance(run.exception, InputError)
    assert "expected a backbone of study 'study': timm:test_resnet.r160_in1k" in str(run.exception)


@pytest.mark.parametrize("name", ["whole", "scale_and_shift", "bias"])
def test_nothing_of_a_backbone_is_trained_whatever_the_study_trained(name: str, tmp_path: Path) -> None:
    found = memoriser(configured(adaptation=name, lr_decay=0.5), LeakOptions(tmp_path))
    assert found.live.has_features
    assert (found.adaptation.name, found.adaptation.lr_decay) == ("last", 1.0)
