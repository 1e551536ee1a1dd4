"""Numbers for reading, and names on their way into the page."""

from __future__ import annotations

import numpy as np

from dashboards.figures.markup import backbone_text, in_lines, lr_text, plot_text, plus_minus, table, text
from orchestrator.results.statistic import Statistic


def test_numbers_for_reading() -> None:
    assert [lr_text(lr) for lr in (1e-3, 2.5e-4, 5e-7, 0.1)] == ["1e-3", "2.5e-4", "5e-7", "1e-1"]
    assert plus_minus(Statistic.of(np.array([0.5]))) == "0.500"
    assert plus_minus(Statistic.of(np.array([0.4, 0.6]))) == "0.500 ± 0.141"
    assert plus_minus(None) == "–"
    assert plus_minus(Statistic.of(np.array([1e38, 3e38]))) == "2e+38 ± 1.41e+38"
    assert in_lines("poorly <differentiated> with necrosis and more", 16).split("<br>") == [
        "poorly",
        "&lt;differentiated&gt;",
        "with necrosis …",
    ]
    assert backbone_text("file:/home/me/patients/net.pth") == "net.pth"


def test_names_are_escaped() -> None:
    hostile = "<script>alert(1)</script>\"' %{x}"
    assert "<" not in text(hostile)
    assert '"' not in text(hostile)
    assert "<" not in plot_text(hostile)
    assert "%{" not in plot_text(hostile)
    assert "<script" not in table([hostile, hostile], [[hostile, hostile]], hostile)
