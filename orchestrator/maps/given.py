"""Files that are not of the study: prepared as its own images, explained for what the networks call them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from orchestrator.export.predict import image_files
from orchestrator.maps.images import Image, seen_by
from orchestrator.results.names import counted_who
from orchestrator.store.errors import Faults, InputError
from trainables.data.decode import MAX_PIXELS, content_hash, decode
from trainables.data.manifest import reading_of
from trainables.data.reading import RefusedImageError

GIVEN = "given"
"""What such an image is chosen as, and the name of their split."""


def given_images(paths: Sequence[Path], manifest: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Columns file (absolute), content, group (none) and reading of the files, and of all below the folders; and what
    is odd about them.

    manifest: of the study, whose rule of reading counts. Raises InputError where one is missing or cannot be read, and
    where one is an image of the study, whatever it is called: test images are looked at in one way only.
    """
    try:
        files = list(dict.fromkeys(path.resolve() for path in image_files(paths)))
    except InputError as error:
        raise InputError(
            f"--images: {error.message.removeprefix('images: ')}", "Name files or folders of images: --images FILE,DIR"
        ) from error
    reading, own = reading_of(manifest), set(manifest["content"])
    faults, rows, told = Faults("--images"), list[dict[str, str]](), list[str]()
    known = 0
    for number, path in enumerate(files, 1):
        try:
            decoded = decode(path, MAX_PIXELS, reading)
        except RefusedImageError as error:
            faults.add(f"{path}: {error.reason}")
            continue
        content = content_hash(decoded.pixels)
        known += content in own
        rows.append({"file": str(path), "content": content, "group": "", "reading": str(reading)})
        told += [f"Image {number}: {remark}." for remark in decoded.remarks]
    if known:
        belonging = counted_who(known, "image", "that belongs", "that belong")
        faults.add(f"expected images from outside the study, found {belonging} to it")
        faults.advise("Use --image NAME for validation images; --split test explains test images after orch evaluate.")
    faults.raise_if_any("Leave them out.")
    return pd.DataFrame(rows), told


def seen_given(several: Sequence[np.ndarray], files: Sequence[str], classes: Sequence[str]) -> list[tuple[Image, ...]]:
    """For each configuration the images with what it says of them; of none the truth is known.

    several: of each configuration probabilities float64 [repeats, N, K]. The class whose map is made is that of the
    largest mean, over configurations too; an image's chance is that class's.
    """
    targets = np.mean([chances.mean(axis=0) for chances in several], axis=0).argmax(axis=1)
    width = len(str(len(files)))
    called = {file: f"image {number:0{width}d}" for number, file in enumerate(files, 1)}
    images = pd.DataFrame({"file": files, "group": ""})
    kinds_of = dict.fromkeys(range(len(files)), (GIVEN,))
    return [
        tuple(
            replace(image, truth="") for image in seen_by(chances, kinds_of, images, targets, targets, classes, called)
        )
        for chances in several
    ]
