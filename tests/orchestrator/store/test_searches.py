"""Searches are known by what they are; decisions come back as they were, and say what they ask."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.store.schema import parse_toml
from orchestrator.store.searches import (
    Allowance,
    Ask,
    Budget,
    Decision,
    News,
    SearchRecord,
    Stack,
    Told,
    allowances,
    asks_of,
    budget_file,
    decision_file,
    parse_budget,
    parse_decision,
    search_file,
    told,
)
from orchestrator.store.segments import Divided, LaneKey, Segment

SEARCH = SearchRecord(proposer="grid", partitions=("p",), configurations=("a", "b"))


@pytest.mark.parametrize(
    ("changes", "is_same"),
    [
        ({"who": "A", "created": "monday", "command": "orch search", "versions": {"orch": "2"}}, True),
        ({"weights": {"x": "hub"}, "weights_places": {"y": "hub"}, "space": "other", "revision": "abc"}, True),
        ({"configurations": ("b", "a")}, True),
        ({"configurations": ("a",)}, False),
        ({"partitions": ("q",)}, False),
        ({"proposer": "race"}, False),
        ({"settings": {"wave": 4}}, False),
        ({"seed": 1}, False),
    ],
)
def test_a_search_is_known_by_what_it_is_not_by_who_asked(changes: dict[str, object], is_same: bool) -> None:
    other = SEARCH.model_copy(update=changes)
    assert (other.id == SEARCH.id) == is_same
    assert parse_toml(SearchRecord, other.to_toml(), "x") == other


def test_what_is_allowed_comes_back_alike_together() -> None:
    each = {"a": (3, 10), "b": (5, 10), "c": (3, 10)}
    alike = allowances(each)
    assert alike == (
        Allowance(configurations=("a", "c"), repeats=3, epochs=10),
        Allowance(configurations=("b",), repeats=5, epochs=10),
    )
    assert Budget(number=1, allowances=alike).of_each() == each


@given(
    st.dictionaries(
        st.builds(LaneKey, st.sampled_from("pq"), st.sampled_from("abc"), st.integers(0, 30)), st.integers(0, 4)
    )
)
def test_asks_say_each_lane_once(wanted: dict[LaneKey, int]) -> None:
    asks = asks_of(wanted.items())
    said = [(lane, ask.epochs) for ask in asks for lane in ask.lanes()]
    assert len(said) == len(wanted)
    assert dict(said) == wanted
    assert all(ask.repeats == tuple(sorted(ask.repeats)) for ask in asks)


def test_a_decision_comes_back_with_what_it_saw() -> None:
    news = News(
        partition="p",
        configuration="a",
        epochs=3,
        repeats=(0, 4),
        states=("finished", "diverged"),
        values=(-0.25, float("-inf")),
        digests=("0123456789abcdef", "fedcba9876543210"),
    )
    stacks = (
        Stack(partition="p", configurations=("a", "b"), repeats=(0, 4), start=0, epochs=3),
        Stack(partition="p", configurations=("c",), repeats=(1, 2), start=3, epochs=9, in_turn=True),
    )
    asks = (Ask(partition="p", configurations=("a", "b"), repeats=(0, 4), epochs=3),)
    decision = Decision(number=2, budget=1, reason="why", asks=asks, stacks=stacks, news=(news,), pending=asks)
    assert parse_toml(Decision, decision.to_toml(), "x") == decision
    assert decision.segments() == (
        Segment("p", ("a", "b"), (0, 4), 0, 3),
        Segment("p", ("c",), (1,), 3, 9),
        Segment("p", ("c",), (2,), 3, 9),
    )
    assert told(decision.news) == [
        Told(LaneKey("p", "a", 0), 3, "finished", -0.25),
        Told(LaneKey("p", "a", 4), 3, "diverged", float("-inf")),
    ]
    goals = news.model_copy(update={"goals": (-2.5, float("nan"))})
    again = parse_toml(Decision, decision.model_copy(update={"news": (goals,)}).to_toml(), "x")
    first, second = (one.goal for one in told(again.news))
    assert first == -2.5
    assert math.isnan(second)


def test_files_of_a_search_are_told_apart() -> None:
    names = {kind: path.rpartition("/")[2] for kind, path in _paths().items()}
    assert parse_decision(names["decision"]) == 12
    assert parse_budget(names["budget"]) == 7
    for kind in ("search", "budget", "lease"):
        assert parse_decision(names[kind]) is None
    for kind in ("search", "decision", "lease"):
        assert parse_budget(names[kind]) is None
    for name in ("12.toml.claim-0", ".tmp-12.toml", "12.tomlx", "-1.toml", "budget-.toml", "x12.toml"):
        assert parse_decision(name) is None
        assert parse_budget(name) is None


def _paths() -> dict[str, str]:
    return {
        "search": search_file("s"),
        "decision": decision_file("s", 12),
        "budget": budget_file("s", 7),
        "lease": "searches/s/lease-1.json",
    }


@pytest.mark.parametrize("name", ["../../x", "a/b", "", ".", "a\x1b[31m", "a\nb", "x" * 65])
def test_ids_are_names_of_files(name: str) -> None:
    for kind, content in (
        (Ask, {"partition": name, "configurations": ("a",), "repeats": (0,), "epochs": 1}),
        (Ask, {"partition": "p", "configurations": (name,), "repeats": (0,), "epochs": 1}),
        (SearchRecord, {"proposer": "grid", "partitions": (name,), "configurations": ("a",)}),
        (Divided, {"parts": [{"partition": name, "configurations": ["a"], "repeats": [0], "start": 0, "epochs": 1}]}),
    ):
        with pytest.raises(ValidationError, match="pattern"):
            kind.model_validate(content)


def test_few_bytes_cannot_ask_for_more_than_any_memory_holds() -> None:
    names = tuple(f"c{number}" for number in range(11))
    most = Allowance(configurations=names, repeats=999_999, epochs=1)
    with pytest.raises(ValidationError, match="at most 10,000,000 repeats in all, found 10,999,989"):
        Budget(number=1, allowances=(most,))
    with pytest.raises(ValidationError, match="999999"):
        Allowance(configurations=("a",), repeats=10**30, epochs=1)
    ask = Ask(partition="p", configurations=names, repeats=tuple(range(1000)), epochs=1)
    with pytest.raises(ValidationError, match="repeats in all"):
        Decision(number=1, budget=1, reason="", asks=(ask,) * 1000, stacks=())
