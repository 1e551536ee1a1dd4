"""`orch ensemble`: what configurations are worth together."""

from __future__ import annotations

import click

from orchestrator.commands.choose import METRIC
from orchestrator.commands.options import CommaList, complete_study, json_option, studies_option
from orchestrator.commands.said import answer, on_the_way
from orchestrator.ensembles.ways import COMBININGS, WEIGHINGS


@click.command()
@click.argument("study", shell_complete=complete_study)
@click.option(
    "--top",
    type=click.IntRange(min=2, max=1000),
    default=5,
    show_default=True,
    help="Number of best configurations to combine, of any backbone, strategy and stage.",
)
@click.option(
    "--of",
    "of",
    metavar="ID,…",
    type=CommaList(str),
    default=(),
    help="Combine these configurations instead, given by the first digits of their ids.",
)
@click.option(
    "--repeats",
    type=click.Choice(["all", "one"]),
    default="all",
    show_default=True,
    help="Repeats of each member: all that finished, or only the first.",
)
@click.option(
    "--combine",
    type=click.Choice(list(COMBININGS)),
    default="probabilities",
    show_default=True,
    help="What is averaged: probabilities, logits, or votes (a weighted majority).",
)
@click.option(
    "--weights",
    "weigh",
    type=click.Choice(list(WEIGHINGS)),
    default="greedy",
    show_default=True,
    help="How members are weighted. greedy: selection with replacement; equal: all alike; grid: the best of all "
    "weights in steps of 0.05; genetic: a genetic algorithm in these steps; loss: weights of the least log loss.",
)
@click.option("--metric", type=METRIC, help="Metric to optimise (default: the study's selection metric).")
@click.option("--class", "of_class", metavar="NAME", help="Class, for a metric about one class.")
@click.option(
    "--precision", type=click.FloatRange(0, 1, min_open=True), help="Least precision, for recall_at_precision."
)
@click.option("--partition", metavar="ID", help="Partition to use (default: the study's own).")
@click.option(
    "--rounds",
    type=click.IntRange(min=0, max=100_000),
    default=200,
    show_default=True,
    help="Number of bags of groups in which everything is chosen again; 0: no out-of-bag scores.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the bags and of the genetic algorithm.",
)
@click.option("--list", "listed", is_flag=True, help="List the study's ensembles, and make none.")
@studies_option
@json_option
def ensemble(
    study: str,
    top: int,
    of: tuple[str, ...],
    repeats: str,
    combine: str,
    weigh: str,
    metric: str | None,
    of_class: str | None,
    precision: float | None,
    partition: str | None,
    rounds: int,
    seed: int,
    listed: bool,
    studies: str | None,
    as_json: bool,
) -> None:
    """Combine the best configurations of STUDY into an ensemble.

    It is made from the validation predictions that the study keeps; no image is opened. The members, their weights and
    the configuration to compare with are chosen again in every bag of groups. The ensemble is kept in the study.

    \b
    Examples:
      orch ensemble neuroblastoma
      orch ensemble neuroblastoma --top 3 --weights grid --metric balanced_accuracy
      orch ensemble neuroblastoma --list
    """
    from orchestrator.commands.look import rewrite_dashboard
    from orchestrator.ensembles.make import EnsembleOptions, make_ensemble
    from orchestrator.ensembles.record import read_ensembles
    from orchestrator.ensembles.report import ensemble_report, list_report
    from orchestrator.study.studies import open_study, studies_place

    opened = open_study(studies_place(studies), study)
    if listed:
        answer(list_report(study, read_ensembles(opened.storage)), as_json)
        return
    options = EnsembleOptions(
        top,
        of,
        "one" if repeats == "one" else "all",
        combine,
        weigh,
        metric,
        of_class,
        precision,
        partition,
        rounds,
        seed,
    )
    with on_the_way(as_json) as told:
        made = make_ensemble(opened, options, told.count)
    answer(ensemble_report(made), as_json)
    rewrite_dashboard(opened)
