"""Which parts of the backbone are trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, Strict

from search_spaces.live import LAST, Scope
from search_spaces.settings.choice import Registry, Variant
from search_spaces.settings.declaration import Part, Setting, Touch, When
from search_spaces.settings.numbers import Layers, Rate

Start = Literal["weights", "drawn"]
Norms = Literal["kept", "moving"]
Arithmetic = Literal["fp32", "tf32", "bf16"]


@dataclass(frozen=True)
class AdaptationVariant(Variant):
    """said: what is trained beside the new head, as a sentence says it; {unfrozen}, {layers} are filled in."""

    said: str = ""


_ROOM = "trainables.network.adaptations"
_OF_ALL = ("lr_decay", "arithmetic")
_OF_LAYERS = ("start", "norms", *_OF_ALL)
ADAPTATIONS = Registry(
    "adaptation.name",
    (
        AdaptationVariant(
            LAST,
            f"{_ROOM}:Last",
            "The last u weight layers; none with u = 0.",
            ("unfrozen",),
            said="the last {unfrozen} weight layers",
        ),
        AdaptationVariant("whole", f"{_ROOM}:Whole", "Every layer.", _OF_LAYERS, said="the whole backbone"),
        AdaptationVariant(
            "layers",
            f"{_ROOM}:Named",
            "Layers or blocks by name, with everything in them.",
            ("layers", *_OF_LAYERS),
            said="the layers {layers}",
        ),
        AdaptationVariant(
            "scale_and_shift",
            "trainables.network.adapters.scale_and_shift:ScaleAndShift",
            "A scale and a shift for each output channel of every weight layer (SSF).",
            _OF_ALL,
            said="a scale and a shift of each channel of the backbone",
        ),
        AdaptationVariant(
            "bias",
            f"{_ROOM}:Biases",
            "All biases and nothing else (BitFit).",
            _OF_ALL,
            said="the biases of the backbone",
        ),
        AdaptationVariant(
            "lora",
            "trainables.network.adapters.lora:LoRA",
            "Low-rank updates of the linear layers in a transformer's attention (LoRA).",
            ("rank", "alpha", *_OF_ALL),
            said="low-rank updates of the backbone's attention",
        ),
    ),
)
_UNFROZEN = When("adaptation.unfrozen", above=0)
_WITH_LAYERS = (_UNFROZEN, ADAPTATIONS.using("start"))
Decay = Annotated[float, Strict(), Field(gt=0, le=1, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class Adaptation(Part):
    main = "unfrozen"

    name: Annotated[
        str,
        AfterValidator(ADAPTATIONS.known),
        Setting(
            "adaptation", "Which parts of the backbone are trained.", (Touch.STEP,), short="adaptation", neutral=LAST
        ),
    ] = LAST
    unfrozen: Annotated[
        Layers,
        Setting(
            "unfrozen layers",
            "Number u of weight layers that are trained, counted back from the output.",
            (Touch.STEP,),
            scale="ordinal",
            short="unfrozen",
            matters_when=ADAPTATIONS.using("unfrozen"),
            neutral=0,
        ),
    ] = 0
    layers: Annotated[
        tuple[Name, ...],
        BeforeValidator(lambda given: (given,) if isinstance(given, str) else given),
        Field(max_length=64),
        AfterValidator(lambda names: tuple(sorted({*names}))),  # equal sets are equal trainings
        Setting(
            "trained layers",
            "Names of layers or blocks anywhere in the backbone; a name covers everything inside it.",
            (Touch.STEP,),
            matters_when=ADAPTATIONS.using("layers"),
            neutral=(),
        ),
    ] = ()
    start: Annotated[
        Start,
        Setting(
            "initial weights",
            "Trained layers start from the backbone's weights, or from random weights drawn anew for each repeat.",
            (Touch.STEP,),
            matters_when=_WITH_LAYERS,
            neutral="weights",
        ),
    ] = "weights"
    norms: Annotated[
        Norms,
        Setting(
            "batch norm statistics",
            "Trained layers keep the stored statistics, or update them with the training batches.",
            (Touch.STEP,),
            matters_when=_WITH_LAYERS,
            neutral="kept",
        ),
    ] = "kept"

    rank: Annotated[
        int,
        Strict(),
        Field(ge=1, le=1024),
        Setting(
            "rank",
            "Rank of the low-rank updates, the inner dimension of A and B.",
            (Touch.STEP,),
            scale="log",
            matters_when=ADAPTATIONS.using("rank"),
            neutral=1,
        ),
    ] = 8
    alpha: Annotated[
        Rate,
        Setting(
            "alpha",
            "Scale of the low-rank updates: they are multiplied by alpha / rank.",
            (Touch.STEP,),
            scale="log",
            matters_when=ADAPTATIONS.using("alpha"),
            neutral=1.0,
        ),
    ] = 16.0

    lr_decay: Annotated[
        Decay,
        Setting(
            "layer-wise learning rate decay",
            "Factor d: the k-th weight layer before the head learns at lr·d^k; 1: all layers learn at lr.",
            (Touch.STEP,),
            scale="linear",
            matters_when=(_UNFROZEN, ADAPTATIONS.using("lr_decay")),
            neutral=1.0,
        ),
    ] = 1.0
    arithmetic: Annotated[
        Arithmetic,
        Setting(
            "precision of trained layers",
            "Arithmetic of the trained part of the backbone: float32, TF32, or bfloat16 (autocast).",
            (Touch.STEP,),
            matters_when=(_UNFROZEN, ADAPTATIONS.using("arithmetic")),
            neutral="fp32",
        ),
    ] = "fp32"

    @property
    def norms_move(self) -> bool:
        return self.norms == "moving"

    @property
    def is_drawn_whole(self) -> bool:
        """Whether nothing is left of the weights that the backbone was opened with."""
        return self.name == "whole" and self.start == "drawn"

    @property
    def scope(self) -> Scope:
        return Scope(self.name, self.unfrozen, self.layers, self.rank, self.alpha)

    @property
    def said(self) -> str:
        """What of the backbone is trained, in words: `the last 2 weight layers`."""
        told = ADAPTATIONS.variants[self.name].said
        return told.format(unfrozen=self.unfrozen, layers=", ".join(self.layers))
