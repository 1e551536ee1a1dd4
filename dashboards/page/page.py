"""One self-contained HTML page of a study: opens from disk or an e-mail, asks no network for anything."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache

from dashboards.figures.choice import Source
from dashboards.figures.markup import study_title, text
from dashboards.figures.palette import DARK
from dashboards.page import provenance
from dashboards.page.body import body
from dashboards.page.chart import Charts
from dashboards.page.packing import packed_text
from dashboards.page.parts import LIBRARY
from dashboards.page.sample_images import NOTHING_SHOWN, Shown
from dashboards.page.script import SCRIPT
from dashboards.page.sheet import Sheet
from dashboards.page.style import STYLE
from orchestrator.results.grouped import grouped_by
from orchestrator.results.names import counted, thousands
from orchestrator.results.remarks import Remarks, read_remarks
from orchestrator.results.summary import Summary, summarise
from orchestrator.store.damage import Damaged, LeftOut, collecting
from orchestrator.store.storage import Storage

HOLDS = ("images", "names")
"""What stands on a page only where it was asked for: sample images, names of files and groups."""
_HOLDS_NAME = "holds"


def render(
    storage: Storage, *, now: str, shown: Shown = NOTHING_SHOWN, progress: Callable[[int, int], None] | None = None
) -> str:
    """Summarise a study and return its page; `now` (UTC, ISO 8601) is shown and decides which leases look alive.

    shown: whether images and names of files and groups stand on the page; none do unless asked. progress: see `body`.
    Raises what `orchestrator.results.summary.summarise` raises.
    """
    with collecting() as left_out:
        with ThreadPoolExecutor(1) as beside:
            beside.submit(_library)  # takes a quarter of a second, and no lock of Python's
            source = Source(summarise(storage, now), storage)
        return write_page(source, provenance.provenance_data(storage, source.summary), now, shown, left_out, progress)


def write_page(
    source: Source,
    origin: provenance.Provenance,
    now: str,
    shown: Shown = NOTHING_SHOWN,
    left_out: LeftOut | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """The page's HTML, about 1.8 MB of plotly and the figures' data; equal arguments give equal pages.

    left_out: what could not be read, also what is met while the page is written; it stands above the results.
    """
    summary = source.summary
    charts = Charts(study_title(summary.study))
    content = (
        body(Sheet(source, origin, charts, now, shown), progress) if summary.configurations else _empty(summary, origin)
    )
    mark = ' <span class="synthetic">synthetic data</span>' if summary.study.synthetic else ""
    masthead = _masthead(summary, now, mark, read_remarks(source.storage)) + left_out_html(
        left_out.all if left_out is not None else summary.damaged
    )
    holds = " ".join(name for name in HOLDS if getattr(shown, name))
    return document(study_title(summary.study), masthead + content + _footer(summary, now, shown), charts, holds=holds)


def document(title: str, body: str, charts: Charts, more_style: str = "", holds: str = "") -> str:
    """A whole HTML document around a body, with plotly and the script where the body has charts.

    more_style: CSS of a page of its own, behind what all pages have. holds: of HOLDS what was asked for, see `held`."""
    payloads = charts.payloads()
    library, hashes = "", ["'none'"]
    if payloads:
        packed, its_hash = _library()
        library = f'\n<script type="application/gzip" id="{LIBRARY}">{packed}</script>\n<script>{SCRIPT}</script>'
        hashes = [f"'sha256-{one}'" for one in (its_hash, _hash(SCRIPT))]
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'; "
        f"script-src {' '.join(hashes)}"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{text(policy)}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f'<meta name="{_HOLDS_NAME}" content="{text(holds)}">'
        f"<title>{text(title)}</title><style>{STYLE}{more_style}</style></head><body>"
        f'<a class="skip" href="#main">Skip to the results</a>{body}'
        f'<script type="application/json" id="dark-colours">{json.dumps(DARK)}</script>\n{payloads}{library}'
        "</body></html>\n"
    )


def held(page: bytes) -> tuple[str, ...]:
    """Of HOLDS what a page was written with."""
    named = re.search(rb'<meta name="%s" content="([a-z ]*)">' % _HOLDS_NAME.encode(), page)
    return tuple(named[1].decode().split()) if named else ()


@cache
def _library() -> tuple[str, str]:
    """plotly as it travels, and the hash by which the page's policy knows it once it is unpacked."""
    from plotly.offline import get_plotlyjs

    script = get_plotlyjs()
    return packed_text(script.encode()), _hash(script)


def _masthead(summary: Summary, now: str, mark: str, remarks: Remarks) -> str:
    """Without the names of those who wrote notes."""
    study, totals = summary.study, summary.totals
    title = f'<p class="lede">{text(study.title)}</p>' if study.title else ""
    of, among = thousands(totals.asked, "repeat"), thousands(totals.configurations, "configuration")
    count = f"{totals.done:,} of {of} done, {among}"
    tags = "".join(f' <span class="tag">{text(tag)}</span>' for tag in remarks.tags)
    notes = "".join(f"<li>{text(one.text)} <small>({text(one.created[:10])})</small></li>" for _, one in remarks.notes)
    return (
        f'<header class="masthead"><p class="eyebrow">Study, {text(now[:16].replace("T", " "))} UTC</p>'
        f"<h1>{text(study.name)}{mark}{tags}</h1>{title}"
        f'<p class="note">{count}. {len(study.classes)} classes: {text(", ".join(study.classes))}. '
        f"{text(grouped_by(study.group_meaning))}</p>"
        + (f'<ul class="notes">{notes}</ul>' if notes else "")
        + "</header>"
    )


def left_out_html(damaged: Sequence[Damaged]) -> str:
    """What cannot be read, in words; files are named by their place in the study, never by the folder it lies in."""
    if not damaged:
        return ""
    lines = "".join(f"<li>{text(replace(one, where='').as_text())}</li>" for one in damaged)
    files = counted(len(damaged), "file")
    return (
        f'<section id="damaged" role="note"><h2>{files} of what is shown here cannot be read</h2>'
        f'<p>Their contents are missing from this page.</p><ul class="notes">{lines}</ul></section>'
    )


def _empty(summary: Summary, origin: provenance.Provenance) -> str:
    return (
        '<main id="main"><section><p class="empty">This study has no configurations yet: nothing has been searched. '
        "Run <code>orch search</code>, then write this page again.</p></section>"
        f'<section id="provenance"><h2>Provenance</h2>{provenance.provenance_html(origin, summary)}</section></main>'
    )


def _footer(summary: Summary, now: str, shown: Shown) -> str:
    synthetic = " All data are synthetic." if summary.study.synthetic else ""
    return (
        f"<footer>Written {text(now)} from the records of the study {text(summary.study.name)}.{synthetic} "
        f"{_carried(shown)}</footer>"
    )


def _carried(shown: Shown) -> str:
    """What the page carries of patients, for whoever wants to send it on."""
    if not shown.something:
        return "No images, file names or group names are in this page."
    has = " and ".join(
        words for words, asked in (("images", shown.images), ("names of files and groups", shown.names)) if asked
    )
    lacks = "" if shown.names else " Files and groups have numbers in place of names."
    return f"This page holds {has} of the study: think before you send it on.{lacks}"


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
