"""Configurations, strategies, backbones and studies side by side, on the partitions that all of them have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from orchestrator.choosing.selection import LEAST_ID
from orchestrator.results.comparing import check_comparable, compared_alike, compared_by_valid
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.narrowed import chosen_by_results
from orchestrator.results.statistic import Statistic
from orchestrator.results.summary import Summary, summarise
from orchestrator.statistics.cross_chosen import cross_chosen
from orchestrator.statistics.partition_table import PartitionTable, image_ratio, partition_table
from orchestrator.statistics.partitions import partitions_of
from orchestrator.statistics.score_table import ScoreTable, ranked_table, selection_metrics, valid_table
from orchestrator.store.errors import Faults, InputError
from orchestrator.store.place import Where
from orchestrator.store.schema import Metric
from orchestrator.study.studies import Study, find_study, open_study
from search_spaces.presets import PRESETS
from trainables.learning import metrics


@dataclass(frozen=True)
class Item:
    """One thing to compare, as typed, and the configuration that stands for it: its best mean.

    members: that configuration on every common partition. among: how many it was chosen from. crossed: the metric when
    each repeat's configuration is chosen on the other repeats; over several partitions, each one's on the others. It
    has n = 0 where there are not two of them. is_by_results: whether results decided what was trained of those that it
    was chosen from, so that nothing corrects for the choosing.
    """

    label: str
    study: Summary
    members: tuple[ConfigurationSummary, ...]
    among: int
    crossed: Statistic
    is_by_results: bool = False

    @property
    def id(self) -> str:
        return self.members[0].id


@dataclass(frozen=True)
class Comparison:
    """items in the order typed. scores: float64 [items, partitions, repeats], validation `metric` at the selected
    epochs, NaN where a repeat was not asked for. diverged: bool of that shape, which repeats did. ratio: scored images
    divided by training images."""

    items: tuple[Item, ...]
    metric: Metric
    partitions: tuple[str, ...]
    scores: np.ndarray
    diverged: np.ndarray
    ratio: float

    @property
    def pairs(self) -> np.ndarray:
        """The scores, NaN where a repeat diverged: what differences are made of."""
        return np.where(self.diverged, np.nan, self.scores)

    @property
    def higher_is_better(self) -> bool:
        return not metrics.is_loss(self.metric)


@dataclass(frozen=True)
class _Named:
    label: str
    summary: Summary
    members: frozenset[str]
    """Ids of the configurations meant."""


def compare(
    names: Sequence[str], studies: Where, study: str | None, metric: Metric | None, partition: str | None
) -> Comparison:
    """Resolve what was typed and gather the scores.

    names: STUDY, STUDY:WHAT, or WHAT of the study given; WHAT is a strategy, a backbone or the beginning of a
    configuration's id. metric: of the validation split, None for the one that selects. partition: the beginning of an
    id. Raises InputError: names that mean nothing (all at once), studies of other images, no common partition, nothing
    ranked.
    """
    named = _alike(_resolve(names, studies, study))
    _check_same_images(named)
    partitions = _common_partitions(named, partition)
    selecting = _selecting(named)
    if len(set(selecting)) > 1 and metric is None:
        raise InputError(
            f"the configurations select by {' and '.join(dict.fromkeys(selecting))}: expected one metric to compare by",
            "Choose one, for instance: --metric balanced_accuracy",
        )
    compared_by = metric or selecting[0]
    if metrics.is_measured(compared_by) and set(selecting) != {compared_by}:
        raise InputError(
            f"not every configuration selects by {compared_by}: expected a metric that all have scores for, found "
            f"{compared_by}",
            "Choose another one, for instance: --metric balanced_accuracy",
        )
    check_comparable(
        (m.configuration for one in named for m in one.summary.configurations if m.id in one.members), "compare"
    )
    items = tuple(_item(one, partitions, by, compared_by) for one, by in zip(named, selecting, strict=True))
    tables = [
        [valid_table([item.members[k]], name, compared_by) for item in items] for k, name in enumerate(partitions)
    ]
    width = max(table.scores.shape[1] for row in tables for table in row)
    scores = np.full((len(items), len(partitions), width), np.nan)
    diverged = np.zeros(scores.shape, dtype=bool)
    for k, row in enumerate(tables):
        for place, table in enumerate(row):
            scores[place, k, : table.scores.shape[1]] = table.scores[0]
            diverged[place, k, : table.scores.shape[1]] = table.diverged[0]
    return Comparison(items, compared_by, partitions, scores, diverged, image_ratio(items[0].study, partitions))


def _resolve(names: Sequence[str], studies: Where, default: str | None) -> list[_Named]:
    if len(names) < 2:
        raise InputError(
            f"expected at least two names to compare, found {len(names)}",
            f"Example: orch compare {' '.join(f'neuroblastoma:{strategy}' for strategy in PRESETS)}",
        )
    given = open_study(studies, default) if default is not None else None
    summaries: dict[str, Summary] = {}
    faults = Faults("orch compare")
    named: list[_Named] = []
    for name in dict.fromkeys(names):
        study, what = _split(name, studies, given)
        if study is None:
            faults.add(f"{name!r}: expected STUDY or STUDY:WHAT, but there is no study {name.partition(':')[0]!r}")
            continue
        if study.name not in summaries:
            summaries[study.name] = summarise(study.storage)
        summary = summaries[study.name]
        members = _members(summary, what)
        if not summary.configurations:
            faults.add(f"{name!r}: nothing was asked for yet in study {study.name!r}")
            continue
        if not members:
            faults.add(
                f"{name!r}: study {study.name!r} has no such strategy, backbone or configuration; {_known(summary)}"
            )
            continue
        named.append(_Named(name, summary, members))
    faults.raise_if_any(f"Example: orch compare --study neuroblastoma {' '.join(PRESETS)}")
    return named


def _split(name: str, studies: Where, given: Study | None) -> tuple[Study | None, str]:
    """The study and what of it; "" for all of it."""
    before, colon, after = name.partition(":")
    if colon and given is None:
        return _find(studies, before), after
    if given is not None:
        return given, name
    return _find(studies, name), ""


def _find(studies: Where, name: str) -> Study | None:
    try:
        return find_study(studies, name) or find_study(studies, f"{name}-demo")
    except InputError:
        return None


def _members(summary: Summary, what: str) -> frozenset[str]:
    every = {member.id: member.configuration for member in summary.configurations}
    if not what:
        return frozenset(every)
    if what in PRESETS:
        return frozenset(name for name, c in every.items() if c.strategy == what)
    named = frozenset(name for name, c in every.items() if what in _names_of(c.network.backbone))
    if named:
        return named
    return frozenset(name for name in every if len(what) >= LEAST_ID and name.startswith(what))


def _names_of(backbone: str) -> tuple[str, str, str]:
    """`timm:resnet18.tv_in1k` is also called `resnet18.tv_in1k` and `resnet18`."""
    short = backbone.partition(":")[2]
    return backbone, short, short.partition(".")[0]


def _known(summary: Summary) -> str:
    every = [member.configuration for member in summary.configurations]
    strategies = ", ".join(dict.fromkeys(c.strategy for c in every))
    backbones = ", ".join(dict.fromkeys(_names_of(c.network.backbone)[1] for c in every))
    return f"strategies: {strategies or 'none'}; backbones: {backbones or 'none'}"


def _alike(named: Sequence[_Named]) -> list[_Named]:
    """All compared by one value, as configurations of one study are."""
    by_valid = compared_by_valid(m.configuration for one in named for m in one.summary.configurations)
    alike = []
    for one in named:
        members = tuple(compared_alike(member, by_valid) for member in one.summary.configurations)
        alike.append(replace(one, summary=replace(one.summary, configurations=members)))
    return alike


def _check_same_images(named: Sequence[_Named]) -> None:
    first = named[0].summary.study
    for one in named[1:]:
        other = one.summary.study
        if (first.data_fingerprint, first.classes) != (other.data_fingerprint, other.classes):
            raise InputError(
                f"studies {first.name!r} and {other.name!r} have different images or classes, so their scores cannot "
                "be compared",
                f"Search both on the same data: orch search {other.name}_2 BACKBONE --data DIR",
            )


def _common_partitions(named: Sequence[_Named], asked: str | None) -> tuple[str, ...]:
    """Partitions that every study has, the first one's own first."""
    there = [partitions_of(one.summary) for one in named]
    common = tuple(name for name in there[0] if all(name in others for others in there))
    if asked is not None:
        common = tuple(name for name in common if name.startswith(asked))
    if common:
        return common
    shown = "; ".join(
        f"{one.summary.study.name}: {', '.join(own) or 'none'}"
        for one, own in {one.summary.study.name: (one, own) for one, own in zip(named, there, strict=True)}.values()
    )
    asked_for = f" whose id begins with {asked!r}" if asked else ""
    raise InputError(
        f"expected a partition{asked_for} that all of them have, found {shown}",
        "Scores on different partitions come from different images. Compare within one study, or search all studies "
        "with the same --seed.",
    )


def _selecting(named: Sequence[_Named]) -> list[Metric]:
    """The metric by which each one's configurations select; the study's own where there are several."""
    selecting = []
    for one in named:
        mine = [
            member.configuration.selection.metric for member in one.summary.configurations if member.id in one.members
        ]
        order = [metric for metric in selection_metrics(one.summary) if metric in mine]
        selecting.append(order[0])
    return selecting


def _item(one: _Named, partitions: Sequence[str], by: Metric, metric: Metric) -> Item:
    tables = [_only(ranked_table(one.summary, name, by), one.members) for name in partitions]
    joined = partition_table(one.summary, tables)
    if not joined.members:
        raise InputError(
            f"{one.label}: no configuration has finished all of its repeats on "
            f"{'every partition' if len(partitions) > 1 else 'partition ' + partitions[0]}",
            f"orch resume {one.summary.study.name}",
        )
    by_results = chosen_by_results(member for members in joined.members for member in members)
    crossed = Statistic.of(np.zeros(0)) if by_results else _crossed(joined, tables, metric)
    return Item(one.label, one.summary, joined.members[0], len(joined.members), crossed, by_results)


def _crossed(joined: PartitionTable, tables: Sequence[ScoreTable], metric: Metric) -> Statistic:
    """Over the repeats of the one partition there is, else over the means of several."""
    scored = [_valid_scores(members, metric) for members in joined.members]
    choosing = joined.means
    if len(tables) == 1:
        choosing = joined.repeats[:, 0]
        own = np.full(choosing.shape, np.nan)
        for row, ((member,), (values,)) in enumerate(zip(joined.members, scored, strict=True)):
            own[row, list(member.with_result)] = values
    else:
        own = np.array([[values.mean() for values in of] for of in scored])
    return Statistic.of(cross_chosen(choosing, own, joined.higher_is_better))


def _valid_scores(members: Sequence[ConfigurationSummary], metric: Metric) -> list[np.ndarray]:
    """Of one configuration the validation scores on each partition; NaN where the metric was not recorded."""
    scores = [member.score(metric, "valid") for member in members]
    return [np.full(m.n, np.nan) if s is None else s.values for m, s in zip(members, scores, strict=True)]


def _only(table: ScoreTable, members: frozenset[str]) -> ScoreTable:
    rows = [row for row, member in enumerate(table.members) if member.id in members]
    kept = tuple(table.members[row] for row in rows)
    return ScoreTable(table.partition, table.metric, kept, table.scores[rows], table.diverged[rows])
