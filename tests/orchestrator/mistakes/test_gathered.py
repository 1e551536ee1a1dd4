"""What is gathered of a study is what its final records hold, of validation images alone; else it is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orchestrator.mistakes.chosen import choose
from orchestrator.mistakes.gathered import Gathered, gather
from orchestrator.results.summary import summarise
from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.store.layout import BundleKey
from orchestrator.store.schema import FinalRecord
from orchestrator.store.storage import LocalStorage
from search_spaces.settings.choice import Registry
from search_spaces.settings.data import TASKS
from tests.support.predicted_study import PredictedStudy, predicted_study
from trainables.data.manifest import read_manifest

REPEATS = 8


def gathered(
    storage: LocalStorage, top: int = 5, named: tuple[str, ...] = (), partition: str | None = None
) -> Gathered:
    summary = summarise(storage)
    return gather(storage, summary, choose(summary, top, named, partition))


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalStorage, PredictedStudy]:
    return predicted_study(tmp_path_factory.mktemp("studies"), "several", partitions=3)


def by_hand(storage: LocalStorage, study: PredictedStudy, name: str) -> dict[str, list[tuple[bool, float]]]:
    """File → (right, probability of the truth) of each prediction while it was in validation."""
    manifest = read_manifest(storage.read(layout.MANIFEST))
    found: dict[str, list[tuple[bool, float]]] = {}
    for number, partition in enumerate(study.ids()):
        valid = manifest[manifest["group"].map(study.split_of(number)) == "valid"]
        for repeat in range(REPEATS):
            path = BundleKey.of_repeat(partition, name, repeat).final(repeat, study.epochs)
            logits = FinalRecord.from_bytes(storage.read(path), path).logits[:, 0].astype(float)
            for file, label, logit in zip(valid["file"], valid["label"], logits, strict=True):
                second = study.classes.index(label) == 1
                chance = 1 / (1 + np.exp(-logit if second else logit))
                found.setdefault(file, []).append(((logit > 0) == second, chance))
    return found


def test_votes_and_probabilities_are_those_of_the_records(several: tuple[LocalStorage, PredictedStudy]) -> None:
    storage, study = several
    found = gathered(storage)
    assert len(found.members) == 3
    assert found.names[found.members[0].id].startswith("resnet18.tv_in1k n=1"), "the best one is first"
    for c, member in enumerate(found.members):
        votes = by_hand(storage, study, member.id)
        assert sorted(votes) == found.images["file"].tolist()
        for i, file in enumerate(found.images["file"]):
            assert found.trials[i] == len(votes[file])
            assert found.right[c, i] == sum(right for right, _ in votes[file])
            assert found.chance[c, i] == pytest.approx(np.mean([chance for _, chance in votes[file]]))
    assert found.probability.sum(axis=1) == pytest.approx(1)
    own = found.probability[np.arange(len(found.truth)), found.truth]
    assert own == pytest.approx(found.chance.mean(axis=0))


def test_test_images_are_not_among_them_and_groups_stay_whole(several: tuple[LocalStorage, PredictedStudy]) -> None:
    storage, study = several
    found = gathered(storage)
    tested = {group for group, split in study.split_of(0).items() if split == "test"}
    assert tested.isdisjoint(found.images["group"])
    valid = {group for number in range(3) for group, split in study.split_of(number).items() if split == "valid"}
    assert set(found.groups) == valid == set(found.images["group"])
    assert [found.groups[g] for g in found.group] == found.images["group"].tolist()
    assert found.is_cross_fitted
    assert found.never_judged == study.per_group * (study.groups - len(tested) - len(valid))


def test_one_partition_may_be_asked_for(several: tuple[LocalStorage, PredictedStudy]) -> None:
    storage, study = several
    found = gathered(storage, partition=study.ids()[1][:6])
    assert list(found.split_of) == [study.ids()[1]]
    assert set(found.groups) == {group for group, split in study.split_of(1).items() if split == "valid"}
    assert not found.is_cross_fitted


def test_configurations_are_named_in_the_order_typed(several: tuple[LocalStorage, PredictedStudy]) -> None:
    storage, study = several
    ids = [c.id for c in study.configurations()]
    found = gathered(storage, named=(ids[2][:8], ids[0], ids[2]))
    assert [member.id for member in found.members] == [ids[2], ids[0]]


def test_a_partition_that_is_none(several: tuple[LocalStorage, PredictedStudy]) -> None:
    with pytest.raises(InputError, match="partition 'zz': expected the beginning of one of") as refused:
        gathered(several[0], partition="zz")
    assert refused.value.advice == "Leave out --partition to take all of them: orch mistakes several"


def test_configurations_that_select_by_several_metrics_are_named(tmp_path: Path) -> None:
    summary = summarise(predicted_study(tmp_path)[0])
    metrics = ("accuracy", "macro_f1", "macro_f1")
    others = tuple(
        replace(one, configuration=one.configuration.with_values({"selection.metric": metric}))
        for one, metric in zip(summary.configurations, metrics, strict=True)
    )
    with pytest.raises(InputError, match="select by accuracy and macro_f1: expected one metric to rank by") as refused:
        choose(replace(summary, configurations=others), 5, (), None)
    assert refused.value.advice == "Name configurations: orch mistakes slides --of ID,ID"
    assert len(choose(replace(summary, configurations=others), 5, (others[0].id,), None).members) == 1


def test_names_that_fit_nothing_are_told_together(several: tuple[LocalStorage, PredictedStudy]) -> None:
    with pytest.raises(InputError) as refused:
        gathered(several[0], named=("abc", "zzzzzz"))
    assert "--of abc: expected at least the first 4 digits of one configuration's id" in refused.value.message
    assert "--of zzzzzz" in refused.value.message
    assert refused.value.advice.startswith("orch table several")


def test_nothing_is_finished(tmp_path: Path) -> None:
    storage, _ = predicted_study(tmp_path, skip=lambda _configuration, repeat: repeat == 3)
    with pytest.raises(InputError) as refused:
        gathered(storage)
    assert "has no configuration with all its repeats yet" in refused.value.message


def test_repeats_that_diverged_say_nothing_of_images(tmp_path: Path) -> None:
    storage, study = predicted_study(tmp_path, diverges=lambda c, repeat: repeat < 3 and c.head.non_linearities == 1)
    found = gathered(storage)
    assert found.repeats == (REPEATS - 3,)
    storage, study = predicted_study(tmp_path, "other", diverges=lambda c, _: c.head.non_linearities == 1)
    found = gathered(storage)
    assert len(found.members) == len(study.configurations()) - 1
    assert found.notes == ("Left out: 1 configuration whose repeats all diverged.",)
    lost = next(c.id for c in study.configurations() if c.head.non_linearities == 1)
    with pytest.raises(InputError, match="expected a repeat that was trained and did not diverge, found none"):
        gathered(storage, named=(lost,))


def test_predictions_that_are_gone_leave_their_configuration_out(tmp_path: Path) -> None:
    storage, study = predicted_study(tmp_path)
    lost = gathered(storage).members[0].id
    summary = summarise(storage)  # as it was before: a summary leaves a lost record out itself
    path = BundleKey.of_repeat(study.ids()[0], lost, 2).final(2, study.epochs)
    storage.local(path).unlink()
    found = gather(storage, summary, choose(summary, 5, (), None))
    assert lost not in [member.id for member in found.members]
    assert found.notes == (
        f"Left out: configuration {lost}: its kept predictions cannot be read, or belong to other images.",
    )
    with pytest.raises(InputError, match=f"configuration {lost}: its kept predictions cannot be read"):
        gather(storage, summary, choose(summary, 5, (lost,), None))


def test_a_task_without_classes_has_no_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = summarise(predicted_study(tmp_path)[0])
    other = replace(TASKS.variants["binary"], has_confusion=False)
    monkeypatch.setattr("orchestrator.mistakes.chosen.TASKS", Registry("data.task", (other,)))
    with pytest.raises(
        InputError, match="task binary: expected a task with classes, whose predictions are right or wrong"
    ):
        choose(summary, 5, (), None)


def test_predictions_of_another_epoch_are_not_taken(tmp_path: Path) -> None:
    storage, study = predicted_study(tmp_path)
    ids = {c.head.non_linearities: c for c in study.configurations()}
    path = BundleKey.of_repeat(study.ids()[0], ids[1].id, 0).final(0, study.epochs)
    record = FinalRecord.from_bytes(storage.read(path), path)
    record.meta["selected_epoch"] = 1
    storage.replace(path, record.to_bytes())
    with pytest.raises(InputError, match="its kept predictions come from another epoch than its scores in 1 repeat"):
        gathered(storage, top=1)
