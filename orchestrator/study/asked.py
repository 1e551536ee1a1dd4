"""From a space, backbones and changes to resolved configurations, and how much of each is asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.results.comparing import check_comparable
from orchestrator.results.cut_off import any_crops, cut_off
from orchestrator.results.names import counted
from orchestrator.results.reference_mode import reference_note
from orchestrator.store import layout
from orchestrator.store.errors import Faults, InputError
from orchestrator.store.searches import Distribution, SearchRecord
from orchestrator.study.class_counts import check_counts
from orchestrator.study.input_size import InputSizes
from orchestrator.study.remembered import EarlierSearches, Remembered
from orchestrator.study.studies import Study, now, raised_budget, revision, versions, who
from search_spaces.axes import given_by_file
from search_spaces.backbones import find_backbone, renamed, settled_name
from search_spaces.changes import Changes
from search_spaces.configuration import Configuration, Parent, by_path
from search_spaces.form import Form
from search_spaces.own_networks import is_own
from search_spaces.points import Point, given_by_stage, points
from search_spaces.ranges import Range
from search_spaces.resolve import BackboneFacts, check_points, resolve
from search_spaces.schema import Backbone, Space, Stage
from search_spaces.settings.data import TASKS
from search_spaces.settings.network import Precision
from search_spaces.stages import held_by
from trainables.data.manifest import read_manifest
from trainables.learning.stages import unfit
from trainables.machine.places import weights_choice
from trainables.network.backbone import Architecture, facts_of, open_backbone, weights_digest, weights_origin
from trainables.network.known_backbones import KnownBackbones
from trainables.network.weights import file_of

Triple = tuple[float, float, float]


class Begun(NamedTuple):
    """What a stage begins from of one backbone, and how many epochs and repeats of it are asked."""

    configuration: Configuration
    epochs: int
    repeats: int


@dataclass(frozen=True)
class OneStage:
    """One of several stages, by its place from 0. begun: by resolved backbone; of the first there is none."""

    stages: tuple[Stage, ...]
    place: int = 0
    begun: Mapping[str, Begun] = field(default_factory=dict)

    @property
    def stage(self) -> Stage:
        return self.stages[self.place]

    @property
    def title(self) -> str:
        """`stage 2 of 2, fine-tuning`."""
        return f"stage {self.place + 1} of {len(self.stages)}, {self.stage.name}"

    def points(self, space: Space, backbone: str, resolved: str, changes: Changes, *, small: bool) -> tuple[Point, ...]:
        """As many repeats as were asked of what it begins from, where neither its table nor the command says. Raises
        InputError for more."""
        begun = self.begun.get(resolved)
        held = held_by(begun.configuration) if begun else None
        stage_points = points(space, backbone, changes, small=small, stage=self.stage, held=held)
        if begun is None:
            return stage_points
        if self.stage.repeats is None and changes.repeats is None:
            return tuple(replace(point, repeats=begun.repeats) for point in stage_points)
        most = max(point.repeats for point in stage_points)
        if most > begun.repeats:
            raise InputError(
                f"{self.title}: expected at most {counted(begun.repeats, 'repeat')}, as in the stage that it begins "
                f"from, found {most}",
                f"Give all stages as many: --repeats {most}",
            )
        return stage_points


@dataclass(frozen=True)
class Asked:
    """What one command asks for, resolved."""

    configurations: dict[str, Configuration] = field(default_factory=dict)
    budget: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Configuration -> (repeats, epochs)."""
    weights: dict[str, str] = field(default_factory=dict)
    """Per identity of weights where they lie: "hub" or an absolute path; freshly initialised ones lie nowhere."""
    notes: tuple[str, ...] = ()
    origins: dict[str, str] = field(default_factory=dict)
    """Per backbone where its weights came from."""
    drawn: dict[str, Mapping[str, Range]] = field(default_factory=dict)
    """Configuration -> distributions by path, of which it holds the middles."""

    @property
    def distributions(self) -> tuple[Distribution, ...]:
        """As a search's record says them."""
        alike: dict[tuple[str, Range], list[str]] = {}
        for name, several in self.drawn.items():
            for path, distribution in several.items():
                alike.setdefault((path, distribution), []).append(name)
        return tuple(
            Distribution(path=path, **dataclasses.asdict(distribution), configurations=tuple(names))
            for (path, distribution), names in alike.items()
        )

    def search(
        self, study: Study, proposer: str, settings: Mapping[str, Any], command: str, stage: str = ""
    ) -> SearchRecord:
        """The search among these configurations, as whoever asks for it first stores it."""
        return SearchRecord(
            proposer=proposer,
            settings=settings,
            seed=study.record.seed,
            partitions=(study.record.partition, *study.partitions),
            configurations=tuple(self.budget),
            distributions=self.distributions,
            space=study.record.space,
            stage=stage,
            command=command,
            who=who(),
            created=now(),
            versions=versions(),
            revision=revision(),
            weights=self.origins,
            weights_places=self.weights,
        )


def check_asked(space: Space, backbones: tuple[str, ...], changes: Changes, known: KnownBackbones) -> None:
    """What can be said without the data: unknown backbones, values that no search could use. Raises InputError."""
    for backbone in backbones:
        here = points(space, backbone, changes, small=False)
        for form in dict.fromkeys(point.form(settled_name(space, backbone)) for point in here):
            known.architecture(form)


@dataclass(frozen=True)
class Given:
    """What a command says of backbones; None: as their entry in the study's file, else as the study searched before.

    weights: "hub", "none" or a file; by default the hub's or its cache's, and synthetic data goes on with freshly
    initialised ones where there are none. mean, std: that the weights expect. precision: by default the study's.
    key: of what is taken of a file that holds several networks.
    """

    weights: str | None = None
    mean: Triple | None = None
    std: Triple | None = None
    precision: Precision | None = None
    key: str | None = None

    def of(self, entry: Backbone | None, before: Remembered | None) -> Given:
        """With everything that is known of one backbone."""
        weights, mean, std, key = self.weights, self.mean, self.std, self.key
        if entry is not None:
            key = key or (entry.weights_key if weights is None else None)
            weights, mean, std = weights or entry.weights, mean or entry.mean, std or entry.std
        if before is not None:
            key = key or (before.key if weights is None else None)
            weights = weights or before.choice
            mean, std = mean or before.image.get("image.mean"), std or before.image.get("image.std")
        return Given(weights, mean, std, self.precision, key)


def resolve_asked(
    study: Study,
    space: Space,
    backbones: tuple[str, ...],
    changes: Changes,
    known: KnownBackbones,
    earlier: EarlierSearches,
    *,
    small: bool,
    seed: int,
    given: Given,
    stage: OneStage | None = None,
) -> Asked:
    """Resolve every point of every backbone; an impossible u or n of any is reported before anything is trained.

    stage: of one stage, in the place of the strategies.
    """
    record = study.record
    budgeted: dict[str, tuple[Configuration, int, int]] = {}
    notes: list[str] = []
    origins: dict[str, str] = {}
    places: dict[str, str] = {}
    drawn: dict[str, Mapping[str, Range]] = {}
    sizes = InputSizes.of(study, known)
    for backbone in backbones:
        entry, name = find_backbone(space, backbone), settled_name(space, backbone)
        resolved = known.architecture(Form(name)).facts.name
        notes += renamed(backbone, resolved)
        before = earlier.of(resolved)
        mine = given.of(entry, before)
        begun = stage.begun.get(resolved) if stage else None
        if stage is None:
            here = points(space, backbone, changes, small=small)
        else:
            here = stage.points(space, backbone, resolved, changes, small=small)
        given_here = {*given_by_file(space, entry), *changes.values}
        kept = before.image_beside(given_here) if before and begun is None else {}
        here = tuple(replace(point, values={**point.values, **kept}) for point in here)
        stated, here = here, tuple(sizes.settled(point, name) for point in here)
        notes += sizes.notes(zip(stated, here, strict=True), name)
        networks = [_Opened.of(point, name, known) for point in here]
        facts_of_each: dict[_Opened, BackboneFacts] = {}
        for opened in dict.fromkeys(networks):
            network = known.architecture(opened.form)
            facts, used, told = _facts(study, network, opened, mine, seed, earlier)
            notes += told
            if used != "none":
                places[facts.weights] = weights_place(used)
            if used != "none" or resolved not in origins:
                origins[resolved] = weights_origin(network, weights_choice(used, mine.key or ""), seed)
            facts_of_each[opened] = facts
        outputs = TASKS.variants[record.task].outputs(len(record.classes))
        where = f"{space.name}, {resolved}"
        faults = Faults(where)
        for opened, facts in facts_of_each.items():
            with faults.collecting():
                several = [point for point, its in zip(here, networks, strict=True) if its == opened]
                check_points(several, facts, where, task=record.task, outputs=outputs, classes=record.classes)
        faults.raise_if_any()
        for point, opened in zip(here, networks, strict=True):
            configuration = resolve(
                point,
                facts_of_each[opened],
                task=record.task,
                classes=record.classes,
                data_fingerprint=record.data_fingerprint,
                study_seed=seed,
                precision="bf16" if (mine.precision or record.precision) == "bf16" else "fp32",
                parent=Parent(begun.configuration.id, begun.epochs) if begun else None,
            )
            if stage is not None and begun is not None:
                check_parent(stage.title, configuration, begun.configuration, facts_of_each[opened].feature_width)
            _, repeats, epochs = budgeted.get(configuration.id, (configuration, 0, 0))
            budgeted[configuration.id] = (configuration, max(repeats, point.repeats), max(epochs, point.epochs))
            if point.drawn:
                drawn[configuration.id] = point.drawn
    budget = {name: (repeats, epochs) for name, (_, repeats, epochs) in budgeted.items()}
    configurations = {name: entry[0] for name, entry in budgeted.items()}
    own = given_by_stage(stage.stage, small=small) if stage else set()
    if not own & {"image.size", "image.store_size", "image.crops"}:
        changes.check_room(configurations.values())
    check_epochs(configurations, budget)
    check_counts(study, configurations.values())
    check_comparable([*earlier.configurations.values(), *configurations.values()], f"study {record.name}")
    manifest = read_manifest(study.storage.read(layout.MANIFEST))
    lost = cut_off(manifest["width"], manifest["height"])
    if lost is not None and any_crops(configurations.values()):
        notes.append(str(lost))
    if said := reference_note(configurations.values()):
        notes.append(f"{said}.")
    return Asked(configurations, budget, places, tuple(dict.fromkeys(notes)), origins, drawn)


def check_parent(where: str, child: Configuration, parent: Configuration | None, width: int) -> None:
    """Raise InputError where a configuration cannot begin from another one, with every reason."""
    faults = Faults(where)
    faults.extend(unfit(child, parent, width))
    faults.raise_if_any("Change the stage in the study's file, or the one before it")


class More(NamedTuple):
    """More of what searches were given before."""

    asked: Asked
    budgets: dict[str, dict[str, tuple[int, int]]]
    """By search: configuration -> (repeats, epochs)."""


def more_of_the_same(
    earlier: EarlierSearches, backbones: Iterable[str], epochs: int | None, repeats: int | None, weights: str | None
) -> More | None:
    """All that was asked of these backbones (resolved names) so far, raised to so many repeats and epochs; None where
    nothing was asked of one of them."""
    names = list(backbones)
    budgets = earlier.raised(names, epochs, repeats)
    budget: dict[str, tuple[int, int]] = {}
    for mine in budgets.values():
        budget = raised_budget(budget, mine)
    configurations = {name: earlier.configurations[name] for name in budget}
    if not set(names) <= {c.network.backbone for c in configurations.values()}:
        return None
    check_epochs(configurations, budget)
    places = find_weights(configurations.values(), earlier.searches, weights)
    return More(Asked(configurations, budget, places), budgets)


def check_epochs(configurations: Mapping[str, Configuration], budget: Mapping[str, tuple[int, int]]) -> None:
    """Raise InputError where more epochs are asked than a schedule has, or fewer than an ending waits for."""
    length, patience = by_path()["schedule.length"], by_path()["ending.patience"]
    asked = [(configurations[name], epochs) for name, (_, epochs) in budget.items()]
    faults = Faults("epochs")
    short = {(c.schedule.name, c.schedule.length, n) for c, n in asked if c.matters(length) and n > c.schedule.length}
    for name, epochs, wanted in sorted(short):
        faults.add(f"{name}: expected a length of at least {wanted}, the number of epochs, found {epochs}")
    if short:
        most = max(wanted for *_, wanted in short)
        faults.advise(f"Set it: --set schedule.length={most}. Another length makes another configuration.")
    idle = {(c.ending.patience, n) for c, n in asked if c.matters(patience) and c.ending.patience > n}
    for epochs, most in sorted(idle):
        faults.add(f"patience: expected at most {most}, the number of epochs, found {epochs}")
    if idle:
        least = max(epochs for epochs, _ in idle)
        faults.advise(f"Train for more (--epochs {least}), or wait for fewer: --set ending.patience=N.")
    faults.raise_if_any()


class _Opened(NamedTuple):
    """What facts follow from, of the points of one backbone."""

    form: Form
    keeps_no_weights: bool

    @classmethod
    def of(cls, point: Point, name: str, known: KnownBackbones) -> _Opened:
        form = point.form(name)
        return cls(form, point.keeps_no_weights(known.architecture(form).facts.weight_layers))


def _facts(
    study: Study, network: Architecture, opened: _Opened, given: Given, seed: int, earlier: EarlierSearches
) -> tuple[BackboneFacts, str, list[str]]:
    """Facts of a backbone, where its weights come from, and notes for the user. A file that the study does not know
    yet is opened once, so that another network's weights are refused before anything is made of them."""
    resolved = network.facts.name
    if opened.keeps_no_weights:
        return facts_of(network, "none", seed, given.mean, given.std), "none", []
    weights = "none" if given.weights is None and is_own(resolved) else given.weights
    fresh = f"{resolved}: freshly initialised weights, not trained ones. Its scores are not those of a trained network."
    choice = weights_choice(weights or "hub", given.key or "")
    if given.key and isinstance(choice, str):
        raise InputError(
            f"{resolved}: expected --weights-key with a file, found it with --weights {choice}",
            "Give the file too, --weights FILE, or leave --weights-key out",
        )
    try:
        facts = facts_of(network, choice, seed, given.mean, given.std)
    except InputError:
        if weights is not None or not study.record.synthetic:
            raise
        return facts_of(network, "none", seed, given.mean, given.std), "none", [fresh]
    is_known = (facts.name, facts.weights) in {(c.network.backbone, c.network.weights) for c in earlier.every()}
    if isinstance(choice, str):
        return facts, weights or "hub", [fresh] if weights == "none" else []
    if not is_known:
        open_backbone(opened.form, choice, seed, given.mean, given.std)
    note = file_of(choice).note()
    return facts, str(weights), [note] if note else []


def find_weights(
    configurations: Iterable[Configuration], searches: Iterable[SearchRecord], given: str | None
) -> dict[str, str]:
    """Where the weights of these configurations lie on this machine, by identity: the given file, else where a search
    found them, else the hub. InputError names every backbone whose weights are at none of these places."""
    places: dict[str, str] = {}
    hints = {identity: place for search in searches for identity, place in search.weights_places.items()}
    faults = Faults("weights")
    for backbone, identity in sorted({(c.network.backbone, c.network.weights) for c in configurations}):
        if identity.startswith("init:") or identity in places:
            continue
        candidates = dict.fromkeys(place for place in (given, hints.get(identity), "hub") if place and place != "none")
        place = next((place for place in candidates if _has(backbone, place, identity)), None)
        if place is None:
            faults.add(f"those of {backbone} ({identity[:19]}…) were not found (looked in: {', '.join(candidates)})")
        else:
            places[identity] = weights_place(place)
    faults.raise_if_any("Give the file that the study was made with: --weights FILE")
    return places


def _has(backbone: str, place: str, identity: str) -> bool:
    try:
        return weights_digest(backbone, "hub" if place == "hub" else Path(place)) == identity.partition("#")[0]
    except InputError:
        return False


def weights_place(weights: str) -> str:
    """A file's path made absolute, for workers that run elsewhere; "hub" and "none" as they are."""
    return weights if weights in ("hub", "none") else str(Path(weights).resolve())
