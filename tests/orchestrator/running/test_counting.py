"""How far a command is: a bar on a terminal, lines elsewhere, nothing beside an answer in JSON."""

from __future__ import annotations

import io
import re

import pytest

from orchestrator.commands.said import on_the_way
from orchestrator.running import counting, progress
from orchestrator.running.counting import Counted
from orchestrator.running.progress import Display


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    @property
    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.getvalue())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(counting, "time", clock)
    monkeypatch.setattr(progress, "time", clock)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return clock


def test_count_rate_and_time_left_are_those_since_it_was_first_told(clock: Clock) -> None:
    counted = Counted("images read", 10, 100)
    assert counted.line() == "10/100 images read"
    clock.now += 10
    counted.at(40, 100)
    assert counted.line() == "40/100 images read, 3.0/s, 20 s left"
    clock.now += 15
    assert counted.line() == "40/100 images read, 3.0/s, 5 s left", "between two counts the pace stays what it was"
    clock.now += 155
    counted.at(55, 100)
    assert counted.line() == "55/100 images read, 4 s each, 3 min left"


def test_where_there_is_no_terminal_a_line_comes_every_ten_seconds(clock: Clock) -> None:
    stream = io.StringIO()
    with Display(stream) as display:
        for done in range(24):
            display.count("images read", done, 24)
            clock.now += 1
        display.count("headers read", 0, 5)
        display.say("x " * 100)
    first, second, said = stream.getvalue().splitlines()
    assert (first, second) == (
        "10/24 images read, 1.0/s, 14 s left",
        "20/24 images read, 1.0/s, 4 s left",
    ), "another act begins anew"
    assert said == "x " * 100, "a file wraps nothing"


def test_a_terminal_shows_a_bar_for_what_lasts_and_keeps_messages_above_it(clock: Clock) -> None:
    stream = Terminal()
    with Display(stream) as display:
        display.count("images read", 0, 50)
        assert display._live is not None
        display._live.refresh()
        assert "images" not in stream.text, "what is over at once shows nothing"
        clock.now += 5
        display.count("images read", 25, 50)
        display._live.refresh()
        assert "25/50 images read, 5.0/s, 5 s left" in stream.text
        assert "━━━" in stream.text
        display.say("Note: one is odd.")
        assert "Note: one is odd.\n" in stream.text.replace("\r", "")
        display.count("images read", 50, 50)
        assert display._live is None, "gone before an answer is written"


def test_an_answer_in_json_comes_without_counts(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with on_the_way(as_json=True) as told:
        told.count("images read", 0, 2)
        clock.now += 60
        told.count("images read", 1, 2)
    assert capsys.readouterr().err == ""
    with on_the_way() as told:
        told.count("images read", 0, 2)
        clock.now += 60
        told.count("images read", 1, 2)
    assert "1/2 images read" in capsys.readouterr().err
