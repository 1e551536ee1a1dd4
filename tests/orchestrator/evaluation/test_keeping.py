"""`orch search --keep N`: whose weights are kept, that they are used, and what the budget does."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from click.testing import CliRunner

from orchestrator.command_line import main
from orchestrator.evaluation.again import telling
from orchestrator.evaluation.keeping import Kept, keep_best
from orchestrator.evaluation.plan import EvaluationOptions
from orchestrator.evaluation.run import evaluate
from orchestrator.resolved import Search
from orchestrator.results.amounts import duration
from orchestrator.results.names import counted
from orchestrator.results.summary import summarise
from orchestrator.stages import Turn
from orchestrator.store.segments import recipe_of
from orchestrator.study.studies import Study
from tests.support.tiny_study import TinyStudy
from tests.support.trained_study import make_trained_study
from trainables.bundles.kept_weights import in_partition
from trainables.bundles.trained import Again, results, trained_as


@pytest.fixture
def made(tmp_path: Path) -> tuple[Study, TinyStudy]:
    study, tiny, _ = make_trained_study(tmp_path, repeats=2, settings=({}, {"lr": 0.001}, {"lr": 0.0001}))
    return study, tiny


def keep(study: Study, tiny: TinyStudy, count: int, **options: int) -> tuple[Kept, list[str]]:
    said: list[str] = []
    found = keep_best(study, count, tiny.cache, said.append, lambda *_: None, **options)  # type: ignore[arg-type]
    return found, said


def test_it_is_told_before_how_long_training_again_took_in_the_search(made: tuple[Study, TinyStudy]) -> None:
    study, tiny = made
    entry = summarise(study.storage).configurations[0]
    bench = tiny.bench()
    records = results(study.storage, tiny.partition, entry.id, (0, 1))
    for record in records.values():
        record.meta["seconds"] = 600.0
        record.meta["device"] = "another processor"
    told: list[Again] = []
    trained_as(bench, tiny.partition, entry.id, records, None, told.append)
    segment = recipe_of(records[0], "").segment
    last = max(int(record.meta["selected_epoch"]) for record in records.values())
    assert len(segment.lanes) == 2, "both were trained together"
    assert told == [Again(2, last, 2 * 600.0 * last / segment.epochs, ("another processor",))]
    said: list[str] = []
    telling(said.append, bench.device)(told[0])
    minutes = duration(told[0].seconds)
    (text,) = said
    assert text.startswith(
        "The weights of 2 repeats were not kept. They are trained again from the seed: "
        f"{counted(last, 'epoch')}, about {minutes} as in the search, on another processor; this is "
    )
    trained_as(bench, tiny.partition, entry.id, {}, None, told.append)
    assert len(told) == 1, "nothing to train, nothing to say"


def ranking(study: Study) -> tuple[str, ...]:
    return tuple(entry.id for entry in summarise(study.storage).configurations)


def test_the_best_are_kept_and_not_trained_again(
    made: tuple[Study, TinyStudy], monkeypatch: pytest.MonkeyPatch
) -> None:
    study, tiny = made
    found, said = keep(study, tiny, 2)
    assert found.configurations == ranking(study)[:2]
    kept = in_partition(study.storage, tiny.partition)
    assert sorted((k.key.configuration, k.repeat) for k in kept) == sorted(
        (name, repeat) for name in ranking(study)[:2] for repeat in (0, 1)
    )
    assert found.bytes == sum(k.bytes for k in kept)
    assert "weights of the 2 best configurations" in said[-1]
    monkeypatch.setattr("trainables.bundles.trained.open_group", lambda *_: pytest.fail("trained again"))
    assert keep(study, tiny, 2)[0] == found
    record = evaluate(study, EvaluationOptions(tta=None), tiny.cache, said.append, lambda *_: None)
    assert (record.configuration, record.deviation) == (found.configurations[0], 0.0)
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        keep(study, tiny, 3)


def test_the_budget_keeps_the_better_ones(made: tuple[Study, TinyStudy]) -> None:
    study, tiny = made
    one, _ = keep(study, tiny, 1)
    found, said = keep(study, tiny, 3, budget_bytes=int(one.bytes * 1.5))
    assert found == one
    assert any("do not fit in" in text and ranking(study)[1] in text for text in said)


def test_nothing_finished_is_said(made: tuple[Study, TinyStudy]) -> None:
    study, tiny = made
    for configuration in ranking(study):
        key = next(tiny.storage.local(f"bundles/{tiny.partition}/{configuration}").iterdir())
        for record in (key / "final").iterdir():
            record.unlink()
    found, said = keep(study, tiny, 2)
    assert found == Kept((), 0)
    assert said == ["No configuration has finished all its repeats yet, so no weights are kept."]


@pytest.mark.parametrize(("status", "kept"), [(0, 2), (1, 2), (143, 0)])
def test_the_search_keeps_them_at_its_end(
    made: tuple[Study, TinyStudy], monkeypatch: pytest.MonkeyPatch, status: int, kept: int
) -> None:
    study, tiny = made
    searched = SimpleNamespace(study=study, places=tiny.places)
    monkeypatch.setattr("orchestrator.stages.in_order", lambda *_: [Turn(cast(Search, searched), "", is_last=True)])
    monkeypatch.setattr("orchestrator.commands.search._run", lambda *_, **__: status)
    found = CliRunner().invoke(main, ["search", "tiny", "resnet18", "--keep", "2"])
    assert found.exit_code == status
    assert found.stdout == "", "what it says about weights is no data"
    held = {one.key.configuration for one in in_partition(study.storage, tiny.partition)}
    assert held == set(ranking(study)[:kept])


def test_the_option_is_checked() -> None:
    found = CliRunner().invoke(main, ["search", "x", "resnet18", "--keep", "-1"])
    assert found.exit_code == 2
    assert "--keep" in found.output
