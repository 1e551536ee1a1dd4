"""A search whose storage refuses to be written says what is there and what failed before the error; without Ray."""

from __future__ import annotations

import json

import pytest
from click.testing import Result

from orchestrator.proposing.deciding import Deciding, Machine
from orchestrator.resolved import Search
from orchestrator.results.news import NewsReader
from orchestrator.store.errors import StorageError
from tests.support.desk import Desk
from tests.support.handing_out import as_wanted
from trainables.bundles.failures import Kind, note_failure

FULL = "no space left on the device"
NARROW = ("--strategy", "straightforward", "--lr", "0.1,0.2", "--batch-size", "4", "--repeats", "2", "--epochs", "3")


def searched(desk: Desk, *more: str) -> Result:
    return desk.own("--data", str(desk.data), "--group-by", r"(g\d)_", *NARROW, *more)


def test_a_search_that_cannot_write_ends_with_what_there_is(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(search: Search, *_: object) -> int:
        storage, (name,) = search.study.storage, search.searches
        Deciding(storage, search.decided, name, NewsReader(storage), Machine(1, "cpu", as_wanted)).decide()
        for segment in search.decided.segments():
            error = StorageError(f"cannot write checkpoint-1: {FULL}")
            note_failure(storage, segment, error, Kind.EXCEPTION)
        raise StorageError(f"cannot write searches/lease-1.json: {FULL}", "Free some space.")

    monkeypatch.setattr("orchestrator.train.run", full)
    result = searched(desk)
    assert result.exit_code == 1
    assert "mine: 2 configurations, 0 of 4 repeats done" in result.stdout
    assert f"2 repeats: StorageError: cannot write checkpoint-1: {FULL}" in result.stdout
    assert "Next: orch resume mine" in result.stdout
    assert "Dashboard: " in result.stdout
    assert result.stderr.endswith(f"cannot write searches/lease-1.json: {FULL}\nFree some space.\n")


def test_a_page_that_cannot_be_written_hides_no_result(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StorageError(f"cannot write mine/dashboard.html: {FULL}", "Free some space.")

    monkeypatch.setattr("orchestrator.train.run", lambda *_: 0)
    monkeypatch.setattr("orchestrator.commands.look.write_dashboard", full)
    result = searched(desk)
    assert result.exit_code == 1
    assert "Dashboard: not written" in result.stdout
    assert result.stderr.endswith(f"cannot write mine/dashboard.html: {FULL}\nFree some space.\n")
    data = json.loads(searched(desk, "--json").stdout)
    assert data["dashboard"] is None
    assert data["exit_status"] == 1


def test_a_page_that_cannot_be_drawn_hides_no_result(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: object) -> None:
        raise ValueError("no page today")

    monkeypatch.setattr("orchestrator.train.run", lambda *_: 0)
    monkeypatch.setattr("orchestrator.commands.look.write_dashboard", wrong)
    result = searched(desk)
    assert result.exit_code == 0
    assert "Dashboard: not written" in result.stdout
    assert "Warning: the page could not be written: no page today\n" in result.stderr
