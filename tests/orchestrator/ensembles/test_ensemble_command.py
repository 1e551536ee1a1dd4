"""`orch ensemble` on studies with kept predictions: what it says, keeps, lists and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from orchestrator.command_line import main
from orchestrator.energy.passes import Passes
from orchestrator.ensembles.cost import ensemble_cost
from orchestrator.ensembles.record import EnsembleRecord, OutOfBag, read_ensembles
from orchestrator.ensembles.report import verdict
from orchestrator.store import layout
from orchestrator.store.kinds import kind_of
from orchestrator.store.layout import BundleKey
from orchestrator.store.storage import LocalStorage
from search_spaces.configuration import Configuration
from tests.support.configurations import changed
from tests.support.generated_study import GeneratedStudy
from tests.support.predicted_study import PredictedStudy, predicted_study

DEPTHS = ((0, 0), (1, 0), (0, 2))


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--studies", str(folder)])


def text(folder: Path, *arguments: str) -> str:
    result = run(folder, *arguments)
    assert result.exit_code == 0, result.output
    return result.output


def data(folder: Path, *arguments: str) -> dict[str, Any]:
    result = run(folder, *arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def refused(folder: Path, *arguments: str) -> str:
    result = run(folder, *arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return result.output


def close_study(folder: Path, **changes: Any) -> tuple[LocalStorage, PredictedStudy]:
    """Three configurations that are nearly as good."""
    return predicted_study(folder, qualities={(0, 0): 0.6, (1, 0): 0.65, (0, 2): 0.55}, **changes)


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies")
    close_study(folder)
    close_study(folder, name="several", partitions=3)
    return folder


def ids(study: PredictedStudy | None = None) -> list[str]:
    made = study or PredictedStudy(depths=DEPTHS, lrs=(1e-3,), batch_sizes=(16,))
    return [c.id for c in made.configurations()]


def test_it_says_what_an_ensemble_is_worth(studies: Path) -> None:
    said = text(studies, "ensemble", "slides")
    assert "32 images in 8 groups (column slide)" in said
    assert "Members: the best 3 of 3 configurations by mean loss; mean of probabilities; greedy selection" in said
    assert "out of bag  in-sample" in said
    assert "best configuration alone (mean of 8 repeats)" in said
    assert "In-sample: on the images used to choose, so optimistic" in said
    assert "There is no interval: bags overlap" in said
    assert "Diversity: two members disagree on" in said or "One configuration has all the weight" in said
    assert "Next: orch evaluate slides --ensemble " in said
    assert "There are only 8 validation groups, so each weighs heavily in every figure." in said


def test_the_record_is_kept_listed_and_named_by_its_content(studies: Path) -> None:
    first, again = data(studies, "ensemble", "slides"), data(studies, "ensemble", "slides")
    assert first["id"] == again["id"]
    other = data(studies, "ensemble", "slides", "--weights", "equal", "--combine", "logits")
    assert other["id"] != first["id"]
    storage = LocalStorage(studies / "slides")
    assert {first["id"], other["id"]} <= {one.id for one in read_ensembles(storage)}
    assert kind_of(layout.ensemble(first["id"])).name == "ensemble"
    listed = text(studies, "ensemble", "slides", "--list")
    assert first["id"] in listed
    assert other["id"] in listed
    assert "gain" in listed
    found = data(studies, "ensemble", "slides", "--list")["ensembles"]
    assert first["id"] in [one["id"] for one in found]


def test_equal_weights_are_the_mean_of_all_repeats(studies: Path) -> None:
    found = data(studies, "ensemble", "slides", "--weights", "equal", "--metric", "accuracy", "--rounds", "0")
    assert [member["weight"] for member in found["members"]] == pytest.approx([1 / 3] * 3, abs=1e-6)
    assert {member["configuration"] for member in found["members"]} == set(ids())
    assert all(len(member["repeats"]) == 8 for member in found["members"])
    assert (found["cost"]["models"], found["out_of_bag"]) == (24, None)
    assert found["no_out_of_bag"] == "none were asked for"
    study = PredictedStudy(
        depths=DEPTHS,
        qualities={(0, 0): 0.6, (1, 0): 0.65, (0, 2): 0.55},
        lrs=(1e-3,),
        batch_sizes=(16,),
        repeats=8,
        epochs=4,
    )
    records = [study.record(c, repeat, 4, 0) for c in study.configurations() for repeat in range(8)]
    chances = np.mean([1 / (1 + np.exp(-record.logits[:, 0].astype(float))) for record in records], axis=0)
    split = study.split_of(0)
    truth = np.array([study.classes.index(label) for group, label in study.labels() if split[group] == "valid"])
    assert found["in_sample"]["ensemble"] == pytest.approx(np.mean((chances > 0.5) == truth))


def test_one_repeat_of_each(studies: Path) -> None:
    found = data(studies, "ensemble", "slides", "--repeats", "one", "--weights", "equal")
    assert [member["repeats"] for member in found["members"]] == [[0]] * 3
    assert (found["cost"]["models"], found["rival_models"]) == (3, 3)


def test_members_that_are_named_are_not_chosen_again(studies: Path) -> None:
    two = ids()[:2]
    found = data(studies, "ensemble", "slides", "--of", f"{two[0][:6]},{two[1]}")
    assert {member["configuration"] for member in found["members"]} == set(two)
    assert found["chosen"] == "2 configurations that were named"
    assert any("The members were named" in note for note in found["notes"])


def test_a_metric_of_one_class(studies: Path) -> None:
    found = data(studies, "ensemble", "slides", "--metric", "class_precision", "--rounds", "20")
    assert found["metric_words"] == "class precision (poorly differentiated)", "of a binary task the positive one"
    named = data(studies, "ensemble", "slides", "--metric", "class_f1", "--class", "differentiated", "--rounds", "20")
    assert named["metric_words"] == "class F1 (differentiated)"


def test_what_is_asked_wrongly(studies: Path) -> None:
    first = ids()[0]
    near = first[:5] + ("0" if first[5] != "0" else "1")
    said = refused(studies, "ensemble", "slides", "--of", f"{near},{ids()[1]}")
    assert f"--of {near}: expected the beginning of an id of this study, found none; did you mean '{first}'" in said
    assert "at least two members for an ensemble, found 1 that was named" in refused(
        studies, "ensemble", "slides", "--of", first
    )
    assert "found the loss, which votes do not have" in refused(studies, "ensemble", "slides", "--combine", "votes")
    asked = ("--combine", "votes", "--metric", "accuracy", "--weights", "loss")
    assert "found votes, which have no loss" in refused(studies, "ensemble", "slides", *asked)
    assert "--class x: expected a --metric of one class" in refused(studies, "ensemble", "slides", "--class", "x")
    assert "--partition 'zz': expected the beginning of one of" in refused(
        studies, "ensemble", "slides", "--partition", "zz"
    )
    assert refused(studies, "ensemble", "slides", "--top", "1")


def test_a_class_must_be_named_where_there_are_several(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "three")
    GeneratedStudy(name="three", classes=("x", "y", "z"), depths=((0, 0),), repeats=2, epochs=3).write(storage)
    said = refused(tmp_path, "ensemble", "three", "--metric", "class_recall")
    assert "expected --class with one of x, y, z, found none" in said
    assert "did you mean" not in said


def test_partitions_are_not_mixed(studies: Path) -> None:
    found = data(studies, "ensemble", "several")
    own = PredictedStudy(partitions=3).ids()
    assert found["partition"] == own[0]
    assert data(studies, "ensemble", "several", "--partition", own[1])["partition"] == own[1]


def test_a_configuration_of_another_partition_is_refused_with_the_reason(tmp_path: Path) -> None:
    """One that was trained on the second partition alone."""
    storage, study = close_study(tmp_path, partitions=2)
    extra = changed(study.configurations()[0], lr=0.5)
    storage.create(layout.configuration(extra.id), extra.to_toml())
    from tests.support.asked import Item, ask

    ask(storage, [study.ids()[1]], [Item(extra.id, 1, 4)], **study.about())
    record = study.record(extra, 0, 4, 1)
    key = BundleKey.of_repeat(study.ids()[1], extra.id, 0)
    storage.create(key.final(0, 4, record.state), record.to_bytes())
    said = refused(tmp_path, "ensemble", "slides", "--of", f"{extra.id},{study.configurations()[1].id}")
    assert f"expected a configuration on partition {study.ids()[0]}, found it only on" in said
    assert "members on different partitions train on each other's validation images" in said


def test_a_study_of_one_configuration_has_no_ensemble(tmp_path: Path) -> None:
    predicted_study(tmp_path, depths=((0, 0),))
    said = refused(tmp_path, "ensemble", "slides")
    assert "expected at least two members for an ensemble, found 1 with predictions in the study" in said
    assert "orch evaluate slides also scores the ensemble of one configuration's own repeats" in said


def test_repeats_that_diverged_are_left_out_and_counted(tmp_path: Path) -> None:
    lost = ids()[0]

    def diverges(configuration: Configuration, repeat: int) -> bool:
        return configuration.id == lost and repeat in (1, 4)

    close_study(tmp_path, diverges=diverges)
    found = data(tmp_path, "ensemble", "slides", "--weights", "equal")
    repeats = {member["configuration"]: member["repeats"] for member in found["members"]}
    assert repeats[lost] == [0, 2, 3, 5, 6, 7]
    assert found["cost"]["models"] == 22
    assert "2 repeats diverged and are left out everywhere here." in found["notes"]


def test_predictions_that_cannot_be_read_leave_a_configuration_out(tmp_path: Path) -> None:
    storage, study = close_study(tmp_path)
    CliRunner().invoke(main, ["status", "slides", "--studies", str(tmp_path)])
    lost = study.configurations()[2].id
    path = BundleKey.of_repeat(study.ids()[0], lost, 3).final(3, 4)
    record = study.record(study.configurations()[2], 3, 4, 0)
    record.logits = record.logits[:-1]
    storage.replace(path, record.to_bytes())
    found = data(tmp_path, "ensemble", "slides")
    assert lost not in [member["configuration"] for member in found["members"]]
    assert f"Left out, because their stored predictions cannot be read: {lost}." in found["notes"]
    for configuration in study.configurations():
        record = study.record(configuration, 0, 4, 0)
        record.logits = record.logits[:-1]
        storage.replace(BundleKey.of_repeat(study.ids()[0], configuration.id, 0).final(0, 4), record.to_bytes())
    assert "expected stored validation predictions of at least one of 3 configurations, found none" in refused(
        tmp_path, "ensemble", "slides"
    )


def made(single: float, rival: float, ensemble: float, better: tuple[int, int]) -> str:
    ahead = {"better": better[0], "worse": 100 - better[0], "same": 0}
    own = {"better": better[1], "worse": 100 - better[1], "same": 0}
    scores = {"single": single, "rival": rival, "ensemble": ensemble}
    out = OutOfBag.model_validate(
        {"scores": scores, "over_single": ahead, "over_rival": own, "chose_single": 1, "models": 9, "rounds": 100}
    )
    return verdict(
        EnsembleRecord.model_construct(out_of_bag=out, is_loss=False, metric_words="accuracy", no_out_of_bag="")
    )


def test_the_verdict_in_words() -> None:
    assert made(0.80, 0.79, 0.80, (60, 60)).startswith("No better than its best member: accuracy 0.800 against 0.800")
    assert made(0.80, 0.79, 0.81, (40, 60)).startswith("No better than its best member:")
    own = made(0.80, 0.83, 0.82, (90, 30))
    assert own.startswith("No better than its best member's own repeats together: accuracy 0.820 against 0.830")
    assert own.endswith("other configurations add nothing.")
    both = made(0.80, 0.81, 0.83, (90, 60))
    assert both.startswith("Better than its best member: accuracy 0.830 against 0.800 out of bag, ahead in 90 of 100")
    assert "Hardly better than that configuration's own repeats together: 0.810, ahead in 60 of 100 bags." in both


def test_a_frozen_backbone_is_passed_once_for_all_heads() -> None:
    heads = GeneratedStudy(depths=((0, 0), (1, 0)), lrs=(1e-3,), batch_sizes=(16,)).configurations()
    deep = GeneratedStudy(depths=((0, 2),), lrs=(1e-3,), batch_sizes=(16,)).configurations()
    timed = [Passes(heads[0].form, heads[0].network.precision, heads[0].live.scope, "", 0, 0, 0.036, "a processor")]
    shared = ensemble_cost([(heads[0], 5), (heads[1], 3)], timed)
    assert (shared.models, shared.passes, shared.device) == (8, 1, "a processor")
    assert shared.hours == pytest.approx(0.01)
    mixed = ensemble_cost([(heads[0], 5), (deep[0], 3)], timed)
    assert (mixed.models, mixed.passes, mixed.hours) == (8, 4, None)
    assert ensemble_cost([(heads[0], 5)], []).hours is None
