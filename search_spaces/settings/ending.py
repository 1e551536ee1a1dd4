"""When a repeat stops: after all its epochs, or early, once patience runs out."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from search_spaces.settings.choice import Registry, Variant
from search_spaces.settings.declaration import Part, Setting, Touch
from search_spaces.settings.head import WITH_STEPS
from search_spaces.settings.numbers import Amount, Count

ENDINGS = Registry(
    "ending.name",
    (
        Variant("complete", "trainables.learning.endings.complete:Complete", "After all epochs that were asked for."),
        Variant(
            "patience",
            "trainables.learning.endings.patience:Patience",
            "Once the selection metric has not improved for a number of epochs.",
            ("patience", "min_gain"),
        ),
    ),
)


class Ending(Part):
    main = "name"

    name: Annotated[
        str,
        AfterValidator(ENDINGS.known),
        Setting(
            "ending",
            "When a repeat stops: after all its epochs, or early, once patience runs out.",
            (Touch.STEP,),
            short="ending",
            matters_when=WITH_STEPS,
            neutral="complete",
        ),
    ] = "complete"
    patience: Annotated[
        Count,
        Setting(
            "patience",
            "Epochs in a row without improvement after which a repeat stops.",
            (Touch.STEP,),
            scale="linear",
            unit="epochs",
            matters_when=ENDINGS.using("patience"),
            neutral=1,
        ),
    ] = 10
    min_gain: Annotated[
        Amount,
        Setting(
            "minimum gain",
            "Smallest improvement that counts, in units of the selection metric.",
            (Touch.STEP,),
            scale="log",
            matters_when=ENDINGS.using("min_gain"),
            neutral=0.0,
        ),
    ] = 0.0
