"""What of the backbone is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from search_spaces.settings.declaration import Part, Setting, Touch, When
from search_spaces.settings.numbers import Layers

Start = Literal["weights", "drawn"]
Norms = Literal["kept", "moving"]
_WITH_LAYERS = When("adaptation.unfrozen", above=0)


class Adaptation(Part):
    main = "unfrozen"

    unfrozen: Annotated[
        Layers,
        Setting(
            "unfrozen layers",
            "Number u of weight layers that train, counted back from the output.",
            (Touch.STEP,),
            scale="ordinal",
            short="unfrozen",
            neutral=0,
        ),
    ] = 0
    start: Annotated[
        Start,
        Setting(
            "start of unfrozen layers",
            "From the backbone's weights, or from weights drawn anew for each repeat.",
            (Touch.STEP,),
            matters_when=_WITH_LAYERS,
            neutral="weights",
        ),
    ] = "weights"
    norms: Annotated[
        Norms,
        Setting(
            "batch norm statistics",
            "Of unfrozen layers: those of the weights, or moving with what is trained on.",
            (Touch.STEP,),
            matters_when=_WITH_LAYERS,
            neutral="kept",
        ),
    ] = "kept"

    @property
    def norms_move(self) -> bool:
        return self.norms == "moving"
