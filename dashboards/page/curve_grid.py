"""The grid of mean curves for one depth at a time, and behind each panel the single repeats of its configuration."""

from __future__ import annotations

from dataclasses import replace

from dashboards.figures import curve_panels, curves, single_repeats
from dashboards.figures.choice import BOTH, Choice, Source, backbones, depths
from dashboards.figures.declaration import Figure
from dashboards.figures.markup import METRIC_NAMES, backbone_text, depth_text
from dashboards.page.chart import Charts, Variant
from dashboards.page.controls import ANY, controls, nothing, select, when
from orchestrator.statistics.partitions import partitions_of

_COLUMNS = ["lr", "batch size", "score", "epoch", "train mean", "train std", "valid mean", "valid std", "n"]


def curve_grid(figure: Figure, source: Source, choice: Choice, charts: Charts) -> str:
    """A grid for each depth that has a mean, and the choice among them."""
    members, tag = source.members(choice), _tag(source, choice)
    blocks: list[str] = []
    names: list[str] = []
    for at in depths(members):
        one = replace(choice, depth=at)
        variants = _variants(figure, source, one)
        if not variants:
            continue
        here = [member for member in members if member.depth == at]
        width = 100 + curves.PANEL_WIDTH * len({member.configuration.optimiser.batch_size for member in here})
        title = f"{backbone_text(choice.backbone)}, {depth_text(at)}"
        place = f"one-{tag}-{len(names)}"
        singles = single_repeats.singles_payload(source, here)
        control = " ".join(control.name for control in figure.page.controls)
        chart = charts.add(variants, control=control, min_width=width, title=title)
        options = {"": "none"} | {str(number): panel["name"] for number, panel in enumerate(singles["panels"])}
        chart = chart.replace('class="chart"', f'class="chart" data-picks="{place}"', 1)
        choose = controls(select("Single repeats of", place, options))
        behind = charts.add_singles(singles, place, f"{title}, single repeats")
        once = f"{chart}{choose}{when(behind, **{place: ANY})}"
        blocks.append(when(once, **{f"depth-{tag}": len(names)}))
        names.append(depth_text(at))
    if not blocks:
        sentence = figure.page.absent(source, choice) if figure.page.absent else ""
        return nothing(sentence) if sentence else ""
    return controls(select("Strategy", f"depth-{tag}", names, len(names) < 2)) + "".join(blocks)


def _variants(figure: Figure, source: Source, choice: Choice) -> dict[str, Variant]:
    """The figures in short, without their bands: the page's script draws them from the lines."""
    panels = {str(score): curve_panels.curve_panels(source, replace(choice, score=score)) for score in METRIC_NAMES}
    panels[BOTH] = [panel for score in curve_panels.ON_TWO_AXES for panel in panels[score]]
    found = {}
    for value, one in figure.variants(source.summary, choice).items():
        shown = panels[one.score]
        if shown:
            label = curves.curve_label(len({(panel.lr, panel.batch_size) for panel in shown}), one)
            found[value] = Variant(curves.panels_figure(shown), label, _COLUMNS, None)
    return found


def _tag(source: Source, choice: Choice) -> str:
    """Numbers in place of the names of partition and backbone, for the page's controls."""
    summary = source.summary
    numbers = partitions_of(summary).index(choice.partition), backbones(summary.configurations).index(choice.backbone)
    return "-".join(map(str, numbers))
