"""`orch list`, and `orch dashboard` without a study: all studies of a folder."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.commands.options import json_option, studies_option
from orchestrator.commands.said import echo, echo_json, on_the_way
from orchestrator.commands.serving import serve
from orchestrator.store.open import open_storage
from orchestrator.store.place import Place

if TYPE_CHECKING:
    from orchestrator.results.overview import Overview
    from orchestrator.study.studies import Study

HOME = "index.html"


@click.command("list")
@studies_option
@json_option
def list_studies(studies: str | None, as_json: bool) -> None:
    """List all studies: progress, best configuration, last change.

    \b
    Examples:
      orch list
      orch list --studies /shared/studies --json
    """
    from orchestrator.results.report import columns, plus_minus

    overviews = _glances(studies)
    if as_json:
        echo_json({"studies": [one.as_json() for one in overviews]})
        return
    has_tags = any(one.tags for one in overviews)
    rows: list[tuple[str, ...]] = [
        ("study", *(["tags"] if has_tags else []), "state", "repeats", "best so far", "score", "last change (UTC)")
    ]
    for one in overviews:
        score = f"{one.by} {plus_minus(one.score)}" if one.score is not None else "–"
        changed = one.changed[:16].replace("T", " ") or "–"
        repeats = f"{one.done}/{one.asked}"
        tags = [", ".join(one.tags)] if has_tags else []
        rows.append((one.name, *tags, one.state, repeats, one.best or "–", score, changed))
    echo("\n".join(columns(rows, [name == "repeats" for name in rows[0]])))


def write_home(studies: str | None, output: Path | None) -> Place:
    """The page of all studies, into their folder or to `output`; returns where it lies."""
    from dashboards.page.home import home_page
    from orchestrator.store import layout
    from orchestrator.study.studies import now, studies_place

    overviews, place = _glances(studies), studies_place(studies)
    page = Place.of(output) if output is not None else place / HOME
    before = "" if output is None else f"{_folder(place)}/"

    def link(one: Overview) -> str:
        return f"{before}{one.name}/{layout.DASHBOARD}" if one.has_page else ""

    open_storage(page.parent).replace(page.name, home_page(overviews, now(), link).encode())
    return page


def _folder(place: Place) -> str:
    """As a page elsewhere names it."""
    return place.path.resolve().as_uri() if place.path is not None else place.text


def serve_home(studies: str | None, host: str, port: int, opens: bool, page_of: Callable[[Study], str]) -> None:
    """Serve the pages of all studies until Ctrl-C; the address goes to stdout. page_of: writes that of one study."""
    from dashboards.live.home import HomeServer, live_link
    from dashboards.live.state import Look
    from dashboards.page.home import home_page
    from orchestrator.study.studies import now, open_study, studies_place
    from orchestrator.watch.all_studies import AllStudies
    from orchestrator.watch.now import StudyNow

    _check_some(studies)
    place = studies_place(studies)
    everything = AllStudies(place)

    def opened(name: str) -> tuple[Look, Callable[[], str]]:
        study = open_study(place, name)
        return StudyNow(study.storage).look, lambda: page_of(study)

    server = HomeServer(
        host, port, everything.look, lambda: home_page(everything.overviews(), now(), live_link), opened
    )
    caution = "read the pages. They are sent unencrypted."
    serve(server, "All studies are", caution, opens=opens)


def _glances(studies: str | None) -> list[Overview]:
    from orchestrator.study.studies import studies_place
    from orchestrator.watch.all_studies import glances

    _check_some(studies)
    with on_the_way() as way:
        return glances(studies_place(studies), partial(way.count, "studies read"))


def _check_some(studies: str | None) -> None:
    from orchestrator.store.errors import InputError
    from orchestrator.study.studies import studies_in, studies_place

    place = studies_place(studies)
    if not studies_in(place):
        raise InputError(
            f"{place}: expected studies, found none",
            "Say where the studies are (--studies DIR), or make one: orch search neuroblastoma resnet18",
        )
