"""From a file to what the network is given."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict

from search_spaces.settings.declaration import Part, Setting, Touch, When

Interpolation = Literal["bilinear", "bicubic", "lanczos"]
Standardisation = Literal["weights", "train", "half", "each_split"]
FIXED: tuple[Standardisation, ...] = ("weights", "half")
"""Those whose mean and std follow from no image."""
REFERENCE_MODE = "reference mode: validation and test images are normalised by their own split"
"""What `each_split` is, wherever it is shown."""

Fit = Literal["crop", "pad", "squash"]
Borders = Literal["kept", "cropped"]
Channel = Annotated[float, Field(allow_inf_nan=False)]
Triple = tuple[Channel, Channel, Channel]
Spread = Annotated[float, Field(gt=0, allow_inf_nan=False)]

_BY_WEIGHTS = When("image.standardisation", among=("weights",))


def for_each_channel(given: object) -> object:
    """One number stands for all three channels."""
    return (given,) * 3 if isinstance(given, int | float) and not isinstance(given, bool) else given


class Image(Part):
    size: Annotated[
        int,
        Strict(),
        Field(ge=8, le=4096),
        Setting(
            "input size",
            "Side of the square input of the network; left out: as large as the images, its own size at most.",
            (Touch.NETWORK, Touch.FEATURES),
            scale="ordinal",
            unit="px",
            short="image_size",
            follows=True,
        ),
    ]
    store_size: Annotated[
        int,
        Strict(),
        Field(ge=8, le=4096),
        Setting(
            "stored size", "Side of the square from which crops are cut.", (Touch.PIXELS,), scale="ordinal", unit="px"
        ),
    ]
    crops: Annotated[
        int,
        Strict(),
        Field(ge=1, le=64),
        Setting(
            "crops",
            "Number of fixed crop positions; number 0 is the centre.",
            (Touch.SAMPLES,),
            scale="ordinal",
            neutral=1,
        ),
    ] = 1
    interpolation: Annotated[
        Interpolation, Setting("interpolation", "Method by which images are resized.", (Touch.PIXELS,))
    ]
    borders: Annotated[
        Borders,
        Setting(
            "black borders",
            "Uniform borders are kept, or cropped before the image is made square.",
            (Touch.PIXELS,),
            neutral="kept",
        ),
    ] = "kept"
    fit: Annotated[
        Fit,
        Setting(
            "fit",
            "How an image is made square: cropped to its centre, padded with grey, or squashed.",
            (Touch.PIXELS,),
            neutral="crop",
        ),
    ] = "crop"
    standardisation: Annotated[
        Standardisation,
        Setting(
            "normalisation",
            "Source of mean and std: the weights, the training split, 0.5 for both, or each split itself.",
            (Touch.FEATURES,),
        ),
    ] = "weights"
    mean: Annotated[
        Triple | None,
        Setting(
            "mean",
            "Mean of each channel that the weights expect, on a scale from 0 to 1.",
            (Touch.FEATURES,),
            matters_when=_BY_WEIGHTS,
            neutral=None,
            from_file=False,
        ),
    ] = None
    std: Annotated[
        tuple[Spread, Spread, Spread] | None,
        Setting(
            "standard deviation",
            "Standard deviation of each channel that the weights expect, on a scale from 0 to 1.",
            (Touch.FEATURES,),
            matters_when=_BY_WEIGHTS,
            neutral=None,
            from_file=False,
        ),
    ] = None
    views: Annotated[
        int,
        Strict(),
        Field(ge=1, le=8),
        Setting(
            "views",
            "Number of flips and rotations of each training image, unless balance sets it.",
            (Touch.SAMPLES,),
            scale="ordinal",
            matters_when=When("balance.name", among=("none", "class_weights", "subsample")),
            neutral=1,
        ),
    ] = 1
