"""Mean, standard deviation (n − 1) and n over the repeats of every configuration: what all figures and tables show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import pairwise

import numpy as np

from orchestrator.results.at_work import AtWork, segments_at_work
from orchestrator.results.comparing import compared_by_valid
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.decided import Decided
from orchestrator.results.edges import EdgeNote, edge_notes
from orchestrator.results.flat_scores import FlatScores, metrics_of
from orchestrator.results.histories import Repeats, read_repeats
from orchestrator.results.mean_curves import MeanCurves
from orchestrator.results.names import told_apart
from orchestrator.results.narrowed import Left, asked_at_once, left_by_search
from orchestrator.results.standing import owed_lanes, standings
from orchestrator.results.statistic import Statistic
from orchestrator.results.stored_data import read_partition, read_table
from orchestrator.store import layout
from orchestrator.store.damage import Damaged, collecting, note
from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.layout import ConfigurationKey, FinalName
from orchestrator.store.schema import Metric, RepeatState, StudyRecord
from orchestrator.store.searches import Budget, Decision, SearchRecord
from orchestrator.store.storage import Storage
from search_spaces.configuration import Configuration
from search_spaces.stored import parse_study, read_configuration
from trainables.data.balance import views_per_image
from trainables.learning import metrics


@dataclass(frozen=True)
class Totals:
    """Counts of repeats. `done` have all the epochs asked (diverged ones included), `owed` are the others;
    `running` and `failed` are owed ones, `stopped` (by their ending) and `diverged` are done ones."""

    configurations: int
    asked: int
    done: int
    owed: int
    running: int
    failed: int
    stopped: int
    diverged: int
    epochs_done: int
    """Of those asked; one that ended by itself has all of them."""
    epochs_asked: int
    epochs_trained: int
    """Of all results."""
    seconds: float
    """Training time of all results, added up over whatever ran side by side."""

    @property
    def epochs_per_second(self) -> float:
        """Epochs per second of training time; NaN before the first result."""
        return self.epochs_trained / self.seconds if self.seconds > 0 else float("nan")


@dataclass(frozen=True)
class Summary:
    """All that a page, a table or a ranking needs of a study."""

    study: StudyRecord
    configurations: tuple[ConfigurationSummary, ...]
    """Sorted by partition, then rank, then id; those without a rank come last."""
    totals: Totals
    edges: tuple[EdgeNote, ...]
    searches: tuple[SearchRecord, ...]
    """Oldest first."""
    budgets: Mapping[str, Sequence[Budget]]
    """By id of their search, in the order of their numbers; so are decisions."""
    decisions: Mapping[str, Sequence[Decision]]
    at_work: tuple[AtWork, ...]
    """Segments that were begun and still owe something."""
    damaged: tuple[Damaged, ...]
    repeats: Repeats

    @property
    def splits(self) -> tuple[str, ...]:
        return self.repeats.splits

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """What there are scores by, see `metrics_of`; a page asks for each of its choices."""
        return metrics_of(self.repeats, self.study.task)


def summarise(storage: Storage, now: str | None = None) -> Summary:
    """Read a study and summarise it; writes nothing.

    `now` (UTC, ISO 8601) decides only which leases look alive. Damaged files are noted and listed in the result, not
    raised; a missing or damaged study.toml raises FileNotFoundError or DamagedRecordError.
    """
    with collecting() as left_out:
        summary = _summarised(storage, now)
    return replace(summary, damaged=left_out.all)


def _summarised(storage: Storage, now: str | None) -> Summary:
    study = parse_study(storage.read(layout.STUDY), layout.STUDY)
    moment = datetime.fromisoformat(now) if now else datetime.now(UTC)
    decided = Decided.of(storage)
    asked = decided.asked()
    repeats = read_repeats(storage)
    summaries: list[ConfigurationSummary] = []
    ranges = _ranges(repeats)
    results = _results(repeats, ranges)
    at_work = segments_at_work(storage, decided.segments(), owed_lanes(asked, results), moment)
    settings = _configurations(storage, {key.configuration for key in (*asked, *ranges)})
    _look_at_images(storage, {key.partition for key in (*asked, *ranges)})
    others = told_apart(settings.values())
    flat = FlatScores(repeats, study.task)
    at_once = asked_at_once(decided, asked)
    left = left_by_search(decided, at_once)
    counted = {key: _without_screened(flat, rows, left.get(key)) for key, rows in ranges.items()}
    curves = MeanCurves(flat, counted.values())
    by_valid, allowed = compared_by_valid(settings.values()), decided.allowed_epochs()
    stopped = decided.stopped()
    for key in sorted({*asked, *ranges}):
        configuration = settings.get(key.configuration)
        if configuration is None:
            continue
        rows = ranges.get(key, range(0))
        stand = standings(key, asked.get(key, {}), results.get(key, {}), at_work)
        most = allowed.get(key.configuration, 0)
        summary = ConfigurationSummary(
            key.partition,
            key.configuration,
            configuration,
            stand,
            others[configuration.id],
            paused=sum(one.state is RepeatState.FINISHED and one.epochs_done < most for one in stand),
            by_valid=configuration.selection.metric in by_valid,
            stopped_by_search=stopped[key.configuration].reason if key.configuration in stopped else "",
            narrowed=left[key].narrowed if key in left else (),
            is_asked_at_once=key in at_once or key not in asked,
        )
        if rows:
            screened, seconds = len(rows) - len(counted[key]), float(flat.seconds[rows.start : rows.stop].sum())
            summary = replace(summary, screened=screened, seconds=seconds)
            summary = _with_statistics(summary, flat, curves, counted[key])
        summaries.append(summary)
    ranked = _ranked(summaries, study.selection)
    drawn = {one.path for search in decided.searches.values() for one in search.distributions}
    edges = edge_notes(ranked, study.selection, drawn)
    trained = int(repeats.table["history_epochs"].sum())
    return Summary(
        study,
        ranked,
        _totals(ranked, trained),
        edges,
        tuple(decided.searches.values()),
        decided.budgets,
        decided.decisions,
        at_work.all,
        (),
        repeats,
    )


def training_samples(images: Mapping[str, int], configuration: Configuration) -> dict[str, int]:
    """Images times views of each class that a configuration trains on; `images` per class in the train split."""
    if configuration.balance.name == "subsample":
        return dict.fromkeys(images, min(images.values(), default=0) * configuration.image.views)
    if configuration.balance.name == "count":
        return dict.fromkeys(images, configuration.balance.count)
    if configuration.balance.name == "ngca" and images and min(images.values()) > 0:
        views = views_per_image(images)
        return {name: count * views[name] for name, count in images.items()}
    return {name: count * configuration.image.views for name, count in images.items()}


def _without_screened(flat: FlatScores, rows: range, left: Left | None) -> range:
    """Those of its rows that count: after a screening later repeats alone, once there is one."""
    if left is None:
        return rows
    screened = int((flat.numbers[rows.start : rows.stop] < left.first).sum())
    return range(rows.start + screened, rows.stop) if screened < len(rows) else rows


def _with_statistics(
    summary: ConfigurationSummary, flat: FlatScores, means: MeanCurves, rows: range
) -> ConfigurationSummary:
    """Add everything that follows from the histories of the table's `rows`."""
    at = slice(rows.start, rows.stop)
    start, diverged, trained = flat.repeats.start[at], flat.diverged[at], flat.trained[at]
    epochs = _epochs_of_all(flat, at)
    settings = summary.configuration
    selected = np.zeros(len(rows), dtype=np.int64)
    index = start[~diverged][:, None] + np.minimum(np.arange(epochs + 1), trained[~diverged][:, None])
    scores = flat.selection(settings.selection.metric, settings.selects_by_valid_alone)
    ranking = flat.selection(settings.selection.metric, summary.by_valid)
    if len(index):
        selected[~diverged] = np.argmax(scores[index], axis=1)
    splits = flat.repeats.splits
    chosen, first = (
        np.concatenate([values[epoch].T for values in flat.metrics.values()]) for epoch in (start + selected, start)
    )
    known = np.flatnonzero(~np.isnan(first).all(axis=1))
    every = [(metric, column) for metric in flat.metrics for column in range(len(splits))]
    keys = [every[place] for place in known]
    names: list[tuple[Metric, str]] = [(metric, splits[column]) for metric, column in keys]
    sign = -1.0 if metrics.is_loss(settings.selection.metric) else 1.0
    return replace(
        summary,
        with_result=tuple(int(number) for number in flat.numbers[at]),
        epochs=epochs,
        diverged=int(diverged.sum()),
        at_selected=dict(zip(names, Statistic.of_all(chosen[known]), strict=True)),
        at_start=dict(zip(names, Statistic.of_all(first[known]), strict=True)),
        curves={name: means.of(rows, *key) for name, key in zip(names, keys, strict=True)} if len(index) else {},
        selection=Statistic.of(sign * ranking[start + selected]),
        selected_epochs=Statistic.of(selected),
        total_parameters=_integer(flat.total_parameters[rows.start]),
        trainable_parameters=_integer(flat.trainable_parameters[rows.start]),
    )


def _ranked(summaries: Sequence[ConfigurationSummary], first: Metric) -> tuple[ConfigurationSummary, ...]:
    """Sort by the mean selection value over all repeats asked, within each partition; `first` before other metrics.

    Where there is no such value yet, by the settings.
    """

    def order(summary: ConfigurationSummary) -> tuple[str, bool, bool, str, float, tuple[object, ...], str]:
        c = summary.configuration
        metric = c.selection.metric
        mean = summary.selection.mean if summary.selection is not None else float("nan")
        value = mean if metrics.is_loss(metric) else -mean
        is_known = bool(np.isfinite(value))
        settings = (
            ()
            if is_known
            else (
                c.network.backbone,
                c.adaptation.unfrozen,
                c.head.non_linearities,
                c.optimiser.lr,
                c.optimiser.batch_size,
            )
        )
        worth = value if is_known else np.inf
        return summary.partition, not summary.may_rank, metric != first, metric, worth, settings, summary.id

    ranked: list[ConfigurationSummary] = []
    ranks: dict[str, int] = defaultdict(int)
    for summary in sorted(summaries, key=order):
        if summary.may_rank:
            ranks[summary.partition] += 1
            summary = replace(summary, rank=ranks[summary.partition])
        ranked.append(summary)
    return tuple(ranked)


def _totals(summaries: Sequence[ConfigurationSummary], epochs_trained: int) -> Totals:
    counts = {state: sum(summary.count(state) for summary in summaries) for state in RepeatState}
    asked = sum(summary.asked for summary in summaries)
    done = sum(count for state, count in counts.items() if state.has_result())
    every = [standing for summary in summaries for standing in summary.standings]
    return Totals(
        configurations=len({summary.id for summary in summaries}),
        asked=asked,
        done=done,
        owed=asked - done,
        running=counts[RepeatState.RUNNING],
        failed=counts[RepeatState.FAILED],
        stopped=counts[RepeatState.STOPPED],
        diverged=counts[RepeatState.DIVERGED],
        epochs_done=sum(standing.epochs_done for standing in every),
        epochs_asked=sum(standing.epochs_asked for standing in every),
        epochs_trained=epochs_trained,
        seconds=sum(summary.seconds for summary in summaries),
    )


def _epochs_of_all(flat: FlatScores, at: slice) -> int:
    """The largest number that all repeats have which did not end by themselves; of none else, the longest."""
    stopped, whole = flat.stopped[at], ~(flat.stopped[at] | flat.diverged[at])
    if whole.any():
        return int(flat.trained[at][whole].min())
    return int(flat.trained[at][stopped].max() if stopped.any() else flat.epochs[at].min())


def _look_at_images(storage: Storage, partitions: set[str]) -> None:
    """Nothing here needs manifest and partitions, but whoever asks how a study stands hears when they are damaged."""
    read_table(storage, layout.MANIFEST, {"label": "text", "group": "text"})
    for partition in sorted(partitions):
        read_partition(storage, partition)


def _configurations(storage: Storage, ids: set[str]) -> dict[str, Configuration]:
    configurations: dict[str, Configuration] = {}
    for identity in sorted(ids):
        path = layout.configuration(identity)
        try:
            configurations[identity] = read_configuration(storage, identity)
        except FileNotFoundError:
            note(storage, path, f"{path} is missing")
        except DamagedRecordError as error:
            note(storage, path, error.message)
    return configurations


def _ranges(repeats: Repeats) -> dict[ConfigurationKey, range]:
    """Rows of the table that belong to each configuration; the table is sorted, so they lie together."""
    table = repeats.table
    names = zip(table["partition"].tolist(), table["configuration"].tolist(), strict=True)
    keys = [ConfigurationKey(*name) for name in names]
    edges = [0, *(place for place in range(1, len(keys)) if keys[place] != keys[place - 1]), len(keys)]
    return {keys[first]: range(first, last) for first, last in pairwise(edges) if first < last}


def _results(
    repeats: Repeats, ranges: Mapping[ConfigurationKey, range]
) -> dict[ConfigurationKey, dict[int, FinalName]]:
    """Of each configuration the result of each repeat."""
    columns = (repeats.table[name].tolist() for name in ("repeat", "epochs", "state"))
    rows = [FinalName(int(number), int(epochs), RepeatState(s)) for number, epochs, s in zip(*columns, strict=True)]
    return {key: {one.repeat: one for one in rows[at.start : at.stop]} for key, at in ranges.items()}


def _integer(value: object) -> int | None:
    number = float(value) if isinstance(value, (int, float, np.number)) else float("nan")
    return int(number) if np.isfinite(number) else None
