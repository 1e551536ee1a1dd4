"""Which images are explained: by their predictions, at random, or named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from orchestrator.store.errors import InputError
from search_spaces.faults import nearest
from trainables.learning.draws import generator

KINDS = ("best", "worst", "uncertain", "random")
NAMED = "named"


@dataclass(frozen=True)
class Wanted:
    """kinds: of KINDS, `count` images of each. classes, groups: only images of these, all where there are none.
    files: named ones, in the place of all this. given: files and folders that are not of the study, in its place too.
    """

    kinds: tuple[str, ...] = ("best", "worst", "uncertain")
    count: int = 8
    classes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    given: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Image:
    """row: in the images that it was chosen from. kinds: what it was chosen as. called: a number in the place of its
    name. truth, predicted: class names; predicted is that of the mean probability over repeats. chance: that mean, of
    the true class; spread: its standard deviation over repeats (n − 1), 0 of one. target: whose map is made.
    Where the truth is not known it is "", and chance and spread are of the target."""

    row: int
    kinds: tuple[str, ...]
    file: str
    called: str
    group: str
    truth: str
    predicted: str
    chance: float
    spread: float
    target: str


def choose_images(
    images: pd.DataFrame,
    several: Sequence[np.ndarray],
    classes: Sequence[str],
    wanted: Wanted,
    seed: int,
    called: Mapping[str, str],
    *,
    explains_truth: bool = False,
) -> list[tuple[Image, ...]]:
    """For each configuration the same images in the order of `wanted.kinds`, each once, with what it says of them.

    images: columns file, label, group and truth (class index). several: of each configuration probabilities float64
    [repeats, N, K] in their order. called: what stands for the name of each file. best: those whose true class is given
    the largest mean probability over repeats, and over configurations, which count alike; worst: the least; uncertain:
    those whose mean probabilities have the largest entropy; random: drawn from the study's seed. Equals keep their
    order. The class whose map is made is one for all: that of the largest mean probability, or the true one. Raises
    InputError where nothing is left, and for classes, groups and files that there are not.
    """
    mean = np.mean([chances.mean(axis=0) for chances in several], axis=0)
    truth = images["truth"].to_numpy(dtype=np.int64)
    own = mean[np.arange(len(truth)), truth]
    kept = _kept(images, classes, wanted)
    kinds_of: dict[int, tuple[str, ...]] = dict.fromkeys(kept.tolist(), (NAMED,)) if wanted.files else {}
    if not wanted.files:
        entropy = -(mean * np.log(np.maximum(mean, 1e-300))).sum(axis=1)
        drawn = np.argsort(generator(seed, "maps", "images").permutation(len(truth)))
        by = {"best": -own, "worst": own, "uncertain": -entropy, "random": drawn}
        for kind in wanted.kinds:
            for row in kept[np.argsort(by[kind][kept], kind="stable")][: wanted.count].tolist():
                kinds_of[row] = (*kinds_of.get(row, ()), kind)
    targets = truth if explains_truth else mean.argmax(axis=1)
    return [seen_by(chances, kinds_of, images, truth, targets, classes, called) for chances in several]


def seen_by(
    chances: np.ndarray,
    kinds_of: Mapping[int, tuple[str, ...]],
    images: pd.DataFrame,
    truth: np.ndarray,
    targets: np.ndarray,
    classes: Sequence[str],
    called: Mapping[str, str],
) -> tuple[Image, ...]:
    """What one configuration says of some images. chances: float64 [repeats, N, K]. kinds_of: their rows →
    kinds. truth, targets: class index of all, int64 [N]."""
    mean = chances.mean(axis=0)
    own = chances[:, np.arange(len(truth)), truth]
    spread = own.std(axis=0, ddof=1) if len(own) > 1 else np.zeros(len(truth))
    files, groups = images["file"].tolist(), images["group"].tolist()
    return tuple(
        Image(
            row=row,
            kinds=kinds,
            file=files[row],
            called=called[files[row]],
            group=groups[row],
            truth=classes[truth[row]],
            predicted=classes[int(mean[row].argmax())],
            chance=float(own[:, row].mean()),
            spread=float(spread[row]),
            target=classes[targets[row]],
        )
        for row, kinds in kinds_of.items()
    )


def _kept(images: pd.DataFrame, classes: Sequence[str], wanted: Wanted) -> np.ndarray:
    """Rows that may be chosen, int64; of named files in the order of their names."""
    files = images["file"].tolist()
    if wanted.files:
        return np.array([_named(files, name) for name in dict.fromkeys(wanted.files)], dtype=np.int64)
    kept, options = np.ones(len(images), dtype=bool), {"classes": "--class", "groups": "--group"}
    for what, asked, there, values in (
        ("classes", wanted.classes, list(classes), images["label"]),
        ("groups", wanted.groups, sorted(set(images["group"])), images["group"]),
    ):
        for name in asked:
            if name not in there:
                near = nearest(name, there) or there[:8]
                raise InputError(
                    f"{options[what]} {name!r}: expected one of the {len(there)} {what} of these images, found no such "
                    "name",
                    f"Nearest names: {', '.join(near)}",
                )
        if asked:
            kept &= values.isin(asked).to_numpy()
    if not kept.any():
        raise InputError(
            "no image belongs both to these classes and to these groups: expected at least one",
            "Leave out --class or --group.",
        )
    return np.flatnonzero(kept)


def _named(files: Sequence[str], name: str) -> int:
    """The row of a file by its name in the study, or by the end of it that no other has."""
    rows = [row for row, file in enumerate(files) if file == name] or [
        row for row, file in enumerate(files) if file.endswith(f"/{name}") or name.endswith(f"/{file}")
    ]
    if len(rows) != 1:
        near = nearest(name, files)
        raise InputError(
            f"--image {name!r}: expected the name of one image of this split, found {len(rows)} that match",
            f"Nearest names: {', '.join(near)}" if near else "Let orch choose them: --images worst",
        )
    return rows[0]
