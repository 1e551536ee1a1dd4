"""The page of a check: self-contained, without a script, with the look of a study's page."""

from __future__ import annotations

from dashboards.check.findings import finding_section, overview
from dashboards.check.pictures import Pictures, Reader
from dashboards.figures.dataset import refused_kind
from dashboards.figures.markup import table, text
from dashboards.page import joining
from dashboards.page.chart import Charts
from dashboards.page.controls import nothing, reading
from dashboards.page.page import document
from dashboards.page.sample_images import SIDE
from orchestrator.checking.finding import Told

REFUSED = 200
"""Files that are not used, listed at most."""
_STYLE = joining.read("dashboards.check", "check.css")


def check_page(told: Told, read: Reader, now: str) -> str:
    """A whole HTML page; now: UTC, ISO 8601. Equal arguments give equal pages."""
    pictures = Pictures(read)
    each = "".join(finding_section(place, finding, pictures) for place, finding in enumerate(told.findings))
    blocks = [
        ("findings", "Findings", _found(told), each),
        ("classes", "Classes", _classes(told, pictures), ""),
        ("reading", "Reading", _reading(told), ""),
        ("refused", "Not used", _refused(told), ""),
    ]
    links, sections = "", ""
    for name, title, content, behind in blocks:
        if content:
            links += f'<a href="#{name}">{title}</a>'
            sections += f'<section id="{name}"><h2>{title}</h2>{content}</section>{behind}'
    body = (
        f'{_masthead(told, now)}<div class="bar"><div><nav aria-label="Sections">{links}</nav></div></div>'
        f'<main id="main">{sections}</main>{_footer(told, pictures, now)}'
    )
    return document(f"{told.source}: check of the data", body, Charts(told.source), _STYLE)


def _masthead(told: Told, now: str) -> str:
    synthetic = ' <span class="synthetic">synthetic data</span>' if told.synthetic else ""
    head = f'<p class="note">{text(told.head)}.</p>' if told.head else ""
    return (
        f'<header class="masthead"><p class="eyebrow">Check of data, {text(now[:16].replace("T", " "))} UTC</p>'
        f"<h1>{text(told.source)}{synthetic}</h1>{head}</header>"
    )


def _found(told: Told) -> str:
    following = text("\n".join(told.following))
    after = f"<h3>Next</h3><pre>{following}</pre>" if following else ""
    return f'<p class="lede"><strong>{text(told.verdict)}</strong></p>{overview(told.findings)}{after}'


def _classes(told: Told, pictures: Pictures) -> str:
    if told.table is None:
        return ""
    rows = [list(row) for row in told.table.rows]
    listed = table([name.capitalize() for name in told.table.header], rows, kind="cards")
    parts = [reading(f"{told.divided}.") if told.divided != "Classes" else "", listed]
    if told.samples:
        parts.append(
            f"<h3>Sample images</h3>{reading(f'Of different groups where there are enough, at most {SIDE} pixels.')}"
        )
    for label, files in told.samples:
        strip = pictures.strip([((file,), f"image of class {label}", (file,)) for file in files])
        parts.append(f"<h4>{text(label)}</h4>{strip}")
    return "".join(parts)


def _reading(told: Told) -> str:
    if not told.reading:
        return ""
    rows = [(what.capitalize(), how) for what, how in told.reading]
    notes = "".join(f"<li>{text(note)}</li>" for note in told.notes)
    return table(["What", "How"], rows, kind="plain") + (f'<ul class="notes">{notes}</ul>' if notes else "")


def _refused(told: Told) -> str:
    if not told.refused:
        return ""
    kinds: dict[str, int] = {}
    for _, reason in told.refused:
        kinds[refused_kind(reason)] = kinds.get(refused_kind(reason), 0) + 1
    counts = sorted(kinds.items(), key=lambda one: (-one[1], one[0]))
    listed = table(["File", "Reason"], told.refused[:REFUSED], "Files that are not used", "cards")
    more = nothing(f"The first {REFUSED} of {len(told.refused):,}.") if len(told.refused) > REFUSED else ""
    return (
        table(["Why", "Files"], [(kind, f"{number:,}") for kind, number in counts], kind="cards")
        + f'<details class="fold"><summary>All by name</summary>{listed}{more}</details>'
    )


def _footer(told: Told, pictures: Pictures, now: str) -> str:
    left = f" {pictures.left_out:,} are left out, so that the page stays small." if pictures.left_out else ""
    synthetic = " All images are synthetic." if told.synthetic else ""
    return (
        f"<footer>Written {text(now)} by orch data check; no study was made.{synthetic} This page holds "
        f"{pictures.shown:,} small pictures and names of files and groups: think before you send it on.{left}</footer>"
    )
