"""Nested evaluation of a search that decides: each fold repeats the search itself, by the product's own code."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from orchestrator.evaluation.nested import evaluate_nested
from orchestrator.evaluation.nested_plan import NestedOptions, make_nested_plan
from orchestrator.evaluation.nested_record import FOLDER, read_fold, read_nested
from orchestrator.evaluation.nested_search import FoldSearch
from orchestrator.evaluation.nested_text import nested_text
from orchestrator.evaluation.plan import EvaluationOptions
from orchestrator.evaluation.predictions import read_predictions
from orchestrator.evaluation.record import predictions_of
from orchestrator.evaluation.run import evaluate
from orchestrator.proposing.deciding import Deciding, Machine
from orchestrator.results.decided import Decided
from orchestrator.results.news import NewsReader
from orchestrator.results.summary import summarise
from orchestrator.store import layout
from orchestrator.store.searches import Distribution, SearchRecord, search_file
from orchestrator.study.studies import Study, raise_budget
from search_spaces.limits import Limits
from search_spaces.stored import read_configuration
from tests.support.tiny_study import TinyStudy
from tests.support.trained_study import copy_trained_study, make_trained_study
from trainables.bundles.segment_run import SegmentRun
from trainables.bundles.stacks import divide_into_stacks
from trainables.bundles.work import Finals
from trainables.machine.places import Places

SETTINGS: tuple[dict[str, object], ...] = (
    *({"lr": lr} for lr in (1e-6, 1e-5, 1e-4, 0.001, 0.01, 0.1)),
    {"lr": 0.01, "unfrozen": 1},
)
HALVING = {"epochs": "halving", "ranked_on": 2}


def search(
    study: Study,
    tiny: TinyStudy,
    settings: dict[str, Any],
    repeats: int,
    epochs: int,
    partitions: tuple[str, ...] = (),
    lr: tuple[float, float] | None = None,
    suggestions: int | None = None,
) -> SearchRecord:
    """Decide and train, as a driver does. lr: between which a sampler draws it, of the first configuration."""
    storage = study.storage
    names = tuple(storage.list(layout.CONFIGURATIONS))
    names = tuple(name.removesuffix(".toml") for name in names)
    drawn: tuple[Distribution, ...] = ()
    if lr is not None:
        names = tuple(name for name in names if not read_configuration(storage, name).adaptation.unfrozen)[:1]
        drawn = (Distribution(path="optimiser.lr", low=lr[0], high=lr[1], log=True, configurations=names),)
    record = SearchRecord(
        proposer="adaptive",
        settings=settings,
        seed=5,
        partitions=partitions or (tiny.partition,),
        configurations=names,
        distributions=drawn,
    )
    storage.create(search_file(record.id), record.to_toml())
    limits = Limits(suggestions)
    raise_budget(storage, record.id, dict.fromkeys(names, (repeats, epochs)), "orch search tiny", limits)
    bench = tiny.bench()
    machine = Machine(1, "cpu", lambda wanted: divide_into_stacks(bench, wanted, 1), bench.remember)
    while True:
        decided = Decided.of(storage)
        deciding = Deciding(storage, decided, record.id, NewsReader(storage), machine)
        while deciding.decide() is not None:
            pass
        due = [one for one in decided.segments() if Finals(storage).owed(one)]
        if not due:
            return record
        for segment in due:
            tiny.train_segment(segment, bench)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose only search halves seven configurations, one of which unfreezes a layer."""
    root = tmp_path_factory.mktemp("searched")
    torch.set_num_threads(1)
    study, tiny, _ = make_trained_study(root, ("few", "many", "some"), repeats=1, epochs=1, settings=SETTINGS)
    for folder in ("searches", "bundles"):
        shutil.rmtree(tiny.folder / folder)
    search(study, tiny, HALVING, 2, 8)
    return root


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> tuple[Study, TinyStudy]:
    return copy_trained_study(made, tmp_path)


def nested(study: Study, tiny: TinyStudy, folds: int = 2) -> tuple[Any, list[str]]:
    said: list[str] = []
    options = NestedOptions(folds, data_root=tiny.data, weights="none")
    return evaluate_nested(study, options, tiny.cache, said.append, lambda *_: None), said


def test_a_fold_that_is_the_studys_own_partition_gives_the_studys_own_search(
    copied: tuple[Study, TinyStudy], tmp_path: Path
) -> None:
    """Decision for decision, and the selected configuration's test predictions bit for bit."""
    study, tiny = copied
    plan = make_nested_plan(study, NestedOptions(2))
    places = replace(Places.here(tiny.data, tiny.cache, {}), weights="none")
    again = FoldSearch(study, plan.searches, plan.partition, places, tmp_path / "folds", lambda _: None)
    images = plan.sealed.reset_index(drop=True)
    fold = again.run(plan.selection, images)
    theirs, ours = (
        [(one.reason, one.asks, one.stopped, one.news) for each in decided.decisions.values() for one in each]
        for decided in (Decided.of(study.storage), Decided.of(again.storage))
    )
    assert [one[:3] for one in ours] == [one[:3] for one in theirs]
    assert [[news.values for news in one[3]] for one in ours] == [[news.values for news in one[3]] for one in theirs]
    assert len(ours) > 2
    ranked = [one for one in summarise(study.storage).configurations if one.rank is not None]
    assert (fold.configuration, fold.repeats) == (ranked[0].id, ranked[0].with_result)
    assert fold.decisions == len(ours)
    options = EvaluationOptions(tta=None, data_root=tiny.data, weights="none")
    record = evaluate(study, options, tiny.cache, lambda _: None, lambda *_: None)
    content = study.storage.read(predictions_of(record.look))
    logits, _ = read_predictions(
        content, record.predictions, record.look, images, record.repeats, record.classes, "multiclass"
    )
    assert np.array_equal(fold.logits.astype(np.float16), logits[:, :, 0].astype(np.float16))


def test_every_fold_repeats_the_search_and_leaves_nothing_in_the_study(copied: tuple[Study, TinyStudy]) -> None:
    study, tiny = copied
    before = [study.storage.list(folder) for folder in (layout.PARTITIONS, layout.BUNDLES, "searches")]
    record, said = nested(study, tiny)
    assert record.searches == ("adaptive (epochs halving)",)
    assert record.candidates == 7
    assert all(fold.decisions > 2 for fold in record.folds)
    assert all(0 < fold.epochs_trained < 7 * 2 * 8 for fold in record.folds), "it stopped what was hopeless"
    assert record.images == sum(fold.images for fold in record.folds)
    assert [study.storage.list(folder) for folder in (layout.PARTITIONS, layout.BUNDLES, "searches")] == before
    assert not (tiny.cache / "nested" / record.key).exists()
    assert read_nested(study.storage) == [record]
    cost = next(number for number, text in enumerate(said) if "repeat the whole search" in text)
    assert "at most 112 epochs each, all that its budget allows. The study's own search took" in said[cost]
    assert any("opened, each a look" in text for text in said[cost + 1 :]), "what it costs is said before"
    text = nested_text(record)
    assert (
        "repeating the whole search, adaptive (epochs halving), with its decisions, and the selection by loss" in text
    )
    (head,) = [line.split() for line in text.splitlines() if line.startswith("  fold  ")]
    assert head[-2:] == ["decisions", "epochs"]


def test_an_interrupted_fold_goes_on_and_gives_the_same(
    copied: tuple[Study, TinyStudy], monkeypatch: pytest.MonkeyPatch
) -> None:
    study, tiny = copied
    whole, _ = nested(study, tiny)
    shutil.rmtree(tiny.folder / FOLDER)
    own, count = SegmentRun.advance, [0]

    def cut(self: SegmentRun, seconds: float) -> bool:
        count[0] += 1
        if count[0] == 4:
            raise KeyboardInterrupt
        return own(self, seconds)

    with monkeypatch.context() as patched:
        patched.setattr(SegmentRun, "advance", cut)
        with pytest.raises(KeyboardInterrupt):
            nested(study, tiny)
    plan = make_nested_plan(study, NestedOptions(2))
    left = tiny.cache / "nested" / plan.key / plan.folds[0].id
    done = sum(1 for _ in left.rglob("final/*"))
    assert done > 0
    again, _ = nested(study, tiny)
    assert [fold.model_dump() for fold in again.folds] == [fold.model_dump() for fold in whole.folds]
    assert again.estimates == whole.estimates
    for number, fold in enumerate(plan.folds, 1):
        assert read_fold(study.storage, plan.key, number, fold.id) is not None


def test_other_rules_are_another_nested_evaluation(copied: tuple[Study, TinyStudy]) -> None:
    study, tiny = copied
    first = make_nested_plan(study, NestedOptions(2))
    search(study, tiny, {"epochs": "constant", "best": 2, "ranked_on": 2}, 2, 8)
    second = make_nested_plan(study, NestedOptions(2))
    assert (len(first.searches), len(second.searches)) == (1, 2)
    assert first.key != second.key
    assert "adaptive (epochs halving) and adaptive (epochs constant)" in second.cost(2)


def test_a_search_through_several_partitions_goes_through_as_many_in_a_fold(copied: tuple[Study, TinyStudy]) -> None:
    study, tiny = copied
    shutil.rmtree(tiny.folder / "searches")
    other = tiny.add_partition({**tiny.groups(), "few-train-0": "valid", "few-valid-0": "train"})
    search(study, tiny, {"epochs": "constant", "best": 2, "ranked_on": 2}, 1, 5, (tiny.partition, other))
    plan = make_nested_plan(study, NestedOptions(2))
    assert plan.work == 2 * 7 * 1 * 5
    record, _ = nested(study, tiny)
    for number, fold in enumerate(plan.folds, 1):
        stored = read_fold(study.storage, plan.key, number, fold.id)
        assert stored is not None
        assert stored.repeats == (0,), "tested as it was trained on the fold's first division"
        assert stored.configuration == max(stored.scores, key=lambda name: stored.scores[name])
    assert {fold.partition for fold in record.folds} == {fold.id for fold in plan.folds}


def test_further_divisions_of_a_fold_leave_its_outer_groups_out(
    copied: tuple[Study, TinyStudy], tmp_path: Path
) -> None:
    study, tiny = copied
    plan = make_nested_plan(study, NestedOptions(2))
    several = plan.searches[0].record.model_copy(update={"partitions": ("a" * 12, "b" * 12, "c" * 12)})
    places = Places.here(tiny.data, tiny.cache, {})
    searches = [replace(plan.searches[0], record=several)]
    again = FoldSearch(study, searches, plan.folds[0], places, tmp_path / "folds", lambda _: None)
    outer = [{group for group, split in one.groups.items() if split == "test"} for one in again.partitions]
    assert len({one.id for one in again.partitions}) == 3
    assert again.partitions[0].id == plan.folds[0].id
    assert outer[0] == outer[1] == outer[2] != set()


def test_a_sampler_suggests_anew_in_every_fold(copied: tuple[Study, TinyStudy]) -> None:
    study, tiny = copied
    shutil.rmtree(tiny.folder / "searches")
    before = set(study.storage.list(layout.CONFIGURATIONS))
    made = search(study, tiny, {"sampler": "tpe", "ranked_on": 2}, 2, 3, lr=(1e-5, 0.1), suggestions=10)
    tried = Decided.of(study.storage).tried(made.id)
    assert len(tried) == 10
    plan = make_nested_plan(study, NestedOptions(2))
    assert plan.work == 10 * 2 * 3
    record, _ = nested(study, tiny)
    assert record.searches == ("adaptive (sampler tpe)",)
    stored = [read_fold(study.storage, plan.key, number, fold.id) for number, fold in enumerate(plan.folds, 1)]
    assert all(fold is not None and len(fold.scores) == 10 for fold in stored)
    assert all(fold.decisions >= 2 and fold.name for fold in record.folds)
    assert set(study.storage.list(layout.CONFIGURATIONS)) == before | {f"{name}.toml" for name in tried}
    assert nested_text(record)
