"""`orch data check` and `orch data split`: images before there is a study, looked through and divided."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.commands.data_options import all_reading, dataset_options
from orchestrator.commands.options import json_option, local_path
from orchestrator.commands.said import echo, on_the_way, say

if TYPE_CHECKING:
    from orchestrator.checking.finding import Told
    from orchestrator.checking.reading import Reading
    from search_spaces.schema import Space
    from trainables.data.options import DatasetOptions


def _reading(command: Any) -> Any:
    for decorate in reversed(
        [
            *all_reading("Folder that the table's paths are relative to."),
            click.option(
                "--study",
                metavar="NAME|FILE",
                help="Study whose file says how to divide the images (default: that of a study of your own).",
            ),
            click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the study."),
            click.option(
                "--cache",
                metavar="DIR",
                type=local_path(),
                help="Folder for features and unpacked files (default: ~/.cache/orch).",
            ),
        ]
    ):
        command = decorate(command)
    return command


@click.command()
@click.argument("source", metavar="DIR|TABLE", type=local_path())
@_reading
@click.option(
    "--backbone", metavar="NAME", help="Find outliers by its features (default: by colour, light and texture)."
)
@click.option("--weights", metavar="hub|none|FILE", help="Weights of --backbone (default: hub).")
@click.option("--every", is_flag=True, help="List all cases of each finding, not only the first five.")
@click.option(
    "--output", metavar="FILE", type=local_path(dir_okay=False), help="Write a page with pictures: check.html"
)
@json_option
@click.pass_context
def check(
    ctx: click.Context,
    /,
    source: Path,
    backbone: str | None,
    weights: str | None,
    cache: Path | None,
    every: bool,
    output: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Check images for problems before you make a study of them.

    Reads the images in DIR or TABLE as a search would, with the same options, and makes no study. It reports images
    with two labels, copies in two splits or groups, outliers, groups that contradict the file names, and classes that
    the camera or the image size gives away. Exit status: 0 if nothing would ruin a study, 1 if something would, 2 if
    the input cannot be read.

    \b
    Examples:
      orch data check labels.csv --group-column patient --output check.html
      orch data check images/ --group-by parent --backbone resnet18
    """
    from orchestrator.checking.reading import CheckRequest, read
    from orchestrator.checking.report import as_json as told_json
    from orchestrator.checking.report import as_lines, put_together
    from orchestrator.study.preparation import DataRequest
    from trainables.data.unpacking.opened import opened_data
    from trainables.machine.places import default_cache

    if backbone is None and weights is not None:
        raise click.UsageError("--weights goes with --backbone")
    with on_the_way(as_json) as way:
        features = None
        if backbone is not None:
            from orchestrator.checking.backbone_features import backbone_features

            features = backbone_features(backbone, weights or "hub", cache or default_cache(), way.count)
        typed = DataRequest(source, dataset_options(given))
        opened, options = opened_data(source, typed.options, cache or default_cache(), way.say)
        request = CheckRequest(
            DataRequest(opened.path, options), typed, _space(given["study"]), given["seed"], features
        )
        reading = read(request, way.say, way.count)
    told = put_together(request, reading)
    if output is not None:
        _write_page(output, told, reading, options)
    echo(json.dumps(told_json(told), indent=2) if as_json else "\n".join(as_lines(told, every)))
    ctx.exit(told.exit_status)


@click.command()
@click.argument("source", metavar="DIR|TABLE", type=local_path())
@_reading
@click.option(
    "--seeds",
    type=click.IntRange(1, 50),
    default=5,
    show_default=True,
    help="Number of seeds to try for the stratified policy, starting with --seed.",
)
@click.option(
    "--partitions",
    type=click.IntRange(1, 100),
    default=1,
    help="Also show those that a search with --partitions N adds.",
)
@click.option(
    "--choose", metavar="N", type=click.IntRange(min=1), default=1, help="Partition to choose (default: a search's)."
)
@click.option(
    "--output", metavar="FILE.csv", type=local_path(dir_okay=False), help="Write the chosen one as a table to share."
)
@click.option("--every", is_flag=True, help="Show all candidates class by class, not only the chosen one.")
@json_option
def split(
    source: Path,
    seeds: int,
    partitions: int,
    choose: int,
    output: Path | None,
    every: bool,
    cache: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Compare partitions of images, and write one as a table to share.

    A search takes the table as it is, on any machine (--data FILE.csv, with --data-root DIR if the images are
    elsewhere). The table holds the hash of each image's pixels, so images that differ are named and refused.

    \b
    Examples:
      orch data split labels.csv --group-column patient
      orch data split images/ --group-by parent --seeds 20 --choose 3 --output split.csv
    """
    from orchestrator.dividing.candidates import candidates
    from orchestrator.dividing.report import fingerprints, split_report
    from orchestrator.dividing.shared_table import how_to_search, shared_table, write_shared
    from orchestrator.results.near_duplicates import pairs_of
    from orchestrator.store.errors import InputError
    from orchestrator.study.preparation import DataRequest, check_rule, divider
    from trainables.data.dataset import load_dataset
    from trainables.data.unpacking.opened import opened_data
    from trainables.machine.places import default_cache

    space = _space(given["study"])
    opened, options = opened_data(source, dataset_options(given), cache or default_cache(), say)
    options = replace(options, class_names=tuple(space.class_names.items()))
    with opened.blamed(), on_the_way(as_json) as way:
        divided = divider(space, given["seed"])
        dataset = load_dataset(opened.path, options, partial(way.count, "images read"), divided=divided)
    check_rule(dataset, DataRequest(source, options))
    pairs = pairs_of(dataset.manifest["file"].tolist(), dataset.pictures)
    possible, impossible = candidates(dataset, pairs, space, given["seed"], seeds, partitions)
    if choose > len(possible):
        raise InputError(
            f"--choose {choose}: expected at most {len(possible)}, the number of candidates",
            "To see them, leave out --choose and --output.",
        )
    chosen = possible[choose - 1]
    report = split_report(str(source), dataset, possible, impossible, space.partition.targets, choose - 1, every)
    seen, test = fingerprints(dataset, chosen)
    written = dict[str, str]()
    shown = ["", f"Fingerprint of partition {choose}: {seen}", f"  of its test split: {test}"]
    if output is not None:
        if chosen.faults:
            raise InputError(chosen.faults, "A search would refuse this partition: choose another one.")
        write_shared(output, shared_table(dataset, chosen.partition))
        search = how_to_search(output, dataset, options, opened.packed)
        shown += [f"Written: {output}", f"  {search}"]
        written = {"output": str(output), "search": search}
    if as_json:
        click.echo(json.dumps({**report.as_json(), **written}, indent=2))
        return
    for note in dataset.notes:
        say(note)
    echo("\n".join([report.as_text(), *shown]))


def _space(study: str | None) -> Space:
    from search_spaces.loader import default_space, load_space

    return default_space("my_study") if study is None else load_space(study)


def _write_page(path: Path, told: Told, reading: Reading, options: DatasetOptions) -> None:
    from dashboards.check.page import check_page
    from orchestrator.store.storage import LocalStorage
    from orchestrator.study.studies import now
    from trainables.data.decode import read_rgb
    from trainables.data.manifest import reading_of
    from trainables.data.reading import AS_IT_IS
    from trainables.data.shades import Pixels

    dataset = reading.material.dataset if reading.material is not None else None
    rule = reading_of(dataset.manifest) if dataset is not None else AS_IT_IS

    def read(file: str) -> Pixels:
        assert dataset is not None
        return read_rgb(dataset.root / file, options.max_pixels, rule)

    LocalStorage(path.parent).replace(path.name, check_page(told, read, now()).encode())
    say(f"Page: {path}")
