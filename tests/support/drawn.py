"""Figures of a source that plotly has accepted."""

from __future__ import annotations

import plotly.graph_objects as go

from dashboards.figures.choice import Choice, Source
from dashboards.figures.facets import Facet
from dashboards.figures.registry import FIGURES


def drawn(source: Source, name: str, choice: Choice) -> dict[str, object]:
    """The named figure, which plotly has accepted."""
    spec = FIGURES[name].draw(FIGURES[name].data(source, choice), choice)
    go.Figure(spec)
    return spec


def at(unfrozen: int, non_linearities: int, score: str = "loss", **others: object) -> Choice:
    """Of a study whose configurations differ in nothing but these and the two settings that a grid has."""
    facet = Facet((("unfrozen", unfrozen), ("non_linearities", non_linearities)))
    return Choice(backbone="timm:resnet18.tv_in1k", facet=facet, score=score, **others)  # type: ignore[arg-type]
