"""`orch evaluate`: the selected configuration on the test images."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.commands.data_options import how_to_read
from orchestrator.commands.options import Command, check_with, complete_study, json_option, local_path, studies_option
from orchestrator.commands.said import echo, echo_json, on_the_way, say
from orchestrator.commands.search_options import set_by_path

if TYPE_CHECKING:
    from orchestrator.evaluation.plan import EvaluationOptions

COLUMNS = ("group_by", "join_groups", "sheet", "file_column", "label_column", "group_column", "layout")
WITH_NESTED = {"study", "folds", "partition", "data_root", "weights", "cache", "studies", "as_json"}
"""Parameters that go with --nested."""
WITH_ENSEMBLE = {
    *("study", "ensemble", "points", "at_class", "columns", "tta", "views", "augmented", "settings", "data", *COLUMNS),
    *("data_root", "keep", "weights", "cache", "studies", "as_json"),
}
"""Parameters that go with --ensemble."""


def what_is_tested(command: Command) -> Command:
    """Options that say which model, on which images, and how it is scored."""
    decorators: list[Callable[[Command], Command]] = [
        click.option(
            "--configuration",
            metavar="ID",
            help="Configuration to test (default: the best mean), by the first digits of its id.",
        ),
        click.option("--partition", metavar="ID", help="Partition to use (default: the study's own)."),
        click.option(
            "--at",
            "points",
            metavar="specificity=SHARE",
            multiple=True,
            help="Operating point to choose on the validation split; also sensitivity=SHARE or precision=SHARE.",
        ),
        click.option(
            "--class",
            "at_class",
            metavar="NAME",
            help="Class of the operating point (default of a binary task: positive).",
        ),
        click.option(
            "--by", "columns", metavar="COLUMN", multiple=True, help="Also score each value of another column (site …)."
        ),
        click.option(
            "--tta",
            metavar="NAMES",
            default="dihedral",
            show_default=True,
            help="Test-time augmentation: also predict views of each image made by these (secondary scores), or none.",
        ),
        click.option(
            "--views",
            metavar="N",
            type=int,
            help="Number of views of each image (default: all that flips or dihedral make, 8 of others).",
        ),
        click.option(
            "--augmented",
            metavar="NAMES",
            default="none",
            help="Also test on every image changed once by these augmentations, such as contrast,noise.",
        ),
        click.option(
            "--set",
            "settings",
            metavar="PATH=VALUE",
            multiple=True,
            help="Strength of an augmentation of --augmented or --tta: augmentation.noise=0.1",
        ),
        click.option(
            "--nested",
            "folds",
            metavar="K",
            type=click.IntRange(min=2),
            help="Nested cross-validation instead: K outer folds over all groups, each with the selection among heads "
            "repeated, or the whole search if results decided what it trained.",
        ),
        click.option(
            "--keep",
            metavar="GB",
            type=click.FloatRange(min=0),
            default=1.0,
            show_default=True,
            help="Space in the study for trained weights, in gigabytes, the best configurations first.",
        ),
        click.option(
            "--data",
            metavar="DIR|TABLE",
            type=local_path(),
            help="Test on other images of the same classes (another hospital's) instead of the study's test split.",
        ),
        *how_to_read(
            "Folder of the images on this machine; with --data, the folder that the table's paths are relative to.",
            when="With --data",
        ),
    ]
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


@click.command()
@click.argument("study", shell_complete=complete_study)
@what_is_tested
@click.option(
    "--ensemble",
    "ensemble",
    metavar="ID",
    help="Test an ensemble made by `orch ensemble`, alongside the best single configuration.",
)
@click.option("--weights", metavar="hub|none|FILE", help="Where to find the backbone's weights on this machine.")
@click.option("--cache", metavar="DIR", type=local_path(), help="Folder for cached features.")
@studies_option
@json_option
@click.pass_context
def evaluate(
    ctx: click.Context,
    /,
    study: str,
    folds: int | None,
    ensemble: str | None,
    cache: Path | None,
    studies: str | None,
    as_json: bool,
    **asked: Any,
) -> None:
    """Test the best configuration of STUDY on its test images.

    Nothing else opens these images, so test once, at the end. The primary estimate is the mean over the repeats of the
    configuration, as single models, and is fixed before the images are opened. Every look at them is counted, across
    all studies in the folder, and shown with the scores.

    \b
    Examples:
      orch evaluate neuroblastoma
      orch evaluate neuroblastoma --at specificity=0.95 --by site
      orch evaluate neuroblastoma --augmented brightness,noise --set augmentation.noise=0.1
      orch evaluate neuroblastoma --data other_hospital/labels.csv
      orch evaluate neuroblastoma --nested 5
      orch evaluate neuroblastoma --ensemble 22bf9ec9981a --at specificity=0.95
    """
    from orchestrator.commands.look import rewrite_dashboard
    from orchestrator.energy.meters import metered
    from orchestrator.study.studies import open_study, studies_place
    from trainables.machine.places import default_cache

    opened, place = open_study(studies_place(studies), study), cache or default_cache()
    if folds is not None:
        check_with(ctx, WITH_NESTED, "--nested, whose folds select and test by themselves")
        from orchestrator.evaluation.nested import evaluate_nested
        from orchestrator.evaluation.nested_plan import NestedOptions
        from orchestrator.evaluation.nested_text import nested_text

        options = NestedOptions(folds, asked["partition"], asked["data_root"], asked["weights"])
        with metered(opened.storage, "nested evaluation"), on_the_way(as_json) as told:
            nested = evaluate_nested(opened, options, place, told.say, told.count)
        if as_json:
            echo_json(json.loads(nested.model_dump_json()))
        else:
            echo(nested_text(nested))
        rewrite_dashboard(opened)
        return

    from orchestrator.evaluation.run import evaluate as run
    from orchestrator.evaluation.text import as_text

    wanted = _options(place, **asked)
    if ensemble is not None:
        check_with(ctx, WITH_ENSEMBLE, "--ensemble, whose members and partition are its own")
        from orchestrator.evaluation.ensemble import evaluate_ensemble
        from orchestrator.evaluation.ensemble_text import ensemble_text

        with metered(opened.storage, "evaluation"), on_the_way(as_json) as told:
            together = evaluate_ensemble(opened, ensemble, wanted, place, told.say, told.count)
        if as_json:
            echo_json(json.loads(together.model_dump_json()))
        else:
            echo(ensemble_text(together))
        rewrite_dashboard(opened)
        return
    with metered(opened.storage, "evaluation"), on_the_way(as_json) as told:
        record = run(opened, wanted, place, told.say, told.count)
    if as_json:
        echo_json(json.loads(record.model_dump_json()))
    else:
        echo(f"{as_text(record)}\nNext: orch dashboard {study} --open   (its section Test)")
    rewrite_dashboard(opened)


def _options(cache: Path, **asked: Any) -> EvaluationOptions:
    """`EvaluationOptions` from what `what_is_tested` parsed; raises click.UsageError where options contradict."""
    from orchestrator.evaluation.changed import changes_asked
    from orchestrator.evaluation.external import External
    from orchestrator.evaluation.plan import EvaluationOptions
    from trainables.data.options import DatasetOptions
    from trainables.data.unpacking.opened import opened_data

    data, root = asked["data"], asked["data_root"]
    columns = {name: asked[name] for name in COLUMNS}
    if data is None and any(columns.values()):
        raise click.UsageError("options about groups, folders and columns go with --data DIR or --data TABLE")
    tta, augmented = changes_asked(asked["tta"], asked["views"], asked["augmented"], set_by_path(asked["settings"]))
    external = None
    if data is not None:
        opened, reading = opened_data(data, DatasetOptions(**columns, data_root=root), cache, say)
        external = External(data, reading, opened)
    return EvaluationOptions(
        configuration=asked["configuration"],
        partition=asked["partition"],
        at=asked["points"],
        at_class=asked["at_class"],
        by=asked["columns"],
        tta=tta,
        augmented=augmented,
        keep_bytes=int(asked["keep"] * 1e9),
        data_root=None if data else root,
        weights=asked["weights"],
        external=external,
    )
