"""The new layers on top of the backbone's features; the last one gives the outputs."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, Strict

from search_spaces.settings.choice import Registry, Variant
from search_spaces.settings.declaration import Part, Setting, Touch, When
from search_spaces.settings.numbers import Layers, Share

HEADS = Registry(
    "head.name",
    (
        Variant(
            "halving",
            "trainables.learning.heads.halving:Halving",
            "Layers of half the width each, with LeakyReLU and dropout.",
            ("non_linearities",),
        ),
        Variant(
            "widths",
            "trainables.learning.heads.widths:Widths",
            "Layers of given widths, with batch norm, LeakyReLU and dropout.",
            ("widths", "batch_norm", "negative_slope", "dropout"),
        ),
    ),
)
_WITH_LAYERS = When("head.non_linearities", above=0)
Width = Annotated[int, Strict(), Field(ge=1, le=65_536)]


class Head(Part):
    main = "non_linearities"

    name: Annotated[
        str,
        AfterValidator(HEADS.known),
        Setting("head", "How the new layers are laid out.", (Touch.STEP,), short="head", neutral="halving"),
    ] = "halving"
    non_linearities: Annotated[
        Layers,
        Setting(
            "non-linearities",
            "Number n of added non-linear layers.",
            (Touch.STEP,),
            scale="ordinal",
            short="non_linearities",
            matters_when=HEADS.using("non_linearities"),
            neutral=0,
        ),
    ] = 0
    widths: Annotated[
        tuple[Width, ...],
        Field(min_length=1, max_length=16),
        Setting(
            "widths", "Of the added layers, in order.", (Touch.STEP,), matters_when=HEADS.using("widths"), neutral=(1,)
        ),
    ] = (256,)
    batch_norm: Annotated[
        bool,
        Strict(),
        Setting(
            "batch norm",
            "After each added layer, with running statistics of its own.",
            (Touch.STEP,),
            matters_when=HEADS.using("batch_norm"),
            neutral=False,
        ),
    ] = True
    negative_slope: Annotated[
        Share,
        Setting(
            "negative slope",
            "Of LeakyReLU.",
            (Touch.STEP,),
            scale="linear",
            matters_when=(_WITH_LAYERS, HEADS.using("negative_slope")),
            neutral=0.0,
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
            matters_when=(_WITH_LAYERS, HEADS.using("dropout")),
            neutral=0.0,
        ),
    ] = 0.5
