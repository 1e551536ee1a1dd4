"""Predictions of an exported model for image files, read exactly as the study read its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import nn

from orchestrator.export.model import Model, Preprocessing, probabilities, standardised
from orchestrator.store.errors import InputError
from trainables.data.decode import MAX_PIXELS, decode, is_image, to_square
from trainables.data.formats import unread_holder
from trainables.data.listing import files_below
from trainables.data.reading import RefusedImageError
from trainables.data.unread import unread_picture
from trainables.data.views import apply_views


@dataclass(frozen=True)
class Prediction:
    """chances: probability of each class in the model's order; () where the file cannot be used, `error` says why.
    remarks: what is odd about the image: values outside the study's range, nearly black or white."""

    file: str
    predicted: str
    chances: tuple[float, ...]
    error: str = ""
    remarks: tuple[str, ...] = ()


def image_files(sources: Sequence[Path]) -> list[Path]:
    """Files as given, folders with all images below them as a study lists them: nothing hidden, links followed inside.

    Pictures of formats that are not read, archives and arrays are among them: `predict` says so of each. Raises
    InputError for what does not exist and where nothing is found.
    """
    files: list[Path] = []
    missing = [str(source) for source in sources if not source.exists()]
    if missing:
        raise InputError(
            f"images: {', '.join(missing[:5])} {'do' if len(missing) > 1 else 'does'} not exist", "Check the paths."
        )
    for source in sources:
        if source.is_dir():
            for name, fault in files_below(source, source.resolve()):
                path = source / name
                is_link = path.is_dir() or not path.exists()  # one that is not followed, or leads nowhere: told
                why = unread_picture(path) or unread_holder(path.name)
                files += [path] if (path.is_file() and (is_image(path) or why)) or (fault and is_link) else []
        else:
            files.append(source)
    if not files:
        shown = ", ".join(str(source) for source in sources)
        raise InputError(
            f"images: expected files or folders with images, found none in {shown}", "orch predict MODEL IMAGE …"
        )
    return files


def named_within(file: str, unpacked: Mapping[Path, Path]) -> str:
    """A file as the user may know it: unpacked folder → the archive that he named, whose files are called by it."""
    for folder, archive in unpacked.items():
        if Path(file).is_relative_to(folder):
            return str(archive / Path(file).relative_to(folder))
    return file


def prepared(path: Path, steps: Preprocessing) -> np.ndarray:
    """float32 [3, S, S], standardised; raises RefusedImageError."""
    return _prepared(path, steps)[0]


def _prepared(path: Path, steps: Preprocessing) -> tuple[np.ndarray, tuple[str, ...]]:
    if why := unread_holder(path.name):
        raise RefusedImageError(why)
    decoded = decode(path, MAX_PIXELS, steps.reading)
    square = to_square(decoded.pixels, steps.store_size, steps.interpolation, steps.fit, steps.borders)
    return standardised(square, steps), decoded.remarks


class Predictor(Protocol):
    """classes: in the order of the probabilities. steps: how images are prepared, one way or several."""

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def steps(self) -> tuple[Preprocessing, ...]: ...

    def chances(self, images: Sequence[torch.Tensor]) -> torch.Tensor:
        """float64 [N, K] of the same images in each way of `steps`, float32 [N, 3, S, S]."""


@dataclass(frozen=True)
class Single:
    """One network as a predictor."""

    model: Model
    network: nn.Module

    @property
    def classes(self) -> tuple[str, ...]:
        return self.model.classes

    @property
    def steps(self) -> tuple[Preprocessing, ...]:
        return (self.model.preprocessing,)

    def chances(self, images: Sequence[torch.Tensor]) -> torch.Tensor:
        return probabilities(self.network(images[0]))


@torch.no_grad()
def predict(
    predictor: Predictor, files: Sequence[Path], batch_size: int = 16, views: Sequence[int] = (0,)
) -> Iterator[Prediction]:
    """One prediction per file, in order; a file that is no usable image gets one with `error`.

    views: numbers of `trainables.data.views` below 8; the mean is taken over the probabilities of them all.
    """
    for start in range(0, len(files), batch_size):
        batch = files[start : start + batch_size]
        images: dict[Path, list[np.ndarray]] = {}
        errors: dict[Path, str] = {}
        remarks: dict[Path, tuple[str, ...]] = {}
        for path in batch:
            try:
                read = [_prepared(path, steps) for steps in predictor.steps]
                images[path], remarks[path] = [image for image, _ in read], read[0][1]
            except RefusedImageError as error:
                errors[path] = error.reason
        chances: dict[Path, np.ndarray] = {}
        if images:
            upright = [torch.from_numpy(np.stack(several)) for several in zip(*images.values(), strict=True)]
            seen = [[_viewed(one, view) for one in upright] for view in views]
            mean = torch.stack([predictor.chances(each) for each in seen]).mean(dim=0)
            chances = dict(zip(images, mean.numpy(), strict=True))
        for path in batch:
            if path in errors:
                yield Prediction(str(path), "", (), errors[path])
            else:
                # of two equal probabilities the first counts, as in training: the second is predicted above 0.5
                best = predictor.classes[int(chances[path].argmax())]
                yield Prediction(str(path), best, tuple(float(value) for value in chances[path]), "", remarks[path])


def _viewed(images: torch.Tensor, view: int) -> torch.Tensor:
    return apply_views(images, torch.full((len(images),), view), images.shape[-1], 1)
