"""One search from what the user typed to results: the product's flow, in one place.

study → what is asked → what is owed → Ray: features, then bundles → final records → what to do next
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from orchestrator.results.histories import compact
from orchestrator.results.standing import epochs_asked, read_requests
from orchestrator.running.interruption import GRACE_S, Interruption
from orchestrator.running.monitor import Monitor, Training
from orchestrator.running.progress import Display
from orchestrator.store import layout
from orchestrator.store.layout import ConfigurationKey
from orchestrator.store.place import Place, Where
from orchestrator.store.storage import LocalStorage, sweep_temporaries
from orchestrator.study.asked import Asked, Given, check_asked, find_weights, more_of_the_same, resolve_asked
from orchestrator.study.owed import bundles, owed
from orchestrator.study.preparation import (
    DataRequest,
    Prepared,
    describe_partition,
    find_space,
    prepare,
    reopen,
)
from orchestrator.study.remembered import EarlierSearches
from orchestrator.study.studies import Study, check_writable, write_configurations, write_request, write_study
from orchestrator.study.unwritten import UnwrittenStudy
from search_spaces.backbones import settled_name
from search_spaces.changes import Changes
from trainables.bundles.failures import has_failed
from trainables.bundles.study_files import StudyFiles
from trainables.bundles.work import Work, owed_repeats
from trainables.bundles.workbench import Workbench, open_bench
from trainables.data.dataset import read_manifest
from trainables.data.partition import Partition, splits
from trainables.features.cache_use import CacheUse
from trainables.machine.places import Places, weights_choice
from trainables.network.known_backbones import KnownBackbones
from trainables.network.weights import file_of

if TYPE_CHECKING:
    from orchestrator.running.stages import FeatureStage


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
    command: str = ""


@dataclass(frozen=True)
class More:
    """What `orch resume` may raise: epochs and repeats of everything that was asked for."""

    epochs: int | None
    repeats: int | None
    command: str


@dataclass(frozen=True)
class Search:
    """A search that is resolved but not run: what `plan` describes and `run` trains."""

    prepared: Prepared
    asked: Asked
    epochs: Mapping[ConfigurationKey, Sequence[int]]
    """Per configuration and partition of this search: epochs asked of each repeat, by any request so far."""
    work: list[Work]
    places: Places

    @property
    def study(self) -> Study:
        return self.prepared.study

    def bench(self) -> Workbench:
        """A workbench of the driver, for the device that trials will have: it decides, it does not train."""
        bench = open_bench(self.study.storage, self.places)
        bench.remember(self.asked.configurations.values())
        return bench


def resolve_search(options: SearchOptions, display: Display, *, writes: bool = True) -> Search:
    """Prepare the study and resolve what is asked; with `writes` study, configurations and request are stored.

    Nothing is stored before all of it is known to be possible. Raises InputError.
    """
    if writes:
        check_writable(Place.of(options.studies))
    space = find_space(options.study, options.studies, options.data)
    backbones = options.backbones
    if options.every_backbone:
        backbones = tuple(dict.fromkeys([*backbones, *(entry.name for entry in space.backbones)]))
    known = KnownBackbones(LocalStorage(options.cache))
    check_asked(space, backbones, options.changes, known)
    if isinstance(weights := weights_choice(options.given.weights or "hub"), Path):
        file_of(weights)  # before images are read
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
    study = prepared.study
    show_partition(study, display)
    before, _ = read_requests(study.storage)
    earlier = EarlierSearches(study.storage, before)
    names = [known.architecture(settled_name(space, backbone)).facts.name for backbone in backbones]
    asked = more_of_the_same(earlier, names, options.changes, options.given.weights)
    if asked is None:
        asked = resolve_asked(
            study,
            space,
            backbones,
            options.changes,
            known,
            earlier,
            small=study.record.synthetic and not options.full,
            seed=study.record.seed if options.seed is None else options.seed,
            given=options.given,
        )
    for difference in earlier.differences(asked.configurations.values()):
        display.say(f"Note: this search differs from the study's earlier ones in {difference}.")
    for note in asked.notes:
        display.say(f"Note: {note}")
    request = asked.request(study, options.command)
    if writes:
        if isinstance(study.storage, UnwrittenStudy):
            study = write_study(study)
            prepared = replace(prepared, study=study)
            display.say(f"New study {study.name} in {study.place}.")
        write_configurations(study, asked.configurations)
        write_request(study, request)
        known.keep()
        set_damaged_aside(study, display)
    union = epochs_asked([*before, request])
    wanted = [ConfigurationKey(p, item.configuration) for p in request.partitions for item in request.items]
    epochs = {key: union[key] for key in wanted}
    places = Places.here(prepared.data_root, options.cache, asked.weights)
    return Search(prepared, asked, epochs, owed(study.storage, epochs), places)


def reopen_search(
    study: Study,
    data_root: Path | None,
    weights: str | None,
    cache: Path,
    display: Display,
    *,
    only_failed: bool = False,
    more: More | None = None,
) -> Search:
    """Everything that any search of the study asked for, with the places of this machine.

    only_failed: of what is owed only the bundles of which a failure is kept. more: repeats and epochs that all of it is
    raised to, which is a request of its own.
    """
    requests, _ = read_requests(study.storage)
    if more is not None:
        earlier = EarlierSearches(study.storage, requests)
        raised = Asked(items=tuple(earlier.items(earlier.backbones(), more.epochs, more.repeats)))
        if raised.items:
            write_request(study, raised.request(study, more.command))
            requests, _ = read_requests(study.storage)
    epochs = epochs_asked(requests)
    files = StudyFiles(study.storage)
    configurations = {key.configuration: files.configuration(key.configuration) for key in epochs}
    prepared = reopen(study, data_root, cache, display.say)
    show_partition(study, display)
    set_damaged_aside(study, display)
    work = owed(study.storage, epochs)
    if only_failed:
        work = [item for item in work if has_failed(study.storage, item.key)]
    needed = [configurations[item.key.configuration] for item in work]
    asked = Asked(configurations, (), find_weights(needed, requests, weights))
    return Search(prepared, asked, epochs, work, Places.here(prepared.data_root, cache, asked.weights))


@dataclass(frozen=True)
class RunOptions:
    """How a search runs here, which changes none of its numbers."""

    address: str | None = None
    """Of a running Ray cluster."""
    grace_s: float = GRACE_S
    """Within this time after SIGINT or SIGTERM the process ends, whatever it is doing."""
    cache_bytes: float | None = None
    """What squares and features in the cache may take."""


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

    study, work = search.study, search.work
    if study.place.path is not None:
        sweep_temporaries(study.place.path)
    tally = Tally(len(work))
    training = Training(study.name, study.storage, search.asked.configurations, search.epochs, work)
    monitor = Monitor(training, display, rewrite)
    outcome = Outcome(0, interrupted=True)
    use = CacheUse(search.places.cache, options.cache_bytes)
    try:
        with (
            Interruption(options.grace_s) as interruption,
            # The GPUs of a cluster are given out by its own Ray
            own_gpus(display.say, lambda: interruption.is_raised, dict if options.address else gpus_here),
        ):
            if not interruption.is_raised:
                with cluster(options.address, display.say), metered(study.storage):
                    interruption.trap()
                    if options.address:
                        check_nodes(study.place.absolute(), search.places)
                    job = Job(study.place.absolute(), search.bench(), bundles(search.epochs), work)

                    def beat(stage: FeatureStage) -> None:
                        monitor.beat(tally.epochs_per_second(), tally.failed, stage.progress_line())

                    outcome = launch(job, use, tally, interruption, beat)
    finally:
        use.release()
        display.close()
    for error in outcome.errors:
        display.say(f"Failed: {error}")
    if outcome.interrupted:
        display.say(f"Interrupted. Kept: {_kept(search)}; the same command goes on from there.")
        return interruption.exit_status
    return 1 if outcome.failed else 0


def _kept(search: Search) -> str:
    """What an interrupted search leaves behind."""
    asked = sum(len(epochs) for epochs in search.epochs.values())
    left = sum(len(owed_repeats(search.study.storage, work)) for work in bundles(search.epochs))
    return f"{asked - left} of {asked} repeats, and the last checkpoint of what was under way"


def set_damaged_aside(study: Study, display: Display) -> None:
    """A final record that cannot be read is owed again; finished ones are compacted on the way."""
    for broken in compact(study.storage).set_aside:
        display.say(f"Note: {broken.reason}; it was set aside and is trained again.")


def show_partition(study: Study, display: Display) -> None:
    """The first thing a user sees: classes × groups × images, and the splits they went to."""
    manifest = read_manifest(study.storage.read(layout.MANIFEST))
    partition = Partition.from_bytes(study.storage.read(layout.partition(study.record.partition)))
    described = describe_partition(manifest, splits(manifest, partition))
    label = "synthetic images" if study.record.synthetic else "images"
    display.say(f"{study.name}: {label} in groups ({study.record.group_meaning}), partition {partition.policy}")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in described.columns:
        table.add_column(str(column), justify="left" if column == "class" else "right")
    for row in described.itertuples(index=False):
        table.add_row(*[str(value) for value in row])
    display.table(table)
