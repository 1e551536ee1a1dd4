"""What `orch best` says of a study with several partitions."""

from __future__ import annotations

from typing import Any

import numpy as np

from orchestrator.choosing.choice_text import (
    LABEL,
    SHOWN,
    components_data,
    components_text,
    difference,
    heading,
    settings_data,
)
from orchestrator.results.class_recalls import class_recalls, weak_words
from orchestrator.results.comparing import looked_at
from orchestrator.results.how_ended import how_ended
from orchestrator.results.names import counted, names_of
from orchestrator.results.narrowed import among_words, compared_words, raced, selected_of, went_on
from orchestrator.results.report import Report, columns, finite
from orchestrator.results.summary import Summary
from orchestrator.statistics.partition_table import PartitionTable
from orchestrator.statistics.resampled import Resampled
from orchestrator.statistics.set_words import divergence_words, p_words, race_words, rate_words


def partitions_report(summary: Summary, table: PartitionTable, every: bool = False) -> Report:
    """Over several partitions: means of the repeats of each, the corrected test, and where the variance is."""
    against = table.against(0)
    study, k = summary.study, len(table.partitions)
    best = table.members[0][0]
    count = len(table.members)
    names = names_of(members[0].configuration for members in table.members)
    lines = [*heading([study]), ""]
    lines.append(
        f"Selected by the best mean {best.configuration.selection.words} over {k} partitions (repeats averaged within "
        f"each) {selected_of([members[0] for members in table.members])}: {names[best.id]}  [{best.id}]"
    )
    lines.append(f"  {components_text(table.components(0))}")
    if weak := weak_words(class_recalls(summary, best)):
        lines.append(f"On partition {table.partitions[0]}: {weak[0].lower()}{weak[1:]}")
    diverged, counts = table.diverged.sum(axis=(1, 2)), np.isfinite(table.repeats).sum(axis=(1, 2))
    rows = [("configuration", "id", "selection score", "better than selected by", "p", "")]
    shown = count if every else min(count, SHOWN)
    for row in range(shown):
        member = table.members[row][0]
        away, p = "–", "–"
        if row:
            away = difference(against.mean[row], against.low[row], against.high[row])
            p = p_words(against.p[row])
        rate = rate_words(int(diverged[row]), int(counts[row]))
        rows.append((names[member.id], member.id, f"{table.means[row].mean():.3f}", away, p, rate))
    lines += ["", *columns(rows, (False, False, True, True, True, False))]
    if shown < count:
        lines.append(f"  … and {count - shown} more (--every shows them, --json has them)")
    lines.append("")
    if table.incomplete:
        are = "configuration is" if table.incomplete == 1 else "configurations are"
        lines.append(f"{table.incomplete} {are} not ranked yet: not complete on every partition.")
    if raced([members[0] for members in table.members]):
        lines.append(f"{race_words([members[0] for members in table.members])} This concerns these {k} partitions.")
    several = [member for members in table.members for member in members]
    lines += filter(None, [_stopped(summary, table), compared_words(several), how_ended(several)])
    lines += divergence_words(diverged, counts)
    lines.append(f"Selection scores are taken at the selected epochs: {_looked_at(table)}.")
    lines.append(
        "Intervals and p: corrected resampled t-test over the partitions, which all hold out the same test split; "
        "p is not corrected for the number of configurations."
    )
    lines.append(f"orch evaluate and orch export take the networks trained on partition {table.partitions[0]}.")
    lines.append(f"For one partition and its confidence set: orch best {study.name} --partition {table.partitions[0]}")
    return Report(tuple(lines), _partitions_data(summary, table, against))


def _stopped(summary: Summary, table: PartitionTable) -> str:
    stopped = {member.id for member in summary.configurations if member.stopped_by_search}
    if not stopped:
        return ""
    return (
        f"The search stopped {counted(len(stopped), 'configuration')}: final scores unknown. Everything here compares "
        f"only {went_on([members[0] for members in table.members])}."
    )


def _looked_at(table: PartitionTable) -> str:
    return looked_at(member for members in table.members for member in members)


def _partitions_data(summary: Summary, table: PartitionTable, against: Resampled) -> dict[str, Any]:
    rows = [
        {
            **settings_data(members[0]),
            "rank": row + 1,
            "mean": finite(table.means[row].mean()),
            "means": [finite(value) for value in table.means[row]],
            "difference": finite(against.mean[row]),
            "low": finite(against.low[row]),
            "high": finite(against.high[row]),
            "p": finite(against.p[row]) if row else None,
            "diverged": int(table.diverged[row].sum()),
            "variance": components_data(table.components(row)),
        }
        for row, members in enumerate(table.members)
    ]
    return {
        "study": summary.study.name,
        "synthetic": summary.study.synthetic,
        "label": LABEL,
        "metric": table.metric,
        "looked_at": _looked_at(table),
        "partitions": list(table.partitions),
        "groups": summary.study.group_meaning,
        "selected": table.members[0][0].id,
        "classes": [one.data() for one in class_recalls(summary, table.members[0][0])],
        "among": among_words([members[0] for members in table.members]),
        "stopped_by_search": len({member.id for member in summary.configurations if member.stopped_by_search}),
        "test": "corrected resampled t-test",
        "scored_to_training_images": finite(table.ratio),
        "configurations": rows,
        "not_ranked": table.incomplete,
    }
