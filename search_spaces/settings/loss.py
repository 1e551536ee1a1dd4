"""What a step makes smaller. Scores and selection look at cross entropy and counts, whatever is trained by."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from search_spaces.settings.choice import Registry, Variant
from search_spaces.settings.declaration import Part, Setting, Touch
from search_spaces.settings.head import WITH_STEPS
from search_spaces.settings.numbers import Share

LOSSES = Registry(
    "loss.name",
    (
        Variant("cross_entropy", "trainables.learning.losses.cross_entropy:CrossEntropy", "Cross entropy."),
        Variant(
            "smoothed",
            "trainables.learning.losses.smoothed:Smoothed",
            "Cross entropy with targets that are drawn towards all classes alike.",
            ("smoothing",),
        ),
    ),
)


class Loss(Part):
    main = "name"

    name: Annotated[
        str,
        AfterValidator(LOSSES.known),
        Setting(
            "training loss",
            "What a step makes smaller.",
            (Touch.STEP,),
            matters_when=WITH_STEPS,
            neutral="cross_entropy",
        ),
    ] = "cross_entropy"
    smoothing: Annotated[
        Share,
        Setting(
            "label smoothing",
            "Share of a target that goes to all classes alike.",
            (Touch.STEP,),
            scale="linear",
            matters_when=LOSSES.using("smoothing"),
            neutral=0.0,
        ),
    ] = 0.1
