"""Which images and weights a benchmark runs on: a real set where there is one, synthetic ones else."""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from pathlib import Path

from table import SHARED, progress

from orchestrator.store.errors import InputError
from trainables.data.options import DatasetOptions
from trainables.data.source import list_source
from trainables.data.synthetic.making import make_synthetic
from trainables.data.synthetic.neuroblastoma import NEUROBLASTOMA

REAL = SHARED / "data" / "ana_iif_tiles"
SYNTHETIC_SIDE = 225
SYNTHETIC_IMAGES = 620
"""As many as the real set has."""
WEIGHTS = {
    "mobilenetv2_035": ("timm:mobilenetv2_035", "mobilenetv2_035.pth", (0.5, 0.5, 0.5)),
    "squeezenet1_1": ("torchvision:squeezenet1_1", "squeezenet1_1.pth", None),
}
"""Networks with ImageNet weights beside the checkout: full name, file, and mean and std where the library's differ."""


@dataclass(frozen=True)
class Images:
    """A table with the columns file, class (or label) and group; paths in it are relative to `root`."""

    name: str
    table: Path
    root: Path
    count: int


@dataclass(frozen=True)
class Backbone:
    """weights: "none" (freshly initialised) or a file; mean and std (both the same here) None: the library's."""

    name: str
    weights: str
    mean: tuple[float, float, float] | None = None


def add_options(parser: argparse.ArgumentParser) -> None:
    """`--data` and `--synthetic`."""
    parser.add_argument("--data", type=Path, metavar="DIR", default=REAL, help="with labels.csv (default: %(default)s)")
    parser.add_argument("--synthetic", action="store_true", help="made-up images in the place of real ones")


def choose(arguments: argparse.Namespace, folder: Path, limit: int | None) -> Images:
    """The images asked for, at most `limit` of them, taken in turn from all groups; tables are written below `folder`.

    Raises InputError where --data has no labels.csv; the default place may be missing, then images are made.
    """
    source: Path = arguments.data / "labels.csv"
    if source.is_file() and not arguments.synthetic:
        return _part(arguments.data.name, source, folder / "labels.csv", limit)
    if not arguments.synthetic and arguments.data != REAL:
        raise InputError(f"{arguments.data}: expected labels.csv in it, found none", "Or give --synthetic.")
    count = SYNTHETIC_IMAGES if limit is None else limit
    progress(f"making {count} synthetic images")
    groups = max(3, min(12, count // 8))
    images = (count // 2, count - count // 2)
    kind = replace(NEUROBLASTOMA, groups=(groups, groups), images=images, image_size=SYNTHETIC_SIDE)
    root = make_synthetic(folder / "synthetic", kind)
    return Images("synthetic", root / "labels.csv", root, count)


def backbone(name: str) -> Backbone:
    """A network by its short name: with the weights beside the checkout where it has any, else freshly initialised."""
    full, file, mean = WEIGHTS.get(name, (name, "", None))
    path = SHARED / "weights" / file
    return Backbone(full, str(path), mean) if file and path.is_file() else Backbone(full, "none")


def _part(name: str, source: Path, target: Path, limit: int | None) -> Images:
    listing = list_source(source, DatasetOptions())
    groups: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for entry in listing.entries:
        groups[entry.group].append((entry.file, entry.label, entry.group))
    in_turn = [row for row in chain.from_iterable(zip_longest(*groups.values())) if row is not None]
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label", "group"), *in_turn[:limit]])
    return Images(name, target, source.parent.resolve(), len(in_turn[:limit]))
