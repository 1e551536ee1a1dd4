"""The new layers on top: n times a layer of half the width, LeakyReLU and dropout, then the output."""

from __future__ import annotations

from typing import Annotated

from search_spaces.settings.declaration import Part, Setting, Touch, When
from search_spaces.settings.numbers import Layers, Share

_WITH_LAYERS = When("head.non_linearities", above=0)


class Head(Part):
    main = "non_linearities"

    non_linearities: Annotated[
        Layers,
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
