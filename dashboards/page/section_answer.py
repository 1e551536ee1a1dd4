"""The first section: the answer in a sentence, the best configurations, which may be the best, what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dashboards.figures import answer, differences
from dashboards.figures.choice import Choice, Source, best_of_each
from dashboards.figures.markup import METRIC_NAMES, backbone_text, depth_text, lr_text, text
from dashboards.figures.registry import FIGURES
from dashboards.page.chart import Charts, Variant
from dashboards.page.controls import SPLIT_KEY_WITH_MARKS, key, reading
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.edges import EdgeNote
from orchestrator.results.names import counted
from orchestrator.results.summary import Summary
from orchestrator.statistics.partition_table import over_partitions

_EDGES = 4
"""Notes on edges shown before the rest is folded."""


def answer_introduction(summary: Summary) -> str:
    """Stands once, before the answers of single partitions: what is selected over all; "" with one partition."""
    table = over_partitions(summary, summary.study.selection)
    return f'<p class="lede">{answer.over_partitions_sentence(table)}</p>' if table is not None else ""


def answer_section(source: Source, partition: str, charts: Charts) -> str:
    """The section's HTML for one partition."""
    summary = source.summary
    choice = Choice(partition)
    members = best_of_each(choice.members(summary), "strategy", "backbone")
    parts = [f'<p class="lede">{answer.sentence(summary, members)}</p>']
    parts.append(
        '<p class="note">Validation scores were used for selection and are optimistic; test scores, if there are any, '
        "stand in a section of their own. Configurations are ranked by the mean over all repeats asked, never by the "
        "best repeat: by the worse of train and valid, or by valid alone where class weights make the two "
        "incomparable.</p>"
    )
    if members:
        selections = {member.configuration.selection for member in members}
        parts.append("<h3>The best configuration of each strategy and backbone</h3>")
        parts.append(answer.best_table(answer.best_table_data(members, selections), selections))
        parts.append(
            reading(
                "Mean ± standard deviation (n − 1) over n repeats, at each repeat’s selected epoch; below it the 95 % "
                "interval of the mean of the metric that selects (Student’s t over the n repeats: retraining on this "
                "partition, not new patients). Scores without a split’s name are validation. Last column, apart: "
                "validation loss and accuracy of the single best repeat and its number; one repeat is no result."
            )
        )
        parts.append(_differences(source, choice, charts))
        parts.append(_repeats(source, partition, members, charts))
    parts.append(_edges([note for note in summary.edges if note.partition == partition], members))
    parts.append(_missing(summary))
    return "".join(parts)


def _differences(source: Source, choice: Choice, charts: Charts) -> str:
    figure = FIGURES["differences"]
    data = figure.data(source, choice)
    if data.empty:
        return ""
    sentence = differences.set_sentence(data)
    shown = min(len(data), differences.SHOWN)
    more = f" The figure shows the first {shown}; its data have all." if shown < len(data) else ""
    parts = [f"<h3>Which may be the best</h3><p>{text(sentence + more)}</p>"]
    if len(data) > 1:
        variant = Variant.of(figure.draw(data, choice), f"Forest plot. {sentence}", data)
        parts += [reading(figure.reading), charts.add({"only": variant}, min_width=340, title=figure.title)]
    return "".join(parts)


def _repeats(source: Source, partition: str, members: Sequence[ConfigurationSummary], charts: Charts) -> str:
    figure = FIGURES["best-repeats"]
    choice = Choice(partition, score=members[0].configuration.selection)
    data = figure.data(source, choice)
    variant = Variant.of(figure.draw(data, choice), answer.repeats_label(data, choice), data)
    name = METRIC_NAMES[members[0].configuration.selection]
    chart = charts.add({"only": variant}, min_width=340, title=f"{name} of the best configurations")
    more = f" The first {answer.SHOWN} of the table’s {len(members)} rows." if len(members) > answer.SHOWN else ""
    return f"<h3>{name} of their repeats</h3>{reading(figure.reading + more)}{key(SPLIT_KEY_WITH_MARKS)}{chart}"


def _edges(notes: Sequence[EdgeNote], members: Sequence[ConfigurationSummary]) -> str:
    """A few notes on the configurations of the table, best first; the others are folded away."""
    if not notes:
        return ""
    order = {(member.configuration.backbone, *member.depth): place for place, member in enumerate(members)}
    lines = []
    for note in notes:
        key = note.backbone, note.strategy, note.non_linearities, note.unfrozen
        value = lr_text(note.best) if note.setting == "lr" else f"{note.best:g}"
        name = "lr" if note.setting == "lr" else "batch size"
        where = f"{depth_text(key[1:])} on {backbone_text(note.backbone)}"
        line = (
            f"<li>{text(where)}: the best {name}, {value}, is the {note.edge} tried. "
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
            f"{totals.owed} of {totals.asked} repeats are still owed: {totals.running} running, {waiting} waiting, "
            f"{totals.failed} failed."
        )
    unranked = sum(member.rank is None for member in summary.configurations)
    if unranked:
        lines.append(
            f"{counted(unranked, 'configuration')} without a rank yet, because some of their repeats have no result."
        )
    lengths = {member.epochs for member in summary.configurations if member.rank is not None}
    if len(lengths) > 1:
        shown = ", ".join(map(str, sorted(lengths)))
        lines.append(f"Ranked configurations differ in the epochs they were trained for: {shown}.")
    others = Counter(m.configuration.selection for m in summary.configurations)
    own = summary.study.selection
    lines += [
        f"{count} configurations select by {METRIC_NAMES[metric].lower()}; they rank behind those that select by "
        f"{METRIC_NAMES[own].lower()}, as the study does."
        for metric, count in others.items()
        if metric != own and others[own]
    ]
    if totals.diverged:
        lines.append(f"{counted(totals.diverged, 'repeat')} diverged; each counts with its scores at epoch 0.")
    if summary.damaged:
        paths = ", ".join(damaged.path for damaged in summary.damaged[:3])
        lines.append(f"{len(summary.damaged)} files of the study cannot be read, among them {paths}.")
    if not lines:
        return ""
    return (
        '<h3>Still missing or to know</h3><ul class="notes">' + "".join(f"<li>{text(x)}</li>" for x in lines) + "</ul>"
    )
