"""What `orch mistakes` leaves in a study for its page: counts, slices, shared errors, and the worst of the images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.store import layout
from orchestrator.store.damage import passed_over
from orchestrator.store.schema import JsonRecord, parse_model
from orchestrator.store.storage import Storage

if TYPE_CHECKING:
    from orchestrator.mistakes.found import Mistakes

PATH = f"{layout.RESULTS}/mistakes.json"
KEPT = 100
"""Images that are most often wrong, and suspected ones, at most; `orch mistakes` has all."""
PAIRS = 20
"""Pairs of classes that are confused, at most."""


class Looked(JsonRecord):
    """A configuration. wrong: share of its predictions, mean over images; so in all that follows."""

    id: str
    name: str
    wrong: float


class ClassCounts(JsonRecord):
    """Of a class the images that all predictions have right, some, none: over all configurations."""

    label: str
    images: int
    groups: int
    always: int
    sometimes: int
    never: int
    error: float
    mostly_called: str


class SliceScore(JsonRecord):
    """See `mistakes.slices.Slice`. value: in place of the name of a group its number among the property's values."""

    name: str
    value: str
    images: int
    groups: int
    error: float
    low: float | None
    high: float | None
    expected: float
    p: float | None
    corrected: float | None
    is_worse: bool


class Confused(JsonRecord):
    """share: of the first configuration's predictions for images of the class those that say the other one."""

    label: str
    called: str
    images: int
    share: float


class GroupNever(JsonRecord):
    """Of a group its images, and those of them that no prediction of any configuration has right."""

    images: int
    never: int


class Region(JsonRecord):
    """Images that exactly these configurations, places from 0, have wrong in most repeats."""

    configurations: tuple[int, ...]
    images: int


class WrongImage(JsonRecord):
    """right: share of predictions over all configurations. probability: of the label, mean. called: mostly, where it is
    wrong; of a suspected one the class that it is taken for."""

    file: str
    label: str
    group: str
    right: float
    probability: float
    called: str


class MistakesRecord(JsonRecord):
    """`results/mistakes.json`: of the last `orch mistakes`. created: UTC, ISO 8601. suspected: how many images are."""

    created: str
    partitions: tuple[str, ...]
    repeats: tuple[int, ...]
    images: int
    groups: int
    configurations: tuple[Looked, ...]
    classes: tuple[ClassCounts, ...]
    confused: tuple[Confused, ...]
    """The most frequent first."""
    never_in: tuple[GroupNever, ...]
    """Groups with such images, without names, the most of them first."""
    slices: tuple[SliceScore, ...]
    regions: tuple[Region, ...]
    worst: tuple[WrongImage, ...]
    suspected: int
    suspects: tuple[WrongImage, ...]


def record_of(mistakes: Mistakes, now: str) -> MistakesRecord:
    """What a page and a model card show of them."""
    from orchestrator.mistakes.images import confused_pairs, never_by_group

    of = mistakes.gathered
    names = frozenset(of.manifest["group"])
    places: dict[str, list[str]] = {}
    for one in mistakes.slices:
        places.setdefault(one.name, []).append(one.value)
    right = dict(zip(mistakes.images["file"], mistakes.images["right"], strict=True))
    worst = mistakes.images[mistakes.images["right"] < 1].head(KEPT)
    return MistakesRecord(
        created=now,
        partitions=tuple(of.split_of),
        repeats=of.repeats,
        images=len(of.images),
        groups=len(of.groups),
        configurations=tuple(
            Looked(id=one.id, name=of.names[one.id], wrong=1 - float((of.right[c] / of.trials).mean()))
            for c, one in enumerate(of.members)
        ),
        classes=tuple(ClassCounts.model_validate(row) for row in mistakes.classes.to_dict("records")),
        confused=tuple(
            Confused(label=label, called=called, images=images, share=share)
            for label, called, images, share in confused_pairs(of)[:PAIRS]
        ),
        never_in=tuple(GroupNever(images=images, never=never) for images, never in never_by_group(of)),
        slices=tuple(
            SliceScore(
                **{key: value for key, value in vars(one).items() if key != "value"},
                value=f"value {places[one.name].index(one.value) + 1}" if one.value in names else one.value,
                is_worse=one.is_worse,
            )
            for one in mistakes.slices
        ),
        regions=tuple(Region(configurations=which, images=count) for which, count in mistakes.shared.regions),
        worst=tuple(
            WrongImage.model_validate({**row, "called": row["mostly_called"]}) for row in worst.to_dict("records")
        ),
        suspected=len(mistakes.suspects),
        suspects=tuple(
            WrongImage(
                file=row["file"],
                label=row["label"],
                group=row["group"],
                right=right[row["file"]],
                probability=row["label_probability"],
                called=row["looks_like"],
            )
            for row in mistakes.suspects.head(KEPT).to_dict("records")
        ),
    )


def write_mistakes(storage: Storage, record: MistakesRecord) -> None:
    """In the place of the one before."""
    storage.replace(PATH, record.model_dump_json(indent=1).encode())


def read_mistakes(storage: Storage) -> MistakesRecord | None:
    """None where nobody has asked yet, or it is damaged, which is noted."""
    with passed_over(storage, PATH):
        return parse_model(MistakesRecord, storage.read(PATH), PATH)
    return None
