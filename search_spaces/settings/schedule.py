"""How the learning rate changes during training."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from search_spaces.settings.choice import Registry, Variant
from search_spaces.settings.declaration import Part, Setting, Touch
from search_spaces.settings.head import WITH_STEPS
from search_spaces.settings.numbers import Count, Share

SCHEDULES = Registry(
    "schedule.name",
    (
        Variant("constant", "trainables.learning.schedules.constant:Constant", "The same rate throughout."),
        Variant("linear", "trainables.learning.schedules.linear:Linear", "A straight line down to 0.", ("length",)),
        Variant(
            "cosine",
            "trainables.learning.schedules.cosine:Cosine",
            "A warm-up from 0, then half a cosine down to 0.",
            ("length", "warm_up"),
        ),
        Variant(
            "step",
            "trainables.learning.schedules.step:Step",
            "Multiplied by a factor after each of several equal stretches.",
            ("length", "factor", "stretches"),
        ),
    ),
)


class Schedule(Part):
    main = "name"

    name: Annotated[
        str,
        AfterValidator(SCHEDULES.known),
        Setting(
            "schedule",
            "How the learning rate changes during training.",
            (Touch.STEP,),
            short="schedule",
            matters_when=WITH_STEPS,
            neutral="constant",
        ),
    ] = "constant"
    length: Annotated[
        Count,
        Setting(
            "schedule length",
            "Epochs until the end of the schedule, however many are trained now.",
            (Touch.STEP,),
            scale="linear",
            unit="epochs",
            matters_when=SCHEDULES.using("length"),
            neutral=1,
        ),
    ] = 100
    warm_up: Annotated[
        Share,
        Setting(
            "warm-up",
            "Share of the schedule during which the learning rate rises from 0.",
            (Touch.STEP,),
            scale="linear",
            matters_when=SCHEDULES.using("warm_up"),
            neutral=0.0,
        ),
    ] = 0.05
    factor: Annotated[
        Share,
        Setting(
            "decay factor",
            "What the learning rate is multiplied by after each stretch.",
            (Touch.STEP,),
            scale="log",
            matters_when=SCHEDULES.using("factor"),
            neutral=0.0,
        ),
    ] = 0.1
    stretches: Annotated[
        Count,
        Setting(
            "stretches",
            "Number of equal parts of the schedule, each with a constant learning rate.",
            (Touch.STEP,),
            scale="linear",
            matters_when=SCHEDULES.using("stretches"),
            neutral=1,
        ),
    ] = 3
