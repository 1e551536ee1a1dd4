"""Every figure can be drawn of whatever a search leaves: constant, tiny, huge, NaN, single and no values."""

from __future__ import annotations

import math
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dashboards.figures.registry import FIGURES, open_source
from dashboards.page import provenance
from dashboards.page.page import write_page
from tests.support.generated_study import NOW
from tests.support.odd_study import COUNTS, LOSSES, odd_study


@pytest.mark.timeout(300)
@settings(max_examples=2, deadline=None)
@given(
    loss=st.sampled_from(list(LOSSES)),
    counts=st.sampled_from(list(COUNTS)),
    repeats=st.integers(0, 3),
    epochs=st.integers(1, 3),
    selection=st.sampled_from(["loss", "accuracy"]),
    certainty=st.sampled_from([0.0, 1.0, 1e3]),
)
@example("tiniest", "all right", 2, 1, "loss", 1e3)
@example("almost equal", "plain", 3, 2, "loss", 1.0)
@example("huge, constant", "all wrong", 2, 2, "loss", 1.0)
@example("not a number", "plain", 2, 2, "loss", 1.0)
@example("infinite", "plain", 1, 2, "accuracy", 1.0)
@example("plain", "plain", 0, 2, "loss", 1.0)
@example("plain", "plain", 2, 2, "loss", 1.0)
def test_every_figure_survives(
    loss: str, counts: str, repeats: int, epochs: int, selection: str, certainty: float
) -> None:
    with TemporaryDirectory() as folder:
        kind = {"loss": loss, "counts": counts, "epochs": epochs, "selection": selection}
        storage = odd_study(Path(folder), certainty, repeats > 0, repeats=max(1, repeats), **kind)
        source = open_source(storage, NOW)
        drawn = {name for name in FIGURES if _draws(source, name)}
        page = write_page(source, provenance.provenance_data(storage, source.summary), NOW)
    assert not re.findall("The figure “[^<]*", page)
    if loss == "plain" and repeats > 1:
        assert drawn == set(FIGURES) - {"confusion-groups"}, "the study has something for every figure"


def _draws(source: Any, name: str) -> bool:
    """Draw the figure for each of its choices; whether any has data."""
    figure, found = FIGURES[name], False
    for choice in figure.choices(source.summary):
        data = figure.data(source, choice)
        if data.empty:
            continue
        found = True
        assert len(figure.label(data, choice)) > 10
        spec = figure.draw(data, choice)
        go.Figure(spec)
        for where, value in _of_scales(spec):
            assert all(math.isfinite(end) for end in value), (name, choice, where, value)
            assert value[0] != value[-1], (name, choice, where, value)
    return found


def _of_scales(spec: Any) -> list[tuple[str, list[float]]]:
    """The ends of all axes and colour scales that a figure sets itself: plotly draws nothing on one that has none."""
    axes = [(name, axis["range"]) for name, axis in spec["layout"].items() if name[1:5] == "axis" and "range" in axis]
    colours = [("colours", [trace["zmin"], trace["zmax"]]) for trace in spec["data"] if "zmin" in trace]
    return [(name, [float(end) for end in np.asarray(value)]) for name, value in axes + colours]
