"""What `orch mistakes` says, as text and as data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from orchestrator.choosing.choice_text import heading
from orchestrator.mistakes.found import Mistakes, worse
from orchestrator.mistakes.images import STANDINGS
from orchestrator.mistakes.slices import LEAST_GROUPS, LEVEL, Slice
from orchestrator.results.names import counted, counted_who, thousands
from orchestrator.results.report import Report, columns, finite
from orchestrator.statistics.set_words import p_words

SHOWN = 10
"""Rows of a table on the screen unless all are asked for; JSON has all."""
_CONFUSED = 3
_NAMED = "This report names files and groups: mind who sees it. It contains no test images."


def mistakes_report(mistakes: Mistakes, every: bool = False) -> Report:
    """Text with at most SHOWN rows of each table unless `every`, and data with all of them."""
    lines = [
        *heading([mistakes.study]),
        *_of_what(mistakes),
        "",
        *_configurations(mistakes),
        "",
        *_classes(mistakes),
        "",
    ]
    lines += [*_images(mistakes, every), "", *_groups(mistakes, every), *_slices(mistakes, every)]
    lines += [*_shared(mistakes, every), *_suspects(mistakes, every), "", _NAMED]
    return Report(tuple(lines), mistakes_data(mistakes))


def _of_what(mistakes: Mistakes) -> list[str]:
    of, study = mistakes.gathered, mistakes.study.name
    images, members = len(of.images), counted(len(of.members), "configuration")
    repeats = (
        counted(min(of.repeats), "repeat")
        if len({*of.repeats}) == 1
        else f"at least {counted(min(of.repeats), 'repeat')}"
    )
    judged = f"{images:,} images, each predicted by networks that did not train on it or its group"
    if of.is_cross_fitted:
        lines = [f"{judged}: the validation splits of {len(of.split_of)} partitions, {repeats} of {members} on each."]
    else:
        (partition,) = of.split_of
        lines = [f"{judged}: the validation split of partition {partition}, {repeats} of {members}."]
    if of.never_judged:
        lines.append(
            f"Not judged, because every network trained on them: {counted(of.never_judged, 'image')}. More partitions "
            f"judge more images: orch search {study} … --partitions 5"
        )
    return [*lines, *of.notes]


def _configurations(mistakes: Mistakes) -> list[str]:
    of, chosen = mistakes.gathered, mistakes.chosen
    which = "named" if chosen.is_named else f"the best of {chosen.among} by the selection metric"
    rows = [
        (str(c + 1), of.names[one.id], one.id, _share(1 - float((of.right[c] / of.trials).mean())))
        for c, one in enumerate(of.members)
    ]
    return [f"Configurations ({which}):", *columns([("", "", "id", "wrong"), *rows], (True, False, False, True))]


def _classes(mistakes: Mistakes) -> list[str]:
    several = len(mistakes.gathered.members) > 1
    head = ["class", "images", "groups", *(f"{one} right" for one in STANDINGS)]
    head += ["by 1 always", "sometimes", "never"] if several else []
    rows = []
    for row in mistakes.classes.to_dict("records"):
        cells = [row["label"], row["images"], row["groups"], *(row[one] for one in STANDINGS)]
        cells += [row[f"best_{one}"] for one in STANDINGS] if several else []
        rows.append([*map(str, cells), _share(row["error"]), row["mostly_called"] or "–"])
    total = mistakes.classes.sum(numeric_only=True)
    cells = ["all", int(total["images"]), len(mistakes.gathered.groups), *(int(total[one]) for one in STANDINGS)]
    cells += [int(total[f"best_{one}"]) for one in STANDINGS] if several else []
    rows.append([*map(str, cells), _share(float(mistakes.gathered.error.mean())), ""])
    over = f"over all repeats of the {len(mistakes.gathered.members)} configurations" if several else "over all repeats"
    text = f"Images by how often they are predicted right, {over}; wrong: share of configuration 1's predictions."
    return [text, *columns([[*head, "wrong", "mostly called"], *rows], (False, *[True] * (len(head)), False))]


def _images(mistakes: Mistakes, every: bool) -> list[str]:
    table = mistakes.images[mistakes.images["right"] < 1]
    if table.empty:
        return ["Every prediction of every image is right."]
    rows = [
        (
            row["file"],
            row["label"],
            row["group"],
            _share(row["right"]),
            f"{row['probability']:.2f}",
            row["mostly_called"],
        )
        for row in _first(table, every)
    ]
    head = ("image", "class", "group", "right", "P", "mostly called")
    lines = ["Images most often predicted wrong; P: mean probability of their class."]
    lines += columns([head, *rows], (False, False, False, True, True, False))
    return [*lines, *_more(len(table), len(rows))]


def _groups(mistakes: Mistakes, every: bool) -> list[str]:
    table = mistakes.groups[mistakes.groups["error"] > 0]
    if len(mistakes.groups) == len(mistakes.gathered.images) or table.empty:
        return []
    rows = []
    for row in _first(table, every):
        confused = ", ".join(f"{truth} as {called} {_share(s)}" for truth, called, s in row["confused"][:_CONFUSED])
        rows.append(
            (
                row["group"],
                str(row["images"]),
                _share(row["error"]),
                _share(row["expected"]),
                str(row["never"]),
                confused,
            )
        )
    head = ("group", "images", "wrong", "its classes", "never right", "confused")
    lines = ["Groups, by configuration 1; its classes: the share wrong that its mix of classes alone would give."]
    lines += columns([head, *rows], (False, True, True, True, True, False))
    return [*lines, *_more(len(table), len(rows)), ""]


def _slices(mistakes: Mistakes, every: bool) -> list[str]:
    if not mistakes.slices:
        return ["Slices: there is no column with several values, and all images have the same size.", ""]
    tested = sum(one.p is not None for one in mistakes.slices)
    named = worse(mistakes.slices)
    rows = [(*_slice(one), "worse" if one.is_worse else "") for one in mistakes.slices]
    head = ("property", "value", "images", "groups", "wrong", "95 %", "its classes", "p", "corrected", "")
    shown = rows if every or len(rows) <= 3 * SHOWN else [(*_slice(one), "worse") for one in named[: 3 * SHOWN]]
    lines = ["Slices, by configuration 1; its classes: the share wrong that its mix of classes alone would give."]
    lines += columns([head, *shown], (False, False, *[True] * 7, False))
    lines += _more(len(rows), len(shown))
    which = f"{len(named)} {'is' if len(named) == 1 else 'are'} worse" if named else "none is shown to be worse"
    lines.append(
        f"Of {counted(tested, 'slice')} tested, {which} than chance explains, given their classes (sign flips of whole "
        f"groups, Holm's correction, level {LEVEL:g}). Slices of fewer than {LEAST_GROUPS} groups are not tested; "
        "intervals are over groups."
    )
    return [*lines, ""]


def _slice(one: Slice) -> tuple[str, ...]:
    band = "–" if one.low is None or one.high is None else f"{_share(one.low)} to {_share(one.high)}"
    p = ["–" if value is None else p_words(value) for value in (one.p, one.corrected)]
    return one.name, one.value, str(one.images), str(one.groups), _share(one.error), band, _share(one.expected), *p


def _shared(mistakes: Mistakes, every: bool) -> list[str]:
    if len(mistakes.gathered.members) < 2:
        return []
    regions = mistakes.shared.regions
    shown = regions if every else [*regions[:-1][:SHOWN], *regions[-1:]]
    rows = [(_runs(which) or "none", str(count)) for which, count in shown]
    totals = ", ".join(f"{c + 1}: {count}" for c, count in enumerate(mistakes.shared.wrong.tolist()))
    lines = [f"Images predicted wrong in most repeats by exactly these configurations (in all: {totals})."]
    return [*lines, *columns(rows, (False, True)), *_more(len(regions), len(shown)), ""]


def _suspects(mistakes: Mistakes, every: bool) -> list[str]:
    of, table = mistakes.gathered, mistakes.suspects
    estimated = float(mistakes.joint.estimated.sum())
    lines = [
        f"Suspected labels: {len(table):,} of {thousands(len(of.images), 'image')} may belong to another class than "
        f"their label says; confident learning estimates {thousands(round(estimated), 'wrong label')}."
    ]
    if len(table):
        lines.append(
            f"Of configuration 1's predictions {_share(float(of.error.mean()))} are wrong. Where networks are often "
            "wrong, most suspected images are difficult ones with the right label; only looking at them tells."
        )
        rows = [
            (
                row["file"],
                row["label"],
                row["looks_like"],
                f"{row['label_probability']:.2f}",
                f"{row['other_probability']:.2f}",
                f"like {row['twin']} ({row['twin_label']})" if row["twin"] else "",
            )
            for row in _first(table, every)
        ]
        lines += columns(
            [("image", "label", "looks like", "P label", "P other", ""), *rows],
            (False, False, False, True, True, False),
        )
        lines += _more(len(table), len(rows))
        lines.append(f"To have them reviewed blind: orch mistakes {mistakes.study.name} --review FILE")
    if len(mistakes.twins):
        first = mistakes.twins.iloc[0]
        lines.append(
            f"{counted_who(len(mistakes.twins), 'image', 'nearly equals', 'nearly equal')} a training image of another "
            f"class, such as {first['file']} ({first['label']}) and {first['other']} ({first['other_label']})."
        )
    elif not mistakes.compared:
        lines.append(f"Near-duplicates have not been looked for: orch data duplicates {mistakes.study.name} --look")
    return lines


def mistakes_data(mistakes: Mistakes) -> dict[str, Any]:
    """Everything, rows in the order of the text."""
    of = mistakes.gathered
    return {
        "study": mistakes.study.name,
        "synthetic": mistakes.study.synthetic,
        "split": "valid",
        "groups_mean": mistakes.study.group_meaning,
        "partitions": list(of.split_of),
        "repeats": list(of.repeats),
        "never_judged": of.never_judged,
        "configurations": [
            {"id": one.id, "name": of.names[one.id], "wrong": 1 - float((of.right[c] / of.trials).mean())}
            for c, one in enumerate(of.members)
        ],
        "classes": mistakes.classes.to_dict("records"),
        "images": mistakes.images.to_dict("records"),
        "groups": [
            {**row, "confused": [{"truth": t, "called": p, "share": s} for t, p, s in row["confused"]]}
            for row in mistakes.groups.to_dict("records")
        ],
        "slices": [
            {
                **{name: getattr(one, name) for name in ("name", "value", "images", "groups", "error", "low", "high")},
                "expected": one.expected,
                "p": one.p,
                "p_corrected": one.corrected,
                "is_worse": one.is_worse,
            }
            for one in mistakes.slices
        ],
        "shared_errors": {
            "wrong": dict(zip((one.id for one in of.members), mistakes.shared.wrong.tolist(), strict=True)),
            "exactly": [
                {"configurations": [of.members[c].id for c in which], "images": count}
                for which, count in mistakes.shared.regions
            ],
        },
        "suspects": mistakes.suspects.to_dict("records"),
        "confident_learning": {
            "thresholds": [finite(value) for value in mistakes.joint.thresholds],
            "counts": mistakes.joint.counts.tolist(),
            "wrong_labels": dict(zip(of.classes, np.round(mistakes.joint.estimated, 2).tolist(), strict=True)),
        },
        "near_duplicates_of_another_class": mistakes.twins.to_dict("records") if mistakes.compared else None,
        "notes": list(of.notes),
    }


def _runs(places: tuple[int, ...]) -> str:
    """Numbers of configurations from 1: `1, 3–7`."""
    runs = list[list[int]]()
    for place in places:
        if runs and place == runs[-1][-1] + 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    return ", ".join(
        f"{run[0] + 1}–{run[-1] + 1}" if len(run) > 2 else ", ".join(str(c + 1) for c in run) for run in runs
    )


def _first(table: pd.DataFrame, every: bool) -> list[dict[Any, Any]]:
    return (table if every else table.head(SHOWN)).to_dict("records")


def _more(total: int, shown: int) -> list[str]:
    return [f"  … and {total - shown:,} more (--every shows them, --json has them)"] if shown < total else []


def _share(value: float) -> str:
    return f"{value:.0%}" if value >= 0.0995 or value == 0 else f"{value:.1%}"
