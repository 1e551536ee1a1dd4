"""Writes what `orch mistakes` leaves into a study, without predictions: numbers that add up, names that do harm."""

from __future__ import annotations

from itertools import combinations

from orchestrator.mistakes.record import (
    ClassCounts,
    Confused,
    GroupNever,
    Looked,
    MistakesRecord,
    Region,
    SliceScore,
    WrongImage,
    write_mistakes,
)
from orchestrator.results.stored_data import read_table
from orchestrator.store import layout
from orchestrator.store.schema import StudyRecord, parse_toml
from orchestrator.store.storage import LocalStorage

HOSTILE = "<b>%{x}</b>"


def made_up_mistakes(storage: LocalStorage, configurations: int = 3) -> MistakesRecord:
    """Of the study's classes and images; every region of the configurations, one slice that is worse."""
    study = parse_toml(StudyRecord, storage.read(layout.STUDY), layout.STUDY)
    table = read_table(storage, layout.MANIFEST, dict.fromkeys(("file", "label", "group"), "text"))
    images = [] if table is None else table.to_pandas().head(30).to_dict("records")
    classes = [
        ClassCounts(
            label=name,
            images=10,
            groups=3,
            always=10 - place % 11,
            sometimes=0,
            never=place % 11,
            error=place % 11 / 10,
            mostly_called=HOSTILE if place else "",
        )
        for place, name in enumerate(study.classes)
    ]
    sets = [one for size in range(1, configurations + 1) for one in combinations(range(configurations), size)]
    regions = [Region(configurations=one, images=len(sets) - place) for place, one in enumerate(sets)]
    wrong = tuple(
        WrongImage(file=row["file"], label=row["label"], group=row["group"], right=0.2, probability=0.1, called=HOSTILE)
        for row in images
    )
    return MistakesRecord(
        created="2026-03-01T12:00:00+00:00",
        partitions=(study.partition,),
        repeats=(5,),
        images=10 * len(classes),
        groups=3 * len(classes),
        configurations=tuple(
            Looked(id=f"{c:012x}", name=f"{HOSTILE} {c}", wrong=0.1 * c) for c in range(configurations)
        ),
        classes=tuple(classes),
        confused=(Confused(label=study.classes[0], called=HOSTILE, images=10, share=0.3),),
        never_in=(GroupNever(images=10, never=4), GroupNever(images=5, never=1)),
        slices=(_slice("A", None, 0.6, None), _slice(HOSTILE, 0.0, 1.0, 0.001), _slice("B", 0.1, 0.0, 0.9)),
        regions=(*regions, Region(configurations=(), images=4)),
        worst=wrong,
        suspected=len(wrong),
        suspects=wrong[:5],
    )


def add_mistakes(storage: LocalStorage, configurations: int = 3) -> MistakesRecord:
    record = made_up_mistakes(storage, configurations)
    write_mistakes(storage, record)
    return record


def _slice(value: str, low: float | None, error: float, p: float | None) -> SliceScore:
    return SliceScore(
        name="site",
        value=value,
        images=10,
        groups=3 if p is None else 8,
        error=error,
        low=low,
        high=None if low is None else 1.0,
        expected=0.5,
        p=p,
        corrected=None if p is None else min(1.0, 2 * p),
        is_worse=p is not None and p < 0.01,
    )
