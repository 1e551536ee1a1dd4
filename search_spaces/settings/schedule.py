"""How the learning rate changes over training."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, Strict

from search_spaces.settings.choice import Registry, Variant
from search_spaces.settings.declaration import Part, Setting, Touch

SCHEDULES = Registry(
    "schedule.name",
    (
        Variant("constant", "trainables.learning.schedules.constant:Constant", "One rate throughout."),
        Variant("linear", "trainables.learning.schedules.linear:Linear", "A straight line down to 0.", ("length",)),
    ),
)


class Schedule(Part):
    main = "name"

    name: Annotated[
        str,
        AfterValidator(SCHEDULES.known),
        Setting(
            "schedule",
            "How the learning rate changes over training.",
            (Touch.STEP,),
            short="schedule",
            neutral="constant",
        ),
    ] = "constant"
    length: Annotated[
        int,
        Strict(),
        Field(ge=1, le=1_000_000),
        Setting(
            "schedule length",
            "Epochs until the schedule's end, however many are asked now.",
            (Touch.STEP,),
            scale="linear",
            unit="epochs",
            matters_when=SCHEDULES.using("length"),
            neutral=1,
        ),
    ] = 100
