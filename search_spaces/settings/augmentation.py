"""What is drawn anew for each batch that is trained on; scores see images as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

from search_spaces.settings.choice import Registry, Variant
from search_spaces.settings.declaration import Part, Setting, Touch
from search_spaces.settings.head import WITH_STEPS
from search_spaces.settings.numbers import Rate, Share


@dataclass(frozen=True)
class AugmentationVariant(Variant):
    """from_pixels: it changes images, so that each step computes the frozen part of them. mixes: it changes targets
    too, so that scores of training images say little beside those of others."""

    from_pixels: bool = False
    mixes: bool = False


AUGMENTATIONS = Registry(
    "augmentation.name",
    (
        AugmentationVariant("none", "trainables.learning.augmentations.none:NoAugmentation", "Images as they are."),
        AugmentationVariant(
            "flips",
            "trainables.learning.augmentations.flips:Flips",
            "Mirrored left to right, top to bottom, or both.",
            ("chance",),
            from_pixels=True,
        ),
        AugmentationVariant(
            "mixup",
            "trainables.learning.augmentations.mixup:MixUp",
            "Images and targets mixed in pairs.",
            ("alpha",),
            from_pixels=True,
            mixes=True,
        ),
    ),
)


class Augmentation(Part):
    main = "name"

    name: Annotated[
        str,
        AfterValidator(AUGMENTATIONS.known),
        Setting(
            "augmentation",
            "How training images are changed anew each time that they are seen.",
            (Touch.STEP,),
            short="augmentation",
            matters_when=WITH_STEPS,
            neutral="none",
        ),
    ] = "none"
    chance: Annotated[
        Share,
        Setting(
            "chance",
            "Of an image to be changed, in each of the ways.",
            (Touch.STEP,),
            scale="linear",
            matters_when=AUGMENTATIONS.using("chance"),
            neutral=0.0,
        ),
    ] = 0.5
    alpha: Annotated[
        Rate,
        Setting(
            "mixing",
            "α of the beta distribution that the mixed shares come from; larger mixes more.",
            (Touch.STEP,),
            scale="log",
            matters_when=AUGMENTATIONS.using("alpha"),
            neutral=1.0,
        ),
    ] = 0.2

    @property
    def variant(self) -> AugmentationVariant:
        return AUGMENTATIONS.variants[self.name]
