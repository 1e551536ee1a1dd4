"""What the rounds of a fault cost, and the table of all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from orchestrator.results.finals import KEY
from orchestrator.results.histories import list_finals, read_repeats
from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.schema import FinalRecord
from orchestrator.store.storage import Storage

Row = tuple[str, int, int]
"""(configuration, repeat, epoch)"""


@dataclass(frozen=True)
class Compared:
    """A study against the unbroken run, in rows: one row is one epoch of one repeat."""

    lost: int = 0
    twice: int = 0
    wrong: int = 0
    """Rows, and logits or selections, that are there and not equal to the bit."""

    @property
    def is_equal(self) -> bool:
        return not (self.lost or self.twice or self.wrong)


def compare(storage: Storage, expected: Mapping[tuple[str, int], FinalRecord]) -> Compared:
    """Compare final records, and the table made of them, with those of the unbroken run by (configuration, repeat)."""
    found: dict[tuple[str, int], list[FinalRecord]] = {}
    for key in list_finals(storage):
        try:
            record = FinalRecord.from_bytes(storage.read(key.path), key.path)
        except DamagedRecordError:
            continue
        found.setdefault((key.configuration, key.repeat), []).append(record)
    rows = {
        (configuration, repeat, epoch)
        for (configuration, repeat), records in found.items()
        for record in records
        for epoch in range(record.history.epochs + 1)
    }
    wanted = {(*key, epoch) for key, record in expected.items() for epoch in range(record.history.epochs + 1)}
    twice = sum(len(record.history.loss) for records in found.values() for record in records[1:])
    table = read_repeats(storage)
    twice += int(table.table.duplicated(KEY[:3]).sum())
    wrong = sum(not _equal(records[0], expected[key]) for key, records in found.items() if key in expected)
    wrong += len(rows - wanted)
    missing = len(wanted - rows) if len(table) >= len(found) else len(wanted)
    return Compared(missing, twice, wrong)


def _equal(left: FinalRecord, right: FinalRecord) -> bool:
    same = all(left.meta[name] == right.meta[name] for name in ("state", "selected_epoch", "epochs", "recipe"))
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
    epochs: list[float] = field(default_factory=list)
    """Per round: epochs of one repeat trained more often than once."""
    seconds: list[float] = field(default_factory=list)
    """Per recovery: from the start of the next process to its first training step."""
    remarks: list[str] = field(default_factory=list)
    on_round: ClassVar[Callable[[Tally], None] | None] = None
    """Told of every round that is over."""

    def add(self, compared: Compared, *, happened: bool = True) -> None:
        self.tried += 1
        self.happened += happened
        self.lost += compared.lost
        self.twice += compared.twice
        self.wrong += compared.wrong
        if Tally.on_round is not None:
            Tally.on_round(self)

    @property
    def passed(self) -> bool:
        return not (self.lost or self.twice or self.wrong or self.remarks)

    def cells(self) -> list[str]:
        epochs = f"{max(self.epochs):.2g}" if self.epochs else "–"
        seconds = f"{max(self.seconds):.1f}" if self.seconds else "–"
        return [
            self.fault,
            f"{self.tried} ({self.happened})" if self.happened != self.tried else str(self.tried),
            str(self.lost),
            str(self.twice),
            str(self.wrong),
            epochs,
            seconds,
        ]


HEADER = ["fault", "times tried", "rows lost", "rows twice", "rows wrong", "epochs recomputed", "seconds to recover"]


def as_markdown(tallies: list[Tally]) -> str:
    """The table; where a fault did not meet every process at work, the number of those that it met is in brackets."""
    lines = [HEADER, ["---"] * len(HEADER), *(tally.cells() for tally in tallies)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
