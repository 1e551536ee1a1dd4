"""`orch evaluate`: the selected configuration on the test images."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.commands.options import complete_study, json_option, local_path, studies_option

if TYPE_CHECKING:
    from orchestrator.study.studies import Study

LINE_EVERY_S = 10.0


@click.command()
@click.argument("study", shell_complete=complete_study)
@click.option("--configuration", metavar="ID", help="Another than the best by mean: the beginning of its id.")
@click.option("--partition", metavar="ID", help="Another than the study's own.")
@click.option(
    "--at",
    "points",
    metavar="specificity=SHARE",
    multiple=True,
    help="Operating point chosen on the valid split; sensitivity=SHARE too.",
)
@click.option("--class", "at_class", metavar="NAME", help="Class of the operating point (binary: the positive one).")
@click.option("--by", "columns", metavar="COLUMN", multiple=True, help="Scores per value of another column (site …).")
@click.option("--views/--no-views", default=True, help="Also predict the 8 flips and rotations (secondary estimates).")
@click.option(
    "--nested",
    "folds",
    metavar="K",
    type=click.IntRange(min=2),
    help="In place of that test: K outer folds over all groups, in each the selection among heads is repeated.",
)
@click.option(
    "--keep",
    metavar="GB",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="How much of trained weights the study may hold, the best configurations first.",
)
@click.option(
    "--data",
    metavar="DIR|TABLE",
    type=local_path(),
    help="Other images of the same classes (another hospital's) in place of the study's test split.",
)
@click.option("--group-by", metavar="RULE", help="Of --data, what a group is: parent, none, or a REGEX on the path.")
@click.option("--file-column", metavar="NAME", help="Of --data: column of the table with the files.")
@click.option("--label-column", metavar="NAME", help="Of --data: column with the labels.")
@click.option("--group-column", metavar="NAME", help="Of --data: column with the groups (patients, slides).")
@click.option(
    "--data-root",
    metavar="DIR",
    type=local_path(),
    help="Where the images lie here; with --data the root of its table's paths.",
)
@click.option("--weights", metavar="hub|none|FILE", help="Where the backbone's weights lie on this machine.")
@click.option("--cache", metavar="DIR", type=local_path(), help="Folder of features.")
@studies_option
@json_option
@click.pass_context
def evaluate(
    ctx: click.Context,
    /,
    study: str,
    configuration: str | None,
    partition: str | None,
    points: tuple[str, ...],
    at_class: str | None,
    columns: tuple[str, ...],
    views: bool,
    folds: int | None,
    keep: float,
    data: Path | None,
    group_by: str | None,
    file_column: str | None,
    label_column: str | None,
    group_column: str | None,
    data_root: Path | None,
    weights: str | None,
    cache: Path | None,
    studies: str | None,
    as_json: bool,
) -> None:
    """Test the best configuration of STUDY once, on images that nothing else has opened.

    The primary estimate is the mean over the configuration's repeats, single models, fixed before the images are
    opened. Every look at them is counted, over all studies of the folder, and shown with the scores.

    \b
    Examples:
      orch evaluate neuroblastoma
      orch evaluate neuroblastoma --at specificity=0.95 --by site
      orch evaluate neuroblastoma --data other_hospital/labels.csv
      orch evaluate neuroblastoma --nested 5
    """
    from orchestrator.study.studies import open_study, studies_place

    found = open_study(studies_place(studies), study)
    if folds is not None:
        _check_nested(ctx)
        _nested(found, folds, partition, data_root, weights, cache, as_json)
        return

    from orchestrator.evaluation.external import External
    from orchestrator.evaluation.plan import EvaluationOptions
    from orchestrator.evaluation.run import evaluate as run
    from orchestrator.evaluation.text import as_text
    from trainables.data.options import DatasetOptions
    from trainables.machine.places import default_cache

    if data is None and any([group_by, file_column, label_column, group_column]):
        raise click.UsageError("options about groups and columns go with --data DIR or --data TABLE")
    read = DatasetOptions(
        group_by=group_by,
        file_column=file_column,
        label_column=label_column,
        group_column=group_column,
        data_root=data_root,
    )
    options = EvaluationOptions(
        configuration=configuration,
        partition=partition,
        at=points,
        at_class=at_class,
        by=columns,
        views=views,
        keep_bytes=int(keep * 1e9),
        data_root=None if data else data_root,
        weights=weights,
        external=External(data, read) if data else None,
    )
    record = run(found, options, cache or default_cache(), say, Lines())
    if as_json:
        click.echo(record.model_dump_json(indent=2))
    else:
        click.echo(f"{as_text(record)}\nNext: orch dashboard {study} --open   (its section Test)")


_NOT_NESTED = {
    "configuration": "--configuration",
    "points": "--at",
    "at_class": "--class",
    "columns": "--by",
    "views": "--views",
    "keep": "--keep",
    "data": "--data",
    "group_by": "--group-by",
    "file_column": "--file-column",
    "label_column": "--label-column",
    "group_column": "--group-column",
}


def _check_nested(ctx: click.Context) -> None:
    typed = click.core.ParameterSource.COMMANDLINE
    given = [name for key, name in _NOT_NESTED.items() if ctx.get_parameter_source(key) is typed]
    if given:
        raise click.UsageError(f"{', '.join(given)}: not with --nested, whose folds select and test by themselves")


def _nested(
    study: Study,
    folds: int,
    partition: str | None,
    data_root: Path | None,
    weights: str | None,
    cache: Path | None,
    as_json: bool,
) -> None:
    from orchestrator.evaluation.nested import evaluate_nested
    from orchestrator.evaluation.nested_plan import NestedOptions
    from orchestrator.evaluation.nested_text import nested_text
    from trainables.machine.places import default_cache

    options = NestedOptions(folds, partition, data_root, weights)
    record = evaluate_nested(study, options, cache or default_cache(), say, Lines())
    click.echo(record.model_dump_json(indent=2) if as_json else nested_text(record))


def say(text: str) -> None:
    """To stderr: stdout is for data."""
    click.echo(text, err=True)


class Lines:
    """How far something is, at most every few seconds."""

    def __init__(self) -> None:
        self.told_at = time.monotonic()

    def __call__(self, act: str, done: int, total: int) -> None:
        if time.monotonic() - self.told_at >= LINE_EVERY_S:
            self.told_at = time.monotonic()
            say(f"{done}/{total} {act}")
