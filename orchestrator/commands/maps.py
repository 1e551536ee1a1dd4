"""`orch maps`: which places of images speak for their class."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.commands.options import (
    CommaList,
    complete_study,
    json_option,
    local_path,
    named_option,
    studies_option,
)
from orchestrator.commands.said import echo, echo_json, on_the_way, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.maps.explained import Made

METHOD_NAMES = ("gradcam", "gradcam++", "activations", "integrated", "occlusion", "rollout")
IMAGE_KINDS = ("best", "worst", "uncertain", "random")


@click.command()
@click.argument("study", shell_complete=complete_study)
@click.option(
    "--method",
    type=click.Choice(METHOD_NAMES),
    default="gradcam",
    show_default=True,
    help="Method that makes the maps.",
)
@click.option(
    "--images",
    "kinds",
    type=CommaList(str),
    default="best,worst,uncertain",
    show_default=True,
    help=f"Images to explain: {', '.join(IMAGE_KINDS)}; or files and folders from outside the study.",
)
@click.option(
    "--count",
    type=click.IntRange(1, 100_000),
    default=8,
    show_default=True,
    help="Number of images of each kind.",
)
@click.option("--class", "classes", metavar="NAME", multiple=True, help="Only images of this class.")
@click.option("--group", "groups", metavar="NAME", multiple=True, help="Only images of this group.")
@click.option(
    "--split",
    type=click.Choice(("valid", "test")),
    default="valid",
    show_default=True,
    help="Split of the images; test only once this configuration was evaluated on it.",
)
@click.option(
    "--image", "files", metavar="FILE", multiple=True, help="Images of the study by name, instead of --images."
)
@click.option(
    "--for",
    "explains",
    type=click.Choice(("predicted", "true")),
    default="predicted",
    show_default=True,
    help="Class to explain: the one with the largest mean probability over repeats, or the true one.",
)
@click.option("--whole", is_flag=True, help="Join the maps of patches into the images that orch data patches cut.")
@click.option(
    "--sanity", is_flag=True, help="Also compare the maps with random networks and a random order of regions."
)
@click.option(
    "--layer", metavar="NAME", default="", help="Layer of the network (default: the last with a spatial grid)."
)
@click.option("--top", type=click.IntRange(min=1), help="Number of best configurations to explain.  [default: 1]")
@named_option
@click.option("--partition", metavar="ID", help="Partition to use (default: the study's own).")
@click.option(
    "--output", metavar="FILE", type=local_path(dir_okay=False), help="File for a page with images: maps.html"
)
@click.option("--png", metavar="DIR", type=local_path(file_okay=False), help="Folder for a PNG of each image.")
@click.option("--svg", metavar="DIR", type=local_path(file_okay=False), help="Folder for SVG drawings with labels.")
@click.option(
    "--arrays", metavar="FILE", type=local_path(dir_okay=False), help="File for the maps as numbers: maps.npz"
)
@click.option("--with-names", is_flag=True, help="Show the names of files and groups, which may identify patients.")
@click.option("--data-root", metavar="DIR", type=local_path(), help="Folder of the images on this machine.")
@click.option("--weights", metavar="hub|none|FILE", help="Where to find the backbone's weights on this machine.")
@click.option("--cache", metavar="DIR", type=local_path(), help="Folder for cached features.")
@studies_option
@json_option
def maps(study: str, cache: Path | None, studies: str | None, as_json: bool, **asked: Any) -> None:
    """Show which regions of an image speak for its class.

    Explains validation images of STUDY by all repeats of its best configurations: the map of each repeat, their mean,
    and their standard deviation, which shows where trainings that differ only in their seed disagree. Several
    configurations explain the same images and classes. Test images are left out unless you ask for --split test, after
    an evaluation. The page holds images: be careful who sees it.

    \b
    Examples:
      orch maps slides --output maps.html
      orch maps slides --images worst --count 20 --for true --output worst.html
      orch maps slides --images random --count 100 --sanity
      orch maps slides --top 3 --images worst --output maps.html
      orch maps slides --method occlusion --class blast --arrays maps.npz
    """
    from orchestrator.commands.look import rewrite_dashboard
    from orchestrator.energy.meters import metered
    from orchestrator.maps.images import Wanted
    from orchestrator.maps.plan import MapOptions
    from orchestrator.maps.record import record_of, write_maps
    from orchestrator.maps.report import as_data, as_lines
    from orchestrator.maps.run import explain
    from orchestrator.store.errors import StorageError
    from orchestrator.study.studies import now, open_study, studies_place
    from trainables.machine.places import default_cache

    kinds, given = _kinds(asked)
    top, named = asked["top"], asked["named"]
    if top is not None and named:
        raise click.UsageError(
            "--top and --of cannot be used together: they name the best configurations, or certain ones"
        )
    opened = open_study(studies_place(studies), study)
    wanted = Wanted(kinds, asked["count"], asked["classes"], asked["groups"], asked["files"], given)
    names = ("method", "explains", "layer", "split", "whole", "sanity", "partition", "data_root", "weights")
    options = MapOptions(wanted=wanted, top=top or 1, of=named, **{name: asked[name] for name in names})
    with (
        metered(opened.storage, "maps"),
        on_the_way(as_json) as told,
        explain(opened, options, cache or default_cache(), told.say, told.count) as several,
    ):
        _write(several, opened.record.synthetic, asked)
    every = [one.explained for one in several]
    if not given and not asked["whole"]:  # the page shows images, of the study
        with contextlib.suppress(StorageError):  # a study that one may only read is explained all the same
            created = now()
            for place, explained in enumerate(every):
                write_maps(opened.storage, record_of(explained, wanted, created, place))
        rewrite_dashboard(opened)
    if as_json:
        echo_json({"study": study, "maps": [as_data(explained, asked["with_names"]) for explained in every]})
        return
    echo("\n\n".join("\n".join(as_lines(explained, asked["with_names"])) for explained in every))
    if not any(asked[name] for name in ("output", "png", "svg", "arrays")):
        echo(f"Next: orch maps {study} --output maps.html   (a page with images)")


def _kinds(asked: dict[str, Any]) -> tuple[tuple[str, ...], tuple[Path, ...]]:
    """Kinds of images, or files and folders that are not of the study."""
    given = tuple(Path(name) for name in asked["kinds"] if name not in IMAGE_KINDS)
    wrong = [str(path) for path in given if not path.exists()]
    if wrong:
        raise click.UsageError(
            f"--images: expected some of {', '.join(IMAGE_KINDS)}, or files and folders, found {', '.join(wrong)}"
        )
    if given and len(given) < len(asked["kinds"]):
        raise click.UsageError("--images: expected kinds of images, or files and folders, found both")
    others = {
        "--image": asked["files"],
        "--class": asked["classes"],
        "--group": asked["groups"],
        "--split": asked["split"] != "valid",
        "--for": asked["explains"] != "predicted",
        "--whole": asked["whole"],
    }
    if given and any(others.values()):
        named = ", ".join(name for name, value in others.items() if value)
        raise click.UsageError(
            f"{named}: cannot be used with files and folders in --images, which are not of the study"
        )
    return (() if given else asked["kinds"]), given


def _write(several: Sequence[Made], synthetic: bool, asked: dict[str, Any]) -> None:
    from dashboards.page.maps_page import Card, maps_page
    from orchestrator.maps.sheet import introduction, parts
    from orchestrator.maps.svg import write_svgs
    from orchestrator.maps.written import write_arrays, write_pictures
    from orchestrator.store.storage import LocalStorage

    output, folder, drawings, arrays = (asked[name] for name in ("output", "png", "svg", "arrays"))
    with_names = asked["with_names"]
    if output is not None:
        study = several[0].explained.study
        title = f"{study} (synthetic data)" if synthetic else study
        shown = [(heading, [Card(*entry) for entry in entries]) for heading, entries in parts(several, with_names)]
        page = maps_page(title, introduction([one.explained for one in several]), shown)
        LocalStorage(output.parent).replace(output.name, page.encode())
        say(f"Page: {output}")
    for one in several:
        own = one.explained.configuration if len(several) > 1 else ""
        if folder is not None:
            say(f"Pictures: {len(write_pictures(folder / own, one))} in {folder / own}")
        if drawings is not None:
            say(f"Drawings: {len(write_svgs(drawings / own, one, with_names))} in {drawings / own}")
        if arrays is not None:
            path = arrays.with_stem(f"{arrays.stem}-{own}") if own else arrays
            write_arrays(path, one.explained, with_names)
            say(f"Arrays: {path}")
