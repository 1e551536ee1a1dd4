"""The searches of one command in their order: the strategies' grid, then each stage from what the one before selected.

Nothing is kept of where a command is: what is finished owes nothing, and which configuration a stage begins from
follows from final records alone. So the same command goes on wherever it was stopped, and several drivers agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from orchestrator.resolved import Search
from orchestrator.results.comparing import looked_at
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.decided import Decided
from orchestrator.results.names import counted, describe_configuration, words
from orchestrator.results.narrowed import selected_of
from orchestrator.results.report import plus_minus
from orchestrator.results.summary import summarise
from orchestrator.running.progress import Display
from orchestrator.search import Opened, SearchOptions, ask, open_for
from orchestrator.store.errors import OrchError
from orchestrator.store.record import canonical_json
from orchestrator.study.asked import Begun, OneStage
from orchestrator.study.remembered import EarlierSearches
from search_spaces.backbones import find_backbone
from search_spaces.configuration import Configuration
from search_spaces.schema import Stage
from search_spaces.stages import OF_FILE, stages_named

_SAME_START = ("data", "network", "image", "head", "adaptation")
"""Parts that decide whether a stage can begin from a configuration."""


@dataclass(frozen=True)
class Turn:
    """One of the searches of a command. title: of a stage, "" of the strategies."""

    search: Search
    title: str
    is_last: bool

    @property
    def goes_on(self) -> tuple[int, ...]:
        """Exit statuses after which the next search follows: a stage needs all results of the one before."""
        if self.is_last:
            return ()
        return (0,) if self.title else (0, 1)


@dataclass(frozen=True)
class Chosen:
    """What a stage begins from of one backbone: the best of some configurations."""

    entry: ConfigurationSummary
    among: str
    """ "of 6 configurations", or among which of them a search left it."""

    @property
    def begun(self) -> Begun:
        """At the epochs that were asked of all repeats."""
        epochs = min(standing.epochs_asked for standing in self.entry.standings)
        return Begun(self.entry.configuration, epochs, self.entry.asked)

    def words(self) -> str:
        """`3f2a… (resnet18 lr 0.01 batch 16), the best of 6 by mean loss 0.412 ± 0.020, n = 5 (valid)`."""
        entry = self.entry
        name = describe_configuration(entry.configuration)
        metric = words(entry.configuration.selection.metric)
        return (
            f"{self.begun.configuration.id} ({name}), the best {self.among} by mean "
            f"{metric} {plus_minus(entry.selection)}, n = {entry.n} ({looked_at([entry])})"
        )


def in_order(options: SearchOptions, display: Display, *, writes: bool = True) -> Iterator[Turn]:
    """Each search when the one before has been run. Without `writes` a stage that nothing is known of yet begins from
    any configuration of the one before, which is as long.

    Raises InputError before the first of them where one is impossible, OrchError where a stage cannot begin since
    repeats of the one before have no result.
    """
    opened = open_for(options, display, writes=writes)
    stages = _stages(opened)
    _check(opened, stages)
    if _asks_strategies(opened, stages):
        search = ask(opened, display, writes=writes)
        opened = replace(opened, prepared=search.prepared)
        yield Turn(search, "", is_last=not stages)
    one, before = OneStage(stages), None
    chosen, begun = dict[str, Chosen](), dict[str, Begun]()
    turns = [(place, taking) for place, stage in enumerate(stages) if (taking := _taking(opened, stage)).backbones]
    for place, taking in turns:
        if before is not None:
            best = _choose(before, opened)
            if best is None and writes:
                raise _lacking(replace(one, place=place), before)
            chosen |= best or {}
            begun |= {name: c.begun for name, c in best.items()} if best else _any(before)
        names = [taking.resolved(backbone) for backbone in taking.backbones]
        one = replace(one, place=place, begun={name: begun[name] for name in names if name in begun})
        told, mine = one.title, {name: chosen[name] for name in names if name in chosen}
        if len(mine) < len(one.begun):
            display.say(f"Note: {told}: planned as if it began from some configuration of the previous stage.")
        for backbone, of in mine.items():
            display.say(f"{told[0].upper()}{told[1:]}, {backbone}: begins from {of.words()}.")
        told += ", begins from " + _names(mine) if mine else ""
        taking = replace(taking, prepared=opened.prepared)
        before = ask(taking, display, writes=writes, stage=one, words=told)
        opened = replace(opened, prepared=before.prepared)
        yield Turn(before, one.title, is_last=place == turns[-1][0])


def _taking(opened: Opened, stage: Stage) -> Opened:
    """With those backbones alone that take a stage."""
    if stage.backbones is None:
        return opened
    own = [find_backbone(opened.space, name) for name in stage.backbones]
    return replace(opened, backbones=tuple(b for b in opened.backbones if find_backbone(opened.space, b) in own))


def _stages(opened: Opened) -> tuple[Stage, ...]:
    options, space = opened.options, opened.space
    if options.stages is not None:
        return stages_named(space, options.stages)
    return () if options.changes.strategies or not space.stages else stages_named(space, OF_FILE)


def _asks_strategies(opened: Opened, stages: tuple[Stage, ...]) -> bool:
    """A file with stages and no table of a strategy asks for the stages alone."""
    if opened.options.stages is not None:
        return False
    return not stages or bool(opened.options.changes.strategies or opened.space.strategies)


def _check(opened: Opened, stages: tuple[Stage, ...]) -> None:
    """Resolve every stage from everything that the one before may select, so that none is found impossible later."""
    if not stages:
        return
    opened.options.changes.check(tuple(dict.fromkeys(stage.strategy for stage in stages)))
    storage = opened.prepared.study.storage
    earlier = EarlierSearches(storage, Decided.of(storage))
    begun: list[Mapping[str, Begun]] = [{}]
    for place, stage in enumerate(stages):
        starts: dict[str, tuple[str, Begun]] = {}
        for each in begun:
            asked = _taking(opened, stage).asked(earlier, OneStage(stages, place, each))
            for name, (repeats, epochs) in asked.budget.items():
                c = asked.configurations[name]
                starts.setdefault(_start_of(c), (c.network.backbone, Begun(c, epochs, repeats)))
        left = {name for name, _ in starts.values()}
        kept = [(name, one) for each in begun for name, one in each.items() if name not in left]
        begun = _side_by_side([*starts.values(), *kept])


def _start_of(c: Configuration) -> str:
    return canonical_json([getattr(c, part).model_dump(mode="json") for part in _SAME_START])


def _side_by_side(several: Iterable[tuple[str, Begun]]) -> list[Mapping[str, Begun]]:
    """One of each backbone at a time, until all of all were there."""
    of: dict[str, list[Begun]] = {}
    for backbone, one in several:
        of.setdefault(backbone, []).append(one)
    most = max(map(len, of.values()), default=0)
    return [{backbone: few[min(place, len(few) - 1)] for backbone, few in of.items()} for place in range(most)]


def _choose(search: Search, opened: Opened) -> dict[str, Chosen] | None:
    """By backbone the best on the study's own partition of what a stage asked for; None where not all of it is there
    yet, on every partition."""
    study = opened.prepared.study
    if search.owed_lanes():
        return None
    every = [one for one in summarise(study.storage).configurations if one.id in search.asked.configurations]
    mine = [one for one in every if not one.stopped_by_search]
    if not mine or any(one.rank is None for one in mine):
        return None
    here = [one for one in mine if one.partition == study.record.partition]
    of: dict[str, list[ConfigurationSummary]] = {}
    for one in sorted(here, key=lambda one: one.rank or 0):
        of.setdefault(one.configuration.network.backbone, []).append(one)
    return {backbone: Chosen(several[0], selected_of(several)) for backbone, several in of.items()}


def _any(search: Search) -> dict[str, Begun]:
    """By backbone the first that a stage asks for."""
    firsts: dict[str, Begun] = {}
    for key, epochs in search.epochs.items():
        c = search.asked.configurations[key.configuration]
        firsts.setdefault(c.network.backbone, Begun(c, min(epochs.values()), len(epochs)))
    return firsts


def _names(chosen: Mapping[str, Chosen]) -> str:
    return ", ".join(str(one.begun.configuration.id) for one in chosen.values())


def _lacking(one: OneStage, before: Search) -> OrchError:
    left, name = len(before.owed_lanes()), before.study.name
    return OrchError(
        f"{one.title} cannot begin: expected a result of every repeat of the previous stage, found "
        f"{counted(left, 'repeat')} without one",
        f"See what failed: orch status {name}. The same command goes on from there.",
    )
