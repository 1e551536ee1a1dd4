"""The tidy tables behind `orch table`: one row per epoch, repeat or configuration, and split."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.summary import Summary
from orchestrator.results.tried import tried_columns
from orchestrator.store.schema import RepeatState
from search_spaces.configuration import column_names
from search_spaces.settings.data import TASKS
from trainables.learning import metrics
from trainables.learning.tasks import confusion

_PER_CLASS = {"precision": confusion.precision, "recall": confusion.recall, "f1": confusion.f1}


def build_table(summary: Summary, level: Literal["epoch", "repeat", "config"]) -> pd.DataFrame:
    """Columns: partition, configuration, those of `tried_columns`, then by level

    epoch: repeat, epoch, split, is_selected, every metric there is (`Summary.metrics`), where the task has confusion
        counts precision_/recall_/f1_ and the class's name.
    repeat: repeat, state, epochs, epochs_asked, selected_epoch, seconds, host, device, split, then the same scores at
        the selected epoch; NaN where there is no result yet.
    config: rank, repeats_asked, n, diverged, epochs, best_epoch_mean, best_epoch_std, seconds, parameters, split, and
        of every score _mean and _std, of every metric _untrained_mean, _untrained_std and _best_repeat.
    """
    if level == "epoch":
        return _epochs(summary)
    repeats = _repeats(summary)
    return repeats if level == "repeat" else _configs(summary, repeats)


def _epochs(summary: Summary) -> pd.DataFrame:
    members = [member for member in summary.configurations if member.n]
    rows, selected = _rows(summary, members)
    if not members:
        return pd.DataFrame(columns=["partition", "configuration", *column_names(), "repeat", "epoch", "split"])
    data, counts = summary.repeats, np.diff(summary.repeats.start)
    taken = np.concatenate([np.arange(data.start[row], data.start[row + 1]) for row in rows])
    lengths = counts[rows]
    owner = np.repeat(np.repeat(np.arange(len(members)), [member.n for member in members]), lengths)
    epoch = taken - np.repeat(data.start[rows], lengths)
    frames = []
    for column, split in enumerate(data.splits):
        images = metrics.images(summary.study.task, data.statistics[taken, column])
        there = ~(np.isnan(data.loss[taken, column]) & (images == 0))
        frame = _settings(members, owner[there])
        frame["repeat"] = np.repeat(data.table["repeat"].to_numpy()[rows], lengths)[there]
        frame["epoch"] = epoch[there]
        frame["split"] = split
        frame["is_selected"] = (epoch == np.repeat(selected, lengths))[there]
        scored = _scores(summary, taken[there], column)
        frames.append(pd.concat([frame, scored], axis=1))
    table = pd.concat(frames, ignore_index=True)
    return table.sort_values(["partition", "configuration", "repeat", "epoch", "split"], ignore_index=True)


def _repeats(summary: Summary) -> pd.DataFrame:
    members = summary.configurations
    data = summary.repeats
    rows, selected = _rows(summary, [member for member in members if member.n])
    names = (data.table[name].to_numpy()[rows] for name in ("partition", "configuration", "repeat"))
    place = {key[:3]: key[3:] for key in zip(*names, rows.tolist(), selected.tolist(), strict=True)}
    owner, listed, row_of, epochs = [], [], [], []
    for number, member in enumerate(members):
        for standing in member.standings:
            row, epoch = place.get((member.partition, member.id, standing.repeat), (-1, -1))
            owner.append(number)
            listed.append(standing)
            row_of.append(row)
            epochs.append(epoch)
    index, chosen = np.array(row_of, dtype=np.int64), np.array(epochs, dtype=np.int64)
    has = index >= 0
    frames = []
    for column, split in enumerate(data.splits):
        frame = _settings(members, np.array(owner, dtype=np.int64))
        frame["repeat"] = [standing.repeat for standing in listed]
        frame["state"] = [standing.state.value for standing in listed]
        frame["epochs"] = [standing.epochs_done for standing in listed]
        frame["epochs_asked"] = [standing.epochs_asked for standing in listed]
        frame["selected_epoch"] = pd.array(np.where(has, chosen, 0), dtype="Int64")
        frame.loc[~has, "selected_epoch"] = pd.NA
        for name in ("seconds", "host", "device"):
            frame[name] = data.table[name].reindex(index).to_numpy()
        frame["split"] = split
        at = data.start[index[has]] + chosen[has]
        scored = _scores(summary, at, column)
        scored.index = pd.Index(np.flatnonzero(has))
        scored = scored.reindex(range(len(frame)))
        frames.append(pd.concat([frame, scored], axis=1))
    table = pd.concat(frames, ignore_index=True)
    if "valid_views" in data.splits:
        table = table[(table["split"] != "valid_views") | table["loss"].notna()]
    return table.sort_values(["partition", "configuration", "repeat", "split"], ignore_index=True)


def _configs(summary: Summary, repeats: pd.DataFrame) -> pd.DataFrame:
    columns = [name for name in repeats.columns if name in _score_columns(summary)]
    grouped = repeats.groupby(["partition", "configuration", "split"], sort=False)[columns]
    averaged = grouped.mean()
    means, stds = averaged.to_numpy(), grouped.std(ddof=1).to_numpy()
    position = {key: place for place, key in enumerate(averaged.index)}
    rows: list[dict[str, Any]] = []
    for number, member in enumerate(summary.configurations):
        best = member.best_repeat()
        for split in summary.splits:
            place = position.get((member.partition, member.id, split))
            if place is None:
                continue
            row: dict[str, Any] = {
                "owner": number,
                "rank": member.rank,
                "stopped_by_search": member.stopped_by_search,
                "repeats_asked": member.asked,
                "n": member.n,
                "diverged": member.diverged,
                "running": member.count(RepeatState.RUNNING),
                "failed": member.count(RepeatState.FAILED),
                "epochs": member.epochs,
                "best_epoch_mean": member.selected_epochs.mean if member.selected_epochs else np.nan,
                "best_epoch_std": member.selected_epochs.std if member.selected_epochs else np.nan,
                "seconds": member.seconds,
                "total_parameters": member.total_parameters,
                "trainable_parameters": member.trainable_parameters,
                "best_repeat": best[0] if best else None,
                "split": split,
            }
            for column, name in enumerate(columns):
                row[f"{name}_mean"], row[f"{name}_std"] = means[place, column], stds[place, column]
            for (metric, of), statistic in (member.at_start or {}).items():
                if of == split:
                    row[f"{metric}_untrained_mean"], row[f"{metric}_untrained_std"] = statistic.mean, statistic.std
            for (metric, of), statistic in (member.at_selected or {}).items():
                if of == split and best is not None:
                    row[f"{metric}_best_repeat"] = statistic.values[best[1]]
            rows.append(row)
    if not rows:
        return pd.DataFrame(columns=["partition", "configuration", *column_names(), "rank", "n", "split"])
    table = pd.DataFrame(rows)
    for name in ("rank", "total_parameters", "trainable_parameters", "best_repeat"):
        table[name] = table[name].astype("Int64")
    owners = table.pop("owner").to_numpy()
    return pd.concat([_settings(summary.configurations, owners), table], axis=1)


def _rows(summary: Summary, members: list[ConfigurationSummary]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the repeats' table that the members own, and each one's selected epoch; int64 [repeats]."""
    first: dict[tuple[str, str], int] = {}
    table = summary.repeats.table
    for row, key in enumerate(zip(table["partition"].tolist(), table["configuration"].tolist(), strict=True)):
        first.setdefault(key, row)
    rows = [first[member.partition, member.id] + member.screened + np.arange(member.n) for member in members]
    selected = [member.selected_epochs.values for member in members if member.selected_epochs is not None]
    nothing = [np.zeros(0, dtype=np.int64)]
    return np.concatenate(rows or nothing), np.concatenate(selected or nothing).astype(np.int64)


def _settings(members: Any, owner: np.ndarray) -> pd.DataFrame:
    """The columns that say which configuration a row belongs to; names as categories, so that they cost little."""
    columns: dict[str, Any] = {
        "partition": pd.Categorical([member.partition for member in members]).take(owner),
        "configuration": pd.Categorical([member.id for member in members]).take(owner),
    }
    settings = [tried_columns(member.configuration) for member in members]
    for name in column_names():
        values = [each[name] for each in settings]
        if any(isinstance(value, str) for value in values):
            columns[name] = pd.Categorical(values).take(owner)
        else:
            columns[name] = (pd.array(values) if None in values else np.array(values)).take(owner)
    return pd.DataFrame(columns).astype({"partition": "str", "configuration": "str"})


def _score_columns(summary: Summary) -> list[str]:
    task = TASKS.variants[summary.study.task]
    classes = summary.study.classes if task.has_confusion else ()
    return [*summary.metrics, *(f"{score}_{name}" for score in _PER_CLASS for name in classes)]


def _scores(summary: Summary, rows: np.ndarray, column: int) -> pd.DataFrame:
    """Columns `_score_columns` of these rows of the epochs, int64 [n], and the split in this column."""
    task, data = TASKS.variants[summary.study.task], summary.repeats
    loss, statistics = data.loss[rows, column], data.statistics[rows, column]
    columns = {
        metric: data.measured_by(metric)[rows, column]
        if metrics.is_measured(metric)
        else metrics.scores(metric, loss, statistics)
        for metric in summary.metrics
    }
    if task.has_confusion and len(loss):
        for score, function in _PER_CLASS.items():
            columns |= zip((f"{score}_{name}" for name in summary.study.classes), function(statistics).T, strict=True)
    return pd.DataFrame(columns, columns=_score_columns(summary), dtype=np.float64)
