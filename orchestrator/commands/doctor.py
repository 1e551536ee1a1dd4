"""`orch doctor`: what this machine has and lacks."""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.commands.options import json_option, local_path, studies_option
from orchestrator.commands.said import answer


@click.command()
@click.option("--cache", metavar="DIR", type=local_path(), help="Folder of features (default: ~/.cache/orch).")
@studies_option
@json_option
@click.pass_context
def doctor(ctx: click.Context, /, cache: Path | None, studies: str | None, as_json: bool) -> None:
    """Look at what a search needs of this machine, and say how what is amiss is mended.

    Processors, GPUs, memory, disks, folders, limits, clock, network, hubs of weights, versions. It ends within a
    minute, with 0 where a search can run and 1 where it could not.

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
