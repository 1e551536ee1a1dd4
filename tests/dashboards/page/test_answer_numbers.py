"""Every number of the answer follows from what `orch table` writes: computed here by other means than the page's."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy import stats

from dashboards.page.page import render
from orchestrator.command_line import main
from tests.support.generated_study import NOW
from tests.support.predicted_study import predicted_study

NUMBER = re.compile(r"(?<![\w.])[+-]?\d+\.\d+(?![\w.])")
SCORES = ("loss", "accuracy", "balanced_accuracy", "macro_f1")


def told(folder: Path, *arguments: str) -> Any:
    result = CliRunner().invoke(main, [*arguments, "--studies", str(folder)])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def visible(page: str, section: str) -> str:
    """Text of a section, without what figures hold."""
    start = page.index(f'<section id="{section}"')
    inner = page[start : page.index("</section>", start)]
    inner = re.sub(r'<div class="frame">.*?</div></div></div>|<script.*?</script>', " ", inner, flags=re.S)
    return html.unescape(re.sub(r"<[^>]+>", " ", inner))


def spread(values: np.ndarray, digits: int) -> set[str]:
    """Mean and standard deviation (n − 1), as they are written."""
    return {f"{values.mean():.{digits}f}", f"{values.std(ddof=1):.{digits}f}"}


def expected(repeats: pd.DataFrame) -> set[str]:
    """Of one configuration everything that may be said of it, in three digits."""
    found: set[str] = set()
    by_split = dict(tuple(repeats.groupby("split")))
    for split, rows in by_split.items():
        for score in SCORES if split == "valid" else ("loss",):
            found |= spread(rows[score].to_numpy(), 3)
    valid = by_split["valid"]
    found |= spread(valid["selected_epoch"].to_numpy(), 1)
    loss = valid["loss"].to_numpy()
    away = stats.t.ppf(0.975, len(loss) - 1) * loss.std(ddof=1) / len(loss) ** 0.5
    found |= {f"{loss.mean() + sign * away:.3f}" for sign in (-1, 1)}
    best = valid.loc[valid["loss"].idxmin()]
    found |= {f"{best[score]:.3f}" for score in ("loss", "balanced_accuracy")}
    for name in (column for column in valid if column.startswith("recall_")):
        recall = valid[name].to_numpy()
        found |= spread(recall, 3) | {f"{1 - recall.mean():.3f}", f"{recall.mean():.2f}", f"{1 - recall.mean():.2f}"}
        found |= {f"{100 * share:.1f}" for share in (recall.mean(), 1 - recall.mean(), recall.std(ddof=1))}
    return found


@pytest.mark.parametrize("qualities", [(0.6, 0.9, 0.3), (0.8, 0.1, 0.4)])
def test_every_number_of_the_answer_is_in_the_tables(tmp_path: Path, qualities: tuple[float, ...]) -> None:
    depths = ((0, 0), (1, 0), (0, 2))
    storage, _ = predicted_study(tmp_path, qualities=dict(zip(depths, qualities, strict=True)))
    repeats = pd.DataFrame(told(tmp_path, "table", "slides", "--per", "repeat", "--format", "json"))
    best = told(tmp_path, "best", "slides", "--json")
    due = set(NUMBER.findall(" ".join(best["confidence_set"]["said"])))
    for _, own in repeats.groupby("configuration"):
        due |= expected(own)
    shown = NUMBER.findall(visible(render(storage, now=NOW), "answer"))
    assert len(shown) > 30
    assert [number for number in shown if number.lstrip("+") not in due] == []


def test_the_best_stands_first_with_its_own_numbers(tmp_path: Path) -> None:
    storage, _ = predicted_study(tmp_path)
    configurations = pd.DataFrame(told(tmp_path, "table", "slides", "--format", "json"))
    first = configurations[(configurations["rank"] == 1) & (configurations["split"] == "valid")].iloc[0]
    lede = re.search(r'<p class="lede">(.*?)</p>', render(storage, now=NOW), flags=re.S)
    assert lede is not None
    numbers = NUMBER.findall(html.unescape(re.sub(r"<[^>]+>", " ", lede[1])))
    assert numbers[:4] == [
        f"{first[f'{score}_{kind}']:.3f}" for score in ("loss", "balanced_accuracy") for kind in ("mean", "std")
    ]
