"""What a figure is asked to show: of which partition, backbone and depth, which score and which statistic of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from dashboards.figures.histories import Histories
from dashboards.figures.markup import METRIC_NAMES, depth_text
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.summary import Summary
from orchestrator.store.schema import Metric
from orchestrator.store.storage import Storage

Depth = tuple[str, int, int]
"""(strategy, non-linearities, unfrozen layers)"""
Quantity = Literal["mean", "std", "n"]

EPOCH = "epoch"
BOTH = "loss_and_accuracy"
"""Two things that may stand where a metric does: the selected epoch, and loss and accuracy on two axes."""
SCORES: dict[str, str] = {**{str(key): name for key, name in METRIC_NAMES.items()}, EPOCH: "Best epoch"}
QUANTITIES: dict[Quantity, str] = {"mean": "mean", "std": "standard deviation", "n": "n"}


@dataclass(frozen=True)
class Source:
    """A study as figures read it; `storage` for what the summary does not hold (dataset, evaluation)."""

    summary: Summary
    storage: Storage

    def members(self, choice: Choice) -> list[ConfigurationSummary]:
        """Configurations that were chosen, best rank first."""
        if choice.partition and choice.backbone:
            known = self._by_place.get((choice.partition, choice.backbone), [])
            return [member for member in known if choice.depth in (None, member.depth)]
        return choice.members(self.summary)

    @cached_property
    def _by_place(self) -> dict[tuple[str, str], list[ConfigurationSummary]]:
        found: dict[tuple[str, str], list[ConfigurationSummary]] = {}
        for member in self.summary.configurations:
            found.setdefault((member.partition, member.configuration.network.backbone), []).append(member)
        return found

    @cached_property
    def histories(self) -> Histories:
        """The single repeats; made when first asked for."""
        return Histories(self.summary)


@dataclass(frozen=True)
class Choice:
    """Empty names mean all; a figure reads the fields that concern it and ignores the others."""

    partition: str = ""
    backbone: str = ""
    depth: Depth | None = None
    score: str = "loss"
    """A key of SCORES, or BOTH."""
    quantity: Quantity = "mean"

    def members(self, summary: Summary) -> list[ConfigurationSummary]:
        """Configurations that were chosen, best rank first."""
        return [
            member
            for member in summary.configurations
            if self.partition in ("", member.partition)
            and self.backbone in ("", member.configuration.network.backbone)
            and self.depth in (None, member.depth)
        ]

    def name(self, summary: Summary) -> str:
        """Words that tell this choice from the others, without what the study has only one of: safe in a file name."""
        parts = []
        if self.backbone and len(backbones(summary.configurations)) > 1:
            parts.append(self.backbone.split(":", 1)[-1].replace("\\", "/").rsplit("/", 1)[-1])
        if self.depth:
            parts.append(depth_text(self.depth))
        parts.append(self.score)
        if self.quantity != "mean":
            parts.append(self.quantity)
        if self.partition and len(partitions(summary.configurations)) > 1:
            parts.append(self.partition)
        return re.sub(r"[^A-Za-z0-9]+", "-", " ".join(parts)).strip("-")[:100]


def selection_of(summary: Summary, choice: Choice) -> Metric:
    """The metric that the best-ranked configuration of a partition selects by; else the one of the study."""
    ranked = (member for member in choice.members(summary) if choice.partition and member.rank is not None)
    best = next(ranked, None)
    return best.configuration.selection.metric if best else summary.study.selection


def partitions(members: Iterable[ConfigurationSummary]) -> list[str]:
    """Ids in the order of the members, each once."""
    return list(dict.fromkeys(member.partition for member in members))


def backbones(members: Iterable[ConfigurationSummary]) -> list[str]:
    return list(dict.fromkeys(member.configuration.network.backbone for member in members))


def depths(members: Iterable[ConfigurationSummary]) -> list[Depth]:
    """By unfrozen layers, then non-linearities."""
    return sorted({member.depth for member in members}, key=lambda depth: (depth[2], depth[1]))


def best_of_each(members: Iterable[ConfigurationSummary], *names: str) -> list[ConfigurationSummary]:
    """The first-ranked member for every value of the named settings ("backbone", "strategy" …), best first."""
    found: dict[tuple[Any, ...], ConfigurationSummary] = {}
    for member in members:
        if member.rank is not None:
            found.setdefault(tuple(member.configuration.column(name) for name in names), member)
    return list(found.values())
