"""From a space, backbones and overrides to resolved configurations and the request that asks for them."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.store import layout
from orchestrator.store.errors import Faults, InputError
from orchestrator.store.schema import Configuration, Request, RequestItem, parse_toml
from orchestrator.study.studies import Study, now, revision, versions
from search_spaces.backbones import settled_name
from search_spaces.overrides import Overrides
from search_spaces.points import points
from search_spaces.resolve import BackboneFacts, check_points, resolve
from search_spaces.schema import Space
from trainables.machine.places import weights_choice
from trainables.network.backbone import Architecture, facts_of, open_backbone, weights_identity, weights_origin
from trainables.network.known_backbones import KnownBackbones

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Asked:
    """What one search asks for, resolved."""

    configurations: dict[str, Configuration] = field(default_factory=dict)
    items: tuple[RequestItem, ...] = ()
    weights: dict[str, str] = field(default_factory=dict)
    """Per identity of weights where they lie: "hub" or an absolute path; freshly initialised ones lie nowhere."""
    notes: tuple[str, ...] = ()
    origins: dict[str, str] = field(default_factory=dict)
    """Per backbone where its weights came from."""

    def request(self, study: Study, command: str) -> Request:
        return Request(
            partitions=(study.record.partition, *study.partitions),
            items=self.items,
            command=command,
            who=f"{_user()}@{socket.gethostname()}",
            created=now(),
            versions=versions(),
            revision=revision(),
            weights=self.origins,
            weights_places=self.weights,
        )


def check_asked(space: Space, backbones: tuple[str, ...], overrides: Overrides, known: KnownBackbones) -> None:
    """What can be said without the data: unknown backbones, values that no search could use. Raises InputError."""
    for backbone in backbones:
        points(space, backbone, overrides, small=False)
        known.architecture(settled_name(space, backbone))


def resolve_asked(
    study: Study,
    space: Space,
    backbones: tuple[str, ...],
    overrides: Overrides,
    known: KnownBackbones,
    *,
    small: bool,
    weights: str | None,
    seed: int,
    mean: Triple | None = None,
    std: Triple | None = None,
    precision: str | None = None,
) -> Asked:
    """Resolve every point of every backbone; an impossible u or n of any is reported before anything is trained.

    weights None: the hub's or its cache's; synthetic data goes on with freshly initialised ones where there are none.
    """
    record = study.record
    found: dict[str, tuple[Configuration, int, int]] = {}
    notes: list[str] = []
    origins: dict[str, str] = {}
    places: dict[str, str] = {}
    for backbone in backbones:
        settled = settled_name(space, backbone)
        here = points(space, backbone, overrides, small=small)
        network = known.architecture(settled)
        facts, used, note = _facts(study, network, weights, seed, mean, std)
        notes += [note] if note else []
        origins[facts.name] = weights_origin(network, weights_choice(used), seed)
        if used != "none":
            places[facts.weights] = weights_place(used)
        outputs = 1 if record.task == "binary" else len(record.classes)
        check_points(here, facts, f"{space.name}, {facts.name}", outputs=outputs)
        for point in here:
            configuration = resolve(
                point,
                facts,
                task=record.task,
                classes=record.classes,
                data_fingerprint=record.data_fingerprint,
                study_seed=seed,
                precision="bf16" if (precision or record.precision) == "bf16" else "fp32",
            )
            _, repeats, epochs = found.get(configuration.id, (configuration, 0, 0))
            found[configuration.id] = (configuration, max(repeats, point.repeats), max(epochs, point.epochs))
    items = [RequestItem(configuration=name, repeats=r, epochs=e) for name, (_, r, e) in found.items()]
    settled_configurations = {name: entry[0] for name, entry in found.items()}
    return Asked(settled_configurations, tuple(items), places, tuple(dict.fromkeys(notes)), origins)


def _facts(
    study: Study,
    network: Architecture,
    weights: str | None,
    seed: int,
    mean: Triple | None,
    std: Triple | None,
) -> tuple[BackboneFacts, str, str]:
    """Facts of a backbone, where its weights come from, and a note for the user. A file that the study does not know
    yet is opened once, so that another network's weights are refused before anything is made of them."""
    resolved = network.facts.name
    fresh = f"{resolved}: freshly initialised weights, not trained ones. Its scores are not those of a trained network."
    if weights is None and study.record.synthetic and _was_fresh(study, resolved):
        return facts_of(network, "none", seed, None, mean, std), "none", fresh
    choice = weights_choice(weights or "hub")
    try:
        facts = facts_of(network, choice, seed, None, mean, std)
    except InputError:
        if weights is not None or not study.record.synthetic:
            raise
        return facts_of(network, "none", seed, None, mean, std), "none", fresh
    if isinstance(choice, Path) and not _is_known(study, facts):
        open_backbone(resolved, choice, seed, None, mean, std)
    return facts, weights or "hub", fresh if weights == "none" else ""


def _was_fresh(study: Study, backbone: str) -> bool:
    """Whether the study already has configurations of this backbone with fresh weights: then the hub is not asked."""
    first = next((c for c in _configurations(study) if c.backbone == backbone), None)
    return first is not None and first.weights.startswith("init:")


def _is_known(study: Study, facts: BackboneFacts) -> bool:
    """Whether the study already trained this backbone with these weights."""
    return any((c.backbone, c.weights) == (facts.name, facts.weights) for c in _configurations(study))


def _configurations(study: Study) -> Iterator[Configuration]:
    for file in study.storage.list(layout.CONFIGURATIONS):
        path = f"{layout.CONFIGURATIONS}/{file}"
        yield parse_toml(Configuration, study.storage.read(path), path)


def find_weights(
    configurations: Iterable[Configuration], requests: Iterable[Request], given: str | None
) -> dict[str, str]:
    """Where the weights of these configurations lie on this machine, by identity: the given file, else where a request
    found them, else the hub. InputError names every backbone whose weights are at none of these places."""
    found: dict[str, str] = {}
    hints = {identity: place for request in requests for identity, place in request.weights_places.items()}
    faults = Faults("weights")
    for backbone, identity in sorted({(c.backbone, c.weights) for c in configurations}):
        if identity.startswith("init:") or identity in found:
            continue
        candidates = dict.fromkeys(place for place in (given, hints.get(identity), "hub") if place and place != "none")
        place = next((place for place in candidates if _has(backbone, place, identity)), None)
        if place is None:
            faults.add(f"those of {backbone} ({identity[:19]}…) are at none of {', '.join(candidates)}")
        else:
            found[identity] = weights_place(place)
    faults.raise_if_any("Give the file that the study was made with: --weights FILE")
    return found


def _has(backbone: str, place: str, identity: str) -> bool:
    try:
        return weights_identity(backbone, weights_choice(place)) == identity
    except InputError:
        return False


def weights_place(weights: str) -> str:
    """A file's path made absolute, for workers that run elsewhere; "hub" and "none" as they are."""
    return weights if weights in ("hub", "none") else str(Path(weights).resolve())


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
