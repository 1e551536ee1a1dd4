"""Every kind of synthetic images: the same from the same seed, its classes, groups and sizes, and fit for its study."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from orchestrator.study.preparation import divide
from search_spaces.loader import bundled, load_space
from search_spaces.synthetic import SYNTHETIC
from trainables.data.checks import SPLITS, check_splits, duplicates
from trainables.data.dataset import DatasetOptions, load_dataset
from trainables.data.partition import splits
from trainables.data.synthetic.making import Kind, group_sizes, make_synthetic

KINDS = [SYNTHETIC.load(name) for name in SYNTHETIC.names]
LARGE = {"neuroblastoma": 250, "fluorescence": 224, "hep2": 72, "leukocytes": 450, "blood_cells": 96}


def small(kind: Kind) -> Kind:
    """Two groups of each class, one of them of a single image; small images."""
    each = len(kind.classes)
    return replace(kind, groups=(2,) * each, images=(3,) * each, image_size=60)


def pictures(folder: Path) -> dict[str, np.ndarray]:
    files = sorted(folder.rglob("*.png"))
    return {file.relative_to(folder).as_posix(): np.asarray(Image.open(file)) for file in files}


@pytest.mark.parametrize("kind", KINDS, ids=SYNTHETIC.names)
def test_the_seed_decides_every_pixel_and_no_two_images_are_alike(kind: Kind, tmp_path: Path) -> None:
    first, again, other = (
        pictures(make_synthetic(tmp_path / name, small(kind), seed)) for name, seed in (("a", 5), ("b", 5), ("c", 6))
    )
    assert first.keys() == again.keys() == other.keys()
    assert all(np.array_equal(image, again[file]) for file, image in first.items())
    assert not any(np.array_equal(image, other[file]) for file, image in first.items())
    assert len({image.tobytes() for image in first.values()}) == len(first) == 3 * len(kind.classes)
    assert all(image.std() > 5 for image in first.values())


@pytest.mark.parametrize("kind", KINDS, ids=SYNTHETIC.names)
def test_its_files_are_a_dataset_that_says_what_it_is(kind: Kind, tmp_path: Path) -> None:
    dataset = load_dataset(make_synthetic(tmp_path, small(kind)), DatasetOptions())
    assert dataset.synthetic
    assert dataset.manifest["label"].value_counts().to_dict() == dict.fromkeys(kind.classes, 3)
    assert set(dataset.manifest["width"]) == set(dataset.manifest["height"]) == {60}
    assert dataset.manifest["group"].nunique() == (2 if kind.shared else 2 * len(kind.classes))
    assert duplicates(dataset.manifest) == []
    assert f'"kind": "{kind.name}"' in (tmp_path / "SYNTHETIC.json").read_text()


def table(kind: Kind) -> pd.DataFrame:
    """Labels and groups as of a whole set, without its images."""
    rows = []
    for label, groups, images in zip(kind.classes, kind.groups, kind.images, strict=True):
        for number, size in enumerate(group_sizes(groups, images, *kind.falling), 1):
            rows += [(label, f"{kind.shared or label}-{number:02d}")] * size
    frame = pd.DataFrame(rows, columns=["label", "group"])
    return frame.assign(
        file=[f"{row}.png" for row in range(len(frame))],
        content=[f"{row:064x}" for row in range(len(frame))],
        split="",
        width=kind.image_size,
        height=kind.image_size,
    )


@pytest.mark.parametrize("name", [name for name in bundled() if name != "default"])
def test_a_study_divides_the_groups_of_its_kind_near_its_targets(name: str) -> None:
    space = load_space(name)
    kind: Kind = SYNTHETIC.load(space.synthetic)
    assert space.classes is None or set(space.classes) == set(kind.classes)
    assert kind.image_size == LARGE[kind.name]
    assert sum(kind.images) < 350
    manifest = table(kind)
    for seed in (0, 1):
        split = splits(manifest, divide(space, manifest, seed))
        check_splits(manifest.assign(split=split), SPLITS)
        shares = [float((split == part).mean()) for part in SPLITS]
        # the others keep back from the shares of images for those of groups
        assert space.partition.policy != "stratified" or shares == pytest.approx(space.partition.targets, abs=0.09)


def test_every_study_has_a_kind_of_its_own() -> None:
    assert {name: load_space(name).synthetic for name in bundled()} == {
        "ana_artifacts": "fluorescence",
        "blood_cells": "blood_cells",
        "c_nmc": "leukocytes",
        "default": "neuroblastoma",
        "hep2": "hep2",
        "neuroblastoma": "neuroblastoma",
    }
    assert {kind.name: name for name, kind in zip(SYNTHETIC.names, KINDS, strict=True)} == {
        name: name for name in SYNTHETIC.names
    }
