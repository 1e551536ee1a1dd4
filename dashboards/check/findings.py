"""One finding on the page: what it is, what it means, what to do, and its cases as pictures or as a list."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.check.pictures import Pictures
from dashboards.figures.markup import text
from dashboards.page.controls import nothing, reading
from orchestrator.checking.finding import Finding, Item, Weight

CASES = 24
"""Of a finding, as pictures."""
LISTED = 200
"""Of a finding, by name."""


def overview(findings: Sequence[Finding]) -> str:
    """All findings in a list, the heaviest first, each leading to its section."""
    if not findings:
        return ""
    items = "".join(
        f'<li><a href="#{_id(place)}">{mark(finding.weight)} {text(finding.title)}</a></li>'
        for place, finding in enumerate(findings)
    )
    return f'<ul class="found">{items}</ul>'


def finding_section(place: int, finding: Finding, pictures: Pictures) -> str:
    """A section of the page."""
    shown = finding.items[:CASES] if any(item.files for item in finding.items) else ()
    parts = [reading(finding.meaning), _advice(finding.advice)]
    if shown:
        number = f"{len(shown)} of {len(finding.items):,} are shown." if len(shown) < len(finding.items) else ""
        cases = [(item.files, f"{finding.name}: {item.words}", (item.words,)) for item in shown]
        are_pairs = any(len(item.files) > 1 for item in shown)
        parts += [nothing(number) if number else "", pictures.strip(cases, "strip pairs" if are_pairs else "strip")]
    if not shown or len(finding.items) > len(shown):
        parts.append(_listed(finding.items, is_open=not shown))
    return f'<section id="{_id(place)}"><h2>{mark(finding.weight)} {text(finding.title)}</h2>{"".join(parts)}</section>'


def mark(weight: Weight) -> str:
    return f'<span class="weight {weight.value}">{text(weight.words)}</span>'


def _advice(advice: str) -> str:
    """A sentence; several lines, which hold commands, as they are."""
    if not advice:
        return ""
    return f"<pre>{text(advice)}</pre>" if "\n" in advice else f"<p><strong>To do:</strong> {text(advice)}</p>"


def _listed(items: Sequence[Item], is_open: bool) -> str:
    if not items:
        return ""
    lines = "".join(f"<li>{text(item.words)}</li>" for item in items[:LISTED])
    more = nothing(f"The first {LISTED} of {len(items):,}; --json has all.") if len(items) > LISTED else ""
    listed = f'<ul class="cases">{lines}</ul>{more}'
    return listed if is_open else f'<details class="fold"><summary>All by name</summary>{listed}</details>'


def _id(place: int) -> str:
    return f"finding-{place + 1}"
