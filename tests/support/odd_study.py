"""A made-up study that every figure has something to show of, with losses and confusion counts of an odd kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from orchestrator.results.news import NewsReader
from orchestrator.store import layout
from orchestrator.store.layout import BundleKey
from orchestrator.store.schema import FinalRecord, History
from orchestrator.store.searches import (
    Ask,
    Budget,
    Decision,
    SearchRecord,
    allowances,
    asked_of_lanes,
    budget_file,
    decision_file,
    search_file,
)
from orchestrator.store.storage import LocalStorage
from search_spaces.configuration import Configuration
from tests.support.asked import Item, ask
from tests.support.configurations import changed
from tests.support.generated_study import PARTITION, GeneratedStudy, UnsyncedStorage
from tests.support.made_up_evaluation import add_evaluation
from tests.support.made_up_maps import add_maps
from tests.support.made_up_mistakes import add_mistakes
from trainables.data.manifest import made_manifest, manifest_bytes
from trainables.data.partitioning import make_partition

OTHER = "p00000001"
Floats = NDArray[np.float64]
FLOAT32 = np.finfo(np.float32)

LOSSES: dict[str, Callable[[Floats], Floats]] = {
    "plain": lambda draw: 0.1 + draw,
    "zero": lambda draw: draw * 0,
    "constant": lambda draw: draw * 0 + 0.7,
    "tiny": lambda draw: (1 + draw) * 1e-9,
    "tiniest": lambda draw: draw * float(FLOAT32.tiny),
    "huge": lambda draw: (0.5 + draw / 2) * float(FLOAT32.max),
    "huge, constant": lambda draw: draw * 0 + float(FLOAT32.max),
    "apart": lambda draw: 10.0 ** (60 * draw - 30),
    "almost equal": lambda draw: 1 + np.rint(draw) * float(np.finfo(np.float64).eps),
    "not a number": lambda draw: draw * np.nan,
    "some not a number": lambda draw: np.where(draw < 0.4, np.nan, draw),
    "infinite": lambda draw: np.where(draw < 0.4, np.inf, draw),
    "all infinite": lambda draw: draw * 0 + np.inf,
}
"""Kind → losses from uniform draws, at most what single precision holds: networks compute in it."""
COUNTS: dict[str, Callable[[Floats], Floats]] = {
    "plain": lambda draw: draw,
    "all right": lambda draw: draw * 0 + 1,
    "all wrong": lambda draw: draw * 0,
}
"""Kind → share of each class that is predicted right."""


@dataclass
class OddStudy(GeneratedStudy):
    """Points off a grid and depths of one backbone, and two configurations of another."""

    backbones: tuple[str, ...] = ("timm:one", "timm:two")
    loss: str = "plain"
    counts: str = "plain"

    def configurations(self) -> list[Configuration]:
        found = [self.configuration("timm:two", (0, 0), lr, 16) for lr in (1e-3, 1e-2)]
        found += [self.configuration("timm:one", depth, 1e-3, 16) for depth in ((0, 0), (0, 1))]
        draw = np.random.default_rng(3)
        for place in range(12):
            base = self.configuration("timm:one", (1, 0), 10.0 ** -(1 + place % 4), 8 << place % 3)
            found.append(changed(base, momentum=round(float(draw.uniform(0.5, 0.99)), 3)))
        return found

    def history(self, configuration: Configuration, repeat: int, epochs: int, diverged: int | None) -> History:
        draw = np.random.default_rng([self.seed, int(configuration.id, 16) % 2**31, repeat])
        rows = epochs + 1 if diverged is None else diverged + 1
        loss = LOSSES[self.loss](draw.random((rows, 2)))
        sizes = np.array([[self.n_train], [self.n_valid]]) // len(self.classes) * np.ones(len(self.classes), dtype=int)
        right = np.rint(COUNTS[self.counts](draw.random((rows, *sizes.shape))) * sizes).astype(np.int32)
        confusion = np.zeros((rows, 2, len(self.classes), len(self.classes)), dtype=np.int32)
        for truth in range(len(self.classes)):
            confusion[:, :, truth, truth] = right[:, :, truth]
            confusion[:, :, truth, (truth + 1) % len(self.classes)] = sizes[:, truth] - right[:, :, truth]
        return History(("train", "valid"), loss, confusion)


def odd_study(folder: Path, certainty: float = 1.0, has_results: bool = True, **changes: object) -> LocalStorage:
    """The study with a partition that filling made, a second one, mistakes, maps, and an evaluation whose logits are as
    large as `certainty`; without results there are none."""
    study = OddStudy(**{"epochs": 2, "skip": lambda *_: not has_results, **changes})  # type: ignore[arg-type]
    storage = UnsyncedStorage(folder)
    study.write(storage)
    images = _images(study)
    storage.replace(layout.MANIFEST, manifest_bytes(images))
    storage.replace(layout.partition(PARTITION), make_partition(images, "ifpo").to_bytes())
    storage.create(layout.partition(OTHER), make_partition(images, "ifp").to_bytes())
    _second_partition(storage, study)
    _adaptive_search(storage, study)
    if has_results:
        add_evaluation(storage, repeats=study.repeats, certainty=certainty)
        add_mistakes(storage)
        add_maps(storage)
    return storage


def _adaptive_search(storage: LocalStorage, study: GeneratedStudy) -> None:
    """A race in which the last two are stopped, and the last one is trained to the end as a check."""
    *left, stopped, checked = (configuration.id for configuration in study.configurations())
    names, every = (*left, stopped, checked), tuple(range(study.repeats))
    looks = [[study.repeats, 0.5]]
    search = SearchRecord(
        proposer="adaptive",
        settings={"repeats": "race", "looks": looks},
        partitions=(PARTITION,),
        configurations=names,
    )
    storage.create(search_file(search.id), search.to_toml())
    most = allowances(dict.fromkeys(names, (study.repeats, study.epochs)))
    storage.create(budget_file(search.id, 1), Budget(number=1, allowances=most).to_toml())

    def asks(*wanted: tuple[tuple[str, ...], tuple[int, ...]]) -> tuple[Ask, ...]:
        return tuple(
            Ask(partition=PARTITION, configurations=which, repeats=repeats, epochs=study.epochs)
            for which, repeats in wanted
            if repeats
        )

    first = Decision(
        number=1, budget=1, reason="all", asks=asks((tuple(left), every), ((stopped, checked), (0,))), stacks=()
    )
    second = Decision(
        number=2,
        budget=1,
        reason="a check",
        asks=asks(((checked,), every[1:])),
        stacks=(),
        news=NewsReader(storage).news(asked_of_lanes([first])),
        stopped=(stopped, checked),
    )
    for decision in (first, second):
        storage.create(decision_file(search.id, decision.number), decision.to_toml())


def _images(study: GeneratedStudy) -> pd.DataFrame:
    sizes = [40, 30, 20, 10, 9, 8, 3, 3]
    rows = [
        {"file": f"{label}{place}.png", "label": label, "group": f"{label}{place}", "split": "", "width": size}
        | {"height": 1, "bytes": 1, "content": f"{label}{place}", "reading": ""}
        for label in study.classes
        for place, size in enumerate(sizes)
    ]
    return made_manifest(rows)


def _second_partition(storage: LocalStorage, study: GeneratedStudy) -> None:
    """Two configurations there, with the same histories."""
    chosen = study.configurations()[:2]
    items = [Item(one.id, study.repeats, study.epochs) for one in chosen]
    ask(storage, (OTHER,), items, **{**study.about(), "command": "orch search more"})
    for configuration in chosen:
        for repeat in range(study.repeats):
            if study.skip(configuration, repeat):
                continue
            record = study.final(configuration, repeat, study.epochs)
            other = FinalRecord({**record.meta, "partition": OTHER}, record.history, record.logits)
            key = BundleKey.of_repeat(OTHER, configuration.id, repeat)
            storage.create(key.final(repeat, study.epochs, record.state), other.to_bytes())
