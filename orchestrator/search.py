"""One search from what the user typed to results: the product's flow, in one place.

study → a search and its budget → decisions → what is owed → Ray: features, then segments → final records → (back to
who proposes) → what to do next
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.table import Table

from orchestrator.proposing.deciding import Deciding, Machine, is_spent
from orchestrator.proposing.proposer import View, proposer_of, written_out
from orchestrator.proposing.sampling import most_suggested
from orchestrator.results.decided import Decided
from orchestrator.results.histories import compact
from orchestrator.results.news import NewsReader
from orchestrator.running.interruption import GRACE_S, Interruption
from orchestrator.running.monitor import Monitor, Training
from orchestrator.running.progress import Display
from orchestrator.store import layout
from orchestrator.store.errors import InputError, plain_text
from orchestrator.store.layout import ConfigurationKey
from orchestrator.store.place import Place, Where
from orchestrator.store.searches import Budget, Decision, SearchRecord, allowances, asked_of_lanes, search_file
from orchestrator.store.segments import LaneKey, Segment
from orchestrator.store.storage import LocalStorage, Storage, sweep_temporaries
from orchestrator.study.asked import (
    Asked,
    Given,
    OneStage,
    check_asked,
    find_weights,
    more_of_the_same,
    resolve_asked,
)
from orchestrator.study.owed import Chain, owed, serving
from orchestrator.study.preparation import (
    DataRequest,
    Prepared,
    describe_partition,
    find_space,
    prepare,
    reopen,
)
from orchestrator.study.remembered import EarlierSearches
from orchestrator.study.studies import (
    Study,
    check_writable,
    raise_budget,
    raised,
    selecting_by,
    write_configurations,
    write_search,
    write_study,
)
from orchestrator.study.unwritten import UnwrittenStudy
from search_spaces.backbones import settled_name
from search_spaces.changes import Changes
from search_spaces.configuration import Configuration
from search_spaces.form import Form
from search_spaces.limits import Limits
from search_spaces.schema import Space
from search_spaces.stored import read_configuration
from trainables.bundles.failures import has_failed
from trainables.bundles.study_files import StudyFiles
from trainables.bundles.work import Finals
from trainables.bundles.workbench import Workbench, open_bench
from trainables.data.dataset import read_manifest
from trainables.data.partition import Partition, splits
from trainables.features.cache_use import CacheUse
from trainables.machine.places import Places, weights_choice
from trainables.network.known_backbones import KnownBackbones
from trainables.network.weights import file_of

if TYPE_CHECKING:
    from orchestrator.running.stages import FeatureStage


KEPT_BYTES = 1e9
"""What end states may take in a study by default."""
NOBODY = Machine(1, "", lambda wanted: [])
"""Divides nothing: for what is asked, whoever trains it."""


@dataclass(frozen=True)
class SearchOptions:
    """Everything that `orch search` takes, checked and typed."""

    study: str
    backbones: tuple[str, ...]
    studies: Where
    cache: Path
    data: DataRequest = field(default_factory=DataRequest)
    changes: Changes = field(default_factory=Changes)
    every_backbone: bool = False
    full: bool = False
    seed: int | None = None
    """None: the study's own, 0 for a new one."""
    given: Given = field(default_factory=Given)
    proposer: str | None = None
    """None: the one that the study's file names, else the grid."""
    rules: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the proposer, in the place of those of the file."""
    budget: Limits | None = None
    """None: that of the file, else no limit."""
    command: str = ""
    stages: str | None = None
    """Name of a list of stages, of which alone something is asked; None: strategies, and those of the study's file."""


@dataclass(frozen=True)
class Opened:
    """A study with its images at hand, and what is known of what was typed."""

    options: SearchOptions
    space: Space
    backbones: tuple[str, ...]
    known: KnownBackbones
    prepared: Prepared

    def resolved(self, backbone: str) -> str:
        return self.known.architecture(Form(settled_name(self.space, backbone))).facts.name

    def asked(self, earlier: EarlierSearches, stage: OneStage | None = None) -> Asked:
        """Everything that the strategies or one stage ask for. Raises InputError."""
        study, options = self.prepared.study, self.options
        return resolve_asked(
            study,
            self.space,
            self.backbones,
            options.changes,
            self.known,
            earlier,
            small=study.record.synthetic and not options.full,
            seed=study.record.seed if options.seed is None else options.seed,
            given=options.given,
            stage=stage,
        )


@dataclass(frozen=True)
class Raise:
    """What `orch resume` may raise: epochs and repeats of everything that was asked for."""

    epochs: int | None
    repeats: int | None
    command: str


@dataclass(frozen=True)
class Search:
    """A search that is resolved but not run: what `plan` describes and `run` trains. It may be several of a study.

    decided: what the study holds, or, of a plan, what it would hold. searches: ids of those that are run.
    ahead: decisions that are due and not made yet, undivided. only: see `Job`.
    """

    prepared: Prepared
    asked: Asked
    decided: Decided
    searches: tuple[str, ...]
    ahead: tuple[Decision, ...]
    places: Places
    only: frozenset[Segment] | None = None

    @property
    def study(self) -> Study:
        return self.prepared.study

    @cached_property
    def epochs(self) -> dict[ConfigurationKey, dict[int, int]]:
        """Epochs that these searches ask of each repeat, by decisions so far and by those that are due."""
        found = {key: dict(epochs) for key, epochs in self.decided.asked(self.searches).items() if self._is_mine(key)}
        for lane, epochs in asked_of_lanes(self.ahead).items():
            of = found.setdefault(ConfigurationKey(lane.partition, lane.configuration), {})
            of[lane.repeat] = max(epochs, of.get(lane.repeat, 0))
        return {key: found[key] for key in self.keys if key in found}

    @cached_property
    def keys(self) -> tuple[ConfigurationKey, ...]:
        """Everything that may be trained, partition by partition, in the order of the space."""
        searches = [self.decided.searches[name] for name in self.searches]
        suggested = [one.configuration for decision in self.ahead for one in decision.suggestions]
        keys = (
            ConfigurationKey(p, name)
            for search in searches
            for p in search.partitions
            for name in (*self.decided.bases(search.id), *suggested)
        )
        return tuple(dict.fromkeys(key for key in keys if self._is_mine(key)))

    def _is_mine(self, key: ConfigurationKey) -> bool:
        return key.configuration in self.asked.configurations

    def owed_lanes(self) -> list[LaneKey]:
        """Lanes that are asked for and lack a result, partition by partition."""
        asked = {LaneKey(*key, repeat): n for key, epochs in self.epochs.items() for repeat, n in epochs.items()}
        finals = Finals(self.study.storage)
        finals.look(lane.bundle for lane in asked)
        return [lane for lane, epochs in asked.items() if not finals.are_enough(lane, epochs)]

    def segments(self, machine: Machine) -> list[Segment]:
        """What is to be trained: what decisions have divided, then what those that are due would be divided into."""
        decided = serving(self.decided, self.searches, frozenset(self.keys))
        chain = Chain()
        chain.add(self.decided.segments())
        found = owed(self.study.storage, chain.with_all_before(decided))
        for decision in due(
            self.study.storage, self.decided, self.searches, machine, self.asked.configurations
        ).decisions:
            found += decision.segments()
        return list(dict.fromkeys(found))

    @property
    def has_work(self) -> bool:
        """Whether a cluster is needed."""
        owes = bool(self.owed_lanes() if self.only is None else self.only)
        return owes and len(self.spent()) < len(self.searches)

    def spent(self) -> list[str]:
        """Of each search whose hours are used up, a sentence on how to go on."""
        found, reader = [], NewsReader(self.study.storage)
        for search in self.searches:
            budget, asked = self.decided.budget(search), asked_of_lanes(self.decided.decisions[search])
            if budget is not None and is_spent(budget, reader, asked):
                found.append(
                    f"The budget of {budget.hours:g} hours of training is used up ({reader.hours(asked):.2f} h). "
                    f"What is owed goes on with a larger one: --budget {2 * (budget.hours or 0):g}gpuh"
                )
        return found

    def settled(self) -> Search:
        """With all decisions written that are due and for which nothing is to be trained."""
        search, storage = self, self.study.storage
        while search.ahead and not search.owed_lanes():
            for name in search.searches:
                Deciding(storage, search.decided, name, NewsReader(storage), NOBODY).decide()
            search = _searched(search.prepared, search.asked, Decided.of(storage), search.searches, search.places)
        return search

    def bench(self) -> Workbench:
        """A workbench of the driver, for the device that trials will have: it decides, it does not train."""
        bench = open_bench(self.study.storage, self.places)
        bench.remember(self.asked.configurations.values())
        return bench


def resolve_search(options: SearchOptions, display: Display, *, writes: bool = True) -> Search:
    """Prepare the study and resolve what is asked of its strategies; see `open_for` and `ask`. Raises InputError."""
    return ask(open_for(options, display, writes=writes), display, writes=writes)


def open_for(options: SearchOptions, display: Display, *, writes: bool = True) -> Opened:
    """Everything that can be said before points are resolved; nothing is stored. Raises InputError."""
    if writes:
        check_writable(Place.of(options.studies))
    space = find_space(options.study, options.studies, options.data)
    backbones = options.backbones
    if options.every_backbone:
        backbones = tuple(dict.fromkeys([*backbones, *(entry.name for entry in space.backbones)]))
    known = KnownBackbones(LocalStorage(options.cache))
    if options.stages is None:
        check_asked(space, backbones, options.changes, known)
    if not isinstance(weights := weights_choice(options.given.weights or "hub", options.given.key or ""), str):
        file_of(weights).settled()  # before images are read
    prepared = prepare(
        options.study,
        space,
        options.studies,
        options.cache,
        options.data,
        options.seed or 0,
        options.given.precision,
        display.say,
    )
    show_partition(prepared.study, display)
    tell_damaged(Decided.of(prepared.study.storage), display)
    return Opened(options, space, backbones, known, prepared)


def ask(
    opened: Opened, display: Display, *, writes: bool = True, stage: OneStage | None = None, words: str = ""
) -> Search:
    """Resolve what strategies or one stage ask; with `writes` study, configurations and search are stored.

    words: of the stage, for its record. Nothing is stored before all of it is known to be possible. Raises InputError.
    """
    options, prepared = opened.options, opened.prepared
    study = prepared.study
    before = Decided.of(study.storage)
    earlier = EarlierSearches(study.storage, before)
    changes, more = options.changes, None
    otherwise = changes.values or changes.strategies or options.proposer or options.given.key or stage
    if (changes.epochs or changes.repeats) and not otherwise:
        names = [opened.resolved(backbone) for backbone in opened.backbones]
        more = more_of_the_same(earlier, names, changes.epochs, changes.repeats, options.given.weights)
    asked = more.asked if more is not None else opened.asked(earlier, stage)
    record, limits = None, options.budget or opened.space.search.budget
    if more is not None and not study.partitions:
        budgets = more.budgets
    else:
        limits = limits or Limits()
        record = _record(study, opened.space, asked, options, words, limits)
        budgets = {record.id: asked.budget}
    for difference in earlier.differences(asked.configurations.values()) if stage is None else ():
        display.say(f"Note: this search differs from the study's earlier ones in {difference}.")
    for note in asked.notes if stage is None or not stage.begun else ():
        display.say(f"Note: {note}")
    if writes:
        if isinstance(study.storage, UnwrittenStudy):
            study = write_study(selecting_by(study, asked.configurations.values()))
            prepared = replace(prepared, study=study)
            display.say(f"New study {study.name} in {study.place}.")
        write_configurations(study, asked.configurations)
        if record is not None:
            write_search(study, record)
        written = [
            raise_budget(study.storage, search, budget, options.command, limits) for search, budget in budgets.items()
        ]
        opened.known.keep()
        set_damaged_aside(study, display)
        decided = Decided.of(study.storage, [*map(search_file, budgets), *written])
    else:
        new = {name: raised(before.budget(name), budget, options.command, limits) for name, budget in budgets.items()}
        decided = before.including(record, {name: budget for name, budget in new.items() if budget is not None})
    places = Places.here(prepared.data_root, options.cache, asked.weights)
    return _searched(prepared, asked, decided, tuple(budgets), places)


def _record(
    study: Study, space: Space, asked: Asked, options: SearchOptions, stage: str, limits: Limits
) -> SearchRecord:
    """The search as it would be stored; raises InputError where its proposer cannot begin it."""
    proposer, settings = space.search.with_changes(options.proposer, options.rules)
    record = asked.search(study, proposer, written_out(proposer, settings), options.command, stage)
    budget = Budget(number=1, allowances=allowances(asked.budget), **limits._asdict())
    if limits.suggestions is not None and most_suggested(record, budget) is None:
        raise InputError(
            f"budget {limits.suggestions}: expected a sampler with a number of configurations, found the whole grid",
            "Choose one (--sampler auto), or give hours of training (--budget 2gpuh).",
        )
    if (chosen := proposer_of(record)).listens:
        chosen.propose(View(record, budget, (), (), (), 1, asked.configurations.__getitem__))
    return record


def reopen_search(
    study: Study,
    data_root: Path | None,
    weights: str | None,
    cache: Path,
    display: Display,
    *,
    only_failed: bool = False,
    more: Raise | None = None,
) -> Search:
    """Everything that any search of the study asked for, with the places of this machine.

    only_failed: of what is owed only the segments of which a failure is kept. more: repeats and epochs that all of it
    is raised to, which raises the budget of each search.
    """
    decided = Decided.of(study.storage)
    if more is not None:
        earlier = EarlierSearches(study.storage, decided)
        every = more_of_the_same(earlier, earlier.backbones(), more.epochs, more.repeats, weights)
        budgets = every.budgets if every is not None else {}
        decided.read([raise_budget(study.storage, search, budget, more.command) for search, budget in budgets.items()])
    searches = tuple(name for name in decided.searches if decided.budget(name) is not None)
    files = StudyFiles(study.storage)
    ids = dict.fromkeys(one for name in searches for one in decided.bases(name))
    configurations = {name: files.configuration(name) for name in ids}
    prepared = reopen(study, data_root, cache, display.say)
    show_partition(study, display)
    tell_damaged(decided, display)
    set_damaged_aside(study, display)
    found = _searched(prepared, Asked(configurations), decided, searches, Places.here(prepared.data_root, cache, {}))
    owing = {lane.configuration for lane in found.owed_lanes()}
    places = find_weights([configurations[name] for name in owing], decided.searches.values(), weights)
    only = None
    if only_failed:
        left = owed(study.storage, decided.segments())
        only = frozenset(segment for segment in left if has_failed(study.storage, segment))
    return replace(
        found,
        asked=Asked(configurations, weights=places),
        only=only,
        places=Places.here(prepared.data_root, cache, places),
    )


def _searched(prepared: Prepared, asked: Asked, decided: Decided, searches: tuple[str, ...], places: Places) -> Search:
    """With what is due to be decided, as far as it can be said without dividing it."""
    storage = prepared.study.storage
    ahead = due(storage, decided, searches, NOBODY, asked.configurations)
    bases = {name: base for search in searches for name, base in decided.bases(search).items()}
    suggested = {
        name: read_configuration(storage, name)
        for name, base in bases.items()
        if name != base and base in asked.configurations
    }
    asked = replace(asked, configurations={**asked.configurations, **suggested, **ahead.suggested})
    return Search(prepared, asked, decided, searches, ahead.decisions, places)


class Due(NamedTuple):
    decisions: tuple[Decision, ...]
    suggested: Mapping[str, Configuration]
    """By them; not stored yet."""


def due(
    storage: Storage,
    decided: Decided,
    searches: Iterable[str],
    machine: Machine,
    known: Mapping[str, Configuration],
) -> Due:
    """What proposers say now and nobody has written yet. known: configurations that need not be stored."""
    reader = NewsReader(storage)
    deciding = [Deciding(storage, decided, search, reader, machine, known) for search in searches]
    found = [one.next() for one in deciding]
    suggested = {name: c for one in deciding for name, c in one.suggested.items()}
    return Due(tuple(decision for decision in found if decision is not None), suggested)


@dataclass(frozen=True)
class RunOptions:
    """How a search runs here, which changes none of its numbers."""

    address: str | None = None
    """Of a running Ray cluster."""
    grace_s: float = GRACE_S
    """Within this time after SIGINT or SIGTERM the process ends, whatever it is doing."""
    cache_bytes: float | None = None
    """What squares and features in the cache may take."""
    kept_bytes: float = KEPT_BYTES
    """What end states may take in the study; see `Job`."""
    time_s: float | None = None
    """After this time it ends as after a signal, with status 0."""


def run(search: Search, display: Display, rewrite: Callable[[], object], options: RunOptions) -> int:
    """Train what is owed; the exit status: 0 done, 1 some failed, 130 or 143 interrupted and resumable.

    rewrite: writes the page; called about every minute. Raises InputError where the search needs more of the cache than
    it may take.
    """
    from orchestrator.energy.meters import metered
    from orchestrator.running.cluster import cluster
    from orchestrator.running.gpus import gpus_here, own_gpus
    from orchestrator.running.launch import Job, Outcome, launch
    from orchestrator.running.nodes import check_nodes
    from orchestrator.running.tally import Tally

    study = search.study
    if study.place.path is not None:
        sweep_temporaries(study.place.path)
    tally = Tally()
    training = Training(study.name, study.storage, search.asked.configurations, search.searches, search.keys)
    monitor = Monitor(training, display, rewrite)
    outcome = Outcome(0, interrupted=True)
    use = CacheUse(search.places.cache, options.cache_bytes)
    try:
        with (
            Interruption(options.grace_s, time_s=options.time_s) as interruption,
            # The GPUs of a cluster are given out by its own Ray
            own_gpus(display.say, lambda: interruption.is_raised, dict if options.address else gpus_here),
        ):
            if not interruption.is_raised:
                with cluster(options.address, display.say), metered(study.storage):
                    interruption.trap()
                    if options.address:
                        check_nodes(study.place.absolute(), search.places)
                    job = Job(
                        study.place.absolute(),
                        search.bench(),
                        search.bench(),
                        search.decided,
                        search.searches,
                        frozenset(search.keys),
                        options.kept_bytes,
                        search.only,
                    )

                    def beat(stage: FeatureStage) -> None:
                        monitor.beat(tally.epochs_per_second(), tally.failed, stage.progress_line())

                    outcome = launch(job, use, tally, interruption, beat, display.say)
    finally:
        use.release()
        display.close()
    for error in outcome.errors:
        display.say(f"Failed: {error}")
    if outcome.interrupted:
        why = "Interrupted" if interruption.signal is not None else "The time is up"
        display.say(f"{why}. Kept: {_kept(search)}; the same command goes on from there.")
        return interruption.exit_status
    search.decided.read()
    for told in search.spent():
        display.say(told)
    return 1 if outcome.failed else 0


def _kept(search: Search) -> str:
    """What an interrupted search leaves behind."""
    decided = search.decided
    decided.read()
    now = _searched(search.prepared, search.asked, decided, search.searches, search.places)
    asked = sum(len(epochs) for epochs in now.epochs.values())
    left = len(now.owed_lanes())
    return f"{asked - left} of {asked} repeats, and the last checkpoint of what was under way"


def tell_damaged(decided: Decided, display: Display) -> None:
    """Searches, budgets and decisions that cannot be read."""
    for broken in decided.damaged:
        display.say(f"Note: {broken.reason}; it is passed over.")


def set_damaged_aside(study: Study, display: Display) -> None:
    """A final record that cannot be read is owed again; finished ones are compacted on the way."""
    for broken in compact(study.storage).set_aside:
        display.say(f"Note: {broken.reason}; it was set aside and is trained again.")


def show_partition(study: Study, display: Display) -> None:
    """The first thing a user sees: classes × groups × images, and the splits they went to."""
    manifest = read_manifest(study.storage.read(layout.MANIFEST))
    partition = Partition.from_bytes(
        study.storage.read(layout.partition(study.record.partition)), layout.partition(study.record.partition)
    )
    described = describe_partition(manifest, splits(manifest, partition))
    label = "synthetic images" if study.record.synthetic else "images"
    display.say(f"{study.name}: {label} in groups ({study.record.group_meaning}), partition {partition.policy}")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in described.columns:
        table.add_column(str(column), justify="left" if column == "class" else "right")
    for row in described.itertuples(index=False):
        table.add_row(*[plain_text(str(value)) for value in row])
    display.table(table)
