"""The first section: the answer in a sentence, the best configurations, which may be the best, what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dashboards.figures.choice import Choice, Source, best_of_each, selection_of
from dashboards.figures.declaration import Per
from dashboards.figures.markup import METRIC_NAMES, backbone_text, depth_text, lr_text, text
from dashboards.page.answer_sentence import answer_sentence, over_partitions_sentence
from dashboards.page.best_table import best_table, best_table_data
from dashboards.page.chart import Charts
from dashboards.page.controls import reading
from dashboards.page.section_figures import section_figures
from dashboards.page.together import ensembles_made
from orchestrator.results.class_recalls import class_recalls, weak_words
from orchestrator.results.comparing import looked_at, selected_by
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.edges import EdgeNote
from orchestrator.results.how_ended import how_ended, how_many_diverged, how_many_stopped
from orchestrator.results.names import counted
from orchestrator.results.narrowed import chosen_by_results, compared_words, no_correction
from orchestrator.results.summary import Summary
from orchestrator.statistics.partition_table import over_partitions
from search_spaces.settings.data import TASKS
from search_spaces.settings.selection import METRICS

_EDGES = 4
"""Notes on edges shown before the rest is folded."""


def answer_introduction(summary: Summary) -> str:
    """Stands once, before the answers of single partitions: what is selected over all; "" with one partition."""
    table = over_partitions(summary, summary.study.selection)
    return f'<p class="lede">{over_partitions_sentence(table)}</p>' if table is not None else ""


def answer_section(source: Source, partition: str, charts: Charts) -> str:
    """The section's HTML for one partition."""
    summary = source.summary
    choice = Choice(partition)
    members = best_of_each(choice.members(summary), "strategy", "backbone")
    metric = selection_of(summary, choice)
    ranked = [m for m in choice.members(summary) if m.configuration.selection.metric == metric]
    parts = [f'<p class="lede">{answer_sentence(summary, members)}</p>']
    if members and (weak := weak_words(class_recalls(summary, members[0]))):
        parts.append(f"<p>{text(weak)}</p>")
    parts.append(
        reading(
            "Validation scores were used for selection and are optimistic; test scores, if there are any, have a "
            "section of their own. Configurations are ranked by the mean over all repeats asked for, never by the best "
            "repeat.",
            f"Each value is taken at the repeat’s selected epoch, of {looked_at(ranked)}. An epoch is selected by "
            f"{selected_by(ranked)}.",
        )
    )
    if members:
        selections = {member.configuration.selection.metric for member in members}
        told = " and ".join(METRICS.variants[name].label for name in TASKS.variants[summary.study.task].metrics[:2])
        parts.append("<h3>The best configuration of each strategy and backbone</h3>")
        parts.append(best_table(best_table_data(members, selections), selections))
        parts.append(
            reading(
                "Mean ± standard deviation (n − 1) over n repeats, each at its selected epoch, and below it the 95 % "
                "interval of the mean of the metric that selects. The last column is the best single repeat, which is "
                "no result.",
                "The interval is Student’s t over the n repeats: it describes retraining on this partition, not new "
                "patients. Scores without a split’s name are validation scores. The last column has the validation "
                f"{told} of that repeat and its number.",
            )
        )
        parts.append(section_figures("answer", source, choice, charts, Per.PARTITION))
    parts.append(_edges([note for note in summary.edges if note.partition == partition], members))
    parts.append(ensembles_made(source, partition))
    parts.append(_missing(summary))
    return "".join(parts)


def _edges(notes: Sequence[EdgeNote], members: Sequence[ConfigurationSummary]) -> str:
    """A few notes on the configurations of the table, best first; the others are folded away."""
    if not notes:
        return ""
    order = {(member.configuration.network.backbone, *member.depth): place for place, member in enumerate(members)}
    lines = []
    for note in notes:
        key = note.backbone, note.strategy, note.non_linearities, note.unfrozen
        value = lr_text(note.best) if note.setting == "lr" else f"{note.best:g}"
        name = "lr" if note.setting == "lr" else "batch size"
        where = f"{depth_text(key[1:])} on {backbone_text(note.backbone)}"
        line = (
            f"<li>{text(where)}: the best {name}, {value}, is the {note.edge} tried; "
            f"<code>{text(note.option)}</code> extends the grid.</li>"
        )
        lines.append((order.get(key, len(order)), line))
    ordered = [line for _, line in sorted(lines, key=lambda pair: pair[0])]
    shown = f'<ul class="notes">{"".join(ordered[:_EDGES])}</ul>'
    if ordered[_EDGES:]:
        more = f'<ul class="notes">{"".join(ordered[_EDGES:])}</ul>'
        shown += f"<details><summary>{len(ordered) - _EDGES} more</summary>{more}</details>"
    return f"<h3>Best values at the edge of their grid</h3>{shown}"


def _missing(summary: Summary) -> str:
    totals = summary.totals
    lines = []
    if totals.owed:
        waiting = totals.owed - totals.running - totals.failed
        lines.append(
            f"{totals.owed} of {counted(totals.asked, 'repeat')} still to be done: {totals.running} running, "
            f"{waiting} waiting, {totals.failed} failed."
        )
    unranked = sum(member.rank is None and not member.stopped_by_search for member in summary.configurations)
    if unranked:
        lines.append(f"{counted(unranked, 'configuration')} without a rank yet, because some repeats have no result.")
    lengths = {member.epochs for member in summary.configurations if member.rank is not None}
    if len(lengths) > 1:
        shown = ", ".join(map(str, sorted(lengths)))
        lines.append(f"Ranked configurations were trained for different numbers of epochs: {shown}.")
    others = Counter(m.configuration.selection.metric for m in summary.configurations)
    own = summary.study.selection
    lines += [
        f"Ranked behind the others: {counted(count, 'configuration')} that select by {METRIC_NAMES[metric].lower()}; "
        f"the study selects by {METRIC_NAMES[own].lower()}."
        for metric, count in others.items()
        if metric != own and others[own]
    ]
    every = summary.configurations
    ranked = [member for member in every if member.rank is not None]
    if chosen_by_results(ranked):
        lines.append(f"No figure is corrected for this choice: {no_correction(summary.study.name)}.")
        lines.append(compared_words(ranked))
    lines += filter(None, [how_many_stopped(every), how_ended(every), how_many_diverged(every)])
    lines = [line for line in lines if line]
    if not lines:
        return ""
    return (
        '<h3>Still missing, or worth knowing</h3><ul class="notes">'
        + "".join(f"<li>{text(x)}</li>" for x in lines)
        + "</ul>"
    )
