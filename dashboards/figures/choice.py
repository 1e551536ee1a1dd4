"""What a figure is asked to show: of which partition and backbone, over which settings, which score and statistic."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, TypeVar

from dashboards.figures.facets import LR_AND_BATCH, Facet, Pair, facets_of, names_of_facets, pairs_of
from dashboards.figures.histories import Histories
from dashboards.figures.markup import METRIC_NAMES, backbone_text
from orchestrator.maps.record import MapsRecord, read_maps
from orchestrator.mistakes.record import MistakesRecord, read_mistakes
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.course import Course, course_of
from orchestrator.results.names import names_of
from orchestrator.results.summary import Summary
from orchestrator.store.schema import Metric
from orchestrator.store.storage import Storage
from search_spaces.settings.selection import METRICS

Quantity = Literal["mean", "std", "n"]
Reach = Literal["most", "all"]
T = TypeVar("T")

EPOCH = "epoch"
BOTH = "loss_and_accuracy"
"""Two things that may stand where a metric does: the selected epoch, and loss and accuracy on two axes."""
ON_TWO_AXES: tuple[Metric, ...] = ("loss", "accuracy")
SCORES: dict[str, str] = {**{str(key): name for key, name in METRIC_NAMES.items()}, EPOCH: "Best epoch"}
BEST: dict[str, str] = {"all": "all configurations"} | {str(share): f"the best {share} %" for share in (50, 25, 10, 5)}
REACH: dict[Reach, str] = {"most": "without far-out losses", "all": "all losses"}
QUANTITIES: dict[Quantity, str] = {"mean": "mean", "std": "standard deviation", "n": "n"}


@dataclass(frozen=True)
class Source:
    """A study as figures read it; `storage` for what the summary does not hold (dataset, evaluation)."""

    summary: Summary
    storage: Storage

    def members(self, choice: Choice) -> list[ConfigurationSummary]:
        """Configurations that were chosen, best rank first."""
        if choice.facet is not None:
            return self.facets(choice).get(choice.facet, [])
        if choice.partition and choice.backbone:
            return self._by_place.get((choice.partition, choice.backbone), [])
        return choice.members(self.summary)

    def facets(self, choice: Choice) -> dict[Facet, list[ConfigurationSummary]]:
        """Of a partition and backbone, over the choice's pair of settings; the members of each as in `members`."""
        place = choice.partition, choice.backbone, choice.pair
        if place not in self._facets:
            members = self.members(replace(choice, facet=None))
            if place[:2] not in self._names_of_facets:
                self._names_of_facets[place[:2]] = names_of_facets(members)
            self._facets[place] = facets_of(members, choice.pair, self._names_of_facets[place[:2]])
        return self._facets[place]

    def once(self, key: Hashable, made: Callable[[], T]) -> T:
        """What several figures and choices have in common, made when first asked for by this key."""
        if key not in self._made:
            self._made[key] = made()
        kept: T = self._made[key]
        return kept

    @cached_property
    def _made(self) -> dict[Hashable, Any]:
        return {}

    @cached_property
    def pairs(self) -> list[Pair]:
        """Pairs of settings that a grid can have as rows and columns."""
        return pairs_of(self.summary.configurations)

    @cached_property
    def _facets(self) -> dict[tuple[str, str, Pair], dict[Facet, list[ConfigurationSummary]]]:
        return {}

    @cached_property
    def _names_of_facets(self) -> dict[tuple[str, str], list[str]]:
        return {}

    @cached_property
    def _by_place(self) -> dict[tuple[str, str], list[ConfigurationSummary]]:
        by_place: dict[tuple[str, str], list[ConfigurationSummary]] = {}
        for member in self.summary.configurations:
            by_place.setdefault((member.partition, member.configuration.network.backbone), []).append(member)
        return by_place

    @cached_property
    def courses(self) -> dict[str, Course]:
        """By id the searches that decided what to train next, the latest first."""
        summary, courses = self.summary, dict[str, Course]()
        for search in reversed(summary.searches):
            if budgets := summary.budgets[search.id]:
                course = course_of(self.storage, search, budgets[-1], summary.decisions[search.id])
                courses |= {search.id: course} if course is not None else {}
        return courses

    @cached_property
    def mistakes(self) -> MistakesRecord | None:
        """What `orch mistakes` found last; None where nobody has asked."""
        return read_mistakes(self.storage)

    @cached_property
    def maps(self) -> list[MapsRecord]:
        """What `orch maps` answered, the newest first."""
        return read_maps(self.storage)

    @cached_property
    def names(self) -> dict[str, str]:
        """By id what each configuration is called beside all others."""
        return names_of(member.configuration for member in self.summary.configurations)

    @cached_property
    def histories(self) -> Histories:
        """The single repeats; made when first asked for."""
        return Histories(self.summary)


@dataclass(frozen=True)
class Choice:
    """Empty names mean all; a figure reads the fields that concern it and ignores the others."""

    partition: str = ""
    backbone: str = ""
    pair: Pair = LR_AND_BATCH
    """Settings down and across, of a figure that has such."""
    facet: Facet | None = None
    """Of the grids over the pair; none for all."""
    score: str = "loss"
    """A key of SCORES, or BOTH."""
    quantity: Quantity = "mean"
    search: str = ""
    """Id of one that decided what to train next."""
    against: str = "hours"
    """What a score is set against: hours, parameters, or a second metric."""
    best: str = "all"
    """A key of BEST: which configurations by the score."""
    reach: Reach = "most"
    """A key of REACH: where an axis or a scale of losses ends."""

    def members(self, summary: Summary) -> list[ConfigurationSummary]:
        """Configurations of the partition and backbone, best rank first."""
        return [
            member
            for member in summary.configurations
            if self.partition in ("", member.partition) and self.backbone in ("", member.configuration.network.backbone)
        ]

    def name(self, summary: Summary) -> str:
        """Words that tell this choice from the others, without what the study has only one of: safe in a file name."""
        parts = []
        if self.backbone and len(backbones(summary.configurations)) > 1:
            parts.append(backbone_text(self.backbone))
        if self.facet:
            parts.append(self.facet.name)
        if self.search:
            parts.append(self.search)
        parts.append(self.score)
        if self.quantity != "mean":
            parts.append(self.quantity)
        if self.against != "hours":
            parts.append(self.against)
        if self.best != "all":
            parts.append(f"best {self.best}")
        if self.reach != "most":
            parts.append(self.reach)
        if self.partition and len(partitions(summary.configurations)) > 1:
            parts.append(self.partition)
        return re.sub(r"[^A-Za-z0-9]+", "-", " ".join(parts)).strip("-")[:100]


def is_loss(score: str) -> bool:
    """Whether smaller is better; an epoch is neither better nor worse."""
    return score in METRICS.variants and METRICS.variants[score].is_loss


def has_score(summary: Summary, score: str) -> bool:
    """Whether the study's task has the metrics that a key of SCORES, or BOTH, is of."""
    wanted = {EPOCH: (), BOTH: ON_TWO_AXES}.get(score, (score,))
    return set(wanted) <= set(summary.metrics)


def selection_of(summary: Summary, choice: Choice) -> Metric:
    """The metric that the best-ranked configuration of a partition selects by; else the one of the study."""
    ranked = (member for member in choice.members(summary) if choice.partition and member.rank is not None)
    best = next(ranked, None)
    return best.configuration.selection.metric if best else summary.study.selection


def opening_score(summary: Summary) -> Metric:
    """What figures with a choice of scores open on: the metric that the winner of the first partition selects by."""
    return selection_of(summary, Choice(next(iter(partitions(summary.configurations)), "")))


def partitions(members: Iterable[ConfigurationSummary]) -> list[str]:
    """Ids in the order of the members, each once."""
    return list(dict.fromkeys(member.partition for member in members))


def backbones(members: Iterable[ConfigurationSummary]) -> list[str]:
    return list(dict.fromkeys(member.configuration.network.backbone for member in members))


def best_of_each(members: Iterable[ConfigurationSummary], *names: str) -> list[ConfigurationSummary]:
    """The first-ranked member for every value of the named settings ("backbone", "strategy" …), best first."""
    best: dict[tuple[Any, ...], ConfigurationSummary] = {}
    for member in members:
        if member.rank is not None:
            best.setdefault(tuple(member.configuration.column(name) for name in names), member)
    return list(best.values())
