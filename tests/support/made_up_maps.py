"""Writes what `orch maps` leaves into a study, without networks: maps of its own images, names that do harm."""

from __future__ import annotations

import base64

import numpy as np

from orchestrator.maps.record import Average, Checks, KeptMap, MappedImage, MapsRecord, write_maps
from orchestrator.results.stored_data import read_table
from orchestrator.store import layout
from orchestrator.store.schema import StudyRecord, parse_toml
from orchestrator.store.storage import LocalStorage

HOSTILE = "<b>%{x}</b>"
PLACES = (2, 3)


def made_up_maps(storage: LocalStorage, number: int = 0, split: str = "valid", groups: str = "") -> MapsRecord:
    """Of the first images of the study whose group begins so, and of its first configuration."""
    study = parse_toml(StudyRecord, storage.read(layout.STUDY), layout.STUDY)
    listed = read_table(storage, layout.MANIFEST, dict.fromkeys(("file", "label", "group"), "text"))
    rows = [] if listed is None else listed.to_pandas().to_dict("records")
    images = [row for row in rows if row["group"].startswith(groups)][:4]
    values = np.arange(6, dtype=np.uint8) * 51
    average = Average(value=0.5, low=0.25, high=0.75)
    none = Average(value=None, low=None, high=None)
    curve = tuple(1 - share / 10 for share in range(11))
    return MapsRecord(
        id=f"{number:012x}",
        created=f"2026-03-01T12:00:{number % 60:02d}+00:00",
        partition=study.partition,
        configuration=min(storage.list(layout.CONFIGURATIONS)).removesuffix(".toml"),
        name=f"{HOSTILE} {number}",
        method="Grad-CAM",
        layer="layer4",
        split=split,
        explains="predicted",
        repeats=(0, 1),
        places=PLACES,
        groups=2,
        agreement=0.9,
        images=tuple(
            MappedImage(
                file=row["file"],
                group=row["group"],
                kinds=("worst",),
                truth=row["label"],
                predicted=HOSTILE,
                map_of=row["label"],
                probability=0.25,
                deviation=0.1,
                agreement=None if place else 0.5,
            )
            for place, row in enumerate(images)
        ),
        kept=tuple(
            KeptMap(image=place, mean=_coded(values), deviation=_coded(values[::-1])) for place in range(len(images))
        ),
        sanity=Checks(
            random_head=None,
            random_network=average,
            deleted=none,
            at_random=average,
            gained=average,
            curve=curve,
            random_curve=curve[:1] * 11,
        ),
    )


def add_maps(storage: LocalStorage, number: int = 0, split: str = "valid", groups: str = "") -> MapsRecord:
    record = made_up_maps(storage, number, split, groups)
    write_maps(storage, record)
    return record


def _coded(values: np.ndarray) -> str:
    return base64.b64encode(values.tobytes()).decode()
