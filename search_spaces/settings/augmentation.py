"""What is drawn anew for each batch that is trained on; scores see images as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, Strict
from pydantic_core import PydanticCustomError

from search_spaces.settings.choice import Registry, Variant
from search_spaces.settings.declaration import Part, Scale, Setting, Touch
from search_spaces.settings.head import WITH_STEPS
from search_spaces.settings.numbers import Rate, Share


@dataclass(frozen=True)
class AugmentationVariant(Variant):
    """from_pixels: it changes images, so that each step computes the frozen part of them. mixes: it changes targets
    too, so that scores of training images say little beside those of others. excludes: what it is not combined with.
    views: what it draws from, as numbers of `trainables.data.views`, view 0 first, where these are all that it makes.
    """

    from_pixels: bool = False
    mixes: bool = False
    excludes: tuple[str, ...] = ()
    views: tuple[int, ...] = ()


_ROOM = "trainables.learning.augmentations"
AUGMENTATIONS = Registry(
    "augmentation.names",
    (
        AugmentationVariant("none", f"{_ROOM}.none:NoAugmentation", "Images as they are."),
        AugmentationVariant(
            "crop",
            f"{_ROOM}.crop:Crop",
            "A random part of each image, resized to the input size.",
            ("scale", "ratio"),
            from_pixels=True,
        ),
        AugmentationVariant(
            "flips",
            f"{_ROOM}.flips:Flips",
            "Mirrored left to right, top to bottom, or both.",
            ("chance",),
            from_pixels=True,
            views=(0, 4, 6, 2),
        ),
        AugmentationVariant(
            "dihedral",
            f"{_ROOM}.dihedral:Dihedral",
            "Rotated by right angles and mirrored, all eight orientations equally likely.",
            (),
            from_pixels=True,
            excludes=("flips",),
            views=tuple(range(8)),
        ),
        AugmentationVariant(
            "randaugment",
            f"{_ROOM}.randaugment:RandAugmentation",
            "RandAugment: several operations of one magnitude.",
            ("operations", "magnitude"),
            from_pixels=True,
        ),
        AugmentationVariant(
            "augmix",
            f"{_ROOM}.augmix:AugMixing",
            "AugMix: chains of operations, mixed with the image itself.",
            ("severity",),
            from_pixels=True,
        ),
        AugmentationVariant(
            "brightness",
            f"{_ROOM}.brightness:Brightness",
            "Brighter or darker.",
            ("brightness",),
            from_pixels=True,
        ),
        AugmentationVariant(
            "contrast",
            f"{_ROOM}.contrast:Contrast",
            "More or less contrast.",
            ("contrast",),
            from_pixels=True,
        ),
        AugmentationVariant(
            "colour",
            f"{_ROOM}.colour:Colour",
            "More or less saturation, and another hue.",
            ("saturation", "hue"),
            from_pixels=True,
        ),
        AugmentationVariant(
            "stain",
            f"{_ROOM}.stain:Stain",
            "More or less of haematoxylin, eosin and DAB.",
            ("stain",),
            from_pixels=True,
        ),
        AugmentationVariant(
            "blur",
            f"{_ROOM}.blur:Blur",
            "Blurred by a Gaussian.",
            ("blur",),
            from_pixels=True,
        ),
        AugmentationVariant(
            "noise",
            f"{_ROOM}.noise:Noise",
            "Gaussian noise in each pixel and channel.",
            ("noise",),
            from_pixels=True,
        ),
        AugmentationVariant(
            "erasing",
            f"{_ROOM}.erasing:Erasing",
            "A rectangle replaced by grey.",
            ("erasing", "erased"),
            from_pixels=True,
        ),
        AugmentationVariant(
            "mixup",
            f"{_ROOM}.mixup:MixUp",
            "Images and targets mixed in pairs.",
            ("alpha",),
            from_pixels=True,
            mixes=True,
        ),
        AugmentationVariant(
            "cutmix",
            f"{_ROOM}.cutmix:CutMix",
            "A box pasted in from another image, targets mixed by its area.",
            ("cutmix_alpha",),
            from_pixels=True,
            mixes=True,
        ),
        AugmentationVariant(
            "feature_mixup",
            f"{_ROOM}.mixup:MixUp",
            "MixUp of the frozen part's features, which stay cached.",
            ("alpha",),
            mixes=True,
            excludes=("mixup", "cutmix"),
        ),
    ),
)
"""In the order in which several of one configuration are applied. Those that mix are drawn, one for each step."""


def _several(given: Any) -> Any:
    """One name may stand for a list of it."""
    return (given,) if isinstance(given, str) else given


def together(expected: str, actual: str) -> PydanticCustomError:
    """A fault of values that are sound each by itself."""
    return PydanticCustomError(
        "together", "expected {expected}, found {found}", {"expected": expected, "found": actual}
    )


def _combined(names: tuple[str, ...]) -> tuple[str, ...]:
    """In the order of the registry, so that equal sets are equal settings."""
    listed = ", ".join(names)
    if not names:
        raise together('a name, such as "none"', "an empty list")
    if len(set(names)) < len(names):
        raise together("each augmentation once", listed)
    if "none" in names and len(names) > 1:
        raise together('"none" alone (to try each: [["none"], ["flips"]])', listed)
    for name in names:
        for other in AUGMENTATIONS.variants[name].excludes:
            if other in names:
                raise together(f'"{name}" without "{other}"', listed)
    return tuple(name for name in AUGMENTATIONS.names if name in names)


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise together("two numbers, the smaller first", f"[{ends[0]:g}, {ends[1]:g}]")
    return ends


def _strength(name: str, label: str, help: str, neutral: object, scale: Scale = "categorical") -> Setting:
    """A setting that matters where an augmentation that uses it is among those asked for."""
    return Setting(label, help, (Touch.STEP,), scale=scale, matters_when=AUGMENTATIONS.using(name), neutral=neutral)


Name = Annotated[str, AfterValidator(AUGMENTATIONS.known)]
Area = Annotated[float, Strict(), Field(gt=0, le=1, allow_inf_nan=False)]
Ratio = Annotated[float, Strict(), Field(ge=0.1, le=10, allow_inf_nan=False)]
Strength = Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False)]


class Augmentation(Part):
    main = "names"

    names: Annotated[
        tuple[Name, ...],
        BeforeValidator(_several),
        AfterValidator(_combined),
        Setting(
            "augmentation",
            "Random changes to training images, drawn anew in each epoch; several are applied in turn.",
            (Touch.STEP,),
            short="augmentation",
            matters_when=WITH_STEPS,
            neutral=("none",),
        ),
    ] = ("none",)
    chance: Annotated[
        Share,
        _strength(
            "chance", "flip probability", "Probability of a flip, for each of the two directions.", 0.0, "linear"
        ),
    ] = 0.5
    alpha: Annotated[
        Rate,
        _strength(
            "alpha",
            "MixUp strength",
            "α of the beta distribution from which mixing proportions are drawn; larger mixes more.",
            1.0,
            "log",
        ),
    ] = 0.2
    cutmix_alpha: Annotated[
        Rate,
        _strength(
            "cutmix_alpha",
            "CutMix strength",
            "α of the beta distribution from which CutMix draws its areas.",
            1.0,
            "log",
        ),
    ] = 1.0
    scale: Annotated[
        tuple[Area, Area],
        AfterValidator(_ascending),
        _strength(
            "scale", "crop scale", "Smallest and largest share of the image's area that a crop covers.", (1.0, 1.0)
        ),
    ] = (0.08, 1.0)
    ratio: Annotated[
        tuple[Ratio, Ratio],
        AfterValidator(_ascending),
        _strength("ratio", "crop aspect ratio", "Smallest and largest width / height of a crop.", (1.0, 1.0)),
    ] = (0.75, 4 / 3)
    brightness: Annotated[
        Strength,
        _strength("brightness", "brightness", "Largest change b: brightness times 1 − b to 1 + b.", 0.0, "linear"),
    ] = 0.2
    contrast: Annotated[
        Strength, _strength("contrast", "contrast", "Largest change c: contrast times 1 − c to 1 + c.", 0.0, "linear")
    ] = 0.2
    saturation: Annotated[
        Strength,
        _strength("saturation", "saturation", "Largest change s: saturation times 1 − s to 1 + s.", 0.0, "linear"),
    ] = 0.2
    hue: Annotated[
        float,
        Strict(),
        Field(ge=0, le=0.5, allow_inf_nan=False),
        _strength("hue", "hue", "Largest shift of the hue; 0.5 is half of the colour circle.", 0.0, "linear"),
    ] = 0.05
    stain: Annotated[
        Strength,
        _strength("stain", "stain", "Largest change σ: each stain times 1 ± σ, plus a density of ± σ.", 0.0, "linear"),
    ] = 0.05
    blur: Annotated[
        float,
        Strict(),
        Field(ge=0.1, le=32, allow_inf_nan=False),
        _strength(
            "blur", "blur", "Largest σ of the Gaussian, in pixels of the input; the smallest is 0.1.", 0.1, "linear"
        ),
    ] = 2.0
    noise: Annotated[
        Strength,
        _strength(
            "noise",
            "noise",
            "Standard deviation of the noise on a scale from 0 (black) to 1 (white), to which values are clipped.",
            0.0,
            "linear",
        ),
    ] = 0.05
    erasing: Annotated[
        Strength, _strength("erasing", "erasing", "Probability that a rectangle of an image is erased.", 0.0, "linear")
    ] = 0.5
    erased: Annotated[
        tuple[Area, Area],
        AfterValidator(_ascending),
        _strength(
            "erased", "erased area", "Smallest and largest share of the image's area that is erased.", (1.0, 1.0)
        ),
    ] = (0.02, 0.33)
    operations: Annotated[
        int,
        Strict(),
        Field(ge=1, le=14),
        _strength("operations", "operations", "Number of RandAugment operations, applied in turn.", 1, "ordinal"),
    ] = 2
    magnitude: Annotated[
        int,
        Strict(),
        Field(ge=0, le=30),
        _strength("magnitude", "magnitude", "Strength of RandAugment's operations, from 0 to 30.", 0, "ordinal"),
    ] = 9
    severity: Annotated[
        int,
        Strict(),
        Field(ge=1, le=10),
        _strength("severity", "severity", "Strength of AugMix's operations, from 1 to 10.", 1, "ordinal"),
    ] = 3

    @property
    def variants(self) -> tuple[AugmentationVariant, ...]:
        """In the order in which they are applied."""
        return tuple(AUGMENTATIONS.variants[name] for name in self.names)

    @property
    def from_pixels(self) -> bool:
        """Whether images change, so that each step computes the frozen part of them."""
        return any(one.from_pixels for one in self.variants)
