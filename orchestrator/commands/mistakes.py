"""`orch mistakes`: which images are predicted wrong, where, by how many, and which labels may be at fault. No torch."""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.commands.options import (
    complete_study,
    json_option,
    local_path,
    named_option,
    studies_option,
)
from orchestrator.commands.said import answer, on_the_way, say

if TYPE_CHECKING:
    from orchestrator.results.report import Report
    from orchestrator.study.studies import Study


@click.command()
@click.argument("study", shell_complete=complete_study)
@click.option("--top", type=click.IntRange(min=1), help="Number of best configurations to look at.  [default: 5]")
@named_option
@click.option("--partition", metavar="ID", help="Partition to use (default: all that were asked for).")
@click.option(
    "--by", metavar="COLUMN", multiple=True, help="Column to slice by (default: every column that can be used)."
)
@click.option("--look", "looks", is_flag=True, help="Read the images, for slices by brightness and sharpness.")
@click.option("--data-root", metavar="DIR", type=local_path(), help="Folder of the images for --look on this machine.")
@click.option(
    "--csv", "table", metavar="FILE", type=local_path(dir_okay=False), help="Write a table with a row for each image."
)
@click.option(
    "--review", metavar="FILE", type=local_path(dir_okay=False), help="Write a list of images for blind review."
)
@click.option(
    "--reviewed",
    metavar="FILE",
    type=local_path(dir_okay=False),
    help="List from --review with its verdicts filled in.",
)
@click.option("--output", metavar="TABLE", type=local_path(dir_okay=False), help="File for the new table: new.csv")
@click.option("--every", is_flag=True, help="List everything, not only the first ten.")
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
    review: Path | None,
    reviewed: Path | None,
    output: Path | None,
    every: bool,
    studies: str | None,
    as_json: bool,
) -> None:
    """Show where the best configurations of STUDY are wrong.

    By image, group and slice, with errors that configurations share and labels that may be wrong. Only validation
    images are used; with several partitions, an image counts wherever it was in validation. Nothing is trained, and no
    test image is used.

    \b
    Examples:
      orch mistakes slides
      orch mistakes slides --top 3 --by site --by scanner --csv images.csv
      orch mistakes slides --review list.csv
      orch mistakes slides --reviewed list.csv --output cleaned.csv
    """
    from orchestrator.commands.look import rewrite_dashboard
    from orchestrator.mistakes.found import TOP, Wanted, find_mistakes
    from orchestrator.mistakes.record import record_of, write_mistakes
    from orchestrator.mistakes.report import mistakes_report
    from orchestrator.mistakes.review import EXCLUDE, KEEP, write_review
    from orchestrator.results.names import counted
    from orchestrator.store.errors import StorageError
    from orchestrator.store.storage import LocalStorage
    from orchestrator.study.data_root import images_at
    from orchestrator.study.studies import now, open_study, studies_place

    if top is not None and named:
        raise click.UsageError(
            "--top and --of cannot be used together: they name the best configurations, or certain ones"
        )
    if data_root is not None and not looks and reviewed is None:
        raise click.UsageError("--data-root goes with --look and --reviewed")
    if (reviewed is None) != (output is None):
        raise click.UsageError("--reviewed FILE and --output TABLE go together: a reviewed list makes a new table")
    if reviewed is not None and (looks or top or named or partition or by or table or review):
        raise click.UsageError(
            "--reviewed FILE goes with --output TABLE alone: the list says which configurations it is about"
        )
    opened = open_study(studies_place(studies), study)
    if reviewed is not None and output is not None:
        answer(_cleaned(opened, reviewed, output, data_root), as_json)
        return
    root = images_at(opened, data_root, say, f"orch mistakes {opened.name} --look") if looks else None
    wanted = Wanted(top or TOP, named, partition, by, root)
    with on_the_way(as_json) as way:
        told = find_mistakes(opened.storage, wanted, partial(way.count, "images read"))
    with contextlib.suppress(StorageError):  # a study that one may only read is looked at all the same
        write_mistakes(opened.storage, record_of(told, now()))
    if table is not None:
        LocalStorage(table.parent).replace(table.name, told.images.to_csv(index=False, lineterminator="\n").encode())
        say(f"Images: {table}")
    if review is not None:
        listed = write_review(opened.storage, told, review)
        say(f"List: {review}, {counted(len(listed.rows), 'image')}. Fill in for each: {KEEP}, {EXCLUDE} or a class.")
    answer(mistakes_report(told, every), as_json)
    rewrite_dashboard(opened)


def _cleaned(study: Study, reviewed: Path, output: Path, data_root: Path | None) -> Report:
    from orchestrator.mistakes.cleaned import clean
    from orchestrator.mistakes.found import Wanted, find_mistakes
    from orchestrator.mistakes.verdicts import read_reviewed
    from orchestrator.study.data_root import images_at

    read = read_reviewed(study.storage, study.name, study.record.classes, reviewed)
    typed = f"orch mistakes {study.name} --reviewed {reviewed} --output {output}"
    root = images_at(study, data_root, say, typed)
    one_of = read.of.partitions[0] if len(read.of.partitions) == 1 else None
    errors = find_mistakes(study.storage, Wanted(of=read.of.configurations[:1], partition=one_of))
    return clean(study, errors, read, root, output)
