"""A study whose search decided what to train next, with made-up results and nothing trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator.store import layout
from orchestrator.store.searches import SearchRecord
from tests.support.generated_study import GeneratedStudy, UnsyncedStorage
from tests.support.search_study import DrawnStudy
from tests.support.undecided_study import UndecidedStudy

HALVING = {"epochs": "halving", "repeats": "race"}


def adaptive_study(
    folder: Path, settings: dict[str, Any], repeats: int = 12, epochs: int = 20, **changes: Any
) -> tuple[UndecidedStudy, SearchRecord]:
    """Sixteen configurations of a grid, every result as soon as it is asked for."""
    grid = {"depths": ((0, 0), (1, 0)), "lrs": (3e-4, 1e-3, 3e-3, 1e-2), "batch_sizes": (16, 32)}
    desk = begun(folder, GeneratedStudy(**{**grid, "repeats": repeats, "epochs": epochs, **changes}))
    return desk, played(desk, settings, repeats, epochs)


def adaptive_off_grid(folder: Path) -> tuple[UndecidedStudy, SearchRecord]:
    """Forty configurations drawn at random over five settings."""
    desk = begun(folder, DrawnStudy(count=40, repeats=12, epochs=20))
    return desk, played(desk, HALVING, 12, 20)


def begun(folder: Path, study: GeneratedStudy) -> UndecidedStudy:
    storage = UnsyncedStorage(folder)
    study.write_frame(storage)
    for configuration in study.configurations():
        storage.create(layout.configuration(configuration.id), configuration.to_toml())
    return UndecidedStudy(storage, study)


def played(desk: UndecidedStudy, settings: dict[str, Any], repeats: int, epochs: int, **about: Any) -> SearchRecord:
    """An adaptive search of all of them to its end."""
    configurations = {one.id: one for one in desk.study.configurations()}
    search = desk.search(tuple(configurations), repeats, epochs, proposer="adaptive", settings=settings, **about)
    while (decision := desk.deciding(search).decide()) is not None:
        for ask in decision.asks:
            for lane in ask.lanes():
                desk.study.write_final(desk.storage, configurations[lane.configuration], lane.repeat, ask.epochs)
    return search
