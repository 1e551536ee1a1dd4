"""The page of all studies of a folder: where each stands, its best configuration, its last change, and its page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dashboards.figures.markup import number, text
from dashboards.page import joining
from dashboards.page.chart import Charts
from dashboards.page.controls import nothing, reading
from dashboards.page.page import document
from orchestrator.results.overview import Overview

COLUMNS = ("Study", "State", "Repeats", "Best so far", "Score", "Last change")
_STYLE = joining.read("dashboards.page", "home.css")

Link = Callable[[Overview], str]
"""The address of a study's page; "" where it has none."""


def home_page(studies: Sequence[Overview], now: str, link: Link) -> str:
    """A whole page, in the order given. now: UTC, ISO 8601. Equal arguments give equal pages."""
    rows = "".join(_row(one, link(one)) for one in studies)
    head = "".join(f'<th scope="col">{column}</th>' for column in COLUMNS)
    listed = (
        '<div class="scroll" tabindex="0" role="region" aria-label="Studies">'
        f'<table class="cards home"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )
    how = (
        "The best configuration of each study by the validation score that selected it, so the score is optimistic: "
        "mean ± standard deviation over repeats. Scores of different studies cannot be compared here; orch compare "
        "does that."
    )
    without = [one.name for one in studies if not link(one)]
    missing = (
        nothing(f"A study without a link has no page yet: orch dashboard {without[0]} writes it.") if without else ""
    )
    running = sum(one.is_running for one in studies)
    count = f"{len(studies)} {'study' if len(studies) == 1 else 'studies'}, {running} running"
    body = (
        f'<header class="masthead"><p class="eyebrow">Studies, {text(now[:16].replace("T", " "))} UTC</p>'
        f'<h1>Studies</h1><p class="note">{count}.</p></header>'
        f'<main id="main"><section id="studies"><h2>All studies</h2>{listed}{reading(how)}{missing}</section></main>'
        f"<footer>Written {text(now)}. No images, file names or group names are in this page.</footer>"
    )
    return document("Studies", body, Charts("Studies"), _STYLE)


def _row(one: Overview, address: str) -> str:
    mark = ' <span class="synthetic">synthetic data</span>' if one.synthetic else ""
    name = f'<a href="{text(address)}">{text(one.name)}</a>' if address else text(one.name)
    name += "".join(f' <span class="tag">{text(tag)}</span>' for tag in one.tags)
    said = f'<small class="note">{text(one.note)}</small>' if one.note else ""
    score = "–"
    if one.score is not None:
        spread = f" ± {number(one.score.std)}" if one.score.n > 1 else ""
        score = f"{one.by} {number(one.score.mean)}{spread} (n = {one.score.n})"
    changed = one.changed[:16].replace("T", " ")
    share = f'<progress max="{one.asked}" value="{one.done}"></progress> ' if one.asked else ""
    cells = (
        text(one.state),
        f"{share}{one.done:,} of {one.asked:,}",
        text(one.best or "–"),
        text(score),
        f"{text(changed)} UTC" if changed else "–",
    )
    values = "".join(
        f'<td data-label="{label}"><span>{cell}</span></td>' for label, cell in zip(COLUMNS[1:], cells, strict=True)
    )
    return f'<tr><th scope="row">{name}{mark}{said}</th>{values}</tr>'
