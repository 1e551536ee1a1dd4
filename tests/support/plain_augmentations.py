"""Augmentations as anyone would write them with torchvision: one image after the other, by what was drawn for it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from search_spaces.configuration import Configuration
from search_spaces.settings.augmentation import Augmentation
from trainables.learning.augmentations.augmentation import Batch
from trainables.learning.augmentations.cutmix import CutMix
from trainables.learning.augmentations.flips import Flips
from trainables.learning.augmentations.mixup import MixUp

GREY = [124 / 255, 116 / 255, 104 / 255]


def changed_image(name: str, same: Augmentation, image: torch.Tensor, seed: int) -> torch.Tensor:
    """image: [3, S, S] from 0 to 1. Parameters are drawn as torchvision draws them, the rest is its functionals."""
    torch.manual_seed(seed)
    side = image.shape[-1]
    if name == "crop":
        p = v2.RandomResizedCrop(side, same.scale, same.ratio).make_params([image])
        return functional.resized_crop(image, p["top"], p["left"], p["height"], p["width"], [side, side])
    if name == "dihedral":
        number = seed % 8
        turned = functional.horizontal_flip(image) if number >= 4 else image
        return torch.rot90(turned, number % 4, (1, 2))
    if name == "brightness":
        p = v2.ColorJitter(brightness=same.brightness).make_params([image])
        return functional.adjust_brightness(image, p["brightness_factor"])
    if name == "contrast":
        p = v2.ColorJitter(contrast=same.contrast).make_params([image])
        return functional.adjust_contrast(image, p["contrast_factor"])
    if name == "colour":
        p = v2.ColorJitter(saturation=same.saturation, hue=same.hue).make_params([image])
        for which in p["fn_idx"].tolist():
            if which == 2:
                image = functional.adjust_saturation(image, p["saturation_factor"])
            elif which == 3:
                image = functional.adjust_hue(image, p["hue_factor"])
        return image
    if name == "stain":
        scaled, shifted = (same.stain * (2 * torch.rand(6).double().numpy() - 1)).reshape(2, 3)
        absorbed = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
        density = -np.log(image.double().permute(1, 2, 0).numpy() + 1 / 255)
        stains = np.linalg.solve(absorbed.T, density.reshape(-1, 3).T).T * (1 + scaled) + shifted
        seen = np.exp(-stains @ absorbed).reshape(density.shape) - 1 / 255
        return torch.from_numpy(seen.clip(0, 1)).float().permute(2, 0, 1)
    if name == "blur":
        side = min(2 * math.ceil(3 * same.blur) + 1, 2 * side - 1)
        sigma = v2.GaussianBlur(side, (0.1, same.blur)).make_params([image])["sigma"]
        return functional.gaussian_blur(image, [side, side], sigma)
    if name == "noise":
        return functional.gaussian_noise(image, 0.0, same.noise)
    if name == "erasing":
        if torch.rand(1) >= same.erasing:
            return image
        p = v2.RandomErasing(1.0, same.erased, value=GREY).make_params([image])
        return image if p["v"] is None else functional.erase(image, p["i"], p["j"], p["h"], p["w"], p["v"])
    if name == "randaugment":
        found: torch.Tensor = v2.RandAugment(same.operations, same.magnitude, fill=GREY)(image)
        return found
    assert name == "augmix"
    mixture: torch.Tensor = v2.AugMix(same.severity, fill=GREY)(image)
    return mixture


def changed(c: Configuration, batch: Batch, images: torch.Tensor, targets: torch.Tensor) -> Any:
    """Images from 0 to 1 and soft targets [n, classes] of one repeat, by every augmentation that reads images."""
    same = c.augmentation
    mixing = [one.name for one in same.variants if one.mixes and one.from_pixels]
    for one in same.variants:
        if one.mixes:
            continue
        if one.name == "flips":
            for place, mirrored in enumerate(Flips(same).draw(batch).tolist()):
                for axis, chosen in zip((2, 1), mirrored, strict=True):
                    images[place] = images[place].flip(axis) if chosen else images[place]
            continue
        seeds = batch.seeds(one.name).tolist()
        images = torch.stack([changed_image(one.name, same, *both) for both in zip(images, seeds, strict=True)])
    if len(mixing) > 1:
        (generator,) = batch.generators("mixing")
        mixing = [mixing[generator.integers(len(mixing))]]
    return mixed(mixing[0], c, batch, images, targets) if mixing else (images, targets)


def mixed(name: str, c: Configuration, batch: Batch, inputs: torch.Tensor, targets: torch.Tensor) -> Any:
    """MixUp or CutMix of one repeat, image by image."""
    if name == "mixup":
        others, (share,) = MixUp(c.augmentation).draw(batch)
        made = [(share * inputs[i] + (1 - share) * inputs[j]) for i, j in enumerate(others.tolist())]
        return torch.stack(made), share * targets + (1 - share) * targets[others]
    others, ((half, left, top),) = CutMix(c.augmentation).draw(batch)
    side = inputs.shape[-1]
    r, x, y = (int(float(value) * side) for value in (half, left, top))
    x1, x2, y1, y2 = max(x - r, 0), min(x + r, side), max(y - r, 0), min(y + r, side)
    made = inputs.clone()
    made[:, :, y1:y2, x1:x2] = inputs[others][:, :, y1:y2, x1:x2]
    share = 1 - (x2 - x1) * (y2 - y1) / side**2
    return made, share * targets + (1 - share) * targets[others]
