"""Text and numbers on their way into the page: nothing from a file or folder gets there unescaped."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from textwrap import wrap

from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.statistic import Statistic
from orchestrator.store.schema import Metric, StudyRecord
from search_spaces.configuration import Configuration
from search_spaces.presets import shown_strategy
from search_spaces.settings.selection import METRICS

METRIC_NAMES: dict[Metric, str] = {
    name: f"{metric.label[0].upper()}{metric.label[1:]}" for name, metric in METRICS.variants.items()
}
"""Of every task; which of them a study has, its task says."""

_LONG = 1e6
"""From here on a number is written with a power of ten."""


def text(value: object) -> str:
    """Escape for HTML content and quoted attributes."""
    return html.escape(str(value), quote=True)


def plot_text(value: object) -> str:
    """Escape for titles, ticks and hovers: plotly reads some tags, entities and %{…} in them."""
    return html.escape(str(value), quote=False).replace("%{", "% {")


def in_lines(name: str, letters: int) -> str:
    """A name for a figure in up to three lines of so many letters, escaped."""
    lines = wrap(name, letters, max_lines=3, placeholder=" …") or [name]
    return "<br>".join(plot_text(line) for line in lines)


def number(value: float | None, digits: int = 3) -> str:
    """A number for reading; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.{digits}f}" if abs(value) < _LONG else f"{value:.3g}"


def plus_minus(statistic: Statistic | None, digits: int = 3) -> str:
    """Mean ± standard deviation; the mean alone where n < 2."""
    if statistic is None or not math.isfinite(statistic.mean):
        return "–"
    if not math.isfinite(statistic.std):
        return number(statistic.mean, digits)
    return f"{number(statistic.mean, digits)} ± {number(statistic.std, digits)}"


def deviations(stds: Iterable[float], digits: int = 4) -> list[str]:
    """What follows a mean where one points at it: " ± 0.0123", nothing where there is no deviation (n < 2)."""
    return [f" ± {std:.{digits}f}" if math.isfinite(std) else "" for std in stds]


def duration(seconds: float) -> str:
    """A time for reading, in the two largest units: 45 s, 12 min, 3 h 5 min, 2 d 4 h; a dash where there is none."""
    if not math.isfinite(seconds):
        return "–"
    whole = max(0, round(seconds))
    for unit, name, below, lower in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min")):
        if whole >= 2 * unit:
            return f"{whole // unit} {name} {whole % unit // below} {lower}"
    return f"{round(whole / 60)} min" if whole >= 90 else f"{whole} s"


@lru_cache(maxsize=4096)
def lr_text(lr: float) -> str:
    """A learning rate as it would be typed: 1e-3, 2.5e-4."""
    mantissa, exponent = f"{lr:.6e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def depth_text(depth: tuple[str, int, int]) -> str:
    """A strategy with its number: "MLP head, n = 2"."""
    strategy, non_linearities, unfrozen = depth
    parts = [shown_strategy(strategy)]
    if non_linearities:
        parts.append(f"n = {non_linearities}")
    if unfrozen:
        parts.append(f"u = {unfrozen}")
    return ", ".join(parts)


def backbone_text(backbone: str) -> str:
    """A backbone's name without its library and without the folders of a file."""
    return backbone.split(":", 1)[-1].replace("\\", "/").rsplit("/", 1)[-1]


def whole_name(member: ConfigurationSummary) -> str:
    """What tells a configuration from all others of its backbone: `MLP head, n = 2, lr 0.01, batch 16`."""
    return f"{depth_text(member.depth)}, {point_text(member)}"


def point_text(member: ConfigurationSummary) -> str:
    """Where a configuration lies in its grid, and whatever else tells it apart."""
    rates = rates_text(member.configuration)
    return f"{rates}, {member.others}" if member.others else rates


def rates_text(c: Configuration) -> str:
    """`lr 1e-2, batch 16`, or `fitted` where there are no steps."""
    return "fitted" if c.head.is_fitted else f"lr {lr_text(c.optimiser.lr)}, batch {c.optimiser.batch_size}"


def study_title(study: StudyRecord) -> str:
    """The study's name, never without saying that its data are made up where they are."""
    return f"{study.name} (synthetic data)" if study.synthetic else study.name


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], caption: str = "", kind: str = "") -> str:
    """An HTML table of plain values, all escaped; the first column heads its row."""
    head = "".join(f'<th scope="col">{text(column)}</th>' for column in columns)
    body = []
    for first, *rest in rows:
        cells = zip(columns[1:], rest, strict=True)
        values = "".join(f'<td data-label="{text(column)}">{text(value)}</td>' for column, value in cells)
        body.append(f'<tr><th scope="row">{text(first)}</th>{values}</tr>')
    title = f"<caption>{text(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(caption or "Table")}">'
        f'<table class="{text(kind)}">{title}<thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'
    )
