"""Backbones side by side: the figures of several, and the best configuration of each as a table."""

from __future__ import annotations

from dashboards.figures.choice import Choice, Source
from dashboards.figures.declaration import Per
from dashboards.figures.markup import table
from dashboards.page.backbone_table import backbone_table_data
from dashboards.page.chart import Charts
from dashboards.page.controls import nothing, reading
from dashboards.page.section_figures import section_figures


def section_backbones(source: Source, partition: str, charts: Charts) -> str:
    """Families, losses and the table of all; of one backbone the table alone."""
    choice = Choice(partition)
    listed = backbone_table_data(source, choice)
    if listed.empty:
        return nothing("No configuration has all its repeats yet, so there is nothing to compare.")
    parts = [section_figures("backbones", source, choice, charts, Per.PARTITION)]
    parts.append("<h3>All backbones</h3>")
    parts.append(
        reading(
            "The best-ranked configuration of each backbone, best first: mean ± standard deviation (n − 1) over n "
            "repeats at their selected epochs. Hours are those of this configuration’s repeats; what the whole study "
            "took stands at the end of the page."
        )
    )
    parts.append(table(list(listed.columns), listed.to_numpy(dtype=object).tolist(), "All backbones", "cards best"))
    return "".join(parts)
