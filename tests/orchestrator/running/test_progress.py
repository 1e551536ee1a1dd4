"""What a search shows while it runs."""

from __future__ import annotations

import io

from rich.console import Console

from orchestrator.running.progress import Row, Snapshot, _rendered


def snapshot(asked: int, *rows: Row) -> Snapshot:
    return Snapshot("slides", 0, 5 * asked, 0, asked, 0.0, 0, "", rows)


def drawn(one: Snapshot) -> str:
    console = Console(file=io.StringIO(), width=80)
    console.print(_rendered(one))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_before_the_first_decision_nothing_is_counted() -> None:
    assert snapshot(0).line() == "slides: deciding what to train"
    assert snapshot(4).line() == "slides: 0/4 repeats, 0/20 epochs"


def test_a_table_without_rows_is_not_drawn() -> None:
    assert "configuration" not in drawn(snapshot(4))
    assert "configuration" in drawn(snapshot(4, Row("resnet18 lr 0.01", 1, 2, "3")))
