"""`orch forget` and `orch rename`: what goes is gone, what stays counts, and nobody is disturbed at work."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import fsspec
import pytest
from click.testing import CliRunner, Result

from orchestrator.command_line import main
from orchestrator.commands.tidy import complete_part, forget
from orchestrator.forgetting.going import going
from orchestrator.forgetting.renaming import rename
from orchestrator.results.decided import Decided
from orchestrator.results.histories import compact, list_finals
from orchestrator.results.summary import summarise
from orchestrator.store import layout
from orchestrator.store.below import files_below, on_disk, remove_below
from orchestrator.store.errors import InputError, StorageError
from orchestrator.store.forgotten import Forgotten, note_forgotten, read_forgotten
from orchestrator.store.objects import ObjectStorage
from orchestrator.store.open import open_storage
from orchestrator.store.place import Place
from orchestrator.store.searches import Ask, Decision, Stack, decision_file
from orchestrator.store.segments import Divided
from orchestrator.store.storage import LocalStorage
from orchestrator.study.studies import Study, find_study, now
from tests.support.adaptive_study import HALVING, adaptive_study, begun
from tests.support.asked import Item
from tests.support.desk import Desk, refused
from tests.support.generated_study import PARTITION, GeneratedStudy, segment_of, small_study, write_lease
from tests.support.search_study import OTHERS, partitioned_study


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    return tmp_path / "studies"


@pytest.fixture
def made(studies: Path) -> tuple[LocalStorage, GeneratedStudy]:
    """Four configurations, two repeats each, gathered."""
    storage, study = small_study(studies / "slides", name="slides", depths=((0, 0),), lrs=(1e-3, 1e-2), repeats=2)
    compact(storage)
    return storage, study


def orch(studies: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--studies", str(studies)])


def ids(study: GeneratedStudy) -> list[str]:
    return [configuration.id for configuration in study.configurations()]


def test_a_configuration_goes_with_all_that_it_left(studies: Path, made: tuple[LocalStorage, GeneratedStudy]) -> None:
    storage, study = made
    first, *others = ids(study)
    told = orch(studies, "forget", f"slides:{first[:6]}", "--yes")
    assert told.exit_code == 0, told.output
    assert told.stdout.startswith(f"Deleted configuration {first} (resnet18.tv_in1k lr 0.001 batch ")
    assert ": 2 repeats with a result, " in told.stdout
    assert [path for path in files_below(storage, "") if first in path] == [layout.configuration(first)]
    summary = summarise(storage)
    assert {one.id for one in summary.configurations} == {*others}
    assert summary.damaged == ()
    assert (summary.totals.asked, summary.totals.owed) == (6, 0), "nothing of it is owed again"
    assert len(summary.repeats) == 6


def test_what_was_decided_stays_and_can_be_checked(studies: Path) -> None:
    desk = begun(studies / "slides", GeneratedStudy(depths=((0, 0),), lrs=(1e-3, 1e-2), repeats=2, epochs=6))
    names = tuple(ids(desk.study))
    decision = desk.deciding(desk.search(names, 2, 6, proposer="grid")).decide()
    assert decision is not None
    assert orch(studies, "forget", f"slides:{names[0]}", "--yes").exit_code == 0
    assert orch(studies, "decisions", "slides", "--check").exit_code == 0
    asked = {key.configuration for key in Decided.of(desk.storage).asked()}
    assert asked == {*names[1:]}


def test_results_that_come_again_beside_others_stay_forgotten_until_it_is_asked_for_again(
    studies: Path, made: tuple[LocalStorage, GeneratedStudy]
) -> None:
    storage, study = made
    first = ids(study)[0]
    orch(studies, "forget", f"slides:{first}", "--yes")
    study.write_final(storage, study.configurations()[0], 0, study.epochs)
    assert first not in {key.configuration for key in list_finals(storage)}
    note_forgotten(storage, read_forgotten(storage).but_for([first], []))
    assert summarise(storage).totals.owed == 1


def test_a_configuration_whose_settings_were_deleted_by_hand_can_be_given_up(
    studies: Path, made: tuple[LocalStorage, GeneratedStudy]
) -> None:
    storage, study = made
    first = ids(study)[0]
    storage.delete(layout.configuration(first))
    assert "orch forget STUDY:ID" in orch(studies, "status", "slides").stderr
    assert orch(studies, "forget", f"slides:{first}", "--yes").exit_code == 0
    after = orch(studies, "status", "slides")
    assert (after.exit_code, after.stderr) == (0, "")


def test_a_search_goes_but_for_what_others_try_too(studies: Path, made: tuple[LocalStorage, GeneratedStudy]) -> None:
    storage, study = made
    shared, alone = ids(study)[:2], ids(study)[2:]
    study.ask(storage, [Item(name, 2, study.epochs) for name in shared])
    (whole,) = [one.id for one in Decided.of(storage).searches.values() if len(one.configurations) == 4]
    told = orch(studies, "forget", f"slides:{whole}", "--yes")
    assert told.exit_code == 0, told.output
    assert (
        f"search {whole} and its 2 configurations (keeping 2 configurations that other searches share)" in told.stdout
    )
    assert ": 4 repeats with a result" in told.stdout
    assert [path for path in files_below(storage, "") if whole in path or alone[0] in path or alone[1] in path] == []
    summary = summarise(storage)
    assert {one.id for one in summary.configurations} == {*shared}
    assert (summary.totals.done, summary.totals.owed, summary.damaged) == (4, 0, ())


def test_a_partition_goes_and_the_studys_own_does_not(studies: Path) -> None:
    storage, _ = partitioned_study(studies / "slides")
    assert orch(studies, "forget", f"slides:{OTHERS[0]}", "--yes").exit_code == 0
    refused(orch(studies, "forget", f"slides:{PARTITION}", "--yes"), "found the study's own")
    assert {one.partition for one in summarise(storage).configurations} == {PARTITION, OTHERS[1]}


def test_what_a_search_decided_by_does_not_go_alone(studies: Path) -> None:
    desk, _ = adaptive_study(studies / "slides", HALVING)
    search, record = next(iter(Decided.of(desk.storage).searches.items()))
    told = refused(orch(studies, "forget", f"slides:{record.configurations[0]}", "--yes"), "which decides by results")
    assert f"orch forget slides:{search}" in told
    assert not read_forgotten(desk.storage)
    assert orch(studies, "forget", f"slides:{search}", "--yes").exit_code == 0
    assert summarise(desk.storage).totals.configurations == 0


def test_the_folders_of_what_is_trained_go_but_for_those_of_others(studies: Path) -> None:
    """A stack of both, that was divided: its own folder stays, and that of the other part."""
    desk = begun(studies / "slides", GeneratedStudy(depths=((0, 0),), lrs=(1e-3,), repeats=1, epochs=6))
    storage, (first, second) = desk.storage, ids(desk.study)
    search = desk.search((first, second), 1, 6)
    together: dict[str, Any] = {"partition": PARTITION, "configurations": (first, second), "repeats": (0,), "epochs": 6}
    stack = Stack(**together, start=0)
    decision = Decision(number=1, budget=1, reason="", asks=(Ask(**together),), stacks=(stack,))
    storage.create(decision_file(search.id, 1), decision.to_toml())
    (whole,) = stack.segments()
    storage.replace(whole.divided, Divided(parts=whole.alone()).to_toml())
    for segment in whole.alone():
        write_lease(storage, segment, epoch=1, updated=now(), released=True)
    assert orch(studies, "forget", f"slides:{first}", "--yes").exit_code == 0
    assert sorted(storage.list("segments")) == sorted([whole.id, whole.alone()[1].id])


def test_what_is_searched_again_counts_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.train.run", lambda *_: 0)
    asked = ("--strategy", "straightforward", "--lr", "1e-3,1e-2", "--batch-size", "4", "--epochs", "1")
    search = ("--data", "data", "--group-by", r"(g\d)", *asked)
    monkeypatch.chdir(desk.place)
    assert desk.own(*search).exit_code == 0
    study = find_study(desk.studies, "mine")
    assert study is not None
    name = next(iter(Decided.of(study.storage).bases(*study.storage.list(layout.SEARCHES))))
    assert orch(desk.studies, "forget", f"mine:{name}", "--yes").exit_code == 0
    assert read_forgotten(study.storage).configurations == (name,)
    assert desk.own(*search, "--plan").exit_code == 0
    assert read_forgotten(study.storage).configurations == (name,), "a plan changes nothing"
    assert desk.own(*search).exit_code == 0
    assert not read_forgotten(study.storage)


def test_it_asks_first(
    studies: Path, made: tuple[LocalStorage, GeneratedStudy], monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, _ = made
    told = refused(orch(studies, "forget", "slides"), "This would delete the whole study slides: 8 repeats", "--yes")
    assert " KiB" in told
    monkeypatch.setattr("orchestrator.commands.tidy._can_answer", lambda: True)
    answer = CliRunner().invoke(main, ["forget", "slides", "--studies", str(studies)], input="n\n")
    assert answer.exit_code == 1
    assert "Delete it?" in answer.stderr
    assert summarise(storage).totals.done == 8
    answer = CliRunner().invoke(main, ["forget", "slides", "--json", "--studies", str(studies)], input="y\n")
    assert json.loads(answer.stdout)["repeats"] == 8
    assert not (studies / "slides").exists()
    refused(orch(studies, "forget", "slides:"), "expected an id after the colon")


def test_an_id_that_is_none_or_several(studies: Path, made: tuple[LocalStorage, GeneratedStudy]) -> None:
    told = refused(orch(studies, "forget", "slides:zzz", "--yes"), "expected the beginning of one id", "found none")
    assert "orch table slides" in told


def test_nobody_is_disturbed_at_work(studies: Path, made: tuple[LocalStorage, GeneratedStudy]) -> None:
    storage, study = made
    write_lease(storage, segment_of(storage, study.configurations()[0], 0), epoch=3, updated=now())
    for command in (("forget", f"slides:{ids(study)[0]}", "--yes"), ("rename", "slides", "other")):
        refused(orch(studies, *command), "expected nobody working on it, found a process on worker-0")
    assert summarise(storage).totals.done == 8


def test_a_study_is_called_as_it_is_renamed(studies: Path, made: tuple[LocalStorage, GeneratedStudy]) -> None:
    orch(studies, "dashboard", "slides")
    told = orch(studies, "rename", "slides", "biopsies")
    assert told.stdout == f"slides is called biopsies now, in {studies / 'biopsies'}\n"
    assert not (studies / "slides").exists()
    assert "<title>biopsies" in (studies / "biopsies" / "dashboard.html").read_text()
    small_study(studies / "slides", name="slides", depths=((0, 0),))
    refused(orch(studies, "rename", "biopsies", "slides"), "expected nothing there, found something")
    refused(orch(studies, "rename", "biopsies", "../away"), "study name '../away'")


def test_a_folder_that_was_moved_speaks_of_no_other_study(
    studies: Path, made: tuple[LocalStorage, GeneratedStudy]
) -> None:
    storage, _ = made
    storage.delete(next(path for path in files_below(storage, layout.BUNDLES) if path.endswith("/1.e6")))
    (studies / "slides").rename(studies / "biopsies")
    told = orch(studies, "status", "biopsies")
    assert "slides" not in told.stdout
    assert "orch resume biopsies" in told.stdout
    moved = find_study(studies, "biopsies")
    assert moved is not None
    assert summarise(moved.storage).study.name == "biopsies"


def test_a_link_gives_a_study_no_other_name(studies: Path, made: tuple[LocalStorage, GeneratedStudy]) -> None:
    (studies / "newest").symlink_to(studies / "slides")
    linked = find_study(Place.of(studies), "newest")
    assert linked is not None
    assert linked.name == "newest"
    assert summarise(made[0]).study.name == "slides"


def test_what_is_forgotten_adds_up() -> None:
    both = Forgotten().with_more(["b"], []).with_more(["a"], ["p"])
    assert both.configurations == ("a", "b")
    assert both.holds("p", "c")
    assert both.holds("q", "a")
    assert not both.holds("q", "c")
    assert not both.but_for(["a", "b"], ["p"])


def test_an_object_store_is_emptied_file_by_file() -> None:
    storage = ObjectStorage(fsspec.filesystem("memory"), "bucket/below", 1.0)
    for path in ("a/b/c", "a/d", "ab"):
        storage.replace(path, b"x")
    assert sorted(files_below(storage, "")) == ["a/b/c", "a/d", "ab"]
    assert on_disk(storage) is None
    remove_below(storage, "a")
    assert sorted(files_below(storage, "")) == ["ab"]
    remove_below(storage, "ab")
    remove_below(storage, "none")
    assert [*files_below(storage, "")] == []


@pytest.fixture
def stored(studies: Path, made: tuple[LocalStorage, GeneratedStudy]) -> Iterator[Study]:
    """The same study in an object store."""
    studies_there = Place.of("memory://forgetting/studies")
    there = open_storage(studies_there / "slides")
    for path in files_below(made[0], ""):
        there.replace(path, made[0].read(path))
    study = find_study(studies_there, "slides")
    assert study is not None
    yield study
    with contextlib.suppress(FileNotFoundError):
        fsspec.filesystem("memory").rm("forgetting", recursive=True)


def test_in_an_object_store_the_same_goes(
    studies: Path, stored: Study, made: tuple[LocalStorage, GeneratedStudy]
) -> None:
    first = ids(made[1])[0]
    there = going(stored, first)
    assert there.words == f"{there.what}: 2 repeats with a result", "a store is not asked for sizes"
    there.go(stored)
    assert orch(studies, "forget", f"slides:{first}", "--yes").exit_code == 0
    left = {path for path in files_below(made[0], "") if path != layout.DASHBOARD}
    assert {*files_below(stored.storage, "")} == left
    assert summarise(stored.storage).totals == summarise(made[0]).totals
    going(stored, "").go(stored)
    assert stored.storage.list("") == []
    assert find_study(stored.place.parent, "slides") is None


def test_a_study_that_was_half_deleted_can_be_deleted(stored: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(9):
        stored.storage.replace(f"talk-{number}.html", b"")  # listed behind the study's own file
    delete, left = stored.storage.delete, iter(range(8))

    def cut_off(path: str) -> None:
        if next(left, None) is None:
            raise StorageError("cannot delete")
        delete(path)

    rounds = 0
    while (again := find_study(stored.place.parent, "slides")) is not None:
        rounds, left = rounds + 1, iter(range(8))
        with contextlib.suppress(StorageError), monkeypatch.context() as patch:
            patch.setattr(again.storage, "delete", cut_off)
            going(again, "").go(again)
    assert rounds > 2
    assert stored.storage.list("") == []


def test_a_study_in_an_object_store_is_moved_by_the_stores_own_tool(stored: Study) -> None:
    with pytest.raises(InputError, match="found one in an object store") as refusal:
        rename(stored, "biopsies")
    assert refusal.value.advice == (
        "A study takes the name of its folder: move all its files to memory://forgetting/studies/biopsies"
    )
    files = fsspec.filesystem("memory")
    files.mv("/forgetting/studies/slides", "/forgetting/studies/biopsies", recursive=True)
    moved = find_study(stored.place.parent, "biopsies")
    assert moved is not None
    assert moved.name == "biopsies"
    assert summarise(moved.storage).totals.done == 8
    with pytest.raises(InputError, match="expected nothing there, found something"):
        rename(stored, "biopsies")


def test_ids_are_completed_behind_a_colon(studies: Path, made: tuple[LocalStorage, GeneratedStudy]) -> None:
    first = ids(made[1])[0]
    context = click.Context(forget, info_name="forget")
    context.params["studies"] = str(studies)
    argument = forget.params[0]
    assert complete_part(context, argument, "sli") == ["slides"]
    assert complete_part(context, argument, f"slides:{first[:5]}") == [f"slides:{first}"]
    assert complete_part(context, argument, "none:") == []
