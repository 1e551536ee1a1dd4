"""What the sections of a page draw from, and the charts that they draw into."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from dashboards.figures.choice import Source
from dashboards.page.chart import Charts
from dashboards.page.energy import cost_so_far
from dashboards.page.provenance import Provenance
from dashboards.page.sample_images import BUDGET, SAMPLES, Album, Shown
from orchestrator.energy.cost import Cost
from orchestrator.statistics.partitions import partitions_of


@dataclass(frozen=True)
class Sheet:
    """One page in the making; `now` (UTC, ISO 8601) is shown and decides which leases look alive."""

    source: Source
    origin: Provenance
    charts: Charts
    now: str
    shown: Shown

    @cached_property
    def cost(self) -> Cost:
        return cost_so_far(self.source)

    @cached_property
    def albums(self) -> dict[str, Album]:
        """Of each partition, which share the page's budget for images with the maps."""
        return {name: self._album() for name in partitions_of(self.source.summary)}

    @cached_property
    def maps_album(self) -> Album:
        """What maps are drawn over."""
        return self._album()

    def _album(self) -> Album:
        summary = self.source.summary
        shares = len(partitions_of(summary)) + bool(self.source.maps)
        return Album(self.source.storage, self.shown, summary.study.seed, BUDGET // shares)

    @property
    def samples(self) -> int:
        """Sample images of a partition at most."""
        return max(1, SAMPLES // len(self.albums))
