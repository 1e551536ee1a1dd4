"""`orch cost`: hours, energy and CO₂ equivalent of a study."""

from __future__ import annotations

import click

from orchestrator.commands.options import complete_study, json_option, studies_option
from orchestrator.commands.said import echo, echo_json


@click.command()
@click.argument("study", shell_complete=complete_study)
@click.option(
    "--country", metavar="CODE", help="Where the electricity came from: DE, FR, US … (default: world average)."
)
@click.option(
    "--kg-per-kwh", type=float, metavar="KG", help="Carbon intensity instead of a country, in kg CO2e per kWh."
)
@click.option(
    "--gpu-watts", type=click.FloatRange(min=0), metavar="W", help="Power of one GPU, instead of its rated power."
)
@click.option("--core-watts", type=click.FloatRange(min=0), metavar="W", help="Power of one processor core.")
@click.option(
    "--gpus-per-host", type=click.IntRange(min=1), default=1, show_default=True, help="Number of GPUs in each machine."
)
@click.option("--measure", is_flag=True, help="Time the frozen layers here, to tell how many hours caching saved.")
@studies_option
@json_option
def cost(
    study: str,
    country: str | None,
    kg_per_kwh: float | None,
    gpu_watts: float | None,
    core_watts: float | None,
    gpus_per_host: int,
    measure: bool,
    studies: str | None,
    as_json: bool,
) -> None:
    """Show what STUDY has cost: hours, energy and CO2 equivalent.

    Hours are those of GPUs and processors so far, and those that caching saved.

    \b
    Examples:
      orch cost neuroblastoma --country DE
      orch cost neuroblastoma --kg-per-kwh 0.57 --gpu-watts 70 --json
    """
    from orchestrator.energy.cost import cost_of
    from orchestrator.energy.cost_text import cost_text
    from orchestrator.energy.grid import intensity_of
    from orchestrator.study.studies import open_study, studies_place

    intensity = intensity_of(country, kg_per_kwh)
    opened = open_study(studies_place(studies), study)
    if measure:
        from orchestrator.energy.passes import count_passes
        from orchestrator.planning.pass_times import measure_passes

        measure_passes(opened.storage, count_passes(opened.storage), opened.record.seed)
    spent = cost_of(opened.storage, intensity, gpu_watts, core_watts, gpus_per_host)
    if as_json:
        echo_json({"study": opened.name, "synthetic": opened.record.synthetic, **spent.as_json()})
    else:
        echo(cost_text(opened.name, spent))
