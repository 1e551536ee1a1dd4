"""`orch export` and `orch predict`: a model that leaves its study, and what it says of images."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.commands.options import check_with, complete_study, json_option, local_path, studies_option
from orchestrator.commands.said import echo, echo_json, on_the_way, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.export.ensemble_folder import ExportedEnsemble
    from orchestrator.export.folder import Exported
    from orchestrator.export.predict import Prediction
    from orchestrator.results.summary import Summary
    from orchestrator.running.progress import Display
    from orchestrator.study.studies import Study

WITH_ENSEMBLE = {"study", "studies", "as_json", "ensemble", "output", "with_onnx", "data_root", "weights", "cache"}
"""Parameters that go with --ensemble."""


@click.command()
@click.argument("study", shell_complete=complete_study)
@click.option("--output", metavar="DIR", type=local_path(), help="New folder for the model.")
@click.option("--configuration", metavar="ID", help="Configuration to export (default: the selected one).")
@click.option(
    "--ensemble",
    metavar="ID",
    help="Export an ensemble made by `orch ensemble`: all its members, and one ONNX file of them together.",
)
@click.option(
    "--repeat", metavar="R", type=click.IntRange(min=0), help="Repeat to export (default: the first that finished)."
)
@click.option("--partition", metavar="ID", help="Partition to use (default: the study's own).")
@click.option("--with-names", is_flag=True, help="Tables show the names of files, groups and machines, not numbers.")
@click.option("--onnx/--no-onnx", "with_onnx", default=True, show_default=True, help="Also write model.onnx.")
@click.option("--tables", metavar="DIR", type=local_path(), help="Write tables, as CSV and Parquet, to this folder.")
@click.option("--mlflow", metavar="URI", help="Add the results to an MLflow tracking store.")
@click.option("--tensorboard", metavar="DIR", type=local_path(), help="Write the curves as TensorBoard event files.")
@click.option("--optuna", metavar="URL", help="Add the configurations to an Optuna storage: sqlite:///study.db")
@click.option("--country", metavar="CODE", help="For the CO2 figure on the model card, as in `orch cost`.")
@click.option("--kg-per-kwh", type=float, metavar="KG", help="For the CO2 figure on the model card, as in `orch cost`.")
@click.option("--data-root", metavar="DIR", type=local_path(), help="Folder of the images on this machine.")
@click.option("--weights", metavar="hub|none|FILE", help="Where to find the pretrained weights on this machine.")
@click.option("--cache", metavar="DIR", type=local_path(), help="Folder for cached features.")
@studies_option
@json_option
@click.pass_context
def export(ctx: click.Context, /, study: str, studies: str | None, as_json: bool, **given: Any) -> None:
    """Export the best model of STUDY, with its model card.

    The folder needs nothing from this program. It holds weights for plain timm or torchvision, ONNX, preprocessing and
    classes, tables, and a short predict.py.

    \b
    Examples:
      orch export neuroblastoma --output model/
      orch export neuroblastoma --ensemble 22bf9ec9981a --output together/
      orch export neuroblastoma --tables tables/ --optuna sqlite:///study.db
    """
    from orchestrator.study.studies import open_study, studies_place

    if given["ensemble"] is not None:
        check_with(ctx, WITH_ENSEMBLE, "--ensemble, whose members, repeats and partition are its own")
    elsewhere = [name for name in ("tables", "mlflow", "tensorboard", "optuna") if given[name] is not None]
    if given["output"] is None and not elsewhere:
        raise click.UsageError(f"expected --output DIR. Example: orch export {study} --output model/")
    opened = open_study(studies_place(studies), study)
    data = _to_stores(opened, elsewhere, given) if elsewhere else {}
    if given["output"] is not None:
        data |= _model(opened, given, as_json)
    if as_json:
        echo_json(data)


def _model(study: Study, given: dict[str, Any], as_json: bool) -> dict[str, Any]:
    with on_the_way(as_json) as told:
        exported = _exported(study, given, told)
    if not as_json:
        echo(exported.as_text())
    return exported.as_json()


def _exported(study: Study, given: dict[str, Any], told: Display) -> Exported | ExportedEnsemble:
    from orchestrator.export.folder import ExportOptions, export_model
    from trainables.machine.places import default_cache

    names = ("output", "configuration", "repeat", "partition", "with_names", "with_onnx", "data_root", "weights")
    options = ExportOptions(
        cache=given["cache"] or default_cache(),
        country=given["country"],
        kg_per_kwh=given["kg_per_kwh"],
        **{name: given[name] for name in names},
    )
    if given["ensemble"] is not None:
        from orchestrator.export.ensemble_folder import export_ensemble

        return export_ensemble(study, given["ensemble"], options, told.say, told.count)
    return export_model(study, options, told.say, told.count)


def _to_stores(study: Study, wanted: list[str], given: dict[str, Any]) -> dict[str, Any]:
    """Tables and other tools' stores; says on stderr what went where."""
    from orchestrator.export import trackers
    from orchestrator.export.tables import study_tables, write_tables
    from orchestrator.results.names import counted
    from orchestrator.results.summary import summarise

    summary = summarise(study.storage)
    writers: dict[str, Callable[[Summary, Any], int]] = {
        "mlflow": trackers.to_mlflow,
        "tensorboard": trackers.to_tensorboard,
        "optuna": trackers.to_optuna,
    }
    done: dict[str, Any] = {}
    for name in wanted:
        place = given[name]
        if name == "tables":
            written = write_tables(place, study_tables(study.storage, summary, given["with_names"]))
            done[name] = [str(path) for path in written]
            say(f"Tables: {counted(len(written), 'file')} in {place}")
        else:
            done[name] = writers[name](summary, place)
            what = "configuration" if name == "optuna" else "repeat"
            say(f"{name}: {counted(done[name], what)} added to {place}")
    return done


@click.command()
@click.argument("model", type=local_path())
@click.argument("images", nargs=-1, required=True, type=local_path())
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=16, show_default=True, help="Number of images per batch."
)
@click.option(
    "--tta",
    metavar="NAME",
    default="none",
    help="Average the probabilities over views of each image: dihedral (8 flips and rotations) or flips (4).",
)
@click.option("--views", metavar="N", type=int, help="Use only the first N of these views.")
@json_option
@click.pass_context
def predict(
    ctx: click.Context,
    model: Path,
    images: tuple[Path, ...],
    batch_size: int,
    tta: str,
    views: int | None,
    as_json: bool,
) -> None:
    """Predict the class of IMAGES with an exported MODEL.

    IMAGES are files, folders or archives, MODEL is a folder written by `orch export`, and CSV goes to stdout. A file
    that is no usable image gets a line with the reason, and the exit status is 1. Odd images, with values that the
    study's do not have or nearly black or white, are reported on stderr.

    \b
    Example:
      orch predict model/ new_slides/ > predictions.csv
    """
    import torch

    from orchestrator.evaluation.changed import exact_views
    from orchestrator.export.model import load
    from orchestrator.export.predict import Predictor, Single, image_files, named_within
    from orchestrator.export.predict import predict as predictions
    from orchestrator.export.together import is_ensemble, load_together
    from orchestrator.results.names import counted
    from orchestrator.results.reference_mode import NEW_IMAGES
    from search_spaces.settings.image import REFERENCE_MODE
    from trainables.data.unpacking.opened import opened
    from trainables.machine.places import default_cache

    seen = exact_views(tta, views)
    torch.set_num_threads(1)
    predictor: Predictor
    if is_ensemble(model):
        predictor = together = load_together(model)
        origin = together.origin
    else:
        predictor = single = Single(*load(model))
        origin = single.model.origin
    if any(steps.standardisation == "each_split" for steps in predictor.steps):
        say(f"{REFERENCE_MODE}; {NEW_IMAGES}.")
    read = [(one, opened(one, default_cache(), say, labelled=False)) for one in images]
    files = image_files([source.path for _, source in read])
    unpacked = {source.path: one for one, source in read if source.packed is not None}
    done, failed, odd = 0, 0, dict[str, list[str]]()
    # a terminal that shows the rows themselves needs no bar
    told = ctx.with_resource(on_the_way(as_json or sys.stdout.isatty()))

    def noted(row: Prediction) -> Prediction:
        nonlocal done, failed
        done += 1
        told.count("images predicted", done, len(files))
        row = replace(row, file=named_within(row.file, unpacked))
        failed += bool(row.error)
        for remark in row.remarks:
            odd.setdefault(remark, []).append(row.file)
        return row

    rows = (noted(row) for row in predictions(predictor, files, batch_size, seen))
    if as_json:
        predicted = [
            {
                "file": row.file,
                "predicted": row.predicted or None,
                "probabilities": dict(zip(predictor.classes, row.chances, strict=True)) if row.chances else None,
                "error": row.error or None,
                "remarks": row.remarks,
            }
            for row in rows
        ]
        click.echo(json.dumps({"model": origin, "views": seen, "predictions": predicted}, indent=2))
    else:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["file", "predicted", *(f"p_{name}" for name in predictor.classes), "error"])
        for row in rows:
            chances = [f"{value:.6f}" for value in row.chances] or [""] * len(predictor.classes)
            writer.writerow([row.file, row.predicted, *chances, row.error])
    for remark, those in odd.items():
        say(f"{len(those)} of {counted(len(files), 'image')}: {remark}, for instance {those[0]}")
    if failed:
        say(f"{failed} of {counted(len(files), 'file')} could not be used.")
        ctx.exit(1)
