"""One self-contained HTML page of a study: opens from disk or an e-mail, asks no network for anything."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from itertools import groupby

from dashboards import answer, curves, depth, heat_maps, progress, provenance
from dashboards.chart import Charts, Variant
from dashboards.markup import METRIC_NAMES, backbone_text, depth_text, lr_text, study_title, text
from dashboards.palette import DARK
from dashboards.script import SCRIPT
from dashboards.style import STYLE
from orchestrator.store.schema import Metric
from orchestrator.store.storage import Storage
from orchestrator.summary import ConfigurationSummary, EdgeNote, Summary, summarise

_CURVES: tuple[Metric, ...] = ("loss", "accuracy", "balanced_accuracy")
_EDGES = 4
"""Notes on edges shown before the rest is folded."""
_SECTIONS = {
    "answer": "Answer",
    "progress": "Progress",
    "heat-maps": "Heat maps",
    "curves": "Curves",
    "depth": "Depth",
    "provenance": "Provenance",
}


def render(storage: Storage, *, now: str) -> str:
    """Summarise a study and return its page; `now` (UTC, ISO 8601) is shown and decides which leases look alive.

    Raises what `orchestrator.summary.summarise` raises.
    """
    summary = summarise(storage, now)
    return write_page(summary, provenance.provenance_data(storage, summary), now)


def write_page(summary: Summary, origin: provenance.Provenance, now: str) -> str:
    """The page's HTML, about 4.8 MB of plotly and the figures' data; equal arguments give equal pages."""
    from plotly.offline import get_plotlyjs

    charts = Charts(study_title(summary.study))
    body = _body(summary, origin, charts) if summary.configurations else _empty(summary, origin)
    scripts = (get_plotlyjs(), SCRIPT) if summary.configurations else ()
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'; "
        "script-src " + (" ".join(f"'sha256-{_hash(script)}'" for script in scripts) or "'none'")
    )
    title = text(study_title(summary.study))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{text(policy)}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{title}</title><style>{STYLE}</style></head><body>"
        '<a class="skip" href="#main">Skip to the results</a>'
        f"{_masthead(summary, now)}{body}{_footer(summary, now)}"
        f'<script type="application/json" id="dark-colours">{json.dumps(DARK)}</script>\n{charts.payloads()}'
        + "".join(f"\n<script>{script}</script>" for script in scripts)
        + "</body></html>\n"
    )


def _masthead(summary: Summary, now: str) -> str:
    study, totals = summary.study, summary.totals
    mark = ' <span class="synthetic">synthetic data</span>' if study.synthetic else ""
    count = f"{totals.done} of {totals.asked} repeats done, {totals.configurations} configurations"
    return (
        f'<header class="masthead"><p class="eyebrow">Study, {text(now[:16].replace("T", " "))} UTC</p>'
        f"<h1>{text(study.name)}{mark}</h1>"
        f'<p class="note">{count}. {len(study.classes)} classes: {text(", ".join(study.classes))}. '
        f"Images are grouped by {text(study.group_meaning)}.</p></header>"
    )


def _empty(summary: Summary, origin: provenance.Provenance) -> str:
    return (
        '<main id="main"><section><p class="empty">This study has no configurations yet: nothing has been searched. '
        "Run <code>orch search</code>, then write this page again.</p></section>"
        f'<section id="provenance"><h2>Provenance</h2>{provenance.provenance_html(origin, summary)}</section></main>'
    )


def _body(summary: Summary, origin: provenance.Provenance, charts: Charts) -> str:
    partitions = list(dict.fromkeys(member.partition for member in summary.configurations))
    backbones = list(dict.fromkeys(member.configuration.backbone for member in summary.configurations))
    synthetic = ' <small class="synthetic">synthetic data</small>' if summary.study.synthetic else ""
    sections = {
        "answer": "".join(
            _when(_answer(summary, partition, charts), partition=place) for place, partition in enumerate(partitions)
        ),
        "progress": _progress_reading(summary),
        "heat-maps": _heat_reading(),
        "curves": _curves_reading(),
        "depth": _depth_reading(),
    }
    for place, partition in enumerate(partitions):
        for number, backbone in enumerate(backbones):
            members = [
                member
                for member in summary.configurations
                if member.partition == partition and member.configuration.backbone == backbone
            ]
            tag = f"{place}-{number}"
            blocks = {
                "progress": progress.progress_grid(progress.progress_data(members)) if members else "",
                "heat-maps": _heat_maps(members, charts),
                "curves": _curves(members, charts, tag),
                "depth": _depths(members, charts),
            }
            for name, block in blocks.items():
                title = f"<h3>{text(backbone_text(backbone))}</h3>" if len(backbones) > 1 else ""
                shown = block or '<p class="note">No results here yet.</p>'
                sections[name] += _when(title + shown, partition=place, backbone=number)
    sections["provenance"] = provenance.provenance_html(origin, summary)
    html = "".join(
        f'<section id="{name}"><h2>{_SECTIONS[name]}{synthetic}</h2>{content}</section>'
        for name, content in sections.items()
    )
    return f'{_bar(partitions, backbones)}<main id="main">{html}</main>'


def _bar(partitions: Sequence[str], backbones: Sequence[str]) -> str:
    links = "".join(f'<a href="#{name}">{title}</a>' for name, title in _SECTIONS.items())
    choices = _select("Backbone", "backbone", [backbone_text(name) for name in backbones], len(backbones) < 2)
    choices += _select("Partition", "partition", list(partitions), len(partitions) < 2)
    return (
        f'<div class="bar"><div><nav aria-label="Sections">{links}</nav>{choices}'
        '<button type="button" id="theme">Light or dark</button></div></div>'
    )


def _answer(summary: Summary, partition: str, charts: Charts) -> str:
    members = answer.best_members(summary, partition)
    parts = [f'<p class="lede">{answer.sentence(summary, members)}</p>']
    parts.append(
        '<p class="note">Validation scores were used for selection and are optimistic; the test split stays closed. '
        "Configurations are ranked by the mean over all repeats asked, never by the best repeat: by the worse of train "
        "and valid, or by valid alone where class weights make the two incomparable.</p>"
    )
    if members:
        parts.append("<h3>The best configuration of each strategy and backbone</h3>")
        parts.append(answer.best_table(answer.best_table_data(members)))
        parts.append(
            '<p class="reading">Mean ± standard deviation (n − 1) over n repeats, at each repeat’s selected epoch. '
            "Scores without a split’s name are validation. Last column, apart: validation loss and accuracy of the "
            "single best repeat and its number; one repeat is no result.</p>"
        )
        metric = members[0].configuration.selection
        shown = members[:12]
        title = f"{METRIC_NAMES[metric]} of the best configurations"
        chart = charts.add({"only": answer.repeats_variant(shown, metric)}, min_width=340, title=title)
        parts.append(
            f"<h3>{METRIC_NAMES[metric]} of their repeats</h3>"
            '<p class="reading">Each dot is one repeat, each bar mean ± standard deviation over the n repeats of the '
            "table; the bars describe retraining on this partition, not new patients.</p>"
            f'<ul class="key">{_split_key(markers=True)}</ul>{chart}'
        )
    parts.append(_edges([note for note in summary.edges if note.partition == partition], members))
    parts.append(_missing(summary))
    return "".join(parts)


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
        lines.append(f"{unranked} configurations have no rank yet, because some of their repeats have no result.")
    lengths = {member.epochs for member in summary.configurations if member.rank is not None}
    if len(lengths) > 1:
        shown = ", ".join(map(str, sorted(lengths)))
        lines.append(f"Ranked configurations differ in the epochs they were trained for: {shown}.")
    if totals.diverged:
        lines.append(f"{totals.diverged} repeats diverged; each counts with its scores at epoch 0.")
    if summary.damaged:
        paths = ", ".join(damaged.path for damaged in summary.damaged[:3])
        lines.append(f"{len(summary.damaged)} files of the study cannot be read, among them {paths}.")
    if not lines:
        return ""
    return (
        '<h3>Still missing or to know</h3><ul class="notes">' + "".join(f"<li>{text(x)}</li>" for x in lines) + "</ul>"
    )


def _progress_reading(summary: Summary) -> str:
    pace = summary.totals.epochs_per_second
    speed = f" So far {pace:.2f} epochs per second of training time." if pace == pace else ""
    return (
        '<p class="reading">One table per strategy and depth: rows are learning rates, columns batch sizes; one mark '
        f"per repeat asked, and repeats done of those asked.{speed}</p>{progress.progress_key()}"
    )


def _heat_reading() -> str:
    choice = _select("Show", "heat", list(heat_maps.VALUES.values()), values=list(heat_maps.VALUES))
    return (
        '<p class="reading">Each cell is the mean over the repeats of one configuration, on the validation split at '
        "each repeat’s selected epoch; point at it for the standard deviation and n. The frame marks the best cell "
        "of a map among those whose repeats are all done; points outside the grid are blank. All maps share "
        "one scale.</p>"
        f'<div class="controls">{choice}</div>'
    )


def _heat_maps(members: Sequence[ConfigurationSummary], charts: Charts) -> str:
    data = {key: heat_maps.heat_data(members, key) for key in heat_maps.VALUES}
    if data["loss"].empty:
        return ""
    limits = {key: heat_maps.heat_range(frame) for key, frame in data.items()}
    name = backbone_text(members[0].configuration.backbone)
    legends = "".join(_when(heat_maps.heat_legend(key, limits[key]), heat=key) for key in data)
    panels = []
    for depth_key in sorted(set(data["loss"]["depth"]), key=_depth_order):
        variants = {key: heat_maps.heat_variant(frame, key, depth_key, limits[key]) for key, frame in data.items()}
        chart = charts.add(variants, control="heat", title=f"{name}, {depth_text(depth_key)}")
        panels.append(f'<div class="panel"><h4>{text(depth_text(depth_key))}</h4>{chart}</div>')
    return f'{legends}<div class="panels">{"".join(panels)}</div>'


def _curves_reading() -> str:
    choice = _select("Show", "curve", [METRIC_NAMES[metric] for metric in _CURVES], values=list(_CURVES))
    return (
        '<p class="reading">Rows are learning rates, columns batch sizes. Lines are means over the n finished repeats, '
        "bands ± one standard deviation (n − 1); each dot is one repeat’s selected epoch with its validation value. "
        "Epoch 0 is the untrained network.</p>"
        f'<ul class="key">{_split_key()}<li><i class="dot"></i> best of a repeat (valid)</li></ul>'
        f'<div class="controls">{choice}</div>'
    )


def _curves(members: Sequence[ConfigurationSummary], charts: Charts, tag: str) -> str:
    ordered = sorted(members, key=lambda member: _depth_order(member.depth))
    blocks: list[str] = []
    names: list[str] = []
    name = backbone_text(members[0].configuration.backbone) if members else ""
    for depth_key, group in groupby(ordered, key=lambda member: member.depth):
        here = list(group)
        variants: dict[str, Variant] = {}
        for metric in _CURVES:
            panels = curves.curve_data(here, metric)
            if panels:
                variants[metric] = curves.curve_variant(panels, metric, depth_key)
        if not variants:
            continue
        columns = len({member.configuration.batch_size for member in here})
        width = 100 + curves.PANEL_WIDTH * columns
        chart = charts.add(variants, control="curve", min_width=width, title=f"{name}, {depth_text(depth_key)}")
        blocks.append(_when(chart, **{f"depth-{tag}": len(names)}))
        names.append(depth_text(depth_key))
    if not blocks:
        return ""
    return f'<div class="controls">{_select("Strategy", f"depth-{tag}", names, len(names) < 2)}</div>{"".join(blocks)}'


def _depth_reading() -> str:
    choice = _select("Show", "score", list(METRIC_NAMES.values()), values=list(METRIC_NAMES))
    return (
        '<p class="reading">For each number of layers the best-ranked configuration: mean ± standard deviation '
        "(n − 1) over its n repeats at their selected epochs. Grey is the untrained network, mean ± standard deviation "
        "of the validation score at epoch 0 of the same repeats.</p>"
        f'<ul class="key">{_split_key(markers=True)}<li><i class="none"></i> untrained</li></ul>'
        f'<div class="controls">{choice}</div>'
    )


def _depths(members: Sequence[ConfigurationSummary], charts: Charts) -> str:
    panels = []
    name = backbone_text(members[0].configuration.backbone) if members else ""
    for setting in depth.NAMES:
        data = {metric: depth.depth_data(members, setting, metric) for metric in METRIC_NAMES}
        if len(data["loss"]) < 2:
            continue
        variants = {str(m): depth.depth_variant(frame, setting, m) for m, frame in data.items()}
        chart = charts.add(variants, control="score", title=f"{name}, {depth.NAMES[setting]}")
        panels.append(f'<div class="panel"><h4>Number of {depth.NAMES[setting]}</h4>{chart}</div>')
    if not panels:
        return '<p class="note">This figure needs ranked configurations with at least two different depths.</p>'
    return f'<div class="panels two">{"".join(panels)}</div>'


def _footer(summary: Summary, now: str) -> str:
    synthetic = " All data are synthetic." if summary.study.synthetic else ""
    return (
        f"<footer>Written {text(now)} from the records of the study {text(summary.study.name)}.{synthetic} "
        "No images, file names or group names are in this page.</footer>"
    )


def _split_key(markers: bool = False) -> str:
    extra = (" (open marks)", " (filled marks)") if markers else ("", "")
    return f'<li><i class="train"></i> train{extra[0]}</li><li><i class="valid"></i> valid{extra[1]}</li>'


def _select(
    label: str, sets: str, names: Sequence[str], hidden: bool = False, values: Sequence[str] | None = None
) -> str:
    """A labelled choice; values are the page's own words or numbers, never a name from a file."""
    keys = values or [str(place) for place in range(len(names))]
    options = "".join(f'<option value="{key}">{text(name)}</option>' for key, name in zip(keys, names, strict=True))
    return f'<label{" hidden" if hidden else ""}>{label} <select data-sets="{sets}">{options}</select></label>'


def _when(content: str, **choices: object) -> str:
    """A block that is shown only while the controls have these values."""
    condition = " ".join(f"{name}={value}" for name, value in choices.items())
    return f'<div data-when="{condition}">{content}</div>'


def _depth_order(depth_key: tuple[str, int, int]) -> tuple[int, int]:
    return depth_key[2], depth_key[1]


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
