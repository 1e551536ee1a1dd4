"""What a command says at its end or about a study: best configurations, what is missing, what to type next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from orchestrator.results.class_recalls import class_recalls, weak_words
from orchestrator.results.comparing import looked_at
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.how_ended import how_ended, how_many_diverged, how_many_stopped
from orchestrator.results.names import counted, names_of, words
from orchestrator.results.narrowed import among_words, compared_words
from orchestrator.results.remarks import read_remarks
from orchestrator.results.report import Report, columns, finite, plus_minus
from orchestrator.results.summary import Summary, summarise
from orchestrator.results.tried import tried
from orchestrator.statistics.partitions import partitions_of
from orchestrator.store.place import Place
from orchestrator.store.schema import Metric, RepeatState
from orchestrator.study.studies import Study, now
from search_spaces.presets import shown_strategy
from search_spaces.settings.data import TASKS
from search_spaces.settings.selection import METRICS

if TYPE_CHECKING:
    from orchestrator.resolved import Search

BEST_SHOWN = 5


def status_report(study: Study) -> Report:
    """Counts of the study and a line per configuration."""
    summary = summarise(study.storage, now())
    remarks = read_remarks(study.storage)
    told = [f"Tags: {', '.join(remarks.tags)}"] if remarks.tags else []
    told += [f"Note of {one.created[:10]}: {one.text}" for _, one in remarks.notes]
    lines = [*_heading(summary), *told, ""]
    partitions = partitions_of(summary)
    several = len(partitions) > 1
    if several:
        lines[-1:] = [f"{len(partitions)} partitions; {partitions[0]} is the study's own", ""]
    metrics = list(dict.fromkeys(map(_selects_by, summary.configurations)))
    ranks = _metric(metrics[0], summary) if len(metrics) == 1 else "score that ranks"
    names = _names(summary)
    rows: list[tuple[str, ...]] = [("partition", "configuration", "repeats", "running", "failed", "diverged", ranks)]
    for entry in sorted(summary.configurations, key=lambda entry: partitions.index(entry.partition)):
        by = f"  {words(_selects_by(entry))}" if len(metrics) > 1 else ""
        counts = [str(n) for n in (entry.count(RepeatState.RUNNING), entry.count(RepeatState.FAILED), entry.diverged)]
        of = f"{entry.n}/{entry.asked}"
        rows.append((entry.partition, names[entry.id], of, *counts, f"{plus_minus(entry.selection)}{by}"))
    shown = rows if several else [row[1:] for row in rows]
    lines += columns(shown, [False] * (1 + several) + [True] * 4 + [False]) if summary.configurations else []
    stopped = [entry for entry in summary.configurations if entry.stopped_by_search]
    if stopped:
        lines += ["", f"{how_many_stopped(stopped)} Why: orch decisions {study.name}"]
    lines += _failures(summary)
    if summary.totals.owed and not summary.totals.running:
        lines += ["", f"If no search of it is running, go on with: orch resume {study.name}"]
    if summary.totals.failed:
        lines.append(f"To retry only what failed: orch resume {study.name} --failed")
    notes = [{"text": one.text, "created": one.created} for _, one in remarks.notes]
    return Report(tuple(lines), {**_data(summary), "tags": list(remarks.tags), "notes": notes})


def closing_report(search: Search, page: Place | None, status: int) -> Report:
    """The end of a search: the best of the study, and of this search where that is another, advice on edges, the page
    (None: it could not be written), the next command; first what there is of all, where something failed."""
    study = search.study
    summary = summarise(study.storage, now())
    here = {key.configuration for key in search.epochs}
    partitions = partitions_of(summary)
    mine = [entry for entry in summary.configurations if entry.id in here]
    every = [entry for entry in summary.configurations if entry.rank is not None and entry.partition == partitions[0]]
    lines = _heading(summary) if status == 1 else []
    names = _names(summary)
    where = f" on the first of {len(partitions)} partitions" if len(partitions) > 1 else ""
    shown: list[ConfigurationSummary] = []
    own: list[ConfigurationSummary] = []
    for metric, several in groupby(every, key=_selects_by):
        alike = list(several)
        searched, by = [entry for entry in alike if entry.id in here], _metric(metric, summary)
        if not searched:
            continue
        if any(entry.narrowed for entry in alike):
            by += f" among {among_words(alike)}"
        of = " of the study" if len(searched) < len(alike) else ""
        lines.append(f"Best{of} by {by}{where}, mean ± std over all repeats asked (optimistic: it selected):")
        lines += _best(metric, alike, names, study.name)
        if searched[0] is not alike[0]:
            lines += ["Best of this search:", *_best(metric, searched, names, study.name)]
        shown, own = shown + alike[:BEST_SHOWN], own + searched[:BEST_SHOWN]
    recalls = class_recalls(summary, shown[0]) if shown else []
    lines += filter(None, [weak_words(recalls), compared_words(shown), how_ended(shown), how_many_diverged(mine)])
    stopped = [entry for entry in mine if entry.stopped_by_search and entry.partition == partitions[0]]
    if stopped:
        lines.append(f"{how_many_stopped(stopped)} Why: orch decisions {study.name}")
    incomplete = {entry.id for entry in mine if entry.rank is None and not entry.stopped_by_search}
    if incomplete:
        are = "is" if len(incomplete) == 1 else "are"
        lines.append(f"{counted(len(incomplete), 'configuration')} {are} incomplete and not ranked.")
    depths = {(entry.configuration.network.backbone, *entry.depth) for entry in mine}
    for edge in summary.edges:
        here_too = (edge.backbone, edge.strategy, edge.non_linearities, edge.unfrozen) in depths
        if here_too and edge.partition == partitions[0]:
            depth = "".join(
                f", {name} = {value}" for name, value in (("n", edge.non_linearities), ("u", edge.unfrozen)) if value
            )
            lines.append(
                f"{edge.backbone.partition(':')[2]}, {shown_strategy(edge.strategy)}{depth}: "
                f"the best {edge.setting}, {edge.best:g}, is the {edge.edge} that was tried; "
                f"extend the grid with {edge.option}"
            )
    lines += _failures(summary)
    if study.record.synthetic:
        lines.append("These are synthetic images: the scores say nothing about real ones.")
    lines.append(f"Dashboard: {page or 'not written'}")
    if status in (130, 143) or summary.totals.owed:
        lines.append(f"Next: orch resume {study.name}   (goes on where it stopped)")
    else:
        lines.append(f"Next: orch best {study.name}   or   orch dashboard {study.name} --open")
    data = _data(summary)
    data |= {
        "dashboard": str(page) if page else None,
        "exit_status": status,
        "best": [_entry(entry) for entry in shown],
        "best_of_search": [_entry(entry) for entry in own],
        "classes": [one.data() for one in recalls],
    }
    return Report(tuple(lines), data)


def _heading(summary: Summary) -> list[str]:
    totals, study = summary.totals, summary.study
    label = " (synthetic images)" if study.synthetic else ""
    return [
        f"{study.name}{label}: {counted(totals.configurations, 'configuration')}, {totals.done} of "
        f"{counted(totals.asked, 'repeat')} done, "
        f"{totals.running} running, {totals.failed} failed, {totals.diverged} diverged"
        + (f", {totals.stopped} stopped early" if totals.stopped else "")
    ]


def _failures(summary: Summary) -> list[str]:
    """One line for each configuration and cause, with the file that has the traceback."""
    names = _names(summary)
    return [
        f"Failed ({failure['kind']}): {names[entry.id]}, "
        f"{_repeats(failure['repeats'])}: {failure['cause']}   [{failure['record']}]"
        for entry in summary.configurations
        for failure in _failures_of(entry)
    ]


def _names(summary: Summary) -> dict[str, str]:
    return names_of(entry.configuration for entry in summary.configurations)


def _failures_of(entry: ConfigurationSummary) -> list[dict[str, Any]]:
    """What repeats failed of, and nobody has tried again yet: those of one record together."""
    failures: dict[str, dict[str, Any]] = {}
    for standing in entry.standings:
        if standing.state is RepeatState.FAILED:
            failure = {"kind": standing.kind, "cause": standing.cause, "record": standing.record, "repeats": []}
            failures.setdefault(standing.record, failure)["repeats"].append(standing.repeat)
    return list(failures.values())


def _repeats(numbers: Sequence[int]) -> str:
    return f"repeat {numbers[0]}" if len(numbers) == 1 else f"{len(numbers)} repeats"


def _selects_by(entry: ConfigurationSummary) -> Metric:
    return entry.configuration.selection.metric


def _metric(metric: Metric, summary: Summary) -> str:
    """What ranks those that select by it; the scores beside it need not be in its order."""
    members = [entry for entry in summary.configurations if _selects_by(entry) == metric]
    return f"{members[0].configuration.selection.words} ({looked_at(members)})"


def _best(metric: Metric, ranked: Sequence[ConfigurationSummary], names: Mapping[str, str], study: str) -> list[str]:
    lines, others = _scores(metric, ranked[:BEST_SHOWN], names), len(ranked) - BEST_SHOWN
    return [*lines, f"  … and {others} more: orch best {study} --every"] if others > 0 else lines


def _scores(metric: Metric, best: Sequence[ConfigurationSummary], names: Mapping[str, str]) -> list[str]:
    """A row for each: what selects, then other scores on valid where they are not the same numbers."""
    beside = dict.fromkeys(("loss", *(TASKS.variants[entry.configuration.data.task].score for entry in best)))
    selecting = [plus_minus(entry.selection) for entry in best]
    shown = {METRICS.variants[metric].label: selecting}
    for name in beside:
        cells = [plus_minus(entry.score(name, "valid")) for entry in best]
        if cells != selecting:
            shown[f"valid {METRICS.variants[name].label}"] = cells
    rows = [("", "configuration", *shown, "n")]
    for place, entry in enumerate(best):
        rows.append((f"{place + 1}.", names[entry.id], *(cells[place] for cells in shown.values()), str(entry.n)))
    return columns(rows, [True, False, *[True] * len(shown), True])


def _data(summary: Summary) -> dict[str, Any]:
    totals = summary.totals
    return {
        "study": summary.study.name,
        "synthetic": summary.study.synthetic,
        "selection": summary.study.selection,
        "repeats": {
            "asked": totals.asked,
            "done": totals.done,
            "owed": totals.owed,
            "running": totals.running,
            "failed": totals.failed,
            "stopped": totals.stopped,
            "diverged": totals.diverged,
        },
        "configurations": [_entry(entry) for entry in summary.configurations],
    }


def _entry(entry: ConfigurationSummary) -> dict[str, Any]:
    c = entry.configuration
    scores = {
        f"valid_{metric}": {"mean": finite(score.mean), "std": finite(score.std), "n": score.n}
        for metric in TASKS.variants[c.data.task].metrics
        if (score := entry.score(metric, "valid")) is not None
    }
    return {
        "id": entry.id,
        "partition": entry.partition,
        "backbone": c.network.backbone,
        "strategy": c.strategy,
        "parent": c.parent,
        "non_linearities": tried(c, "non_linearities"),
        "unfrozen": c.adaptation.unfrozen,
        "lr": None if c.head.is_fitted else c.optimiser.lr,
        "batch_size": None if c.head.is_fitted else c.optimiser.batch_size,
        "repeats": {
            "asked": entry.asked,
            "done": entry.n,
            "diverged": entry.diverged,
            "failed": entry.count(RepeatState.FAILED),
        },
        "failures": _failures_of(entry),
        "rank": entry.rank,
        "stopped_by_search": entry.stopped_by_search or None,
        **scores,
    }
