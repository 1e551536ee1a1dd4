"""What `orch maps` leaves in a study for its page: numbers of each image, and the maps of a few. No pixels of images:
where a page may show images the maps are drawn over them again. Readable without torch."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from orchestrator.store import layout
from orchestrator.store.damage import passed_over
from orchestrator.store.record import short_hash
from orchestrator.store.schema import JsonRecord, parse_model
from orchestrator.store.storage import Storage

if TYPE_CHECKING:
    from orchestrator.maps.explained import Explained
    from orchestrator.maps.images import Wanted
    from orchestrator.maps.sanity import Mean, Sanity

DRAWN = 9
"""Images whose maps are kept, at most: as many of each kind as there can be."""
_MOST_PLACES = 64
"""Each way: no method has more."""
_RECORD = re.compile(r"[0-9a-f]{12}\.json")
_Places = Annotated[int, Field(ge=1, le=_MOST_PLACES)]


class Average(JsonRecord):
    """Over images, with a 95 % interval where there is one; see `sanity.Mean`."""

    value: float | None
    low: float | None
    high: float | None


class Checks(JsonRecord):
    """See `sanity.Sanity`."""

    random_head: Average | None
    random_network: Average
    deleted: Average
    at_random: Average
    gained: Average
    curve: tuple[float, ...]
    random_curve: tuple[float, ...]


class MappedImage(JsonRecord):
    """See `images.Image`. probability: of the true class, mean over repeats; deviation: of that. agreement, and the
    correlations and the gain where they were looked at: None where an image has none."""

    file: str
    group: str
    kinds: tuple[str, ...]
    truth: str
    predicted: str
    map_of: str
    probability: float
    deviation: float
    agreement: float | None
    random_head: float | None = None
    random_network: float | None = None
    gained: float | None = None


class KeptMap(JsonRecord):
    """image: its place among the record's. mean, deviation: over repeats, base64 of a byte for each place, row by row,
    255 for 1; no deviation of one repeat."""

    image: int = Field(ge=0)
    mean: str
    deviation: str = ""


class MapsRecord(JsonRecord):
    """`results/maps/<id>.json`; the id is of what was asked but for the number of images, so that the last answer
    stands. created: UTC, ISO 8601. place: among the configurations of one command. places: of a map, rows, columns."""

    id: str
    created: str
    place: int = 0
    partition: str
    configuration: str
    name: str
    method: str
    layer: str
    split: str
    explains: str
    repeats: tuple[int, ...]
    places: tuple[_Places, _Places]
    groups: int
    agreement: float | None
    images: tuple[MappedImage, ...]
    kept: tuple[KeptMap, ...]
    sanity: Checks | None

    @model_validator(mode="after")
    def _are_whole(self) -> MapsRecord:
        for one in self.kept:
            if one.image >= len(self.images):
                raise ValueError(f"kept: expected maps of {len(self.images)} images, found one of image {one.image}")
            for kept in filter(None, (one.mean, one.deviation)):
                self.values(kept)
        return self

    def values(self, kept: str) -> NDArray[np.float32]:
        """Of a kept map, float32 [h, w] from 0 to 1. Raises ValueError where it is not a byte for each place."""
        levels = np.frombuffer(base64.b64decode(kept, validate=True), dtype=np.uint8)
        return levels.reshape(self.places).astype(np.float32) / np.float32(255)


def record_of(explained: Explained, wanted: Wanted, now: str, place: int = 0) -> MapsRecord:
    """What a page shows of these maps; wanted: what was asked for."""
    asked = [wanted.kinds, wanted.classes, wanted.groups, wanted.files]
    of = [
        explained.partition,
        explained.configuration,
        explained.method,
        explained.layer,
        explained.split,
        explained.explains,
    ]
    sanity = explained.sanity
    per_image = dict[str, tuple[float | None, ...]]()
    if sanity is not None:
        means = {"random_head": sanity.random_head, "random_network": sanity.random_network, "gained": sanity.gained}
        per_image = {name: mean.values for name, mean in means.items() if mean is not None}
    return MapsRecord(
        id=short_hash([*of, *asked]),
        created=now,
        place=place,
        partition=explained.partition,
        configuration=explained.configuration,
        name=explained.name,
        method=explained.method,
        layer=explained.layer,
        split=explained.split,
        explains=explained.explains,
        repeats=explained.repeats,
        places=(explained.maps.shape[2], explained.maps.shape[3]),
        groups=len({image.group for image in explained.images}),
        agreement=explained.mean_agreement,
        images=tuple(
            MappedImage(
                file=image.file,
                group=image.group,
                kinds=image.kinds,
                truth=image.truth,
                predicted=image.predicted,
                map_of=image.target if explained.explains else "",
                probability=image.chance,
                deviation=image.spread,
                agreement=agreement,
                **{name: values[place] for name, values in per_image.items()},
            )
            for place, (image, agreement) in enumerate(zip(explained.images, explained.agreement, strict=True))
        ),
        kept=tuple(_kept(explained)),
        sanity=None if sanity is None else _checks(sanity),
    )


def write_maps(storage: Storage, record: MapsRecord) -> None:
    """In the place of the last answer to the same."""
    storage.replace(layout.maps(record.id), record.model_dump_json(indent=1).encode())


def read_maps(storage: Storage) -> list[MapsRecord]:
    """All of a study, the newest first, of one command in its order; damaged ones are passed over, which is noted."""
    records = []
    for name in sorted(storage.list(layout.MAPS)):
        if _RECORD.fullmatch(name):
            path = layout.maps(name.removesuffix(".json"))
            with passed_over(storage, path):
                records.append(parse_model(MapsRecord, storage.read(path), path))
    return sorted(records, key=lambda record: (record.created, -record.place, record.id), reverse=True)


def _kept(explained: Explained) -> Iterator[KeptMap]:
    """In the order of the images: of each kind the first, then of each the second, until there are enough."""
    turns: dict[int, int] = {}
    counts: dict[str, int] = {}
    for place, image in enumerate(explained.images):
        for kind in image.kinds:
            turns[place] = min(turns.get(place, counts.get(kind, 0)), counts.get(kind, 0))
            counts[kind] = counts.get(kind, 0) + 1
    for place in sorted(sorted(turns, key=lambda place: (turns[place], place))[:DRAWN]):
        deviation = "" if explained.deviation is None else _bytes(explained.deviation[place])
        yield KeptMap(image=place, mean=_bytes(explained.mean[place]), deviation=deviation)


def _bytes(values: np.ndarray) -> str:
    return base64.b64encode((255 * np.clip(values, 0, 1)).round().astype(np.uint8).tobytes()).decode()


def _checks(sanity: Sanity) -> Checks:
    def average(mean: Mean) -> Average:
        return Average(value=mean.value, low=mean.low, high=mean.high)

    return Checks(
        random_head=None if sanity.random_head is None else average(sanity.random_head),
        random_network=average(sanity.random_network),
        deleted=average(sanity.deleted),
        at_random=average(sanity.at_random),
        gained=average(sanity.gained),
        curve=sanity.curve,
        random_curve=sanity.random_curve,
    )
