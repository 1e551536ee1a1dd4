"""The new layers on top: n times a layer of half the width, LeakyReLU and dropout, then the output."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, Strict

from search_spaces.settings.declaration import Part, Setting, Touch, When

Share = Annotated[float, Strict(), Field(ge=0, lt=1, allow_inf_nan=False)]

_WITH_LAYERS = When("head.non_linearities", above=0)


class Head(Part):
    main = "non_linearities"

    non_linearities: Annotated[
        int,
        Strict(),
        Field(ge=0, le=1000),
        Setting(
            "non-linearities",
            "Number n of added non-linear layers.",
            (Touch.STEP,),
            scale="ordinal",
            short="non_linearities",
            neutral=0,
        ),
    ] = 0
    negative_slope: Annotated[
        Share,
        Setting(
            "negative slope", "Of LeakyReLU.", (Touch.STEP,), scale="linear", matters_when=_WITH_LAYERS, neutral=0.0
        ),
    ] = 0.2
    dropout: Annotated[
        Share,
        Setting(
            "dropout",
            "After each added layer.",
            (Touch.STEP,),
            scale="linear",
            short="dropout",
            matters_when=_WITH_LAYERS,
            neutral=0.0,
        ),
    ] = 0.5
