"""`forgotten.json`: what of a study is no longer asked for, whatever its decisions say, which are immutable.

A configuration, or a partition, that was forgotten is passed over by all who read decisions and results. What is
searched again is recalled: its decisions count as they did.
"""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.store.damage import note
from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.layout import FORGOTTEN
from orchestrator.store.schema import Identity, JsonRecord, parse_model
from orchestrator.store.searches import Ask, Decision, Stack
from orchestrator.store.storage import Storage


class Forgotten(JsonRecord):
    """configurations: on all partitions. partitions: of all configurations."""

    configurations: tuple[Identity, ...] = ()
    partitions: tuple[Identity, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.configurations or self.partitions)

    def holds(self, partition: str, configuration: str) -> bool:
        return partition in self.partitions or configuration in self.configurations

    def without(self, decision: Decision) -> Decision:
        """The decision as if it had never asked for these. What is trained together with others stays whole."""
        if not self:
            return decision
        return decision.model_copy(
            update={
                "asks": self._asks(decision.asks),
                "stacks": tuple(one for one in decision.stacks if self._goes(one)),
            }
        )

    def _asks(self, asks: Iterable[Ask]) -> tuple[Ask, ...]:
        kept = []
        for ask in asks:
            left = tuple(name for name in ask.configurations if not self.holds(ask.partition, name))
            if left:
                kept.append(ask.model_copy(update={"configurations": left}))
        return tuple(kept)

    def _goes(self, stack: Stack) -> bool:
        return any(not self.holds(stack.partition, name) for name in stack.configurations)

    def with_more(self, configurations: Iterable[str], partitions: Iterable[str]) -> Forgotten:
        return Forgotten(
            configurations=tuple(sorted({*self.configurations, *configurations})),
            partitions=tuple(sorted({*self.partitions, *partitions})),
        )

    def but_for(self, configurations: Iterable[str], partitions: Iterable[str]) -> Forgotten:
        """Without these, which are asked for again."""
        return Forgotten(
            configurations=tuple(sorted({*self.configurations}.difference(configurations))),
            partitions=tuple(sorted({*self.partitions}.difference(partitions))),
        )


def read_forgotten(storage: Storage) -> Forgotten:
    """Nothing where there is no such file; one that is damaged is noted."""
    try:
        return parse_model(Forgotten, storage.read(FORGOTTEN), FORGOTTEN)
    except FileNotFoundError:
        return Forgotten()
    except DamagedRecordError as error:
        note(storage, FORGOTTEN, error.message)
        return Forgotten()


def note_forgotten(storage: Storage, forgotten: Forgotten) -> None:
    """Raises StorageError where the study cannot be written."""
    if forgotten != read_forgotten(storage):
        storage.replace(FORGOTTEN, forgotten.model_dump_json().encode())
