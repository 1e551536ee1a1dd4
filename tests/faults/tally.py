"""What a study came to against the unbroken one, what the rounds of a fault cost, and the table of all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from orchestrator.proposing.checking import check
from orchestrator.proposing.proposer import proposer_of
from orchestrator.results.decided import Decided
from orchestrator.results.finals import KEY
from orchestrator.results.histories import list_finals, read_repeats
from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.schema import FinalRecord
from orchestrator.store.searches import Ask, Stack
from orchestrator.store.segments import SEGMENTS, LaneKey, parse_state
from orchestrator.store.storage import Storage


class Asked(NamedTuple):
    """One lane up to so many epochs."""

    lane: LaneKey
    epochs: int


class Said(NamedTuple):
    """What a decision says to train, and under which budget; not who said so and when."""

    search: str
    budget: Mapping[str, tuple[int, int]]
    reason: str
    asks: tuple[Ask, ...]
    stacks: tuple[Stack, ...]


@dataclass(frozen=True)
class Results:
    """All that a study has: finals whole ones by what they are of, decisions in order, states what is kept for others
    to begin from, by segment."""

    finals: Mapping[Asked, tuple[FinalRecord, ...]]
    decisions: tuple[Said, ...]
    states: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, storage: Storage) -> Results:
        finals: dict[Asked, tuple[FinalRecord, ...]] = {}
        for key in list_finals(storage):
            try:
                record = FinalRecord.from_bytes(storage.read(key.path), key.path)
            except DamagedRecordError:
                continue
            asked = Asked(LaneKey(key.partition, key.configuration, key.repeat), key.epochs)
            finals[asked] = (*finals.get(asked, ()), record)
        return cls(finals, _said(Decided.of(storage)), _states(storage))

    @property
    def asked(self) -> Counter[Asked]:
        """How often the decisions have each lane trained."""
        return Counter(
            Asked(lane, stack.epochs)
            for said in self.decisions
            for stack in said.stacks
            for segment in stack.segments()
            for lane in segment.lanes
        )


def _said(decided: Decided) -> tuple[Said, ...]:
    found = []
    for search, decisions in decided.decisions.items():
        budgets = {budget.number: budget.of_each() for budget in decided.budgets.get(search, [])}
        found += [Said(search, budgets.get(one.budget, {}), one.reason, one.asks, one.stacks) for one in decisions]
    return tuple(found)


def _states(storage: Storage) -> dict[str, frozenset[str]]:
    found = {
        segment: frozenset(
            state.digest for name in storage.list(f"{SEGMENTS}/{segment}") if (state := parse_state(name))
        )
        for segment in storage.list(SEGMENTS)
    }
    return {segment: digests for segment, digests in found.items() if digests}


@dataclass(frozen=True)
class Compared:
    """A study against the unbroken one, in rows: one row is one epoch of one final record."""

    lost: int = 0
    twice: int = 0
    wrong: int = 0
    """Rows, and logits or selections, that are there and not equal to the bit."""
    decisions: int = 0
    """That are missing, said twice, say something else, or cannot be made again from what they cite."""

    @property
    def is_equal(self) -> bool:
        return not (self.lost or self.twice or self.wrong or self.decisions)


def compare(storage: Storage, expected: Results) -> Compared:
    """Final records, the table made of them, and decisions."""
    found = Results.of(storage)
    rows, wanted = _rows(found), _rows(expected)
    twice = sum(len(one.history.loss) for records in found.finals.values() for one in records[1:])
    twice += sum(count - 1 for count in found.asked.values())
    table = read_repeats(storage)
    twice += int(table.table.duplicated(KEY[:3]).sum())
    wrong = len(rows - wanted)
    for asked, records in found.finals.items():
        wrong += asked in expected.finals and not _equal(records[0], expected.finals[asked][0])
    longest = {lane: max(n for other, n in expected.finals if other == lane) for lane, _ in expected.finals}
    names = (table.table[name] for name in KEY)
    told = {LaneKey(p, c, int(repeat)): int(epochs) for p, c, repeat, epochs in zip(*names, strict=True)}
    missing = len(wanted - rows) if told == longest else len(wanted)
    differing = sum(one != other for one, other in zip(found.decisions, expected.decisions, strict=False))
    differing += abs(len(found.decisions) - len(expected.decisions)) + unfounded(storage)
    return Compared(missing, twice, wrong, differing)


def unfounded(storage: Storage) -> int:
    """Decisions that do not follow from what they cite, of searches that wait for results.

    That a number is missing before one is no fault of the one that was made in its place.
    """
    decided = Decided.of(storage)
    listening = {search.id for search in decided.searches.values() if proposer_of(search).listens}
    return sum(
        any("is missing" not in fault for fault in one.faults)
        for one in check(storage, decided)
        if one.search in listening
    )


def _rows(results: Results) -> set[tuple[Asked, int]]:
    return {(asked, row) for asked, records in results.finals.items() for row in range(len(records[0].history.loss))}


def _equal(left: FinalRecord, right: FinalRecord) -> bool:
    same = all(left.meta[name] == right.meta[name] for name in ("state", "selected_epoch", "epochs", "recipe"))
    same &= left.meta["end_state"] == right.meta["end_state"]
    arrays = ((left.history.loss, right.history.loss), (left.history.statistics, right.history.statistics))
    return same and all(
        one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
        for one, other in (*arrays, (left.logits, right.logits))
    )


@dataclass
class Tally:
    """All rounds of one fault."""

    fault: str
    tried: int = 0
    happened: int = 0
    """Rounds in which the fault met the process at work."""
    lost: int = 0
    twice: int = 0
    wrong: int = 0
    decisions: int = 0
    epochs: list[float] = field(default_factory=list)
    """Per round: epochs of a segment trained more often than once."""
    seconds: list[float] = field(default_factory=list)
    """Per recovery: from the start of the next process to its first training step."""
    noticed: list[float] = field(default_factory=list)
    """Per round, where Ray has to notice: seconds until it has."""
    remarks: list[str] = field(default_factory=list)
    on_round: ClassVar[Callable[[Tally], None] | None] = None
    """Told of every round that is over."""

    def add(self, compared: Compared, *, happened: bool = True) -> None:
        self.tried += 1
        self.happened += happened
        self.lost += compared.lost
        self.twice += compared.twice
        self.wrong += compared.wrong
        self.decisions += compared.decisions
        if Tally.on_round is not None:
            Tally.on_round(self)

    @property
    def passed(self) -> bool:
        return not (self.lost or self.twice or self.wrong or self.decisions or self.remarks)

    def cells(self) -> list[str]:
        epochs = f"{max(self.epochs):.2g}" if self.epochs else "–"
        seconds = f"{max(self.seconds):.1f}" if self.seconds else "–"
        return [
            self.fault,
            f"{self.tried} ({self.happened})" if self.happened != self.tried else str(self.tried),
            str(self.lost),
            str(self.twice),
            str(self.wrong),
            str(self.decisions),
            epochs,
            seconds,
        ]


HEADER = [
    "fault",
    "times tried",
    "rows lost",
    "rows twice",
    "rows wrong",
    "decisions other",
    "epochs recomputed",
    "seconds to recover",
]


def as_markdown(tallies: list[Tally]) -> str:
    """The table; where a fault did not meet every process at work, the number of those that it met is in brackets."""
    lines = [HEADER, ["---"] * len(HEADER), *(tally.cells() for tally in tallies)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
