"""The new layers on top of the backbone's features; the last one gives the outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, Strict

from search_spaces.settings.choice import Registry, Variant
from search_spaces.settings.declaration import Part, Setting, Touch, When
from search_spaces.settings.numbers import Layers, Rate, Share


@dataclass(frozen=True)
class HeadVariant(Variant):
    """is_fitted: it has no steps. One fit to all training images at once is its training, so that no setting of steps
    can matter, and nothing of the backbone is trained with it."""

    is_fitted: bool = False


HEADS = Registry(
    "head.name",
    (
        HeadVariant(
            "halving",
            "trainables.learning.heads.halving:Halving",
            "Layers that halve the width, each with an activation and dropout.",
            ("non_linearities", "input_norm", "excitation"),
        ),
        HeadVariant(
            "widths",
            "trainables.learning.heads.widths:Widths",
            "Layers of given widths, with batch norm, an activation and dropout.",
            ("widths", "batch_norm", "activation", "dropout", "input_norm", "excitation"),
        ),
        HeadVariant(
            "logistic",
            "trainables.learning.heads.logistic:Logistic",
            "Logistic regression with an L2 penalty: one layer, fitted to the minimum instead of trained in steps.",
            ("penalty",),
            is_fitted=True,
        ),
    ),
)
WITH_STEPS = When(HEADS.path, but=tuple(name for name, one in HEADS.variants.items() if one.is_fitted))
"""What a setting of steps hangs on."""
ACTIVATIONS = Registry(
    "head.activation",
    (
        Variant(
            "leaky_relu",
            "trainables.learning.heads.activations:leaky_relu",
            "LeakyReLU; ReLU if the slope is 0.",
            ("negative_slope",),
        ),
        Variant("gelu", "trainables.learning.heads.activations:gelu", "GELU, computed with the error function."),
    ),
)
Excitation = Literal["none", "after_pooling"]
_WITH_LAYERS = When("head.non_linearities", above=0)
Width = Annotated[int, Strict(), Field(ge=1, le=65_536)]
Reduction = Annotated[int, Strict(), Field(ge=1, le=65_536)]


class Head(Part):
    main = "non_linearities"

    name: Annotated[
        str,
        AfterValidator(HEADS.known),
        Setting(
            "head",
            "Layout of the new layers: halving widths, chosen widths, or logistic regression.",
            (Touch.STEP,),
            short="head",
            neutral="halving",
        ),
    ] = "halving"
    non_linearities: Annotated[
        Layers,
        Setting(
            "non-linearities",
            "Number n of non-linear layers added before the output layer.",
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
            "widths",
            "Widths of the added layers, from the features to the output.",
            (Touch.STEP,),
            matters_when=HEADS.using("widths"),
            neutral=(1,),
        ),
    ] = (256,)
    batch_norm: Annotated[
        bool,
        Strict(),
        Setting(
            "batch norm",
            "Whether batch norm, with running statistics, follows each added layer.",
            (Touch.STEP,),
            matters_when=HEADS.using("batch_norm"),
            neutral=False,
        ),
    ] = True
    activation: Annotated[
        str,
        AfterValidator(ACTIVATIONS.known),
        Setting(
            "activation",
            "Activation function after each added layer.",
            (Touch.STEP,),
            matters_when=(_WITH_LAYERS, HEADS.using("activation")),
            neutral="leaky_relu",
        ),
    ] = "leaky_relu"
    negative_slope: Annotated[
        Share,
        Setting(
            "negative slope",
            "Slope of LeakyReLU for inputs below 0; 0 makes it ReLU.",
            (Touch.STEP,),
            scale="linear",
            matters_when=ACTIVATIONS.using("negative_slope"),
            neutral=0.0,
        ),
    ] = 0.2
    dropout: Annotated[
        Share,
        Setting(
            "dropout",
            "Share of values set to 0 after each added layer during training.",
            (Touch.STEP,),
            scale="linear",
            short="dropout",
            matters_when=(_WITH_LAYERS, HEADS.using("dropout")),
            neutral=0.0,
        ),
    ] = 0.5
    input_norm: Annotated[
        bool,
        Strict(),
        Setting(
            "input batch norm",
            "Whether batch norm, with running statistics, is applied to the features before the first layer.",
            (Touch.STEP,),
            matters_when=HEADS.using("input_norm"),
            neutral=False,
        ),
    ] = False
    excitation: Annotated[
        Excitation,
        Setting(
            "excitation",
            "Whether a squeeze-and-excitation gate rescales the pooled features before the first layer.",
            (Touch.STEP,),
            matters_when=HEADS.using("excitation"),
            neutral="none",
        ),
    ] = "none"
    reduction: Annotated[
        Reduction,
        Setting(
            "gate reduction",
            "How many times narrower the hidden layer of the gate is than the features.",
            (Touch.STEP,),
            scale="log",
            matters_when=When("head.excitation", but=("none",)),
            neutral=1,
        ),
    ] = 16
    penalty: Annotated[
        Rate,
        Setting(
            "penalty",
            "λ of the L2 penalty: the fit minimises the mean loss + λ/2·|w|²; biases are not penalised.",
            (Touch.STEP,),
            scale="log",
            matters_when=HEADS.using("penalty"),
            neutral=1.0,
        ),
    ] = 0.001

    @property
    def is_fitted(self) -> bool:
        return HEADS.variants[self.name].is_fitted
