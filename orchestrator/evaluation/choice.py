"""Which configuration is evaluated, on which test images."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from orchestrator.choosing.selection import selecting_metric
from orchestrator.results.comparing import looked_at, ranked_with
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.names import describe_configuration
from orchestrator.results.narrowed import among_words
from orchestrator.results.summary import Summary
from orchestrator.statistics.partition_table import over_partitions
from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.store.storage import Storage
from trainables.data.manifest import read_manifest
from trainables.data.partition import Partition, splits

USER_PREFIX = "user_"
LARGEST_SUBGROUPS = 20
"""A column with more values than this names no subgroups."""


@dataclass(frozen=True)
class Choice:
    """entry: the configuration on its partition, with all repeats asked. how: the choice in words."""

    entry: ConfigurationSummary
    how: str
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return describe_configuration(self.entry.configuration)


@dataclass(frozen=True)
class Split:
    """Images in manifest order: rows of a manifest with the class index as `truth`. valid: of the study's partition."""

    test: pd.DataFrame
    valid: pd.DataFrame


def choose(summary: Summary, configuration: str | None, partition: str | None) -> Choice:
    """The configuration with the best mean over all repeats, or the named one (the beginning of its id).

    Of a study with several partitions the best over all of them; its repeats on the study's own are evaluated. Raises
    InputError where nothing can be evaluated yet.
    """
    study = summary.study.name
    there = on_partition(summary, partition)
    if configuration is not None:
        return _named(summary, there, configuration)
    metric = selecting_metric(summary, None)
    table = over_partitions(summary, metric) if partition is None else None
    if table is not None:
        here, k, among = there[0].partition, len(table.partitions), among_words([one[0] for one in table.members])
        words = looked_at(members[0] for members in table.members)
        how = f"best mean {metric} ({words}) over {k} partitions among {among}; its repeats on partition {here}"
        notes = (_not_ranked(table.incomplete, table.incomplete + len(table.members)),) if table.incomplete else ()
        return Choice(table.selected_on(here), how, notes)
    ranked = [entry for entry in there if entry.rank is not None and entry.configuration.selection.metric == metric]
    if not ranked:
        raise InputError(
            f"study {study!r}: no configuration has finished all its repeats yet, so none can be selected",
            f"orch status {study} says what is missing; orch resume {study} trains it",
        )
    notes = (_not_ranked(len(there) - len(ranked), len(there)),) if len(there) > len(ranked) else ()
    several = len({entry.partition for entry in summary.configurations}) > 1
    where = f" on partition {ranked[0].partition}" if several else ""
    among = f"{among_words(ranked)}{where}"
    return Choice(ranked[0], f"best mean {metric} ({looked_at(ranked)}) over all repeats among {among}", notes)


def _not_ranked(count: int, every: int) -> str:
    return (
        f"Selected while {count} of {every} configurations had no rank yet: a later selection may differ, and "
        "evaluating it would be a further look."
    )


def split_images(storage: Storage, entry: ConfigurationSummary) -> Split:
    """The test and valid images of the entry's partition; there may be none of the first."""
    manifest = read_manifest(storage.read(layout.MANIFEST))
    path = layout.partition(entry.partition)
    split = splits(manifest, Partition.from_bytes(storage.read(path), path))
    index = {name: number for number, name in enumerate(entry.configuration.data.classes)}
    rows = manifest.assign(truth=manifest["label"].map(index))
    test, valid = (rows[(split == name).to_numpy()].reset_index(drop=True) for name in ("test", "valid"))
    return Split(test, valid)


def check_test_images(split: Split, entry: ConfigurationSummary) -> None:
    """Raises InputError where the partition has no test images."""
    if not len(split.test):
        raise InputError(
            f"partition {entry.partition} has no test images, so nothing can be evaluated",
            "Test on other images with --data DIR, or make a study whose partition has a test split.",
        )


def subgroup_column(images: pd.DataFrame, column: str) -> str:
    """The manifest's column that the user means by `column`; raises InputError that names those there are."""
    there = [name.removeprefix(USER_PREFIX) for name in images.columns if name.startswith(USER_PREFIX)]
    fits = [name for name in there if name == column] or [
        name for name in there if name.casefold() == column.casefold()
    ]
    if len(fits) != 1:
        known = f"Columns: {', '.join(there)}." if there else "The study was not made from a table with such columns."
        raise InputError(
            f"--by {column!r}: expected a column of the study's table besides file, class and group", known
        )
    values = images[f"{USER_PREFIX}{fits[0]}"].nunique()
    if values > LARGEST_SUBGROUPS:
        raise InputError(
            f"--by {fits[0]}: expected at most {LARGEST_SUBGROUPS} different values, found {values}",
            "Add a column of ranges or sites to the table, and make the study from it.",
        )
    return f"{USER_PREFIX}{fits[0]}"


def on_partition(summary: Summary, partition: str | None) -> list[ConfigurationSummary]:
    """The configurations on one partition: the named one (the beginning of its id), else the study's own."""
    there = sorted({entry.partition for entry in summary.configurations})
    if partition is not None:
        fits = [name for name in there if name.startswith(partition)]
        if len(fits) != 1:
            raise InputError(
                f"--partition {partition!r}: expected the beginning of exactly one partition id, {len(fits)} match",
                f"Partitions with results: {', '.join(there) or 'none yet'}",
            )
        return [entry for entry in summary.configurations if entry.partition == fits[0]]
    own = [entry for entry in summary.configurations if entry.partition == summary.study.partition]
    if own or len(there) <= 1:
        return own or list(summary.configurations)
    raise InputError(
        f"study {summary.study.name!r} has results on {len(there)} partitions, but none on its own",
        f"Name one: orch evaluate {summary.study.name} --partition {there[0]}",
    )


def _named(summary: Summary, there: list[ConfigurationSummary], wanted: str) -> Choice:
    study = summary.study.name
    fits = [entry for entry in there if entry.id.startswith(wanted)]
    if len(fits) != 1:
        raise InputError(
            f"--configuration {wanted!r}: expected the beginning of exactly one configuration id, {len(fits)} match",
            f"orch table {study} lists them",
        )
    entry = fits[0]
    if entry.rank is None:
        raise InputError(
            f"configuration {entry.id}: expected results of all {entry.asked} repeats, found {entry.n}",
            f"orch resume {study} trains what is missing",
        )
    alike = [one for one in ranked_with(entry, there) if one.rank is not None]
    place = f"place {alike.index(entry) + 1} of {len(alike)}"
    return Choice(
        entry, f"named by the user, {place} by mean {entry.configuration.selection.metric} ({looked_at(alike)})"
    )
