"""The sections about the study as a whole: how far it is and who works on it, its backbones side by side, its data."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from dashboards.figures import dataset, families
from dashboards.figures.choice import Choice, Source, backbones
from dashboards.figures.markup import duration, table, text
from dashboards.figures.partition_map import map_label
from dashboards.figures.progress import progress_key
from dashboards.figures.registry import FIGURES
from dashboards.page.chart import Charts, Variant
from dashboards.page.controls import nothing, reading
from dashboards.page.duplicates import duplicates
from dashboards.page.names import without_names_of
from dashboards.page.sample_images import Album
from dashboards.page.section_images import opened_files, refused, samples
from dashboards.page.workers import pace, worker_data
from orchestrator.results.partition_maps import FILLED, why_no_map


def section_standing(source: Source, now: str, energy: str = "", with_names: bool = False) -> str:
    """Head of the progress section: counts, pace, time left, workers and failures."""
    totals = source.summary.totals
    share = totals.done / totals.asked if totals.asked else 0.0
    waiting = totals.owed - totals.running - totals.failed
    states = f"{totals.running} running, {waiting} waiting, {totals.failed} failed, {totals.diverged} diverged"
    spent = f" {text(energy)}" if energy else ""
    parts = [
        f"<p>{totals.done:,} of {totals.asked:,} repeats done ({share:.0%}), {states}; "
        f"{totals.epochs_done:,} of {totals.epochs_asked:,} epochs. {_pace(source)}{spent}</p>",
        f'<p class="meter" role="img" aria-label="{share:.0%} of the repeats done">'
        f'<span style="width:{share:.2%}"></span></p>',
    ]
    if totals.owed:
        parts.append(_workers(worker_data(source, now)))
        parts.append(_failures(source, with_names))
    parts.append(reading(FIGURES["progress"].reading + " One table per strategy and depth."))
    return "".join(parts) + progress_key()


def _pace(source: Source) -> str:
    totals, found = source.summary.totals, pace(source)
    words = []
    if math.isfinite(totals.epochs_per_second):
        words.append(f"One worker trains {totals.epochs_per_second:.2f} epochs per second")
    if found is not None and totals.owed:
        words.append(f"all together {found.epochs_per_s:.2f} by the clock, over the last hour of results")
        words.append(f"about {duration(found.left_s)} left at that pace")
    words.append(f"{duration(totals.seconds)} of training so far")
    sentence = ", ".join(words)
    return sentence[:1].upper() + sentence[1:] + "."


def _workers(data: pd.DataFrame) -> str:
    if data.empty:
        return nothing("Nothing is being trained: nobody holds a lease on what is still owed.")
    rows = [
        [
            row["host"],
            row["device"],
            row["configuration"],
            row["repeats"],
            f"{row['epochs']} of {row['of']}",
            f"{duration(row['age_s'])} ago" + (" – silent" if row["silent"] else ""),
        ]
        for row in data.head(40).to_dict("records")
    ]
    columns = ["Worker", "Device", "Configuration", "Repeats", "Epochs", "Last sign of life"]
    return table(columns, rows, "Workers", "workers cards")


def _failures(source: Source, with_names: bool) -> str:
    causes: dict[str, int] = {}
    for member in source.summary.configurations:
        for standing in member.standings:
            if standing.cause:
                causes[standing.cause] = causes.get(standing.cause, 0) + 1
    if not causes:
        return ""
    shown = str if with_names else without_names_of(source.storage, causes)
    rows = sorted(causes.items(), key=lambda item: -item[1])[:10]
    return table(["Cause", "Repeats"], [[shown(cause)[:200], count] for cause, count in rows], "Failures", "cards")


def section_backbones(source: Source, partition: str, charts: Charts) -> str:
    """Families, losses and the table of all; of one backbone the table alone."""
    choice = Choice(partition)
    listed = families.backbone_table_data(source, choice)
    if listed.empty:
        return nothing("No configuration has all its repeats yet, so there is nothing to compare.")
    parts = []
    if len(backbones(source.members(choice))) > 1:
        for name, label in (
            ("families", "Best validation loss and accuracy of every backbone, by family and strategy."),
            ("losses", "Mean validation loss by epoch of the best configuration of every backbone."),
        ):
            figure = FIGURES[name]
            data = figure.data(source, choice)
            variant = Variant.of(figure.draw(data, choice), label, data)
            chart = charts.add({"only": variant}, min_width=560, title=figure.title)
            parts.append(f"<h3>{figure.title}</h3>{reading(figure.reading)}{chart}")
    parts.append("<h3>All backbones</h3>")
    parts.append(
        reading(
            "The best-ranked configuration of each backbone, best first: mean ± standard deviation (n − 1) over n "
            "repeats at their selected epochs; hours in which the repeats of this one configuration were trained (what "
            "the whole study took stands at the end of the page)."
        )
    )
    parts.append(table(list(listed.columns), listed.to_numpy(dtype=object).tolist(), "All backbones", "cards best"))
    return "".join(parts)


def section_data(source: Source, partition: str, charts: Charts, album: Album, most: int) -> str:
    """Flow from files to splits, classes by split before and after balancing, groups per split; `most` samples."""
    found = dataset.flow(source, partition)
    if found is None:
        return nothing("This study holds no list of its images.")
    group = source.summary.study.group_meaning
    steps = []
    unused = sum(found.refused.values())
    if unused:
        why = "; ".join(f"{reason}: {count}" for reason, count in found.refused.items())
        steps.append(("Files", f"{found.images + unused:,} listed"))
        steps.append(("Refused", f"{unused:,} ({why})"))
    steps.append(("Images", f"{found.images:,} used, {found.groups:,} groups ({group})"))
    steps += [
        (name.capitalize(), f"{images:,} images of {groups:,} groups")
        for name, (groups, images) in found.by_split.items()
    ]
    flow = "".join(f"<li><b>{text(name)}</b> {text(words)}</li>" for name, words in steps)
    parts = [f'<h3>From files to splits</h3><ol class="flow">{flow}</ol>']
    figure = FIGURES["classes"]
    choice = Choice(partition)
    data = figure.data(source, choice)
    if not data.empty:
        variant = Variant.of(figure.draw(data, choice), "Images by class and split.", data)
        chart = charts.add({"only": variant}, title=figure.title)
        parts.append(f"<h3>{figure.title}</h3>{reading(figure.reading)}{chart}{_classes(data)}")
    opened = opened_files(source, partition) if album.shown.images else set()
    parts += [
        _partition(source, partition, charts),
        duplicates(source, partition, album, opened),
        samples(source, partition, album, most),
        refused(source, album),
    ]
    return "".join(parts)


def _classes(data: pd.DataFrame) -> str:
    splits = list(dict.fromkeys(data["split"]))
    rows: list[list[object]] = []
    for name, part in data.groupby("class", sort=False):
        by_split = part.set_index("split")
        row: list[object] = [name]
        for split in splits:
            row += [f"{by_split.loc[split, 'images']:,}", f"{by_split.loc[split, 'groups']:,}"]
        trained = float(by_split["trained"].get("train", math.nan))
        rows.append([*row, f"{trained:,.0f}" if math.isfinite(trained) else "–"])
    columns = ["Class", *(f"{split} {what}" for split in splits for what in ("images", "groups"))]
    return table([*columns, "trained on"], rows, "Images and groups by class and split", "cards")


def _partition(source: Source, partition: str, charts: Charts) -> str:
    """How near the partition came to its targets, where its file says so."""
    made = dataset.partition_details(source.storage, partition)
    details = made.get("details")
    classes = details.get("classes") if isinstance(details, dict) else None
    if not isinstance(details, dict) or not isinstance(classes, dict):
        return ""
    rows = []
    for name, values in classes.items():
        if isinstance(values, dict) and isinstance(values.get("shares"), list):
            shares = " / ".join(f"{share:.1%}" for share in values["shares"])
            extra = [values.get(key) for key in ("distance", "mu", "epsilon")]
            rows.append([name, shares, *("–" if value is None else f"{value:.4g}" for value in extra)])
    if not rows:
        return ""
    sentence = (
        f"Made by the policy {made.get('policy', '–')}, seed {made.get('seed', '–')}; shares are of "
        f"{details.get('unit', 'images')}, train / valid / test. Distance: how far shares and numbers of groups are "
        "from their targets, 0 is exact. μ and ε are those that iterative filling chose, where it was used."
    )
    content = table(["Class", "Shares", "Distance", "μ", "ε"], rows, "How the partition came out", "cards")
    return f"<h3>The partition</h3>{reading(sentence)}{content}{_map(source, partition, made, charts)}"


def _map(source: Source, partition: str, made: dict[str, Any], charts: Charts) -> str:
    """The maps over μ and ε, or why there are none."""
    figure, choice = FIGURES["partition-map"], Choice(partition)
    data = figure.data(source, choice)
    if data.empty:
        more = f"What it would have found: orch data candidates {source.summary.study.name} --partition {partition}"
        return nothing(f"{why_no_map(made)} {more}" if made.get("policy") not in FILLED else why_no_map(made))
    variant = Variant.of(figure.draw(data, choice), map_label(data), data)
    chart = charts.add({"only": variant}, min_width=520, title=figure.title)
    return f"<h3>{figure.title}</h3>{reading(figure.reading)}{chart}"
