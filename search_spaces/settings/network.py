"""The backbone, and how it is computed where it is frozen."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict

from search_spaces.settings.declaration import Part, Setting, Touch

Precision = Literal["fp32", "bf16"]
Pooling = Literal["own", "class_token", "mean", "both"]


class Network(Part):
    main = "backbone"

    backbone: Annotated[
        str,
        Setting(
            "backbone",
            "Name with library and weights, such as timm:resnet18.tv_in1k.",
            (Touch.NETWORK, Touch.FEATURES),
            short="backbone",
            from_file=False,
        ),
    ]
    weights: Annotated[
        str,
        Setting(
            "weights",
            "sha256:… of the weights file, or init:SEED for random initial weights.",
            (Touch.NETWORK, Touch.FEATURES),
            from_file=False,
        ),
    ]
    ends_at: Annotated[
        str,
        Field(max_length=200),
        Setting(
            "feature layer",
            "Layer or block whose pooled output is the features, such as layer3 or blocks.8; left out: the last.",
            (Touch.NETWORK, Touch.FEATURES),
            neutral="",
        ),
    ] = ""
    pooling: Annotated[
        Pooling,
        Setting(
            "token pooling",
            "Features of a transformer: its library's choice, the class token, the mean of the patches, or both.",
            (Touch.NETWORK, Touch.FEATURES),
            neutral="own",
        ),
    ] = "own"
    joined: Annotated[
        int,
        Strict(),
        Field(ge=1, le=100),
        Setting(
            "blocks joined",
            "How many of the last blocks or stages give features, which are concatenated.",
            (Touch.NETWORK, Touch.FEATURES),
            scale="ordinal",
            neutral=1,
        ),
    ] = 1
    precision: Annotated[
        Precision, Setting("precision", "Arithmetic of the frozen layers: float32 or bfloat16.", (Touch.FEATURES,))
    ]
