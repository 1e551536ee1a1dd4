"""One search from what the user typed to what is owed: study → a search and its budget → decisions.

`resolved` says what these ask for, `train` trains it on Ray and asks again who proposes, as results come in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table

from orchestrator.proposing.proposer import View, proposer_of, written_out
from orchestrator.proposing.sampling import most_suggested
from orchestrator.resolved import Search, searched
from orchestrator.results.decided import Decided
from orchestrator.results.grouped import images_in
from orchestrator.results.histories import compact
from orchestrator.running.progress import Display
from orchestrator.store import layout
from orchestrator.store.errors import InputError, plain_text
from orchestrator.store.forgotten import note_forgotten, read_forgotten
from orchestrator.store.place import Place, Where
from orchestrator.store.searches import Budget, SearchRecord, allowances, search_file
from orchestrator.store.storage import LocalStorage
from orchestrator.study.asked import (
    Asked,
    Given,
    OneStage,
    check_asked,
    find_weights,
    more_of_the_same,
    resolve_asked,
)
from orchestrator.study.owed import owed
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
from search_spaces.form import Form
from search_spaces.limits import Limits
from search_spaces.schema import Space
from trainables.bundles.failures import has_failed
from trainables.bundles.study_files import StudyFiles
from trainables.data.dataset import read_manifest
from trainables.data.partition import Partition, splits
from trainables.machine.places import Places, weights_choice
from trainables.network.known_backbones import KnownBackbones
from trainables.network.weights import file_of


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
        partial(display.count, "images read"),
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
    partitions = (study.record.partition, *study.partitions)
    forgotten = read_forgotten(study.storage).but_for(asked.configurations, partitions)
    if writes:
        if isinstance(study.storage, UnwrittenStudy):
            study = write_study(selecting_by(study, asked.configurations.values()))
            prepared = replace(prepared, study=study)
            display.say(f"New study {study.name} in {study.place}.")
        write_configurations(study, asked.configurations)
        if record is not None:
            write_search(study, record)
        note_forgotten(study.storage, forgotten)
        written = [
            raise_budget(study.storage, search, budget, options.command, limits) for search, budget in budgets.items()
        ]
        opened.known.keep()
        set_damaged_aside(study, display)
        decided = Decided.of(study.storage, [*map(search_file, budgets), *written])
    else:
        new = {name: raised(before.budget(name), budget, options.command, limits) for name, budget in budgets.items()}
        before = Decided.of(study.storage, forgotten=forgotten)
        decided = before.including(record, {name: budget for name, budget in new.items() if budget is not None})
    places = Places.here(prepared.data_root, options.cache, asked.weights)
    return searched(prepared, asked, decided, tuple(budgets), places)


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
    ids = decided.bases(*searches)
    configurations = {name: files.configuration(name) for name in ids}
    prepared = reopen(study, data_root, cache, display.say)
    show_partition(study, display)
    tell_damaged(decided, display)
    set_damaged_aside(study, display)
    reopened = searched(prepared, Asked(configurations), decided, searches, Places.here(prepared.data_root, cache, {}))
    owing = {lane.configuration for lane in reopened.owed_lanes()}
    places = find_weights([configurations[name] for name in owing], decided.searches.values(), weights)
    only = None
    if only_failed:
        left = owed(study.storage, decided.segments())
        only = frozenset(segment for segment in left if has_failed(study.storage, segment))
    return replace(
        reopened,
        asked=Asked(configurations, weights=places),
        only=only,
        places=Places.here(prepared.data_root, cache, places),
    )


def tell_damaged(decided: Decided, display: Display) -> None:
    """Searches, budgets and decisions that cannot be read."""
    for broken in decided.damaged:
        display.say(f"Note: {broken.reason}; it is skipped.")


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
    label = "synthetic image" if study.record.synthetic else "image"
    groups = images_in(len(manifest), manifest["group"].nunique(), study.record.group_meaning, label)
    display.say(f"{study.name}: {groups}, partition {partition.policy}")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in described.columns:
        is_name = column == "class"
        table.add_column(str(column), justify="left" if is_name else "right", no_wrap=not is_name)
    for row in described.itertuples(index=False):
        table.add_row(*[plain_text(str(value)) for value in row])
    display.table(table)
