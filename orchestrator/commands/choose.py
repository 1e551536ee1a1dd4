"""`orch best` and `orch compare`: choosing among configurations, with how sure that is; neither starts torch or Ray."""

from __future__ import annotations

import click

from orchestrator.commands.options import complete_study, json_option, studies_option
from orchestrator.commands.said import answer
from search_spaces.settings.selection import METRICS

METRIC = click.Choice(METRICS.names)


@click.command()
@click.argument("study", shell_complete=complete_study)
@click.option("--partition", metavar="ID", help="Partition to use (default: all that were asked for).")
@click.option(
    "--selection", "metric", type=METRIC, help="Rank configurations with this selection metric (default: the study's)."
)
@click.option(
    "--margin",
    type=click.FloatRange(min=0),
    default=0.01,
    show_default=True,
    help="How much worse than the best a cheaper configuration may score, in units of the metric.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=0, max=100_000),
    default=1000,
    show_default=True,
    help="Rounds of resampling for the bias-corrected score; 0 leaves it out.",
)
@click.option(
    "--goal",
    metavar="hours|parameters|METRIC",
    help="Second objective: lists the Pareto front of it and the score (default: the search's goal, if it had one).",
)
@click.option("--every", is_flag=True, help="List all configurations, not the first 15.")
@studies_option
@json_option
def best(
    study: str,
    partition: str | None,
    metric: str | None,
    margin: float,
    rounds: int,
    goal: str | None,
    every: bool,
    studies: str | None,
    as_json: bool,
) -> None:
    """Show STUDY's best configuration and those that may be as good.

    The score of the best is also shown corrected for the bias of having been selected.

    \b
    Examples:
      orch best neuroblastoma
      orch best neuroblastoma --goal hours
    """
    from orchestrator.choosing.partitions_report import partitions_report
    from orchestrator.choosing.selection import chosen_partitions, select, selecting_metric
    from orchestrator.choosing.selection_report import nothing_report, selection_report
    from orchestrator.results.summary import summarise
    from orchestrator.statistics.partition_table import over_partitions
    from orchestrator.study.studies import open_study, studies_place

    opened = open_study(studies_place(studies), study)
    summary = summarise(opened.storage)
    by = selecting_metric(summary, metric)  # click has checked the choice
    partitions = chosen_partitions(summary, partition)
    if goal and len(partitions) > 1:
        raise click.UsageError(f"--goal: expected one partition, found {len(partitions)}: --partition {partitions[0]}")
    report = nothing_report(summary, by)
    if len(partitions) > 1:
        table = over_partitions(summary, by)
        if table is not None:
            report = partitions_report(summary, table, every)
    elif partitions:
        selection = select(opened.storage, summary, partitions[0], by, margin, rounds, goal)
        if selection is not None:
            report = selection_report(summary, selection, every)
    answer(report, as_json)


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="A B …", shell_complete=complete_study)
@click.option("--study", metavar="STUDY", help="Study that all of A, B … belong to.")
@click.option("--metric", type=METRIC, help="Validation metric to compare (default: the selection metric).")
@click.option("--partition", metavar="ID", help="Partition to compare on (default: all that A, B … have in common).")
@studies_option
@json_option
def compare(
    names: tuple[str, ...],
    study: str | None,
    metric: str | None,
    partition: str | None,
    studies: str | None,
    as_json: bool,
) -> None:
    """Compare configurations, strategies, backbones or studies.

    They are compared in pairs, on the same partitions. Each of A, B … is STUDY or STUDY:WHAT, where WHAT is a strategy,
    a backbone or the first digits of a configuration's id; with --study, it is WHAT alone. A strategy, backbone or
    study is represented by its best configuration.

    \b
    Examples:
      orch compare --study neuroblastoma straightforward extension unfreezing
      orch compare slides:resnet18 slides:vgg16 --metric balanced_accuracy
      orch compare slides slides_balanced
    """
    from orchestrator.choosing.comparison import compare as gather
    from orchestrator.choosing.comparison_report import comparison_report
    from orchestrator.study.studies import studies_place

    folder = studies_place(studies)
    report = comparison_report(gather(names, folder, study, metric, partition))
    answer(report, as_json)
