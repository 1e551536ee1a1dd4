"""A figure of the page as a plotly object, for notebooks."""

from __future__ import annotations

import plotly.graph_objects as go

from dashboards.figures.palette import Spec


def plotly_object(spec: Spec) -> go.Figure:
    """With zoom, which on the page is left to its script."""
    return go.Figure(data=spec["data"], layout={**spec["layout"], "dragmode": "zoom"})
