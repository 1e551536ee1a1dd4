"""A study's file as text: the keys that follow from images, each with the reason beside it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.beginning.seen import Seen
from orchestrator.results.report import columns
from orchestrator.store.errors import plain_text
from search_spaces.schema import Space

UNEVEN = 2.0
"""Images of the largest class for each of the smallest one, from which classes are weighted."""
FEW_GROUPS = 20
"""Groups of a class, below which one validation split says little and a search on several divisions is proposed."""
SMALL = 0.6
"""Share of a usual network's input below which images gain nothing from it: a smaller input costs less."""
USUAL_INPUT = 224
POLICIES = ("stratified", "psp", "ifp", "ifpo")
_INPUTS = (64, 96, 128, 160)
_BATCHES = (16, 64)


@dataclass(frozen=True)
class Chosen:
    """name: of a backbone. weights: "" for the hub or its cache, else "none" or a file. is_here: no network is needed
    for its weights."""

    name: str
    weights: str = ""
    is_here: bool = False


def study_file(
    space: Space, seen: Seen, backbones: Sequence[Chosen], others: Sequence[str], *, has_gpu: bool, file: str
) -> str:
    """TOML. space: the default one, under the study's name, with the names of classes that were given. others: further
    backbones whose weights are here. file: as it will be typed."""
    return "\n".join(
        [
            *_head(space.name, seen, file),
            *_classes(space, seen),
            *_partition(space, seen),
            *_images(seen),
            *_grid(seen, has_gpu=has_gpu),
            *_backbones(backbones, others),
            "",
        ]
    )


def commands(name: str, seen: Seen, file: str) -> dict[str, str]:
    """What is typed next, by what it does."""
    search = f"orch search {shlex.quote(file)} --all {seen.typed}"
    return {
        "check the images": f"orch data check {seen.typed.removeprefix('--data ')}",
        "estimate what a search needs": f"{search} --plan",
        "search": search,
        "look at the results": f"orch dashboard {name} --open",
    }


def _head(name: str, seen: Seen, file: str) -> Iterator[str]:
    yield from _comment(
        f"{name}: {sum(seen.images):,} images of {len(seen.classes)} classes, "
        + (f"{_number_of_groups(seen)} ({seen.group_meaning})." if seen.has_groups else f"{seen.group_meaning}.")
    )
    if not seen.has_groups:
        yield from _comment(
            "If several images are of one patient or slide, give them a group, or training and test may share it."
        )
    for note in seen.notes:
        yield from _comment(note)
    yield "#"
    typed = commands(name, seen, file)
    for what, command in typed.items():
        yield from _comment(f"To {what}:\n  {command}")
    yield "#"
    yield "# What every key means, its range and its default: orch spaces settings"
    yield ""
    yield f"name = {_text(name)}"
    yield f"title = {_text(name.replace('_', ' ').replace('-', ' ').capitalize())}  # shown on the page"
    yield 'description = ""'
    yield ""


def _number_of_groups(seen: Seen) -> str:
    """Of each class, as a group may have images of several."""
    least, most = min(seen.groups), max(seen.groups)
    return f"{least} groups in each class" if least == most else f"{least} to {most} groups in each class"


def _classes(space: Space, seen: Seen) -> Iterator[str]:
    yield f"task = {_text(seen.task)}"
    counts = " / ".join(f"{count:,}" for count in seen.images)
    yield f"classes = [{', '.join(map(_text, seen.classes))}]  # {counts} images"
    if space.class_names:
        yield f"class_names = {_table(space.class_names)}  # name in the data = name shown"
    if seen.task == "binary":
        yield f"positive = {_text(seen.classes[-1])}  # the class to detect; sensitivity refers to it"
    yield ""
    uneven = f"the largest class has {seen.imbalance:.1f} times as many images as the smallest"
    if seen.imbalance >= UNEVEN:
        yield f'balance = "class_weights"  # {uneven}; or "none", "subsample", "ngca"'
    else:
        yield f'balance = "none"  # {uneven}; or "class_weights", "subsample", "ngca"'
    yield 'selection = "loss"  # of the validation split; or "accuracy", "balanced_accuracy", "macro_f1"'
    yield ""


def _partition(space: Space, seen: Seen) -> Iterator[str]:
    frame = seen.division
    rows = [[str(name) for name in frame.columns], *([str(cell) for cell in row] for row in frame.to_numpy().tolist())]
    yield "[partition]  # images and groups in each split:"
    yield from _comment("\n".join(columns(rows, [False, *[True] * (len(rows[0]) - 1)])))
    if seen.policy:
        shares = ", ".join(f"{share:g}" for share in space.partition.targets)
        others = ", ".join(_text(one) for one in POLICIES if one != seen.policy)
        yield f'policy = "{seen.policy}"  # or {others}: orch data split compares them'
        yield f"targets = [{shares}]  # shares of train, valid and test"
    else:
        yield "# The data say how they are divided; this is kept."
    if min(seen.groups) < FEW_GROUPS and seen.policy:
        yield f"# A class has {min(seen.groups)} groups: --partitions 5 searches on five divisions: more reliable."
    yield ""


def _images(seen: Seen) -> Iterator[str]:
    least, most = seen.sides
    yield "[image]"
    told = f"{least} px" if least == most else f"{least} to {most} px, half of them below {seen.side} px"
    yield f"# Shorter side of the images: {told}."
    smaller = [side for side in _INPUTS if side >= seen.side]
    if seen.side <= SMALL * USUAL_INPUT and smaller:
        yield f"# size = [{smaller[0]}]  # left out: as large as the images; the network's own is often {USUAL_INPUT}"
    if seen.not_square:
        cut = f"{seen.not_square:,} of {sum(seen.images):,} are not square: the centre is used; this keeps all, on grey"
        yield f'# fit = "pad"  # {cut}'
    yield 'standardisation = "weights"  # mean and std that the weights were trained with; or "train"'
    yield ""


def _grid(seen: Seen, *, has_gpu: bool) -> Iterator[str]:
    batches = [size for size in _BATCHES if size <= seen.train] or [max(1, seen.train)]
    yield "[grid]  # for every strategy that does not say otherwise"
    yield f"batch_size = {batches}"
    yield "epochs = 50"
    yield "repeats = 10"
    yield ""
    yield "[straightforward]  # a new last layer; seconds for each repeat"
    yield "lr = [0.001, 0.003, 0.01, 0.03]"
    yield ""
    yield "[extension]  # a new head with one hidden layer"
    yield "non_linearities = [1]"
    yield "lr = [0.001, 0.003, 0.01, 0.03]"
    yield ""
    deeper = ["[unfreezing]  # the last layers too", "unfrozen = [2]", "lr = [0.0001, 0.001]", "epochs = 20"]
    if has_gpu:
        yield from deeper
    else:
        yield "# Slow without a GPU; remove the # to try it:"
        yield from (f"# {line}" for line in deeper)
    yield ""


def _backbones(backbones: Sequence[Chosen], others: Sequence[str]) -> Iterator[str]:
    if others:
        yield from _comment(f"Weights of these are also on this machine: {', '.join(others)}")
    for one in backbones:
        yield "[[backbones]]"
        where = (
            ""
            if one.weights
            else "weights are on this machine"
            if one.is_here
            else "the first search downloads the weights"
        )
        yield f"name = {_text(one.name)}" + (f"  # {where}" if where else "")
        if one.weights:
            yield f"weights = {_text(one.weights)}"
        elif not one.is_here:
            yield '# weights = "FILE"  # if this machine has no network'
        yield ""


def _text(value: str) -> str:
    """A TOML string."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _table(values: Mapping[str, str]) -> str:
    return "{ " + ", ".join(f"{_text(key)} = {_text(value)}" for key, value in values.items()) + " }"


def _comment(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield f"# {plain_text(line)}".rstrip()
