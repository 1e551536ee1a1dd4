"""A study without any result, in which searches are made and decided without training: results are made up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.proposing.deciding import Deciding, Machine
from orchestrator.results.decided import Decided
from orchestrator.results.news import NewsReader
from orchestrator.store import layout
from orchestrator.store.searches import Decision, SearchRecord, search_file
from orchestrator.study.studies import raise_budget
from tests.support.generated_study import PARTITION, GeneratedStudy, UnsyncedStorage
from tests.support.handing_out import as_wanted

MACHINE = Machine(2, "cpu", as_wanted)


@dataclass
class UndecidedStudy:
    """A study with made-up results, and searches in it."""

    storage: UnsyncedStorage
    study: GeneratedStudy

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(configuration.id for configuration in self.study.configurations())

    def search(self, names: Sequence[str], repeats: int, epochs: int, **about: object) -> SearchRecord:
        record = SearchRecord(
            **{"proposer": "grid", "partitions": (PARTITION,), "configurations": tuple(names), **about}  # type: ignore[arg-type]
        )
        self.storage.create(search_file(record.id), record.to_toml())
        raise_budget(self.storage, record.id, dict.fromkeys(names, (repeats, epochs)), "orch search")
        return record

    def play(self, search: SearchRecord) -> None:
        """To its end, every result as soon as it is asked for."""
        while (decision := self.deciding(search).decide()) is not None:
            for ask in decision.asks:
                for name in ask.configurations:
                    self.finish(self.names.index(name), ask.repeats, ask.epochs)

    def deciding(self, search: SearchRecord) -> Deciding:
        return Deciding(self.storage, Decided.of(self.storage), search.id, NewsReader(self.storage), MACHINE)

    def decide(self, search: SearchRecord) -> Decision:
        decision = self.deciding(search).decide()
        assert decision is not None
        return decision

    def finish(self, place: int, repeats: Sequence[int], epochs: int) -> None:
        for repeat in repeats:
            self.study.write_final(self.storage, self.study.configurations()[place], repeat, epochs)


def undecided_study(folder: Path, study: GeneratedStudy | None = None) -> UndecidedStudy:
    """Four configurations of one backbone, or those of another study."""
    study = study or GeneratedStudy(depths=((0, 0),), lrs=(1e-3, 1e-2), batch_sizes=(16, 32))
    storage = UnsyncedStorage(folder)
    study.write_frame(storage)
    for configuration in study.configurations():
        storage.create(layout.configuration(configuration.id), configuration.to_toml())
    return UndecidedStudy(storage, study)
