"""Where the numbers come from: settings, data, versions, hardware, what was asked; without names of files or groups."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cache

import pandas as pd

from dashboards.figures.markup import duration, lr_text, table
from dashboards.page.searches import searches_data, searches_html
from orchestrator.evaluation.nested_record import read_nested
from orchestrator.evaluation.record import read_evaluations
from orchestrator.results.stored_data import read_partition, read_table
from orchestrator.results.summary import Summary
from orchestrator.store import layout
from orchestrator.store.storage import Storage
from search_spaces.configuration import Configuration, differing, settings_of


@dataclass(frozen=True)
class Provenance:
    """Tables as plain rows; no row names a file or a group."""

    images: pd.DataFrame
    """Images per class (rows) and split (columns)."""
    groups: dict[str, int]
    """Groups per split."""
    partitions: tuple[tuple[str, str, str], ...]
    """(id, policy, seed)"""
    settings: tuple[tuple[str, str], ...]
    """Setting and its values over all configurations."""
    hardware: tuple[tuple[str, int, int, str], ...]
    """(device, machines, repeats, time of training in words)"""
    looks: int = 0
    """How often the test set was looked at."""


def provenance_data(storage: Storage, summary: Summary) -> Provenance:
    """Read what the summary does not hold; whatever is missing or damaged stays empty."""
    partitions = []
    split_of: dict[str, str] = {}
    for name in storage.list(layout.PARTITIONS):
        identity = name.removesuffix(".parquet")
        read = read_partition(storage, identity)
        partitions.append((identity, "–", "–") if read is None else (identity, read.policy, str(read.seed)))
        if read is not None and summary.study.partition in ("", identity):
            split_of = read.groups
    manifest = read_table(storage, layout.MANIFEST, {"label": "text", "group": "text"})
    images, groups = pd.DataFrame(), {}
    if manifest is not None:
        frame = manifest.to_pandas()
        frame["split"] = frame["group"].map(split_of)
        images = pd.crosstab(frame["label"], frame["split"])
        images = images[[name for name in ("train", "valid", "test") if name in images]]
        groups = {name: int(frame.loc[frame["split"] == name, "group"].nunique()) for name in images.columns}
    settings = settings_data([member.configuration for member in summary.configurations])
    opened = [record.looks for record in read_evaluations(storage)]
    looks = max([*opened, *(record.test_looks for record in read_nested(storage))], default=0)
    return Provenance(images, groups, tuple(partitions), settings, _hardware(summary), looks)


def settings_data(configurations: Sequence[Configuration]) -> tuple[tuple[str, str], ...]:
    """Every setting with all values it takes where it matters; those that differ come first."""
    differ = {one.path for one in differing(configurations)}
    rows = []
    for one in sorted(settings_of(Configuration), key=lambda one: one.path not in differ):
        if one.path in ("data.classes", "data.content"):
            continue
        values = {c.value(one.path) for c in configurations if c.matters(one)} - {None}
        ordered = sorted(values, key=lambda value: (isinstance(value, str), value))
        if ordered:
            show = lr_text if one.path == "optimiser.lr" else _short
            rows.append((one.column, ", ".join(show(value) or "–" for value in ordered)))
    engines = sorted({configuration.engine for configuration in configurations})
    return (*rows, ("engine", ", ".join(map(str, engines)))) if engines else tuple(rows)


def provenance_html(
    provenance: Provenance, summary: Summary, energy: Sequence[tuple[str, str]] = (), with_names: bool = False
) -> str:
    """The section's tables. energy: (name, value) of what was spent, see `dashboards.page.energy.energy_facts`.
    with_names: see `searches_data`."""
    study = summary.study
    search = summary.searches[-1] if summary.searches else None
    facts = [
        ("Study", study.name),
        ("Made", study.created),
        ("Task", f"{study.task}: {', '.join(study.classes)}"),
        ("Data", "synthetic, made from a seed" if study.synthetic else "given by the user"),
        ("Groups", study.group_meaning),
        ("Train and valid fingerprint", study.data_fingerprint),
        ("Test fingerprint", study.test_fingerprint),
        ("Seed", str(study.seed)),
        ("Precision", study.precision),
        ("Selection metric", study.selection),
        ("Search space", study.space or "–"),
        *((f"Partition {name}", f"{policy}, seed {seed}") for name, policy, seed in provenance.partitions),
        ("Looks at the test set", str(provenance.looks) if provenance.looks else "none: it is closed"),
        ("Training", f"{duration(summary.totals.seconds)}, summed over everything that ran in parallel"),
        ("Revision", search.revision if search and search.revision else "–"),
        *sorted(({**study.versions, **(search.versions if search else {})}).items()),
    ]
    parts = [_facts("Study and versions", facts)]
    if weights := weights_data(summary):
        parts.append(_fact(table(["Backbone", "Weights", "From"], weights, "Weights", "cards")))
    if not provenance.images.empty:
        rows: list[list[object]] = [[label, *counts] for label, *counts in provenance.images.itertuples()]
        groups, of = [*provenance.groups.values()], "Images and groups per split"
        if groups == provenance.images.sum().tolist():
            of = "Images per split"
        else:
            rows.append(["Groups", *groups])
        parts.append(_fact(table(["Class", *provenance.images.columns], rows, of)))
    if energy:
        parts.append(_facts("Energy so far", energy))
    if provenance.hardware:
        parts.append(_fact(table(["Device", "Machines", "Repeats", "Training"], provenance.hardware, "Hardware")))
    parts.append(_facts("Settings of all configurations", provenance.settings))
    return searches_html(searches_data(summary, with_names)) + f'<div class="facts">{"".join(parts)}</div>'


def weights_data(summary: Summary) -> list[list[object]]:
    """(backbone, identity of its weights, where they came from) of every backbone and weights."""
    origins = {backbone: origin for search in summary.searches for backbone, origin in search.weights.items()}
    pairs = {(m.configuration.network.backbone, m.configuration.network.weights) for m in summary.configurations}
    return [[backbone, weights, origins.get(backbone, "–")] for backbone, weights in sorted(pairs)]


def _facts(caption: str, rows: Sequence[tuple[str, str]]) -> str:
    return _fact(table(["Name", "Value"], rows, caption, "plain"))


def _fact(content: str) -> str:
    return f'<div class="fact">{content}</div>'


def _hardware(summary: Summary) -> tuple[tuple[str, int, int, str], ...]:
    frame = summary.repeats.table
    if frame.empty:
        return ()
    columns = (frame[name].tolist() for name in ("device", "recipe"))
    named = cache(_device_name)
    names = [named(device, recipe) for device, recipe in zip(*columns, strict=True)]
    grouped = (
        frame.assign(named=names)
        .groupby("named")
        .agg(machines=("host", "nunique"), repeats=("host", "size"), seconds=("seconds", "sum"))
    )
    return tuple(
        (str(name), int(machines), int(repeats), duration(seconds))
        for name, machines, repeats, seconds in grouped.itertuples()
    )


def _device_name(device: Hashable, recipe: Hashable) -> str:
    try:
        name = json.loads(str(recipe)).get("device_name", "")
    except (ValueError, AttributeError):
        name = ""
    return str(name or device)


def _short(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple):
        return "(" + ", ".join(_short(item) for item in value) + ")"
    return str(value)
