"""The backbone, and how it is computed where it is frozen."""

from __future__ import annotations

from typing import Annotated, Literal

from search_spaces.settings.declaration import Part, Setting, Touch

Precision = Literal["fp32", "bf16"]


class Network(Part):
    main = "backbone"

    backbone: Annotated[
        str,
        Setting(
            "backbone",
            "Name with its library and weights: timm:resnet18.tv_in1k.",
            (Touch.NETWORK, Touch.FEATURES),
            short="backbone",
            from_file=False,
        ),
    ]
    weights: Annotated[
        str,
        Setting(
            "weights",
            "sha256:… of the weights' file, or init:SEED for fresh ones.",
            (Touch.NETWORK, Touch.FEATURES),
            from_file=False,
        ),
    ]
    precision: Annotated[Precision, Setting("precision", "Of the frozen part.", (Touch.FEATURES,))]
