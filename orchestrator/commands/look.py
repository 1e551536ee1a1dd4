"""`orch status`, `orch table` and `orch dashboard`: reading a study; none of them starts torch or Ray."""

from __future__ import annotations

import json
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.commands.options import complete_study, json_option, studies_option

if TYPE_CHECKING:
    from orchestrator.studies import Study


@click.command()
@click.argument("study", shell_complete=complete_study)
@studies_option
@json_option
def status(study: str, studies: str | None, as_json: bool) -> None:
    """Where every configuration of STUDY stands: repeats done, running, failed, waiting.

    \b
    Example:
      orch status neuroblastoma
    """
    from orchestrator.report import status_report
    from orchestrator.studies import open_study, studies_folder

    report = status_report(open_study(studies_folder(studies), study))
    click.echo(json.dumps(report.as_json(), indent=2) if as_json else report.as_text())


@click.command()
@click.argument("study", shell_complete=complete_study)
@click.option("--per", type=click.Choice(["epoch", "repeat", "config"]), default="config", show_default=True)
@click.option("--format", "form", type=click.Choice(["csv", "json", "parquet"]), default="csv", show_default=True)
@studies_option
def table(study: str, per: str, form: str, studies: str | None) -> None:
    """Write STUDY's results as a tidy table to stdout.

    \b
    Example:
      orch table neuroblastoma --per repeat --format csv > repeats.csv
    """
    from orchestrator.store.errors import InputError
    from orchestrator.studies import open_study, studies_folder
    from orchestrator.summary import summarise

    summary = summarise(open_study(studies_folder(studies), study).storage)
    frame = summary.table(per)  # type: ignore[arg-type]  # click has checked the choice
    if form == "csv":
        frame.to_csv(sys.stdout, index=False)
    elif form == "json":
        frame.to_json(sys.stdout, orient="records", lines=False)
        click.echo()
    elif sys.stdout.isatty():
        raise InputError(
            "Parquet is binary and stdout is a terminal", f"orch table {study} --format parquet > table.parquet"
        )
    else:
        frame.to_parquet(sys.stdout.buffer, index=False)


@click.command()
@click.argument("study", shell_complete=complete_study)
@click.option("--output", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Where the page goes.")
@click.option("--open", "opens", is_flag=True, help="Open it in the browser.")
@studies_option
def dashboard(study: str, output: Path | None, opens: bool, studies: str | None) -> None:
    """Write STUDY's page: one HTML file that needs no network and no server.

    \b
    Example:
      orch dashboard neuroblastoma --open
    """
    from orchestrator.studies import open_study, studies_folder

    found = open_study(studies_folder(studies), study)
    page = output or found.folder / "dashboard.html"
    write_dashboard(found, page)
    click.echo(str(page))
    if opens:
        webbrowser.open(page.resolve().as_uri())


def write_dashboard(study: Study, page: Path) -> None:
    """Compact the histories and write the page atomically."""
    from dashboards.page import render
    from orchestrator.histories import compact
    from orchestrator.store.storage import LocalStorage
    from orchestrator.studies import now

    compact(study.storage)
    content = render(study.storage, now=now())
    LocalStorage(page.parent).replace(page.name, content.encode())
