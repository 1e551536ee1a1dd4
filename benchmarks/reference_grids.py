"""The grids of the reference study at full size, and something of the right shape to train them on: no images.

Figure B.1: Inception v3, a new last layer. B.2: Inception v3, four non-linearities. B.3: VGG 19, six unfrozen layers.
They are read from the study's own file, so this is what `orch search neuroblastoma` asks for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch

from orchestrator.store.schema import BUNDLE_SIZE
from search_spaces.configuration import Configuration
from search_spaces.form import Form
from search_spaces.loader import load_space
from search_spaces.points import Point, points
from search_spaces.resolve import resolve
from trainables.bundles.recipe import most_bundles
from trainables.features.samples import Samples
from trainables.features.shards import FeatureRows
from trainables.features.store import feature_rows
from trainables.learning.learner import Lane, lanes_of
from trainables.network.backbone import facts_of

Precision = Literal["fp32", "bf16"]
Depth = tuple[int, int]
"""(non-linearities, unfrozen layers)"""

STUDY = "neuroblastoma"
FIGURES: dict[str, tuple[str, Depth]] = {
    "B.1": ("timm:inception_v3.tv_in1k", (0, 0)),
    "B.2": ("timm:inception_v3.tv_in1k", (4, 0)),
    "B.3": ("timm:vgg19.tv_in1k", (0, 6)),
}
TRAIN_IMAGES, VALID_IMAGES = (734, 420), (127, 82)
VIEWS_PER_IMAGE = (4, 8)
"""Per class; they make 2,936 + 3,360 views to train on and 508 + 656 to score."""
REPORT_REPEATS, REPORT_EPOCHS = 12_500, 936_000
SIGNAL = 0.05
"""How far apart the classes lie, in standard deviations of each value."""
WRITTEN_ROWS = 512


@dataclass(frozen=True)
class Grid:
    """All configurations of one backbone at one depth."""

    name: str
    backbone: str
    width: int
    configurations: tuple[Configuration, ...]
    repeats: int
    epochs: int

    @property
    def depth(self) -> Depth:
        return self.configurations[0].head.non_linearities, self.configurations[0].adaptation.unfrozen

    @property
    def repeat_epochs(self) -> int:
        return len(self.configurations) * self.repeats * self.epochs

    def of_batch_size(self, size: int) -> tuple[Configuration, ...]:
        return tuple(c for c in self.configurations if c.optimiser.batch_size == size)

    @property
    def batch_sizes(self) -> list[int]:
        return sorted({c.optimiser.batch_size for c in self.configurations})


def figure(name: str, precision: Precision) -> Grid:
    """The grid of one figure."""
    backbone, depth = FIGURES[name]
    return next(grid for grid in grids(backbone, precision, name) if grid.depth == depth)


def grids(backbone: str, precision: Precision, name: str = "") -> Iterator[Grid]:
    """Everything that the study asks of one backbone, depth by depth."""
    by_depth: dict[Depth, list[Point]] = {}
    for point in points(load_space(STUDY), backbone, small=False):
        by_depth.setdefault((point.non_linearities, point.unfrozen), []).append(point)
    facts = facts_of(Form(backbone), "none", 0)
    for (n, u), several in by_depth.items():
        configurations = tuple(
            resolve(
                point,
                facts,
                task="binary",
                classes=("D", "PD"),
                data_fingerprint="made up",
                study_seed=0,
                precision=precision,
            )
            for point in several
        )
        title = name or f"{backbone}, n = {n}, u = {u}"
        yield Grid(title, backbone, facts.feature_width, configurations, several[0].repeats, several[0].epochs)


def backbones() -> list[str]:
    """All that the study's file lists."""
    return [entry.name for entry in load_space(STUDY).backbones]


def stacks(grid: Grid, batch_size: int, device: torch.device) -> list[list[Lane]]:
    """What is trained together, by the product's rule: repeats and learning rates stacked, or every lane alone."""
    same = grid.of_batch_size(batch_size)
    most = most_bundles(same[0], grid.width, device)
    if not most:
        return [[Lane(configuration, repeat)] for repeat in range(grid.repeats) for configuration in same]
    parts = -(-len(same) // most)
    return [
        lanes_of(several, range(first, min(first + BUNDLE_SIZE, grid.repeats)))
        for several in (same[part::parts] for part in range(parts))
        for first in range(0, grid.repeats, BUNDLE_SIZE)
    ]


def made_samples() -> Samples:
    """Rows as the study lays them out: the views of the training images, then those of the validation images."""
    views, labels, splits = [], [], []
    image = 0
    for split, counts in (("train", TRAIN_IMAGES), ("valid", VALID_IMAGES)):
        for label, count in enumerate(counts):
            for _ in range(count):
                views += [(image, view) for view in range(VIEWS_PER_IMAGE[label])]
                labels += [label] * VIEWS_PER_IMAGE[label]
                splits += [split] * VIEWS_PER_IMAGE[label]
                image += 1
    seen, split_of = np.array(views, dtype=np.int32), np.array(splits)
    first = seen[:, 1] == 0
    scoring = {name: np.flatnonzero((split_of == name) & first) for name in ("train", "valid")}
    scoring["valid_views"] = np.flatnonzero(split_of == "valid")
    training = np.flatnonzero(split_of == "train")
    return Samples(pd.DataFrame(), seen, np.array(labels, dtype=np.int64), training, scoring, None)


def made_features(
    cache: Path, labels: np.ndarray, shapes: tuple[tuple[int, ...], ...], precision: Precision, device: str
) -> FeatureRows:
    """Random values that tell the classes apart a little, as the product stores them; computed once per shape.

    labels: int64 [rows]
    """
    key = "x".join("-".join(map(str, shape)) for shape in shapes) + f"-{precision}-{len(labels)}"
    rows = feature_rows(key, cache, [str(row) for row in range(len(labels))], shapes, precision, device)
    rows.prepare()
    draw = np.random.default_rng(0)
    noise = {spec.name: draw.standard_normal((WRITTEN_ROWS, *spec.shape), dtype=np.float32) for spec in rows.specs}
    sides = {spec.name: SIGNAL * draw.standard_normal(spec.shape, dtype=np.float32) for spec in rows.specs}
    for part in rows.missing():
        places = rows.places(part)
        side = (2 * labels[places] - 1).astype(np.float32)
        values = {}
        for name, base in noise.items():
            picked = base[draw.permutation(WRITTEN_ROWS)[np.arange(len(places)) % WRITTEN_ROWS]]
            sign = side.reshape(-1, *(1 for _ in base.shape[1:]))
            values[name] = _stored(np.maximum(picked + sign * sides[name], 0.0), precision)
        rows.store(part).write(part.chunk, values)
    return rows


def _stored(values: np.ndarray, precision: Precision) -> np.ndarray:
    if precision == "fp32":
        return values
    return torch.from_numpy(values).to(torch.bfloat16).view(torch.int16).numpy()
