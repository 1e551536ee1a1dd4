"""`orch search`, `orch resume` and `orch plan`."""

from __future__ import annotations

import json
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.commands.options import (
    complete_study,
    json_option,
    search_options,
    studies_option,
    what_to_search,
)

if TYPE_CHECKING:
    from orchestrator.progress import Display
    from orchestrator.search import Search


@click.command()
@what_to_search
@click.option("--address", metavar="HOST:PORT", help="A running Ray cluster to join.")
@click.option("--plan", "only_plan", is_flag=True, help="Only say what it would take, as `orch plan` does.")
@json_option
@click.pass_context
def search(ctx: click.Context, /, address: str | None, only_plan: bool, as_json: bool, **given: Any) -> None:
    """Train every configuration of STUDY's grid for each BACKBONE, every one with several repeats.

    STUDY is a bundled study (see `orch spaces list`), a TOML file, or a new name together with --data. Without --data a
    small synthetic dataset is made. Running it again trains only what is missing.

    \b
    Examples:
      orch search neuroblastoma inception_v3
      orch search my_study resnet18 --data images/ --group-by parent
      orch search my_study resnet18 --lr 1e-4,1e-3 --repeats 20
    """
    from orchestrator.progress import Display
    from orchestrator.search import resolve_search

    options = search_options(_typed(), address, **given)
    display = Display()
    if only_plan:
        _plan(options, display, as_json)
        return
    ctx.exit(_run(resolve_search(options, display), display, address, as_json))


@click.command()
@click.argument("study", shell_complete=complete_study)
@click.option("--data-root", metavar="DIR", type=click.Path(path_type=Path), help="Where the images lie here.")
@click.option("--weights", metavar="hub|none|FILE", help="Where the weights lie on this machine.")
@click.option("--cache", metavar="DIR", type=click.Path(path_type=Path), help="Folder of features.")
@click.option("--address", metavar="HOST:PORT", help="A running Ray cluster to join.")
@studies_option
@json_option
@click.pass_context
def resume(
    ctx: click.Context,
    /,
    study: str,
    data_root: Path | None,
    weights: str | None,
    cache: Path | None,
    address: str | None,
    studies: str | None,
    as_json: bool,
) -> None:
    """Go on with everything that any search of STUDY asked for and nobody has finished.

    \b
    Example:
      orch resume neuroblastoma
    """
    from orchestrator.progress import Display
    from orchestrator.search import reopen_search
    from orchestrator.studies import open_study, studies_folder
    from trainables.places import default_cache

    display = Display()
    found = open_study(studies_folder(studies), study)
    reopened = reopen_search(found, data_root, weights, cache or default_cache(), display)
    ctx.exit(_run(reopened, display, address, as_json))


@click.command()
@what_to_search
@json_option
def plan(as_json: bool, **given: Any) -> None:
    """Say what a search would take: configurations, repeats, work left, time, memory and disk. Trains nothing.

    \b
    Example:
      orch plan neuroblastoma inception_v3 --full
    """
    from orchestrator.progress import Display

    _plan(search_options(_typed(), **given), Display(), as_json)


def _plan(options: Any, display: Display, as_json: bool) -> None:
    import psutil

    from orchestrator.estimate import estimate
    from orchestrator.search import resolve_search

    search = resolve_search(options, display, writes=False)
    found = estimate(search, time.time() - psutil.Process().create_time())
    click.echo(json.dumps(found.as_json(), indent=2) if as_json else found.as_text())


def _run(search: Search, display: Display, address: str | None, as_json: bool) -> int:
    """Train what is owed, write the page, say what was found and what to do next."""
    from orchestrator.commands.look import write_dashboard
    from orchestrator.report import closing_report
    from orchestrator.search import run

    page = search.study.folder / "dashboard.html"

    def rewrite() -> None:
        write_dashboard(search.study, page)

    status = 0
    if search.work:
        status = run(search, display, address, rewrite)
    else:
        display.say("Everything asked for is already trained; nothing is left to do.")
    rewrite()
    report = closing_report(search, page, status)
    click.echo(json.dumps(report.as_json(), indent=2) if as_json else report.as_text())
    return status


def _typed() -> str:
    """The command as the user typed it, for the request and the page."""
    return shlex.join(["orch", *sys.argv[1:]])
