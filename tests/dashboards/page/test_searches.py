"""What was asked, on the page: commands, and decisions where there is more than the one of a grid."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dashboards.page.page import render
from dashboards.page.searches import MOST, searches_data, searches_html, without_folders
from orchestrator.proposing.history import history_text
from orchestrator.results.decided import Decided
from orchestrator.results.summary import summarise
from orchestrator.store.searches import (
    Ask,
    Budget,
    Decision,
    SearchRecord,
    Stack,
    budget_file,
    decision_file,
    search_file,
)
from orchestrator.store.storage import LocalStorage
from tests.support.asked import Item, ask
from tests.support.generated_study import NOW, PARTITION, GeneratedStudy, small_study

HOSTILE = "<b>& all</b>"


def decide(storage: LocalStorage, search: SearchRecord, number: int, name: str, epochs: tuple[int, ...]) -> None:
    asks = tuple(Ask(partition=PARTITION, configurations=(name,), repeats=(0, 1, 2), epochs=one) for one in epochs)
    stacks = (Stack(partition=PARTITION, configurations=(name,), repeats=(0, 1, 2), start=0, epochs=epochs[0]),)
    created, reason = f"2026-03-0{number % 9 + 1}", f"{HOSTILE} {number}"
    decision = Decision(number=number, budget=1, reason=reason, asks=asks, stacks=stacks, created=created)
    storage.create(decision_file(search.id, number), decision.to_toml())


def plain(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", html)).strip()


def test_the_one_decision_of_a_grid_is_a_line(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path)
    (row,) = searches_data(summarise(storage, NOW))
    assert [one.command for one in row.commands] == [study.command]
    assert row.commands[0].about == "2026-03-01 12:00"
    (named,) = searches_data(summarise(storage, NOW), with_names=True)
    assert named.commands[0].about == "2026-03-01 12:00, someone"
    html = searches_html([row])
    assert plain(html) == (f"Search 2026-03-01 12:00 {study.command} grid: the whole grid, 24 repeats, 6 epochs each")
    assert "<table" not in html
    assert html in render(storage, now=NOW)


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("orch search x --data /home/ana/images/labels.csv", "orch search x --data …/labels.csv"),
        ("orch search x --data '/home/ana b/my images/'", "orch search x --data '…/my images'"),
        ("orch search x --weights=/net/w.pth --lr 1e-3,1e-2", "orch search x --weights=…/w.pth --lr 1e-3,1e-2"),
        ("orch search x --data ~/a/b.csv --set a.b=0/1", "orch search x --data …/b.csv --set a.b=0/1"),
        (r"orch search x --data 'C:\Users\ana\x.csv'", "orch search x --data …/x.csv"),
        ("orch search studies/x.toml resnet18 --data s3://b/x", "orch search studies/x.toml resnet18 --data s3://b/x"),
        ("orch search 'x", "orch …"),
    ],
)
def test_commands_stand_without_the_folders_of_their_files(command: str, shown: str) -> None:
    assert without_folders(command) == shown


def test_the_stage_of_a_search_is_told(tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path)
    (search,) = summarise(storage, NOW).searches
    staged = search.model_copy(update={"stage": f"stage 2 of 2, {HOSTILE}, begins from 0123456789ab"})
    storage.replace(search_file(search.id), staged.to_toml())
    html = searches_html(searches_data(summarise(storage, NOW)))
    assert "stage 2 of 2, &lt;b&gt;&amp; all&lt;/b&gt;, begins from 0123456789ab" in html
    assert "stage 2 of 2, <b>& all</b>, begins from 0123456789ab\n" in (history_text("x", Decided.of(storage)) + "\n")


def test_decisions_are_told_one_by_one(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path, command=HOSTILE)
    name = study.configurations()[0].id
    (search,) = summarise(storage, NOW).searches
    decide(storage, search, 2, name, (9,))
    decide(storage, search, 3, name, (12, 30))
    (row,) = searches_data(summarise(storage, NOW))
    assert row.decisions == (
        (1, "the whole grid", 24, "6", ""),
        (2, f"{HOSTILE} 2", 3, "9", "2026-03-03"),
        (3, f"{HOSTILE} 3", 6, "12–30", "2026-03-04"),
    )
    page = render(storage, now=NOW)
    assert "Decisions of grid" in page
    assert "&lt;b&gt;&amp; all&lt;/b&gt; 3" in page
    assert HOSTILE not in page


def test_of_many_decisions_the_last_ones_are_shown(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path)
    (search,) = summarise(storage, NOW).searches
    for number in range(2, MOST + 6):
        decide(storage, search, number, study.configurations()[0].id, (6 + number,))
    (row,) = searches_data(summarise(storage, NOW))
    assert row.hidden == 5
    assert [one[0] for one in row.decisions] == list(range(6, MOST + 6))
    assert f"Decisions of grid, the last {MOST} of {MOST + 5}" in searches_html([row])


def test_commands_of_later_budgets_and_searches_come_in_their_order(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path)
    first = study.configurations()[0].id
    (search,) = summarise(storage, NOW).searches
    allowed = Decided.of(storage).budgets[search.id][0].allowances
    for number, who in ((2, "me"), (3, "me"), (4, "someone")):
        budget = Budget(number=number, allowances=allowed, command="orch search more", who=who)
        storage.create(budget_file(search.id, number), budget.to_toml())
    ask(storage, (PARTITION,), [Item(first, 1, 9)], command="orch search one", created="2026-02-01T08:00:00+00:00")
    rows = searches_data(summarise(storage, NOW), with_names=True)
    told = [[(one.command, one.about) for one in row.commands] for row in rows]
    assert told == [
        [("orch search one", "2026-02-01 08:00")],
        [
            (study.command, "2026-03-01 12:00, someone"),
            ("orch search more", "me"),
            ("orch search more", "someone"),
        ],
    ]
    assert searches_html(rows).startswith("<h3>Searches, oldest first</h3>")


def test_a_search_that_has_decided_nothing_yet_is_told(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    GeneratedStudy().write_frame(storage)
    assert searches_html(searches_data(summarise(storage, NOW))) == ""
    search = SearchRecord(proposer="grid", partitions=(PARTITION,), configurations=("a",), command="orch search x")
    storage.create(search_file(search.id), search.to_toml())
    assert plain(searches_html(searches_data(summarise(storage, NOW)))) == (
        "Search orch search x grid: nothing has been decided yet."
    )
