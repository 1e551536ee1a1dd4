"""Figures of a source that plotly has accepted."""

from __future__ import annotations

import plotly.graph_objects as go

from dashboards.figures.choice import Choice, Depth, Source
from dashboards.figures.registry import FIGURES


def drawn(source: Source, name: str, choice: Choice) -> dict[str, object]:
    """The named figure, which plotly has accepted."""
    spec = FIGURES[name].draw(FIGURES[name].data(source, choice), choice)
    go.Figure(spec)
    return spec


def at(depth: Depth, score: str = "loss", **others: object) -> Choice:
    return Choice(backbone="timm:resnet18.tv_in1k", depth=depth, score=score, **others)  # type: ignore[arg-type]
