"""What a study was asked for: all searches, their budgets and decisions. Only files that are new are read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple, TypeVar

from orchestrator.store.concurrently import concurrently
from orchestrator.store.damage import Damaged, note
from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.forgotten import Forgotten, read_forgotten
from orchestrator.store.layout import SEARCHES, ConfigurationKey
from orchestrator.store.schema import Record, parse_toml
from orchestrator.store.searches import (
    Budget,
    Decision,
    SearchRecord,
    bases_of,
    budget_file,
    decision_file,
    parse_budget,
    parse_decision,
    search_file,
    search_folder,
)
from orchestrator.store.segments import Segment
from orchestrator.store.storage import Storage

R = TypeVar("R", bound=Record)
Asked = Mapping[int, int]
"""Epochs asked of each repeat, by its number."""


class _File(NamedTuple):
    search: str
    name: str


class Decided:
    """Read again and again with `read`; not shared between threads.

    searches: by id, oldest first. budgets and decisions: by id of their search, in the order of their numbers.
    damaged: files that are none; what they said is not known. forgotten: what is passed over;
    None: what the study says.
    """

    def __init__(self, storage: Storage, forgotten: Forgotten | None = None) -> None:
        self.storage = storage
        self._forgotten = read_forgotten(storage) if forgotten is None else forgotten
        self.searches: dict[str, SearchRecord] = {}
        self.budgets: dict[str, list[Budget]] = {}
        self.decisions: dict[str, list[Decision]] = {}
        self.damaged: list[Damaged] = []
        self.last_number: dict[str, int] = {}
        """Of any decision of a search, damaged ones included."""
        self._read: set[_File] = set()

    @classmethod
    def of(cls, storage: Storage, known: Iterable[str] = (), forgotten: Forgotten | None = None) -> Decided:
        """As it is now; `known` as for `read`. Files that cannot be read are noted where something is lost."""
        decided = cls(storage, forgotten)
        decided.read(known)
        for damaged in decided.damaged:
            if not decided.is_made_up_for(damaged.path):
                note(storage, damaged.path, damaged.reason)
        return decided

    def read(self, known: Iterable[str] = ()) -> bool:
        """Read what is new; whether there was anything.

        known: paths of files that are there, whether or not a listing shows them yet: a file system that several
        machines share may list a folder as it was a while ago.
        """
        ids = self.storage.list(SEARCHES)
        names = concurrently(lambda search: self.storage.list(search_folder(search)), ids)
        files = [_File(search, name) for search, listed in zip(ids, names, strict=True) for name in listed]
        files += [_File(*path.split("/")[-2:]) for path in known]
        new = [file for file in dict.fromkeys(files) if _is_record(file.name) and file not in self._read]
        for file, record in zip(new, concurrently(self._parsed, new), strict=True):
            self._take(file, record)
        if new:
            order = sorted(self.searches.values(), key=lambda search: (search.created, search.id))
            self.searches = {search.id: search for search in order}
            for search in self.searches.values():
                self.budgets[search.id] = self._fitting(search, self.budgets.get(search.id, []))
                self.decisions.setdefault(search.id, []).sort(key=lambda decision: decision.number)
        return bool(new)

    def including(self, search: SearchRecord | None, budgets: Mapping[str, Budget]) -> Decided:
        """As it would be with this search, and with these budgets in the place of those of their searches."""
        other = Decided(self.storage)
        other.searches = {**self.searches, **({search.id: search} if search is not None else {})}
        other.budgets = {
            name: [*self.budgets.get(name, []), *([budgets[name]] if name in budgets else [])]
            for name in other.searches
        }
        other.decisions = {name: list(self.decisions.get(name, [])) for name in other.searches}
        other.last_number = dict(self.last_number)
        return other

    def budget(self, search: str) -> Budget | None:
        """The one that counts."""
        return self.budgets[search][-1] if self.budgets.get(search) else None

    def bases(self, *searches: str) -> dict[str, str]:
        """Of each configuration of these searches the one whose budget it has: of what was suggested the one that it
        was made from, else itself. Searches that are not known have none."""
        bases: dict[str, str] = {}
        for search in searches:
            own = self.searches[search].configurations if search in self.searches else ()
            bases |= {name: name for name in own} | bases_of(self.decisions.get(search, ()))
        return bases

    def tried(self, search: str) -> tuple[str, ...]:
        """All that a search may train as far as is known: its configurations, or what of them was suggested."""
        suggested = bases_of(self.decisions.get(search, ()))
        return tuple(suggested) or self.searches[search].configurations

    def allowed_epochs(self) -> dict[str, int]:
        """By configuration the most epochs that the budget of any search allows."""
        allowed: dict[str, int] = {}
        for search in self.searches:
            budget = self.budget(search)
            each = budget.of_each() if budget else {}
            for name, base in self.bases(search).items() if each else ():
                allowed[name] = max(each[base][1], allowed.get(name, 0))
        return allowed

    def every(self, searches: Collection[str] | None = None) -> Iterator[Decision]:
        """All decisions, or those of some searches: search by search, in order."""
        for search in self.searches:
            if searches is None or search in searches:
                yield from self.decisions[search]

    def asked(self, searches: Collection[str] | None = None) -> dict[ConfigurationKey, dict[int, int]]:
        """Per configuration and partition the epochs asked of each repeat: the union of the decisions."""
        asked: dict[ConfigurationKey, dict[int, int]] = {}
        for decision in self.every(searches):
            for ask in decision.asks:
                for name in ask.configurations:
                    epochs = asked.setdefault(ConfigurationKey(ask.partition, name), {})
                    for repeat in ask.repeats:
                        epochs[repeat] = max(ask.epochs, epochs.get(repeat, 0))
        return {key: dict(sorted(epochs.items())) for key, epochs in asked.items()}

    def stopped(self) -> dict[str, Decision]:
        """Configurations of which no search that asked for them asks for more, with the last decision that says so."""
        stopped: dict[str, Decision] = {}
        going = {name for search in self.searches for name in self.going(search)}
        for search in self.searches:
            for decision in self.decisions[search]:
                for name in decision.stopped:
                    if name not in going:
                        stopped.setdefault(name, decision)
        return stopped

    def going(self, search: str) -> set[str]:
        """Configurations that a search has asked for and not stopped."""
        decisions = self.decisions[search]
        asked = {name for decision in decisions for ask in decision.asks for name in ask.configurations}
        return asked.difference(decisions[-1].stopped) if decisions else set()

    def segments(self, searches: Collection[str] | None = None) -> list[Segment]:
        """What is trained for it, in the order of decisions; each once, whole (see `trainables.bundles.parts`)."""
        return list(dict.fromkeys(segment for decision in self.every(searches) for segment in decision.segments()))

    def is_answered(self, search: str) -> bool:
        """Whether the last budget has a decision, and none is lost of which nobody knows what it asked for."""
        budget = self.budget(search)
        is_given = budget is None or any(one.budget == budget.number for one in self.decisions[search])
        return is_given and not self.has_lost(search)

    def has_lost(self, search: str) -> bool:
        """Whether a decision is damaged or gone."""
        return self.last_number.get(search, 0) > len(self.decisions[search])

    def is_made_up_for(self, path: str) -> bool:
        """Whether a damaged file is no loss: a later budget counts, or all that the budget allows is asked for."""
        _, search, name = path.split("/")
        number, budget = parse_budget(name), self.budget(search)
        if budget is None or search not in self.searches or name == "search.toml":
            return False
        if number is not None:
            return budget.number > number
        if budget.suggestions is not None:
            return False
        asked = self.asked([search])
        return all(
            asked.get(ConfigurationKey(partition, configuration), {}).get(repeat, -1) >= epochs
            for partition in self.searches[search].partitions
            for configuration, (repeats, epochs) in budget.of_each().items()
            for repeat in range(repeats)
        )

    def _parsed(self, file: _File) -> Record | Damaged | None:
        """None where it is gone again."""
        number = parse_decision(file.name)
        try:
            if number is not None:
                return self._record(Decision, decision_file(file.search, number))
            number = parse_budget(file.name)
            if number is not None:
                return self._record(Budget, budget_file(file.search, number))
            return self._record(SearchRecord, search_file(file.search))
        except FileNotFoundError:
            return None
        except DamagedRecordError as error:
            return Damaged(f"{search_folder(file.search)}/{file.name}", error.message)

    def _record(self, kind: type[R], path: str) -> R:
        return parse_toml(kind, self.storage.read(path), path)

    def _fitting(self, search: SearchRecord, budgets: Iterable[Budget]) -> list[Budget]:
        """In order of their numbers, those of all configurations of the search and of no other."""
        fitting = []
        for budget in sorted(budgets, key=lambda budget: budget.number):
            if budget.of_each().keys() == set(search.configurations):
                fitting.append(budget)
            else:
                path = budget_file(search.id, budget.number)
                self.damaged.append(Damaged(path, f"{path} names other configurations than its search"))
        return fitting

    def _take(self, file: _File, record: Record | Damaged | None) -> None:
        number = parse_decision(file.name)
        if number is not None:
            self.last_number[file.search] = max(number, self.last_number.get(file.search, 0))
        if record is None:
            return
        self._read.add(file)
        match record:
            case SearchRecord() if record.id != file.search:
                path = search_file(file.search)
                self.damaged.append(Damaged(path, f"{path} holds another search, {record.id}"))
            case SearchRecord():
                self.searches[file.search] = record
            case Budget() | Decision() if record.number != _number(file.name):
                path = f"{search_folder(file.search)}/{file.name}"
                self.damaged.append(Damaged(path, f"{path} says that it is number {record.number}"))
            case Budget():
                self.budgets.setdefault(file.search, []).append(record)
            case Decision():
                self.decisions.setdefault(file.search, []).append(self._forgotten.without(record))
            case Damaged():
                self.damaged.append(record)


def _is_record(name: str) -> bool:
    return name == "search.toml" or parse_decision(name) is not None or parse_budget(name) is not None


def _number(name: str) -> int | None:
    """Of a budget or a decision."""
    number = parse_decision(name)
    return parse_budget(name) if number is None else number
