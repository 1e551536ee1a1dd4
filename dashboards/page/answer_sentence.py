"""The answer in a sentence: the best configuration of one partition, and of all together."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.figures.markup import METRIC_NAMES, backbone_text, depth_text, number, plus_minus, point_text, text
from orchestrator.results.comparing import looked_at
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.names import counted, untrained_words
from orchestrator.results.narrowed import among_words
from orchestrator.results.summary import Summary
from orchestrator.statistics.partition_table import PartitionTable
from search_spaces.settings.data import TASKS


def answer_sentence(summary: Summary, members: Sequence[ConfigurationSummary]) -> str:
    """The answer in one sentence, as HTML."""
    if not members:
        return "No configuration has all its repeats yet, so there is nothing to rank."
    best = members[0]
    settings = best.configuration
    metric, task = settings.selection.metric, TASKS.variants[settings.data.task]
    other = next((name for name in (task.score, *task.counted[1:]) if name != metric), "loss")
    chosen, extra = best.score(metric, "valid"), best.score(other, "valid")
    so_far = "" if summary.totals.owed == 0 else " so far"
    ranked = [one for one in summary.configurations if one.partition == best.partition and one.rank is not None]
    among = [one for one in ranked if one.configuration.selection.metric == metric]
    if any(one.narrowed for one in among):
        so_far += f" among {among_words(among)}"
    return (
        f"Best{so_far}: <strong>{text(depth_text(best.depth))}</strong> on "
        f"<strong>{text(backbone_text(settings.network.backbone))}</strong> with {text(point_text(best))}. "
        f"Validation {text(settings.selection.words)} <strong class='nowrap'>{plus_minus(chosen)}</strong>, "
        f"{METRIC_NAMES[other].lower()} <strong class='nowrap'>{plus_minus(extra)}</strong> "
        f"(mean ± standard deviation, n&nbsp;=&nbsp;{counted(best.n, 'repeat')}, "
        f"epoch&nbsp;{number(_mean_epoch(best), 0)} on average). "
        f"{untrained_words(best.untrained_selected, best.n)}"
    ).rstrip()


def over_partitions_sentence(table: PartitionTable) -> str:
    """What is selected over all partitions, as HTML: what one partition prefers may be luck."""
    best, score = table.members[0][0], METRIC_NAMES[table.metric].lower()
    settings = best.configuration
    return (
        f"Over all {len(table.partitions)} partitions: <strong>{text(depth_text(best.depth))}</strong> on "
        f"<strong>{text(backbone_text(settings.network.backbone))}</strong> with {text(point_text(best))}, {score} "
        f"<strong>{number(float(table.means[0].mean()))}</strong> (mean over partitions of the mean over repeats, of "
        f"{looked_at(members[0] for members in table.members)}). What follows is of one partition."
    )


def _mean_epoch(member: ConfigurationSummary) -> float | None:
    return member.selected_epochs.mean if member.selected_epochs else None
