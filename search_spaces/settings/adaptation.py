"""What of the backbone is trained."""

from __future__ import annotations

from typing import Annotated

from search_spaces.settings.declaration import Part, Setting, Touch
from search_spaces.settings.numbers import Layers


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
