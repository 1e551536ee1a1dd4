"""`orch doctor`: what this machine has and lacks."""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.commands.options import json_option, local_path, studies_option
from orchestrator.commands.said import answer


@click.command()
@click.option("--cache", metavar="DIR", type=local_path(), help="Folder for cached features (default: ~/.cache/orch).")
@studies_option
@json_option
@click.pass_context
def doctor(ctx: click.Context, /, cache: Path | None, studies: str | None, as_json: bool) -> None:
    """Check whether a search can run here, and how to mend faults.

    Checks processors, GPUs, memory, disks, folders, limits, clock, network, hubs of weights and versions. It takes less
    than a minute. Exit status: 0 if a search can run, 1 if it cannot.

    \b
    Examples:
      orch doctor
      orch doctor --studies /shared/studies --json
    """
    from orchestrator.doctor.examination import examine, report
    from orchestrator.doctor.registry import CHECKS
    from orchestrator.doctor.told import Asked
    from orchestrator.study.studies import studies_place
    from trainables.machine.places import default_cache

    told = report(examine(Asked(studies_place(studies), cache or default_cache()), CHECKS))
    answer(told, as_json)
    ctx.exit(1 if told.data["faults"] else 0)
