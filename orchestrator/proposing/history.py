"""The decisions of a study for a reader, and as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.proposing.checking import Checked, faulty
from orchestrator.results.course import Course, course_of
from orchestrator.results.decided import Decided
from orchestrator.results.names import counted, span
from orchestrator.results.report import columns
from orchestrator.statistics.audits import Audit, audit_of
from orchestrator.statistics.divergence import rate_interval
from orchestrator.statistics.set_words import rate_words
from orchestrator.store.errors import InputError
from orchestrator.store.schema import RepeatState
from orchestrator.store.searches import Decision, SearchRecord, told
from orchestrator.store.segments import LaneKey


def history(decided: Decided, checked: Sequence[Checked] = ()) -> list[dict[str, Any]]:
    """Every search with its budgets and decisions, oldest first."""
    outcomes = {(one.search, one.number): one for one in checked}
    return [
        {
            "search": search.id,
            "proposer": search.proposer,
            "settings": dict(search.settings),
            "configurations": len(decided.tried(search.id)),
            "distributions": [one.model_dump(exclude={"configurations"}) for one in search.distributions],
            "partitions": list(search.partitions),
            "stage": search.stage,
            "command": search.command,
            "who": search.who,
            "created": search.created,
            "budgets": [
                {
                    "number": budget.number,
                    "repeats": sum(repeats for repeats, _ in budget.of_each().values()) * len(search.partitions),
                    "epochs": sum(r * e for r, e in budget.of_each().values()) * len(search.partitions),
                    "suggestions": budget.suggestions,
                    "hours": budget.hours,
                    "command": budget.command,
                    "created": budget.created,
                }
                for budget in decided.budgets[search.id]
            ],
            "decisions": [
                _entry(decision, outcomes.get((search.id, decision.number)))
                for decision in decided.decisions[search.id]
            ],
            "audit": audit.as_json() if (audit := _audit(decided, search)) is not None else None,
        }
        for search in decided.searches.values()
    ]


def _audit(decided: Decided, search: SearchRecord) -> Audit | None:
    """What stopped configurations that were trained to the end showed."""
    course = _course(decided, search)
    return audit_of(course) if course is not None else None


def _course(decided: Decided, search: SearchRecord) -> Course | None:
    budget = decided.budget(search.id)
    return course_of(decided.storage, search, budget, decided.decisions[search.id]) if budget is not None else None


def _entry(decision: Decision, checked: Checked | None) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "number": decision.number,
        "budget": decision.budget,
        "reason": decision.reason,
        "repeats": sum(ask.count for ask in decision.asks),
        "epochs": sum(ask.count * ask.epochs for ask in decision.asks),
        "epochs_of_each": sorted({ask.epochs for ask in decision.asks}),
        "results_seen": sum(len(one.repeats) for one in decision.news),
        "stopped": len(decision.stopped),
        "narrowed": [one.model_dump() for one in decision.narrowed],
        "pending": sum(ask.count for ask in decision.pending),
        "epochs_spent": decision.spent_epochs,
        "workers": decision.workers,
        "created": decision.created,
        "who": decision.who,
    }
    if checked is not None:
        entry |= {"faults": list(checked.faults), "other_versions": list(checked.differing)}
    return entry


def history_text(name: str, decided: Decided, checked: Sequence[Checked] | None = None) -> str:
    """A paragraph for each search. checked: None where nobody asked for it."""
    searches = history(decided, checked or ())
    count = sum(len(search["decisions"]) for search in searches)
    lines = [f"{name}: {len(searches)} {'search' if len(searches) == 1 else 'searches'}, {counted(count, 'decision')}"]
    for search in searches:
        asked = (
            f"{counted(search['configurations'], 'configuration')} on {counted(len(search['partitions']), 'partition')}"
        )
        lines += [
            "",
            f"{search['search']}  proposer {search['proposer']}, {asked}: {search['command'] or 'command unknown'}",
            *([f"  {search['stage']}"] if search["stage"] else []),
        ]
        rows = [("decision", "when", "repeats", "epochs of each", "results seen", "reason")]
        for one in search["decisions"]:
            rows.append(
                (
                    str(one["number"]),
                    str(one["created"])[:16].replace("T", " "),
                    str(one["repeats"]),
                    span(one["epochs_of_each"]),
                    str(one["results_seen"]),
                    one["reason"],
                )
            )
        lines += columns(rows, [True, False, True, True, True, False]) if len(rows) > 1 else ["  no decision yet"]
        lines += ["", f"  {search['audit']['said']}"] if search["audit"] else []
    if checked is not None:
        lines += ["", *_checked(checked)]
    return "\n".join(lines)


def named(decided: Decided, asked: str) -> str:
    """The configuration whose id begins so. Raises InputError where there is none or are several."""
    known = decided.bases(*decided.searches)
    matching = sorted(name for name in known if name.startswith(asked))
    if len(matching) != 1:
        raise InputError(
            f"configuration {asked!r}: expected the beginning of one id of a search, found "
            f"{counted(len(matching), 'configuration')} that begin so",
            "Ids are in: orch table STUDY",
        )
    return matching[0]


def decided_about(decided: Decided, configuration: str) -> list[dict[str, Any]]:
    """Every decision that asked for a configuration or was the first to stop it, oldest search first; with how many of
    its repeats had been seen then, and how many of these diverged."""
    decisions = []
    for search in decided.searches.values():
        was_stopped, seen = False, dict[LaneKey, str]()
        for decision in decided.decisions[search.id]:
            news = [one for one in decision.news if one.configuration == configuration]
            seen |= {result.lane: result.state for result in told(news)}
            diverged = sum(RepeatState(state) is RepeatState.DIVERGED for state in seen.values())
            asks = [ask for ask in decision.asks if configuration in ask.configurations]
            stops = configuration in decision.stopped and not was_stopped
            was_stopped |= stops
            if asks or stops:
                decisions.append(
                    {
                        "search": search.id,
                        "number": decision.number,
                        "created": decision.created,
                        "repeats": sum(len(ask.repeats) for ask in asks),
                        "epochs_of_each": sorted({ask.epochs for ask in asks}),
                        "repeats_seen": len(seen),
                        "diverged": diverged,
                        "diverged_rate": rate_interval(diverged, len(seen)) if seen else None,
                        "stopped": stops,
                        "reason": decision.reason,
                    }
                )
    return decisions


def stop_words(decided: Decided, configuration: str) -> list[str]:
    """For each search that asks no more of it how far it came: no verdict."""
    sentences = []
    for search in decided.searches.values():
        course = _course(decided, search)
        if course is not None and configuration in course.stops:
            sentences.append(f"{search.id}: {course.stops[configuration].words}")
    return sentences


def about_text(configuration: str, about: Sequence[Mapping[str, Any]], stops: Sequence[str] = ()) -> str:
    rows = [("search", "decision", "when", "repeats", "epochs of each", "", "", "reason")]
    for one in about:
        when = str(one["created"])[:16].replace("T", " ")
        epochs, stopped = span(one["epochs_of_each"]), "stopped" if one["stopped"] else ""
        rate, asked = rate_words(one["diverged"], one["repeats_seen"]), str(one["repeats"])
        rows.append((one["search"], str(one["number"]), when, asked, epochs, stopped, rate, one["reason"]))
    if len(rows) == 1:
        return f"{configuration}: no decision asked for it yet"
    return "\n".join([configuration, *columns(rows, [False, True, False, True, True, False, False, False]), *stops])


def _checked(checked: Sequence[Checked]) -> list[str]:
    wrong = faulty(checked)
    lines = [f"{one.search}, decision {one.number}: {fault}" for one in wrong for fault in one.faults]
    whole = len(checked) - len(wrong)
    lines.append(f"{whole} of {counted(len(checked), 'decision')} made again, with the same answer.")
    differing = list(dict.fromkeys(version for one in checked for version in one.differing))
    if differing:
        lines.append(f"Other versions here than when they were made: {'; '.join(differing[:5])}.")
    return lines
