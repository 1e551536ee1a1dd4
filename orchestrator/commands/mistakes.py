"""`orch mistakes`: which images are predicted wrong, where, by how many, and which labels may be at fault. No torch."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from orchestrator.commands.options import complete_study, json_option, local_path, studies_option
from orchestrator.commands.said import Lines, answer, say


@click.command()
@click.argument("study", shell_complete=complete_study)
@click.option("--top", type=click.IntRange(min=1), help="So many of the best configurations.  [default: 5]")
@click.option(
    "--of", "named", metavar="ID", multiple=True, help="These configurations, by the first digits of their ids."
)
@click.option("--partition", metavar="ID", help="One of several partitions (default: all that were asked for).")
@click.option("--by", metavar="COLUMN", multiple=True, help="Slices by it (default: by every column that can be).")
@click.option("--look", "looks", is_flag=True, help="Read the images, for slices by brightness and sharpness.")
@click.option("--data-root", metavar="DIR", type=local_path(), help="Where the images of --look lie here.")
@click.option("--csv", "table", metavar="FILE", type=local_path(dir_okay=False), help="Write a row for each image.")
@click.option("--every", is_flag=True, help="List all of everything, not the first ten.")
@studies_option
@json_option
def mistakes(
    study: str,
    top: int | None,
    named: tuple[str, ...],
    partition: str | None,
    by: tuple[str, ...],
    looks: bool,
    data_root: Path | None,
    table: Path | None,
    every: bool,
    studies: str | None,
    as_json: bool,
) -> None:
    """Where the best configurations of STUDY are wrong: images, groups, slices, errors that they share, labels.

    Of validation images alone; over several partitions every image counts where it was in validation. Nothing is
    trained, and test images are in none of it.

    \b
    Examples:
      orch mistakes slides
      orch mistakes slides --top 3 --by site --by scanner --csv images.csv
    """
    from orchestrator.mistakes.found import TOP, Wanted, find_mistakes
    from orchestrator.mistakes.report import mistakes_report
    from orchestrator.store.storage import LocalStorage
    from orchestrator.study.data_root import images_at
    from orchestrator.study.studies import open_study, studies_place

    if top is not None and named:
        raise click.UsageError("--top and --of exclude each other: the best ones, or those named")
    if data_root is not None and not looks:
        raise click.UsageError("--data-root goes with --look")
    found = open_study(studies_place(studies), study)
    root = images_at(found, data_root, say, f"orch mistakes {found.name} --look") if looks else None
    wanted = Wanted(top or TOP, named, partition, by, root)
    told = find_mistakes(found.storage, wanted, partial(Lines(), "images read"))
    if table is not None:
        LocalStorage(table.parent).replace(table.name, told.images.to_csv(index=False, lineterminator="\n").encode())
        say(f"Images: {table}")
    answer(mistakes_report(told, every), as_json)
