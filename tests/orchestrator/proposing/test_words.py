"""Where searches stand, in a line."""

from __future__ import annotations

from orchestrator.proposing.words import standing
from orchestrator.store.searches import Budget, Decision, SearchRecord, Suggestion, allowances

A, B = "a" * 12, "b" * 12


def search(proposer: str = "adaptive", **settings: object) -> SearchRecord:
    return SearchRecord(proposer=proposer, settings=settings, partitions=("p" * 12,), configurations=(A, B))


def budget(**limits: float) -> Budget:
    return Budget(number=1, allowances=allowances({A: (3, 4), B: (3, 4)}), **limits)  # type: ignore[arg-type]


def decision(reason: str, *suggested: str, stopped: tuple[str, ...] = ()) -> Decision:
    suggestions = tuple(Suggestion(configuration=name, base=name) for name in suggested)
    return Decision(number=1, budget=1, reason=reason, asks=(), stacks=(), suggestions=suggestions, stopped=stopped)


def test_a_grid_says_nothing() -> None:
    one = search("grid")
    assert standing([one], {one.id: [budget()]}, {one.id: [decision("the whole grid")]}) == ""


def test_the_last_decision_what_is_stopped_and_what_is_spent() -> None:
    one = search(repeats="race")
    said = [decision("race, look 1: 8 repeats"), decision("race, look 2: 12 repeats", stopped=(B,))]
    known = {one.id: [budget(hours=2.0)]}
    assert standing([one], known, {one.id: said}, {one.id: 0.404}) == (
        "race, look 2: 12 repeats; 1 stopped; 0.40 of 2 h spent"
    )
    assert standing([one], known, {one.id: said}) == "race, look 2: 12 repeats; 1 stopped"
    assert standing([one], known, {}) == "", "before it said anything"


def test_how_many_a_sampler_has_tried() -> None:
    one = search(sampler="tpe")
    said = {one.id: [decision("tpe: 1 configuration more", A)]}
    assert standing([one], {one.id: [budget(suggestions=2)]}, said) == (
        "tpe: 1 configuration more; 1 of up to 2 configurations tried"
    )
