"""What a search shows while it runs."""

from __future__ import annotations

import io
import math
from dataclasses import replace

from rich.console import Console

from orchestrator.running.progress import Row, Snapshot, _rendered
from orchestrator.running.time_left import Left


def snapshot(asked: int, *rows: Row) -> Snapshot:
    return Snapshot("slides", 0, 5 * asked, 0, asked, math.nan, 0, "", rows)


def drawn(one: Snapshot) -> str:
    console = Console(file=io.StringIO(), width=80)
    console.print(_rendered(one))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_before_the_first_decision_nothing_is_counted() -> None:
    assert snapshot(0).line() == "slides: deciding what to train"
    assert snapshot(4).line() == "slides: 0/4 repeats, 0/20 epochs, waiting for the first epoch"


def test_a_table_without_rows_is_not_drawn() -> None:
    assert "configuration" not in drawn(snapshot(4))
    assert "configuration" in drawn(snapshot(4, Row("resnet18 lr 0.01", 1, 2, "3")))


def test_numbers_of_a_narrow_table_are_not_divided() -> None:
    console = Console(file=io.StringIO(), width=30)
    console.print(_rendered(snapshot(4, Row("resnet18.tv_in1k up to layer3 lr 0.01", 100, 200, "100–200/1000"))))
    assert isinstance(console.file, io.StringIO)
    assert "100/200" in console.file.getvalue()
    assert "100–200/1000" in console.file.getvalue()


def test_time_that_nobody_can_know_is_not_told() -> None:
    one = Snapshot("slides", 100, 400, 5, 20, 10.0, 0, "", left=Left(30.0, 0, 0.25))
    assert one.line().endswith("10.0 epochs/s, about 30 s left")
    assert "━━━" in drawn(one), "how much of the work is done"
    deeper = replace(one, left=Left(10.0, 200))
    assert deeper.line().endswith("10.0 epochs/s, at least 10 s left: 200 epochs are of networks not timed yet")
    assert "━━━" not in drawn(deeper)
    alone = replace(one, left=Left(None, 300))
    assert alone.line().endswith("10.0 epochs/s, 300 epochs are of networks not timed yet")
    assert Left(None, 1).words == "1 epoch is of a network not timed yet"
