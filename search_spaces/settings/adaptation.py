"""What of the backbone is trained."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, Strict

from search_spaces.settings.declaration import Part, Setting, Touch


class Adaptation(Part):
    main = "unfrozen"

    unfrozen: Annotated[
        int,
        Strict(),
        Field(ge=0, le=1000),
        Setting(
            "unfrozen layers",
            "Number u of weight layers that train, counted back from the output.",
            (Touch.STEP,),
            scale="ordinal",
            short="unfrozen",
            neutral=0,
        ),
    ] = 0
