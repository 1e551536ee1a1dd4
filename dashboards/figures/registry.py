"""Every figure of the page by name, each as two functions: its data as a table, and the drawing of that table.

FIGURES["curves"].data(source, choice) gives a DataFrame, FIGURES["curves"].draw(data, choice) a plain plotly figure
for plotly.graph_objects.Figure; `source` comes from `open_source`, a choice from FIGURES["curves"].choices(summary).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from dashboards.figures import (
    answer,
    curves,
    dataset,
    depth,
    differences,
    evaluated,
    families,
    heat_maps,
    partition_map,
    partition_spread,
    progress,
    search_settings,
    search_view,
    single_repeats,
    spread,
)
from dashboards.figures.choice import BOTH, QUANTITIES, SCORES, Choice, Figure, Quantity, Source, backbones, depths
from dashboards.figures.markup import METRIC_NAMES
from orchestrator.results.summary import Summary, summarise
from orchestrator.statistics.partitions import partitions_of
from orchestrator.store.storage import Storage

CURVE_SCORES: tuple[str, ...] = (*METRIC_NAMES, BOTH)
Choices = Callable[[Summary], list[Choice]]


def open_source(storage: Storage, now: str | None = None) -> Source:
    """A study ready for figures; raises what `orchestrator.results.summary.summarise` raises."""
    return Source(summarise(storage, now), storage)


def _of_study(scores: Sequence[str] | None = None) -> Choices:
    """A choice per partition and score; by default the score that the study selects by."""

    def choices(summary: Summary) -> list[Choice]:
        names = partitions_of(summary)
        return [Choice(name, score=score) for name in names for score in scores or [summary.study.selection]]

    return choices


def _of_backbones(scores: Sequence[str]) -> Choices:
    def choices(summary: Summary) -> list[Choice]:
        return [
            Choice(one.partition, name, score=score)
            for one in _of_study(["loss"])(summary)
            for name in backbones(one.members(summary))
            for score in scores
        ]

    return choices


def _of_depths(scores: Sequence[str], quantities: Sequence[Quantity] = ("mean",)) -> Choices:
    def choices(summary: Summary) -> list[Choice]:
        return [
            Choice(one.partition, one.backbone, at, score, quantity)
            for one in _of_backbones(["loss"])(summary)
            for at in depths(one.members(summary))
            for score in scores
            for quantity in quantities
        ]  # fmt: skip

    return choices


FIGURES: dict[str, Figure] = {
    "differences": Figure(
        differences.difference_data,
        differences.difference_figure,
        "Differences to the best configuration",
        "Each mark is the mean paired difference to the best over common repeat numbers, the line its 95 % interval "
        "(Student’s t over n pairs); left is worse. Filled marks may be the best (95 % confidence set, signs of whole "
        "repeats flipped), open ones are excluded. Intervals describe retraining on this partition, not new patients.",
        _of_study(),
    ),
    "best-repeats": Figure(
        answer.repeats_data,
        answer.repeats_figure,
        "Repeats of the best configurations",
        "Each dot is one repeat at its selected epoch, each bar mean ± standard deviation (n − 1) over the n repeats "
        "of the table; bars describe retraining on this partition, not new patients.",
        _of_study(),
    ),
    "progress": Figure(
        progress.progress_data,
        progress.progress_figure,
        "Repeats done of those asked",
        "One mark per repeat asked, and repeats done of those asked, for every learning rate and batch size.",
        _of_depths(["loss"]),
    ),
    "heat-map": Figure(
        heat_maps.heat_data,
        heat_maps.heat_figure,
        "Heat maps of learning rate and batch size",
        "Each cell is one configuration on the validation split, at each repeat’s selected epoch; point at it for "
        "mean, standard deviation (n − 1) and n. Where several configurations share a cell, it shows the best-ranked. "
        "The frame marks the best mean among configurations whose repeats are all done; points outside the grid are "
        "blank; all maps of a backbone share one scale.",
        _of_depths(list(SCORES), list(QUANTITIES)),
    ),
    "curves": Figure(
        curves.curve_data,
        curves.curve_figure,
        "Mean learning curves",
        "Rows are learning rates, columns batch sizes. Lines are means over the n finished repeats (all of them), "
        "bands ± one standard deviation (n − 1) where n ≥ 2. Repeats that have fewer epochs than others, while a "
        "search is extended, thin a curve out: its panel says n = first → last, and pointing at the line n at that "
        "epoch. Diverged repeats are in no mean; a panel counts them, and there is none where all diverged. Where "
        "several configurations share a panel, the best-ranked is drawn. A loss above 2.5 times the untrained is cut "
        "off. Each dot is one repeat’s selected epoch with its validation value. On two axes accuracy is the thinner "
        "line with diamonds, its scale on the right. Epoch 0 is the untrained network.",
        _of_depths(CURVE_SCORES),
    ),
    "best-repeat": Figure(
        single_repeats.best_repeat_data,
        single_repeats.singles_figure,
        "The best single repeat",
        "The repeat with the best selection value of the first-ranked configuration: one repeat, so no band; the ring "
        "is its selected epoch. It shows what was seen once, and is no result.",
        _of_backbones(["loss"]),
    ),
    "single-repeats": Figure(
        single_repeats.singles_data,
        single_repeats.singles_figure,
        "Single repeats of the best configuration",
        "Every repeat as a thin line, n of them; rings are selected epochs with the validation value.",
        _of_backbones(["loss"]),
    ),
    "non-linearities": Figure(
        partial(depth.depth_data, setting="non_linearities"),
        partial(depth.depth_figure, setting="non_linearities"),
        "Scores against the number of non-linearities",
        "For each number of non-linearities (nothing unfrozen) the best-ranked configuration: mean ± standard "
        "deviation (n − 1) over its n repeats at their selected epochs; grey is the untrained network, the validation "
        "score at epoch 0 of the same repeats.",
        _of_backbones(list(METRIC_NAMES)),
    ),
    "unfrozen": Figure(
        partial(depth.depth_data, setting="unfrozen"),
        partial(depth.depth_figure, setting="unfrozen"),
        "Scores against the number of unfrozen layers",
        "For each number of unfrozen weight layers (no non-linearity) the best-ranked configuration: mean ± standard "
        "deviation (n − 1) over its n repeats at their selected epochs; grey is the untrained network, the validation "
        "score at epoch 0 of the same repeats.",
        _of_backbones(list(METRIC_NAMES)),
    ),
    "families": Figure(
        families.family_data,
        families.family_figure,
        "Best loss and accuracy by family",
        "Each mark is the best-ranked configuration of a backbone and strategy on the validation split: mean ± "
        "standard deviation (n − 1) over its n repeats at their selected epochs; lines part families, the best family "
        "first.",
        _of_study(["loss"]),
    ),
    "losses": Figure(
        families.losses_data,
        families.losses_figure,
        "Validation losses of all backbones",
        "Each line is the mean validation loss of a backbone’s best-ranked configuration over its n finished repeats; "
        "point at it for the standard deviation and n.",
        _of_study(["loss"]),
    ),
    "spread": Figure(
        spread.spread_data,
        spread.spread_figure,
        "Spread of repeats",
        "Each dot is one repeat at its selected epoch, the band the middle half of a configuration’s n repeats, the "
        "tick their median; best-ranked configuration first, at most 24.",
        _of_backbones(list(METRIC_NAMES)),
    ),
    "gap": Figure(
        spread.gap_data,
        spread.gap_figure,
        "Train against valid",
        "Each mark is one configuration, its means over n repeats at their selected epochs; on the dashed line there "
        "is no gap between train and valid.",
        _of_backbones(list(METRIC_NAMES)),
    ),
    "untrained": Figure(
        spread.untrained_data,
        spread.untrained_figure,
        "The untrained network",
        "Loss and accuracy at epoch 0 of all repeats together; the outermost half percent counts in the last bins.",
        _of_backbones(["loss"]),
    ),
    "density": Figure(
        spread.density_data,
        spread.density_figure,
        "Density of accuracy and loss",
        "All repeats of all configurations together, on the validation split at their selected epochs; darker is more. "
        "The highest hundredth of the losses counts in the last bin.",
        _of_backbones(["loss"]),
    ),
    "partition-spread": Figure(
        partition_spread.partition_spread_data,
        partition_spread.partition_spread_figure,
        "Variance by partition and repeat",
        "Marks are standard deviations of one configuration’s selecting value, from a two-way analysis with random "
        "effects over k partitions × n repeats: between partitions, between repeat numbers, and what neither explains; "
        "a negative estimate stands at 0. Best mean over the partitions first, at most 24.",
        partition_spread.partition_choices,
    ),
    "parallel": Figure(
        search_settings.search_data,
        search_view.parallel_figure,
        "Parallel coordinates",
        "Each line is one configuration, its height on an axis the value of that setting and on the last axis the "
        "validation score at selected epochs, mean over its n repeats, better on top; a stronger line is in a better "
        "fifth, the thick one is the best mean.",
        search_settings.search_choices,
    ),
    "slices": Figure(
        search_settings.search_data,
        search_view.slices_figure,
        "Slices",
        "Each mark is one configuration: its validation score at selected epochs, mean over its n repeats, better on "
        "top, against one setting at a time; the diamond is the best mean. Other settings vary along.",
        search_settings.search_choices,
    ),
    "importance": Figure(
        search_settings.importance_data,
        search_view.importance_figure,
        "Importance of settings",
        "The share of the variance between configurations (ranks of their mean validation scores) that one setting "
        "explains alone: ε² of a one-way analysis of variance over up to six groups of its values, less what chance "
        "gives on average; shuffled scores pass the tick once in 20 times. Interactions are in no bar, and where a "
        "sampler sought good regions a bar describes what was tried there.",
        search_settings.search_choices,
    ),
    "classes": Figure(
        dataset.class_data,
        dataset.class_figure,
        "Images by class and split",
        "Images of each class in each split of this partition; for train also what is trained on after balancing, "
        "views included. Groups are never divided between splits.",
        _of_study(["loss"]),
    ),
    "partition-map": Figure(
        partition_map.map_data,
        partition_map.map_figure,
        "Partitions over μ and ε",
        "Each map is one class: D, how far from the targets iterative filling would have brought its groups with every "
        "μ (how full train is filled first) and ε (by how much valid and test may exceed their share); the stronger "
        "the colour, the nearer. The ring is the partition that was taken: the least D with a group in each split, of "
        "equal ones the smallest ε; IFP has ε = 0.",
        _of_study(["loss"]),
    ),
    "confusion": Figure(
        partial(evaluated.confusion_data, unit="image"),
        evaluated.confusion_figure,
        "Confusion, images",
        "Rows are the truth, columns the prediction; share of the truth’s images, their mean number over n repeats.",
        _of_study(["loss"]),
    ),
    "confusion-groups": Figure(
        partial(evaluated.confusion_data, unit="group"),
        evaluated.confusion_figure,
        "Confusion, groups",
        "The same with groups as the unit: each is called by the mean of its images’ probabilities.",
        _of_study(["loss"]),
    ),
    "roc": Figure(
        partial(evaluated.threshold_data, curve="roc"),
        partial(evaluated.threshold_figure, curve="roc"),
        "ROC curves",
        "Each class against the rest, sensitivities averaged over n repeats; rings are operating points that were "
        "chosen on validation.",
        _of_study(["loss"]),
    ),
    "precision-recall": Figure(
        partial(evaluated.threshold_data, curve="pr"),
        partial(evaluated.threshold_figure, curve="pr"),
        "Precision and recall",
        "Each class against the rest, precisions averaged over n repeats: the best at that recall or more.",
        _of_study(["loss"]),
    ),
    "reliability": Figure(
        evaluated.reliability_data,
        evaluated.reliability_figure,
        "Reliability",
        "Predictions of all repeats in ten bins of confidence; larger marks hold more; on the dashed line confidence "
        "is what it says.",
        _of_study(["loss"]),
    ),
    "against-validation": Figure(
        evaluated.against_validation_data,
        evaluated.against_validation_figure,
        "Validation against test",
        "Validation: mean ± standard deviation over n repeats, used for selection, hence optimistic. Test: mean over "
        "the same repeats with its 95 % interval over groups, or ± standard deviation where there is none.",
        _of_study(["loss"]),
    ),
}
