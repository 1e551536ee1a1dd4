"""Rules on recorded repeats: what they see, and who judges them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from tests.support.checkout import ROOT
from tests.support.generated_study import small_study

sys.path.insert(0, str(ROOT / "benchmarks"))

from adaptive_rules import adaptive
from real_grid import SEEN, judged, played, recorded


def curves(count: int = 12, epochs: int = 20) -> np.ndarray:
    """Configuration 5 is best by 3 points at the end; repeats deviate by a tenth of a point."""
    draw = np.random.default_rng(4)
    ends = np.where(np.arange(count) == 5, 53.0, 50.0)[:, None, None] + draw.normal(size=(count, 2 * SEEN, 1)) / 10
    return ends * np.linspace(0.5, 1, epochs)


def test_a_clear_best_is_found_and_what_it_took_is_counted() -> None:
    values = curves()
    whole, halved = (played(adaptive(10, **rules), values, 0) for rules in ({}, {"epochs": "halving"}))
    assert (whole.behind, whole.spent) == (0, 1)
    assert halved.behind == 0
    assert halved.spent < 0.6


def test_fresh_repeats_judge() -> None:
    """Where all are alike the choice had looked better than it is: what was seen does not judge."""
    draw = np.random.default_rng(1)
    values = np.repeat(50 + draw.normal(size=(30, 2 * SEEN, 1)), 5, axis=2)
    found = [played(adaptive(1), values, number).behind for number in range(20)]
    assert min(found) >= 0
    assert np.mean(found) > 0.2


def test_every_rule_plays() -> None:
    table = judged("made up", curves(8), 1)
    assert len(table.rows) > 10
    assert {row[2] for row in table.rows if "orch" in str(row[0])} == {"0.00 ± 0.00"}


def test_a_study_is_read_as_it_tells_its_results(tmp_path: Path) -> None:
    _, study = small_study(tmp_path, diverges=lambda c, repeat: repeat == 1, repeats=4)
    values = recorded(tmp_path)
    assert values.shape == (len(study.configurations()), 4, study.epochs)
    assert (np.diff(values, axis=2) >= 0).all(), "the epoch selected so far"
    assert (values[:, 1] == values[:, 1, :1]).all(), "one that diverged counts with epoch 0"
