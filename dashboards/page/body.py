"""The body of a study's page: its sections one below the other, and the bar that leads to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dashboards.figures.choice import Choice, backbones
from dashboards.figures.markup import backbone_text, text
from dashboards.page.controls import select, when
from dashboards.page.sections import SECTIONS, Section
from dashboards.page.sheet import Sheet
from orchestrator.statistics.partitions import partitions_of


def body(sheet: Sheet, progress: Callable[[int, int], None] | None = None) -> str:
    """The bar and all sections; what differs by partition or backbone is shown by the choices in the bar.

    progress(done, total): of what is drawn, one partition, or one backbone on it.
    """
    summary = sheet.source.summary
    names, networks = partitions_of(summary), backbones(summary.configurations)
    sections = [section for section in SECTIONS if section.is_shown(sheet.source)]
    content = {section.name: section.head(sheet) for section in sections}
    drawn, every = 0, len(names) * (1 + len(networks))
    for place, partition in enumerate(names):
        for section in sections:
            if block := section.of_partition(sheet, partition):
                content[section.name] += when(block, partition=place)
        drawn += 1
        if progress is not None:
            progress(drawn, every)
        for number, backbone in enumerate(networks):
            for section in sections:
                if block := section.of_backbone(sheet, Choice(partition, backbone)):
                    is_named = len(networks) > 1 or "<h4" in block
                    title = f"<h3>{text(backbone_text(backbone))}</h3>" if is_named else ""
                    content[section.name] += when(title + block, partition=place, backbone=number)
            drawn += 1
            if progress is not None:
                progress(drawn, every)
    for section in sections:
        content[section.name] += section.end(sheet)
    mark = ' <small class="synthetic">synthetic data</small>' if summary.study.synthetic else ""
    html = "".join(
        f'<section id="{section.name}"><h2>{section.title}{mark}</h2>{content[section.name]}</section>'
        for section in sections
    )
    return f'{_bar(sections, names, networks)}<main id="main">{html}</main>'


def _bar(sections: Sequence[Section], names: Sequence[str], networks: Sequence[str]) -> str:
    links = "".join(f'<a href="#{section.name}">{section.title}</a>' for section in sections)
    choices = select("Backbone", "backbone", [backbone_text(name) for name in networks], len(networks) < 2)
    partitions = [f"{name}{'' if place else ' (the study’s own)'}" for place, name in enumerate(names)]
    choices += select("Partition", "partition", partitions, len(names) < 2)
    return (
        f'<div class="bar"><div><nav aria-label="Sections">{links}</nav>{choices}'
        '<button type="button" id="theme">Light or dark</button></div></div>'
    )
