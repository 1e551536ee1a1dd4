"""Joins points with what the network and the data say: checks that each is possible and makes its configuration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from orchestrator.store.errors import Faults
from search_spaces.configuration import Configuration, Parent
from search_spaces.faults import alternatives, did_you_mean, nearest
from search_spaces.points import Point
from search_spaces.presets import ADAPTATION, PRESETS
from search_spaces.settings.augmentation import AUGMENTATIONS
from search_spaces.settings.data import TASKS
from search_spaces.settings.head import HEADS
from search_spaces.settings.image import Interpolation

OF_CLASS = "selection.of_class"
_HINT = (
    "Change the file, or override it with --strategy, --head, --adaptation, --unfrozen, --non-linearities, "
    "--batch-size and --selection"
)


@dataclass(frozen=True)
class BackboneFacts:
    """What a point needs to know of a network and its weights."""

    name: str
    """Resolved, with its library: `timm:inception_v3.tv_in1k`."""
    weights: str
    """`sha256:…` of the weights file, or `init:SEED`."""
    image_size: int
    """Side of the square input in pixels."""
    interpolation: Interpolation
    mean: tuple[float, float, float]
    """Per channel, on a 0–1 scale, like `std`."""
    std: tuple[float, float, float]
    feature_width: int
    """Values per view after pooling, which the new head takes."""
    weight_layers: int
    """Convolutions and linear layers, the replaced last one not counted."""
    parameters: int
    layers: tuple[str, ...] = ()
    """Names of its layers and blocks, and of what is trained in them."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Why it cannot be trained in some ways, by the name of the adaptation."""


def check_points(
    points: Iterable[Point],
    facts: BackboneFacts,
    where: str,
    *,
    task: str,
    outputs: int,
    classes: tuple[str, ...] = (),
) -> None:
    """Raise InputError, with all faults together, for every u and n that this network cannot have, every head that is
    fitted to anything but cached features and classes, every metric that the task has not, and every class to select by
    that is none of the classes.

    u goes back to the network's first weight layer at most; each non-linearity halves the width of the features, and
    the last layer needs at least twice as many inputs as it has outputs. A batch that batch norm learns its statistics
    from has two images at least. `where` names the file or command line.
    """
    points = list(points)
    faults = Faults(where)
    for strategy, u in sorted({(point.strategy, point.unfrozen) for point in points}):
        if u > facts.weight_layers:
            faults.add(
                f"{strategy}.unfrozen: expected {facts.weight_layers} or less "
                f"(the weight layers of {facts.name} below its new head), found {u}"
            )
    faults.extend(_of_adaptations(points, facts))
    most = deepest_extension(facts.feature_width, outputs)
    for strategy, n in sorted({(point.strategy, point.non_linearities) for point in points}):
        if n > most:
            faults.add(
                f"{strategy}.non_linearities: expected {most} or less (the {facts.feature_width} features of "
                f"{facts.name} are halved each time, down to {2 * outputs} for {outputs} "
                f"output{'s' if outputs > 1 else ''}), found {n}"
            )
    for strategy in sorted({point.strategy for point in points if point.batch_size < 2 and point.moves_statistics}):
        faults.add(
            f"{strategy}.batch_size: expected 2 or more (batch norm cannot update its statistics from one image), "
            "found 1"
        )
    for strategy in sorted({point.strategy for point in points if point.has_foreign_statistics}):
        faults.add(
            f'{strategy}.adaptation.norms: expected "moving" with adaptation.start "drawn" (the stored statistics '
            'are those of other weights), found "kept"'
        )
    for strategy, name in sorted(
        {
            (point.strategy, name)
            for point in points
            if point.batch_size < 2 and point.matters(AUGMENTATIONS.path)
            for name in point.values[AUGMENTATIONS.path]
            if AUGMENTATIONS.variants[name].mixes
        }
    ):
        faults.add(
            f'{strategy}.batch_size: expected 2 or more with augmentation "{name}" (an image is mixed with another of '
            "its batch), found 1"
        )
    balances = {point.values["balance.name"] for point in points}
    if "class_weights" in balances and not TASKS.variants[task].has_confusion:
        faults.add(f'balance.name: expected no class weights with the task "{task}" (its targets are not classes)')
    stepping = alternatives([name for name, head in HEADS.variants.items() if not head.is_fitted])
    fitted = [point for point in points if HEADS.variants[point.values["head.name"]].is_fitted]
    deep = {(point.strategy, point.values["head.name"]) for point in fitted if point.scope.trains_body}
    for strategy, name in sorted(deep):
        faults.add(
            f"{strategy}.head.name: expected {stepping} with unfrozen layers (they are trained in steps), found "
            f'"{name}"'
        )
    if not TASKS.variants[task].has_confusion:
        for name in sorted({point.values["head.name"] for point in fitted}):
            faults.add(f'head.name: expected {stepping} with the task "{task}", found "{name}", which needs classes')
    known = TASKS.variants[task].metrics
    for metric in dict.fromkeys(point.values["selection.metric"] for point in points):
        if metric not in known:
            faults.add(f'selection.metric: expected {alternatives(known)} with the task "{task}", found "{metric}"')
    for name in dict.fromkeys(point.values[OF_CLASS] for point in points if point.matters(OF_CLASS)):
        if name not in classes and (name or task != "binary"):
            actual = f'"{name}"' if name else "none, and the task has no positive class"
            faults.add(f"{OF_CLASS}: expected {alternatives(classes)}, found {actual}")
    faults.raise_if_any(_HINT)


def _of_adaptations(points: Iterable[Point], facts: BackboneFacts) -> Iterator[str]:
    """Layers that the network has not, and ways in which it cannot be trained."""
    for strategy, scope in dict.fromkeys((point.strategy, point.scope) for point in points):
        if scope.name in facts.refused:
            others = [one for one in PRESETS[strategy].among.get(ADAPTATION, ()) if one not in facts.refused]
            instead = f"; --adaptation {','.join(others)} leaves it out" if others else ""
            yield f"{strategy}.adaptation.name: {facts.refused[scope.name]}{instead}"
        if scope.name == "layers" and not scope.layers:
            yield (
                f"{strategy}.adaptation.layers: expected names of layers or blocks of {facts.name}, such as "
                f"{', '.join(map(repr, facts.layers[:3]))}, found none"
            )
        for name in scope.layers:
            if name not in facts.layers:
                yield (
                    f"{strategy}.adaptation.layers: expected names of layers or blocks of {facts.name}, found {name!r}"
                    f"{did_you_mean(nearest(name, facts.layers))}"
                )


def deepest_extension(feature_width: int, outputs: int) -> int:
    """The largest n for which n halvings leave at least 2·outputs values."""
    n = 0
    while feature_width >> (n + 1) >= 2 * outputs:
        n += 1
    return n


def resolve(
    point: Point,
    facts: BackboneFacts,
    *,
    task: str,
    classes: tuple[str, ...],
    data_fingerprint: str,
    study_seed: int,
    precision: Literal["fp32", "bf16"],
    parent: Parent | None = None,
) -> Configuration:
    """The configuration of a point; what cannot matter is at a neutral value, so that equal trainings have one id.

    parent: what it begins from, where it is a later stage.

    Metrics of one class are of the positive one, the last of a binary task, unless the point names another.
    A stored square no larger than the input leaves no room for crops: the image is resized to the input.
    """
    values = dict(point.values)
    if point.matters(OF_CLASS):
        values[OF_CLASS] = values[OF_CLASS] or classes[-1]
    store_size = values.pop("image.store_size", None) or facts.image_size
    has_room = store_size > facts.image_size
    return Configuration.made(
        {
            **values,
            "parent": None if parent is None else str(parent),
            "data.task": task,
            "data.classes": classes,
            "data.content": data_fingerprint,
            "data.seed": study_seed,
            "network.backbone": facts.name,
            "network.weights": facts.weights,
            "network.precision": values.get("network.precision", precision),
            "image.size": facts.image_size,
            "image.store_size": store_size if has_room else facts.image_size,
            "image.crops": values.get("image.crops", 1) if has_room else 1,
            "image.interpolation": values.get("image.interpolation") or facts.interpolation,
            "image.mean": facts.mean,
            "image.std": facts.std,
        }
    )
