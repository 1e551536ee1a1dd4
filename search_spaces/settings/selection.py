"""Which epoch of a repeat counts."""

from __future__ import annotations

from typing import Annotated

from orchestrator.store.schema import Metric
from search_spaces.settings.declaration import Part, Setting, Touch


class Selection(Part):
    main = "metric"

    metric: Annotated[
        Metric,
        Setting("selection", "The one metric that picks each repeat's epoch.", (Touch.SELECTION,), short="selection"),
    ] = "loss"
