"""`orch data views STUDY --output FILE`: training images beside what augmentations make of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from orchestrator.results.decided import Decided
from orchestrator.results.names import value_text
from orchestrator.store.errors import InputError
from orchestrator.study.preparation import reopen
from orchestrator.study.studies import Study
from search_spaces.changes import Changes
from search_spaces.configuration import Configuration, by_path, shown_settings
from search_spaces.stored import read_configuration
from trainables.bundles.workbench import open_bench
from trainables.features.pixels import ViewReader
from trainables.learning.augmentations.augmentation import Batch, augmentations_of, mixings_of
from trainables.learning.augmentations.one_of import OneOf
from trainables.learning.draws import epoch_order
from trainables.machine.places import Places

AS_THEY_ARE = {"balance.name": "none", "image.views": 1}
"""So that each image is there once, upright."""


@dataclass(frozen=True)
class Sheet:
    """names: of the augmentations. labels: the class of each image. original: uint8 [N, S, S, 3]. drawn: uint8
    [N, M, S, S, 3], what M epochs make of each. settings: those that matter with them, "chance 0.5"."""

    names: tuple[str, ...]
    labels: tuple[str, ...]
    original: NDArray[np.uint8]
    drawn: NDArray[np.uint8]
    settings: tuple[str, ...] = ()


def contact_sheet(
    study: Study,
    changes: Changes,
    images: int,
    draws: int,
    cache: Path,
    data_root: Path | None,
    say: Callable[[str], None],
) -> Sheet:
    """N images of the training split, and each in the first M epochs of repeat 0 as their first batch would have it.

    Raises InputError where nothing was searched yet, and for settings that a sheet cannot follow.
    """
    c = _configuration(study, changes)
    bench = open_bench(study.storage, Places.here(reopen(study, data_root, cache, say).data_root, cache, {}))
    store = bench.pixels(c, study.record.partition)
    for chunk in store.missing():
        bench.write_pixels(c, study.record.partition, chunk, threads=1)
    samples = bench.samples(c, study.record.partition)
    order = epoch_order(c.data.seed, 0, 1, len(samples.training))[:images]
    rows = samples.training[order]
    plain = ViewReader(store, samples.views, c, (0, 0, 0), (1, 1, 1), bench.device).plain(rows)
    drawn = [changed(c, plain, epoch) for epoch in range(1, draws + 1)]
    labels = tuple(study.record.classes[label] for label in samples.labels[rows])
    pictures = np.stack([_pixels(one) for one in drawn], axis=1)
    return Sheet(c.augmentation.names, labels, _pixels(plain), pictures, _said(c))


def _said(c: Configuration) -> tuple[str, ...]:
    """The augmentations' settings, and what was done to images before, where it is not the usual."""
    mine = [
        one
        for one in shown_settings()
        if one.path == "image.borders" or (one.part == "augmentation" and one.path != "augmentation.names")
    ]
    return tuple(
        f"{one.setting.label} {value_text(c.value(one.path))}"
        for one in mine
        if c.matters(one) and (one.part != "image" or c.value(one.path) != one.setting.neutral)
    )


def changed(c: Configuration, plain: torch.Tensor, epoch: int) -> torch.Tensor:
    """Images float32 [n, 3, S, S] from 0 to 1 as the first batch of an epoch of repeat 0 has them, if it has these."""
    batch = Batch(c.data.seed, (0,), epoch, 0, len(plain))
    for one in augmentations_of(c.augmentation):
        plain = one.apply(plain, one.draw(batch))
    if not any(one.mixes for one in c.augmentation.variants):
        return plain
    mixing = OneOf(mixings_of(c.augmentation))
    targets = torch.zeros(1, 1, len(plain), 1, device=plain.device)
    (mixed,), _ = mixing.apply((plain,), targets, *(tensor.to(plain.device) for tensor in mixing.draw(batch)))
    return mixed


def _configuration(study: Study, changes: Changes) -> Configuration:
    """The first that was asked for, with the augmentations of the command line in the place of its own."""
    identities = [identity for _, identity in Decided.of(study.storage).asked()]
    if not identities:
        raise InputError(
            f"study {study.name!r}: no backbone has been searched yet, so the size of its images is not known",
            f"Search one first: orch search {study.name} resnet18",
        )
    base = read_configuration(study.storage, identities[0])
    strengths = {
        one.path: one.field.default for one in shown_settings() if one.part == "augmentation" and not base.matters(one)
    }
    values = {**AS_THEY_ARE, "head.name": "halving", **strengths, **_single(changes.values, study.name)}
    c = base.with_values(values)
    if not c.augmentation.from_pixels:
        raise InputError(
            f"study {study.name!r}: augmentation {', '.join(c.augmentation.names)} changes no image",
            f"Choose others: orch data views {study.name} --augmentation flips,contrast --output views.html",
        )
    for path in changes.values:
        if not c.matters(by_path()[path]):
            raise InputError(
                f"--set {path}: expected an augmentation that uses it, found {', '.join(c.augmentation.names)}",
                "Name it with --augmentation. Which augmentation each setting applies to: orch spaces settings",
            )
    return c


def _single(values: Mapping[str, Sequence[Any]], study: str) -> dict[str, Any]:
    for path, several in values.items():
        if not path.startswith("augmentation."):
            raise InputError(
                f"--set {path}: expected a setting of augmentations, found another one",
                "See them all: orch spaces settings",
            )
        if len(several) > 1:
            raise InputError(
                f"{path}: expected one value for a sheet, found {len(several)}",
                f"Give one: orch data views {study} --augmentation flips,contrast --output views.html",
            )
    return {path: value for path, (value,) in values.items()}


def _pixels(images: torch.Tensor) -> NDArray[np.uint8]:
    """uint8 [n, S, S, 3] of images from 0 to 1."""
    pixels: NDArray[np.uint8] = images.clamp(0, 1).mul(255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return pixels
