"""Results as decisions cite them: what is compared, and what tells each final record from others.

Nothing is read twice: histories that were gathered before come from their parts, and of what finishes later only the
new final records are read, one by one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from orchestrator.results.finals import FinalKey
from orchestrator.results.goals import goal_value
from orchestrator.results.histories import gather, list_finals, read_parts
from orchestrator.results.parts import Part
from orchestrator.store.concurrently import concurrently
from orchestrator.store.layout import FinalName
from orchestrator.store.schema import FinalRecord, History, Metric, RepeatState
from orchestrator.store.searches import News
from orchestrator.store.segments import LaneKey
from orchestrator.store.storage import Storage
from search_spaces.configuration import Configuration
from search_spaces.stored import read_configuration
from trainables.bundles.work import is_enough
from trainables.learning.metrics import is_measured, selected_epoch, selection_scores

ONE_BY_ONE = 50
"""So many final records, or fewer, are read one by one whatever parts hold them."""


class _Result(NamedTuple):
    """What is kept of a final record. worse, valid: selection's values at its selected epoch, larger is better."""

    state: str
    digest: str
    worse: float
    """Of train and valid."""
    valid: float
    seconds: float
    """Of training, from the beginning."""
    trained: int
    """Epochs that it has, of one that ended by itself fewer than were asked."""


class NewsReader:
    """Asked again and again while a study is trained; keeps what it has read. Not shared between threads."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._longest: dict[LaneKey, FinalKey] = {}
        self._results: dict[FinalKey, _Result] = {}
        self._parts: set[str] = set()
        self._starts: dict[tuple[FinalKey, int], _Result] = {}
        """Of longer records, by the epochs that count."""
        self._goals: dict[tuple[FinalKey, int, str], float] = {}

    def news(
        self,
        asked: Mapping[LaneKey, int],
        known: Collection[tuple[LaneKey, int]] = (),
        by_valid: Collection[Metric] = (),
        goal: str = "",
    ) -> tuple[News, ...]:
        """The results of lanes that are not known yet, in order of partition, configuration, epochs and repeat.

        asked: the epochs asked of each lane; one that has them, or ended by itself, is not looked at again. Of several
        results of a lane the one with most epochs is told, as it was after those that were asked. known: lanes with the
        epochs of the result that was told before. by_valid: metrics by which valid alone compares all, see
        `compared_by_valid`; each configuration whose epochs valid alone selects is compared so in any case. goal: what
        is told beside the value, see `goals`. Records that cannot be read are passed over.
        """
        self._look([lane for lane, epochs in asked.items() if not self._has_enough(lane, epochs)])
        before = set(known)
        alike: dict[tuple[str, str, int, bool], list[FinalKey]] = {}
        for lane, epochs in asked.items():
            final = self._longest.get(lane)
            if final is None:
                continue
            is_longer = self._results[final].trained > epochs
            told = epochs if is_longer else final.epochs
            if (lane, told) not in before:
                alike.setdefault((lane.partition, lane.configuration, told, is_longer), []).append(final)
        return tuple(self._told(*key, alike[key], by_valid, goal) for key in sorted(alike))

    def hours(self, asked: Mapping[LaneKey, int]) -> float:
        """Of training, of all results of these lanes, added up over whatever ran side by side."""
        self._look([lane for lane, epochs in asked.items() if not self._has_enough(lane, epochs)])
        finals = (self._longest.get(lane) for lane in asked)
        return sum(self._results[final].seconds for final in finals if final is not None) / 3600

    def _has_enough(self, lane: LaneKey, epochs: int) -> bool:
        final = self._longest.get(lane)
        return final is not None and is_enough(FinalName(final.repeat, final.epochs, final.state), epochs)

    def _told(
        self,
        partition: str,
        name: str,
        epochs: int,
        is_longer: bool,
        finals: Iterable[FinalKey],
        by_valid: Collection[Metric],
        goal: str,
    ) -> News:
        configuration = read_configuration(self.storage, name)
        alone = configuration.selects_by_valid_alone or configuration.selection.metric in by_valid
        ordered = sorted(finals, key=lambda final: final.repeat)
        if is_longer:
            results = [self._start(final, epochs, configuration) for final in ordered]
        else:
            results = [self._results[final] for final in ordered]
        return News(
            partition=partition,
            configuration=name,
            epochs=epochs,
            repeats=tuple(final.repeat for final in ordered),
            states=tuple(result.state for result in results),
            values=tuple(result.valid if alone else result.worse for result in results),
            goals=tuple(self._goal(final, epochs, configuration, goal) for final in ordered) if goal else (),
            digests=tuple(result.digest for result in results),
            longer=tuple(final.path.rpartition("/")[2] for final in ordered) if is_longer else (),
        )

    def _start(self, final: FinalKey, epochs: int, configuration: Configuration) -> _Result:
        """A record as it was after so many epochs: the same repeat, trained for fewer."""
        key = final, epochs
        if key not in self._starts:
            start, selected = _begun(
                FinalRecord.from_bytes(self.storage.read(final.path), final.path), epochs, configuration
            )
            metric, digest = configuration.selection.metric, self._results[final].digest
            worse, valid = (float(selection_scores(metric, start, alone)[selected]) for alone in (False, True))
            self._starts[key] = _Result("finished", digest, worse, valid, self._results[final].seconds, epochs)
        return self._starts[key]

    def _goal(self, final: FinalKey, epochs: int, configuration: Configuration, goal: str) -> float:
        key = final, epochs, goal
        if key not in self._goals:
            record = FinalRecord.from_bytes(self.storage.read(final.path), final.path)
            self._goals[key] = goal_value(record, goal, *_begun(record, epochs, configuration))
        return self._goals[key]

    def _look(self, lanes: Collection[LaneKey]) -> None:
        """Find the longest result of each lane, of two with as many epochs the one that has them all."""
        wanted = set(lanes)
        bundles = list(dict.fromkeys(lane.bundle for lane in lanes))
        left: dict[LaneKey, list[FinalKey]] = {}
        for listed in concurrently(lambda bundle: list_finals(self.storage, [bundle]), bundles):
            for final in sorted(listed, key=lambda final: (-final.epochs, final.state.ended_by_itself())):
                lane = LaneKey(final.partition, final.configuration, final.repeat)
                if lane in wanted:
                    left.setdefault(lane, []).append(final)
        while left:
            self._read([finals[0] for finals in left.values() if finals[0] not in self._results])
            self._longest |= {lane: finals[0] for lane, finals in left.items() if finals[0] in self._results}
            left = {lane: finals[1:] for lane, finals in left.items() if lane not in self._longest and finals[1:]}

    def _read(self, finals: Collection[FinalKey]) -> None:
        if len(finals) > ONE_BY_ONE:
            parts, _ = read_parts(self.storage, but=self._parts, whole=False)
            for part in parts.values():
                self._results |= _results(part)
            self._parts |= parts.keys()
        loose, _ = gather(self.storage, [final for final in finals if final not in self._results])
        if loose is not None:
            self._results |= _results(loose)


def _begun(record: FinalRecord, epochs: int, configuration: Configuration) -> tuple[History, int]:
    """The first epochs of a record, and which of them is selected: of one that diverged it is 0."""
    whole, metric = record.history, configuration.selection.metric
    measured = None if whole.measured is None else whole.measured[: epochs + 1]
    start = History(whole.splits, whole.loss[: epochs + 1], whole.statistics[: epochs + 1], measured)
    if record.state is RepeatState.DIVERGED:
        return start, 0
    return start, selected_epoch(metric, start, configuration.selects_by_valid_alone)


def _results(part: Part) -> dict[FinalKey, _Result]:
    table, rows = part.repeats, part.rows
    # of one that diverged it is 0
    selected = np.repeat(table.column("selected_epoch").fill_null(0).to_numpy(), rows)
    places = np.flatnonzero(part.epochs.column("epoch").to_numpy() == selected)
    split = np.array(part.epochs.column("split").take(places).to_pylist())
    pair = np.stack([places[split == name] for name in ("train", "valid")], axis=1)
    loss = part.epochs.column("loss").to_numpy()[pair]
    measured = part.epochs.column("measured").to_numpy()[pair]
    statistics = part.statistics()[pair].reshape(*pair.shape, *part.shape)
    metrics = np.array(table.column("selection").to_pylist())
    values = np.empty((len(pair), 2))
    for metric in np.unique(metrics):
        mine = metrics == metric
        chosen = History(
            ("train", "valid"), loss[mine], statistics[mine], measured[mine] if is_measured(str(metric)) else None
        )
        for place, valid_alone in enumerate((False, True)):
            values[mine, place] = selection_scores(str(metric), chosen, valid_alone)
    told = (table.column(name).to_pylist() for name in ("state", "digest"))
    seconds = table.column("seconds").fill_null(0.0).to_pylist()
    trained = table.column("history_epochs").to_pylist()
    results = zip(part.keys, *told, *values.T.tolist(), seconds, trained, strict=True)
    return {key: _Result(*result) for key, *result in results}
