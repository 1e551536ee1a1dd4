"""Nested evaluation: its folds, what each fold sees, that a fold equals the product's own flow, looks and resuming."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from orchestrator.command_line import main
from orchestrator.evaluation.looks import count_looks, short_hashes
from orchestrator.evaluation.nested import evaluate_nested
from orchestrator.evaluation.nested_features import feature_table, frozen_part, views_of
from orchestrator.evaluation.nested_folds import outer_folds
from orchestrator.evaluation.nested_plan import NestedOptions, make_nested_plan
from orchestrator.evaluation.nested_record import (
    FOLDER,
    FinishedFold,
    NestedRecord,
    fold_path,
    read_fold,
    read_nested,
    write_fold,
)
from orchestrator.evaluation.nested_text import nested_text
from orchestrator.evaluation.nested_training import Candidate, FoldTraining, Outcome, outer_views, samples_of
from orchestrator.evaluation.plan import EvaluationOptions
from orchestrator.evaluation.predictions import read_predictions
from orchestrator.evaluation.record import predictions_of, read_evaluations
from orchestrator.evaluation.run import evaluate
from orchestrator.results.amounts import duration
from orchestrator.results.summary import summarise
from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.store.record import pack, unpack
from orchestrator.store.storage import LocalStorage
from orchestrator.study.studies import Study, open_study
from tests.support.asked import Item, ask
from tests.support.tiny_study import TinyStudy
from tests.support.trained_study import NAME, copy_trained_study, make_trained_study
from trainables.bundles.trained import results
from trainables.data.partition import Partition, splits

SETTINGS: tuple[dict[str, object], ...] = (
    {},
    {"lr": 0.0001},
    {"lr": 0.01, "non_linearities": 1, "dropout": 0.2, "balance": "ngca"},
)


@dataclass
class NestedStudy:
    """A trained study and what its nested evaluation, asked for last, told its user."""

    study: Study
    tiny: TinyStudy
    said: list[str] = field(default_factory=list)
    told: list[tuple[str, int, int]] = field(default_factory=list)

    def evaluate(self, folds: int = 3, **options: object) -> NestedRecord:
        self.said.clear()
        self.told.clear()
        asked = NestedOptions(folds, **options)  # type: ignore[arg-type]
        return evaluate_nested(self.study, asked, self.tiny.cache, self.said.append, lambda *one: self.told.append(one))


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("nested")
    make_trained_study(root, ("few", "many", "some"), repeats=2, epochs=2, settings=SETTINGS)
    return root


@pytest.fixture
def nested(trained_once: Path, tmp_path: Path) -> NestedStudy:
    """Before its nested evaluation."""
    return NestedStudy(*copy_trained_study(trained_once, tmp_path))


@pytest.fixture(scope="module")
def evaluated_once(trained_once: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[NestedStudy, NestedRecord]:
    one = NestedStudy(*copy_trained_study(trained_once, tmp_path_factory.mktemp("evaluated")))
    return one, one.evaluate()


@pytest.fixture
def evaluated(evaluated_once: tuple[NestedStudy, NestedRecord], tmp_path: Path) -> NestedStudy:
    """After its evaluation, with its record."""
    one, _ = evaluated_once
    shutil.copytree(one.study.place.parent.path, tmp_path / "evaluated" / "studies")
    study = open_study(tmp_path / "evaluated" / "studies", NAME)
    return NestedStudy(study, replace(one.tiny, folder=study.place.path), list(one.said), list(one.told))


@pytest.fixture
def record(evaluated_once: tuple[NestedStudy, NestedRecord]) -> NestedRecord:
    return evaluated_once[1]


def test_it_says_before_how_long_the_folds_take(evaluated: NestedStudy) -> None:
    plan = make_nested_plan(evaluated.study, NestedOptions(3))
    spent = sum(one.seconds for one in plan.summary.configurations)
    images = [(splits(plan.manifest, one) == "train").sum() for one in (plan.partition, plan.folds[0])]
    slower = tuple(replace(one, seconds=1000.0) for one in plan.summary.configurations)
    slow = replace(plan.summary, configurations=slower)
    minutes = duration(2 * len(plan.candidates) * 1000.0 * images[1] / images[0])
    assert spent > 0
    assert f"epochs, about {minutes} at the pace of the search" in replace(plan, summary=slow).cost(2)
    assert plan.cost(3) in evaluated.said


def manifest_of(groups: dict[str, tuple[str, int]]) -> pd.DataFrame:
    """Group → (label, images)."""
    rows = [(f"{group}/{n}", label, group) for group, (label, count) in groups.items() for n in range(count)]
    return pd.DataFrame(rows, columns=["file", "label", "group"])


def made(groups: dict[str, tuple[str, int]]) -> tuple[pd.DataFrame, Partition]:
    split = {group: ("train", "train", "valid")[n % 3] for n, group in enumerate(groups)}
    return manifest_of(groups), Partition(split, "given")


def test_every_group_is_tested_once_and_every_class_is_trained_and_selected_on() -> None:
    sizes = {f"a{n}": ("a", 5 + n) for n in range(7)} | {f"b{n}": ("b", 9) for n in range(3)}
    manifest, partition = made(sizes)
    folds = outer_folds(manifest, partition, 4, 11)
    tested = [group for fold in folds for group, split in fold.groups.items() if split == "test"]
    assert sorted(tested) == sorted(sizes)
    for fold in folds:
        assert set(fold.groups) == set(sizes)
        for split in ("train", "valid"):
            assert {sizes[group][0] for group, found in fold.groups.items() if found == split} == {"a", "b"}
    held = [sum(g[0] == "a" and s == "test" for g, s in fold.groups.items()) for fold in folds]
    assert sorted(held) == [1, 2, 2, 2]
    shuffled = manifest.sample(frac=1.0, random_state=1).reset_index(drop=True)
    assert [fold.id for fold in outer_folds(shuffled, partition, 4, 11)] == [fold.id for fold in folds]


def test_what_cannot_be_folded_is_refused() -> None:
    manifest, partition = made({"a0": ("a", 3), "a1": ("a", 3), "b0": ("b", 2), "b1": ("b", 2), "b2": ("b", 2)})
    with pytest.raises(InputError, match="class 'a' has 2 groups, expected at least 3"):
        outer_folds(manifest, partition, 3, 0)
    manifest, partition = made({f"{c}{n}": (c, 3) for c in "ab" for n in range(3)})
    with pytest.raises(InputError, match="expected 2 to 6 outer folds"):
        outer_folds(manifest, partition, 7, 0)
    with pytest.raises(InputError, match="leaves 1 group of class 'a'") as caught:
        outer_folds(manifest, partition, 2, 0)
    assert caught.value.advice.endswith("--nested 3")
    assert len(outer_folds(manifest, partition, 3, 0)) == 3


def test_a_fold_that_is_the_studys_own_partition_gives_the_studys_own_result(nested: NestedStudy) -> None:
    """The search, its selection and its evaluation, bit for bit on this machine."""
    torch.set_num_threads(1)
    plan = make_nested_plan(nested.study, NestedOptions(3))
    bench, fold = nested.tiny.bench(), plan.partition
    tables = {}
    for candidate in plan.candidates:
        configuration = candidate.configuration
        needed = [*outer_views(plan.manifest, fold), *views_of(samples_of(plan.manifest, fold, configuration))]
        tables[frozen_part(configuration)] = feature_table(bench, configuration, fold.id, plan.manifest, needed)
    outcome = FoldTraining(bench, plan.manifest, fold, plan.candidates, tables, lambda _: None).run()
    ranked = summarise(nested.study.storage).configurations
    assert [c.configuration.id for c in plan.candidates] == [entry.id for entry in ranked]
    means = [entry.selection.mean for entry in ranked if entry.selection is not None]
    assert outcome.scores == pytest.approx(-np.array(means), abs=1e-5)
    assert outcome.selected == 0
    finals = results(nested.study.storage, fold.id, ranked[0].id, ranked[0].with_result)
    assert outcome.epochs == tuple(record.meta["selected_epoch"] for record in finals.values())
    record = evaluate(nested.study, EvaluationOptions(tta=None), nested.tiny.cache, lambda _: None, lambda *_: None)
    images = plan.sealed.reset_index(drop=True)
    content = nested.study.storage.read(predictions_of(record.look))
    logits, _ = read_predictions(
        content, record.predictions, record.look, images, record.repeats, record.classes, "multiclass"
    )
    assert np.allclose(outcome.logits, logits[:, :, 0], atol=1e-5)


def test_candidates_that_select_by_different_rules_are_compared_as_in_the_study(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    settings: tuple[dict[str, object], ...] = ({"rule": "worse_of_both"}, {"balance": "class_weights"})
    study, tiny, _ = make_trained_study(tmp_path, ("few", "many", "some"), repeats=2, epochs=2, settings=settings)
    plan = make_nested_plan(study, NestedOptions(3))
    assert plan.looked_at == "valid for all, because some select their epochs by valid alone"
    bench, fold = tiny.bench(), plan.partition
    tables = {}
    for candidate in plan.candidates:
        configuration = candidate.configuration
        needed = [*outer_views(plan.manifest, fold), *views_of(samples_of(plan.manifest, fold, configuration))]
        tables[frozen_part(configuration)] = feature_table(bench, configuration, fold.id, plan.manifest, needed)
    training = FoldTraining(bench, plan.manifest, fold, plan.candidates, tables, lambda _: None, plan.by_valid)
    ranked = summarise(study.storage).configurations
    valid = [score.mean for entry in ranked if (score := entry.score("loss", "valid")) is not None]
    assert training.run().scores == pytest.approx(-np.array(valid), abs=1e-5)


def test_the_record_pools_every_image_once_and_is_no_evaluation(
    nested: NestedStudy, evaluated: NestedStudy, record: NestedRecord
) -> None:
    before = nested.study.storage.list(layout.PARTITIONS), nested.study.storage.list(layout.BUNDLES)
    plan = make_nested_plan(evaluated.study, NestedOptions(3))
    assert record.images == len(plan.manifest) == sum(fold.images for fold in record.folds)
    assert record.groups == plan.manifest["group"].nunique()
    assert not any(estimate.is_primary for estimate in record.estimates)
    pooled = record.estimates[0].image.overall["accuracy"].value
    assert pooled == pytest.approx(sum(fold.accuracy * fold.images for fold in record.folds) / record.images)
    table = pd.read_parquet(evaluated.study.place.path / record.predictions)
    assert len(table) == 2 * record.images
    assert (table["predicted"] == table["label"]).mean() == pytest.approx(pooled)
    assert sorted(table.loc[table["repeat"] == 0, "file"]) == sorted(plan.manifest["file"])
    assert read_nested(evaluated.study.storage) == [record]
    assert read_evaluations(evaluated.study.storage) == []
    assert (evaluated.study.storage.list(layout.PARTITIONS), evaluated.study.storage.list(layout.BUNDLES)) == before
    text = nested_text(record)
    assert "(not the primary test estimate)" in text
    assert "The primary test estimate is still that of orch evaluate without --nested" in text
    assert "among 3 configurations" in text
    long = "vit_small_patch14_reg4_dinov2.lvd142m n=2 lr 0.0003 batch 16, dropout 0.2, optimiser adamw"
    folds = tuple(
        fold.model_copy(update={"name": long, "configuration": "a", "decisions": 12, "epochs_trained": 123_456})
        for fold in record.folds
    )
    wide = nested_text(record.model_copy(update={"folds": folds, "searches": ("adaptive",)})).splitlines()
    head = next(place for place, line in enumerate(wide) if line.startswith("  fold  "))
    assert max(len(line) for line in wide[head : head + len(folds) + 1]) <= 78
    assert wide[head + len(folds) + 1 :][:2] == ["Selected, 1 configuration in all:", f"  {long}, in folds 1, 2, 3"]
    done = [one[1] for one in evaluated.told]
    assert done == sorted(done)
    assert evaluated.told[-1][1:] == (3 * 3 * 2 * 2, 3 * 3 * 2 * 2)


def test_the_outer_images_reach_neither_training_nor_selection(
    evaluated: NestedStudy, record: NestedRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other outer labels and other outer features change the tested logits at most."""
    plan = make_nested_plan(evaluated.study, NestedOptions(3))
    plain = [read_fold(evaluated.study.storage, plan.key, n + 1, fold.id) for n, fold in enumerate(plan.folds)]
    shutil.rmtree(evaluated.study.place.path / FOLDER)
    own = FoldTraining._material

    def noisy(self: FoldTraining, configuration: object) -> object:
        outer = [view for fold in [self.fold] for view in outer_views(self.manifest, fold)]
        for table in self.tables.values():
            table.features[[table.place[view] for view in outer]] = 1e6
        return own(self, configuration)  # type: ignore[arg-type]

    def alone(self: FoldTraining) -> object:
        kept = {name: table.features.clone() for name, table in self.tables.items()}
        outcome = run(self)
        for name, table in self.tables.items():
            table.features.copy_(kept[name])
        return outcome

    run = FoldTraining.run
    monkeypatch.setattr(FoldTraining, "_material", noisy)
    monkeypatch.setattr(FoldTraining, "run", alone)
    second = evaluated.evaluate()
    assert [fold.configuration for fold in second.folds] == [fold.configuration for fold in record.folds]
    for n, (fold, before) in enumerate(zip(plan.folds, plain, strict=True)):
        after = read_fold(evaluated.study.storage, plan.key, n + 1, fold.id)
        assert after is not None
        assert before is not None
        assert (after.epochs, after.scores) == (before.epochs, before.scores)
        assert not np.allclose(after.logits, before.logits)


def test_every_fold_is_a_look_written_before_it_is_opened(nested: NestedStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make_nested_plan(nested.study, NestedOptions(3))
    beside = LocalStorage(nested.study.place.parent.path)
    sealed = short_hashes(plan.sealed["content"])

    def power_cut(*_: object) -> None:
        assert len(nested.study.storage.list("results/looks")) == 3
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("orchestrator.evaluation.nested.feature_table", power_cut)
        with pytest.raises(KeyboardInterrupt):
            nested.evaluate()
    record = nested.evaluate()
    holding = sum(bool(set(plan.outer(n)["content"]) & set(plan.sealed["content"])) for n in range(3))
    assert count_looks(nested.study.storage, beside, sealed) == record.test_looks == holding > 0
    nested.evaluate()
    assert count_looks(nested.study.storage, beside, sealed) == holding, "the same folds again are no further looks"
    primary = evaluate(nested.study, EvaluationOptions(tta=None), nested.tiny.cache, lambda _: None, lambda *_: None)
    assert primary.number == holding + 1
    assert "nested cross-validation, outer fold" in primary.first


def test_a_finished_fold_is_not_trained_again(
    evaluated: NestedStudy, record: NestedRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = evaluated.study.place.path / FOLDER / record.key
    (folder / "fold-2.record").unlink()
    (folder / "fold-3.record").write_bytes(b"torn")
    ran: list[str] = []
    run = FoldTraining.run

    def noted(self: FoldTraining) -> Outcome:
        ran.append(self.fold.id)
        return run(self)

    with monkeypatch.context() as patched:
        patched.setattr(FoldTraining, "run", noted)
        again = evaluated.evaluate()
    assert ran == [record.folds[1].partition, record.folds[2].partition]
    assert again.estimates == record.estimates
    assert again.folds == record.folds
    monkeypatch.setattr(FoldTraining, "run", lambda _: pytest.fail("trained again"))
    monkeypatch.setattr("orchestrator.evaluation.nested._places", lambda *_: pytest.fail("opened"))
    assert evaluated.evaluate().estimates == record.estimates
    assert "no further look" in evaluated.said[-1]


def test_unfrozen_configurations_are_left_out_and_said_to_be(tmp_path: Path) -> None:
    study, tiny, _ = make_trained_study(tmp_path, repeats=1, epochs=1, settings=({"unfrozen": 1, "lr": 0.01}, {}))
    nested = NestedStudy(study, tiny)
    record = nested.evaluate()
    assert record.candidates == 1
    assert any(
        "Left out: 1 of 2 configurations, because layers are unfrozen or images augmented" in note
        for note in record.notes
    )
    assert len(record.estimates) == 1, "one repeat has no ensemble"


def test_without_heads_it_is_refused(tmp_path: Path) -> None:
    study, tiny, _ = make_trained_study(tmp_path, repeats=1, epochs=1, settings=({"unfrozen": 1, "lr": 0.01},))
    with pytest.raises(InputError, match="every configuration unfreezes layers"):
        NestedStudy(study, tiny).evaluate()
    assert study.storage.list("results/looks") == []


def with_a_later_stage(tmp_path: Path, **settings: object) -> NestedStudy:
    """Two repeats of a probe, and a stage that begins from it."""
    study, tiny, (probe,) = make_trained_study(tmp_path, repeats=2, epochs=3, settings=({"lr": 0.02},))
    child = tiny.configuration(parent=f"{probe.id}:3", **settings)
    ask(study.storage, (tiny.partition,), [Item(child.id, 2, 2)])
    tiny.train(child, (0, 1), 2)
    return NestedStudy(study, tiny)


def test_a_later_stage_that_is_selected_is_refused(tmp_path: Path) -> None:
    nested = with_a_later_stage(tmp_path, lr=0.02)
    with pytest.raises(InputError, match=r"the selected configuration, .* begins from .* belongs to a later stage"):
        nested.evaluate()
    assert nested.study.storage.list("results/looks") == []


def test_later_stages_that_are_not_selected_are_left_out(tmp_path: Path) -> None:
    nested = with_a_later_stage(tmp_path, lr=1e30)  # diverges, and counts with what it began from
    probe = make_trained_study(tmp_path / "other", repeats=2, epochs=8, settings=({"lr": 0.02},))[2][0]
    ask(nested.study.storage, (nested.tiny.partition,), [Item(probe.id, 2, 8)])
    nested.tiny.train(nested.tiny.configuration(lr=0.02), (0, 1), 8)
    record = nested.evaluate()
    assert record.candidates == 1
    assert "Left out: 1 configuration of later stages." in record.notes


def test_the_command(nested: NestedStudy) -> None:
    where = ["--studies", str(nested.study.place.parent), "--cache", str(nested.tiny.cache)]
    wrong = CliRunner().invoke(
        main, ["evaluate", NAME, "--nested", "3", "--at", "specificity=0.9", "--keep", "2", *where]
    )
    assert wrong.exit_code == 2
    assert "--at, --keep: cannot be used with --nested" in wrong.output
    found = CliRunner().invoke(main, ["evaluate", NAME, "--nested", "3", "--json", *where])
    assert found.exit_code == 0, found.output
    said = json.loads(found.stdout)
    assert said["kind"] == "nested"
    assert len(said["folds"]) == 3
    text = CliRunner().invoke(main, ["evaluate", NAME, "--nested", "3", *where])
    assert "Outer folds. Inner scores" in text.stdout
    assert "no further look" in text.stderr


def test_a_configuration_that_diverges_counts_untrained(tmp_path: Path) -> None:
    study, tiny, configurations = make_trained_study(tmp_path, repeats=2, epochs=2, settings=({}, {"lr": 1e38}))
    record = NestedStudy(study, tiny).evaluate()
    assert (record.candidates, record.repeats) == (2, 2)
    assert {fold.configuration for fold in record.folds} == {configurations[0].id}
    plan = make_nested_plan(study, NestedOptions(3))
    fold = read_fold(study.storage, record.key, 1, plan.folds[0].id)
    assert fold is not None
    assert fold.scores[configurations[1].id] < fold.scores[configurations[0].id]


def test_more_repeats_than_a_bundle_holds(nested: NestedStudy) -> None:
    torch.set_num_threads(1)
    plan = make_nested_plan(nested.study, NestedOptions(3))
    fold, bench = plan.folds[0], nested.tiny.bench()
    configuration = plan.candidates[0].configuration
    needed = [*outer_views(plan.manifest, fold), *views_of(samples_of(plan.manifest, fold, configuration))]
    table = feature_table(bench, configuration, plan.partition.id, plan.manifest, needed)

    def trained(repeats: int) -> Outcome:
        candidates = [Candidate(configuration, tuple(range(repeats)), 2)]
        tables = {frozen_part(configuration): table}
        return FoldTraining(bench, plan.manifest, fold, candidates, tables, lambda _: None).run()

    many, few = trained(12), trained(2)
    assert many.logits.shape[0] == len(many.epochs) == 12
    assert np.allclose(many.logits[:2], few.logits, atol=1e-5)
    assert len({logits.tobytes() for logits in many.logits}) == 12


def test_a_partition_without_a_test_split_can_be_nested(tmp_path: Path) -> None:
    study, tiny, configurations = make_trained_study(tmp_path, repeats=1, epochs=1, settings=({},))
    whole = tiny.add_partition({g: "train" if split == "test" else split for g, split in tiny.groups().items()})
    ask(study.storage, (whole,), [Item(configurations[0].id, 1, 1)])
    replace(tiny, partition=whole).train(configurations[0], (0,), 1)
    nested = NestedStudy(study, tiny)
    record = nested.evaluate(partition=whole)
    assert (record.partition, record.test_looks) == (whole, 0)
    assert record.images == 44
    assert not any("test split" in text for text in [*record.notes, *nested.said])
    assert "test images" not in nested_text(record)


@pytest.mark.parametrize("change", [{"epochs": [1e400]}, {"repeats": [1e400]}, {"repeats": 1}, {"scores": {"a": "x"}}])
def test_a_fold_that_is_none_is_removed(tmp_path: Path, change: dict[str, object]) -> None:
    storage, path = LocalStorage(tmp_path), fold_path("0123456789ab", 1)
    fold = FinishedFold("p", "c", (0,), (2,), {"c": 1.0}, np.zeros((1, 3, 1), np.float32))
    write_fold(storage, "0123456789ab", 1, fold)
    assert read_fold(storage, "0123456789ab", 1, "p") is not None
    meta, arrays = unpack(storage.read(path))
    storage.replace(path, pack({**meta, **change}, arrays))
    assert read_fold(storage, "0123456789ab", 1, "p") is None
    with pytest.raises(FileNotFoundError):
        storage.read(path)
