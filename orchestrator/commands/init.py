"""`orch init`: a study's file to begin with, from what the images are."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.commands.data_options import all_reading, dataset_options
from orchestrator.commands.options import json_option, local_path
from orchestrator.commands.said import echo, echo_json, on_the_way, say

if TYPE_CHECKING:
    from orchestrator.beginning.study_file import Chosen
    from trainables.data.options import DatasetOptions

FETCHED = ("timm:resnet18.a1_in1k", "timm:efficientnet_b0.ra_in1k")
"""Backbones of a file where no weights lie on the machine."""
MOST = 3
"""Backbones of a file where the weights of more lie on the machine."""


class ClassNames(click.ParamType[dict[str, str]]):
    """`D=Differentiated,U=Undifferentiated`."""

    name = "CLASS=NAME,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, str]:
        if isinstance(value, dict):
            return value
        names: dict[str, str] = {}
        for part in str(value).split(","):
            label, _, name = (text.strip() for text in part.partition("="))
            if not label or not name or label in names or name in names.values():
                self.fail(f"expected CLASS=NAME,CLASS=NAME with different names, found {part!r}", param, ctx)
            names[label] = name
        return names


def _reading(command: Any) -> Any:
    for decorate in reversed(all_reading("Folder that the table's paths are relative to.")):
        command = decorate(command)
    return command


@click.command()
@click.argument("name")
@click.option(
    "--data",
    metavar="DIR|TABLE",
    required=True,
    type=local_path(),
    help="Class folders, or a table of files, labels and groups; or an archive (.zip, .tar) or arrays (.npz).",
)
@click.option("--classes", type=ClassNames(), help="Names of the classes: D=Differentiated,U=Undifferentiated.")
@click.option(
    "--backbone",
    "backbones",
    metavar="NAME",
    multiple=True,
    help="Backbone to fine-tune (default: some whose weights are on this machine).",
)
@click.option("--weights", metavar="hub|none|FILE", help="Weights of --backbone (default: hub).")
@_reading
@click.option("--cache", metavar="DIR", type=local_path(), help="Folder for unpacked files (default: ~/.cache/orch).")
@json_option
def init(
    name: str,
    data: Path,
    classes: dict[str, str] | None,
    backbones: tuple[str, ...],
    weights: str | None,
    cache: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Write NAME.toml, a commented study file that fits your images.

    It names the classes, how they are divided and balanced, backbones whose weights are on this machine, and a small
    grid, with a reason for each choice. A search takes the file as it is; change what you know better. An existing file
    is not overwritten.

    \b
    Examples:
      orch init my_study --data images/ --group-by parent
      orch init my_study --data labels.csv --classes D=Differentiated,U=Undifferentiated
    """
    from orchestrator.beginning.seen import see
    from orchestrator.beginning.study_file import commands, study_file
    from orchestrator.results.report import columns
    from orchestrator.store.errors import InputError
    from orchestrator.store.layout import checked_name
    from orchestrator.store.storage import LocalStorage
    from orchestrator.study.preparation import DataRequest, divider
    from search_spaces.loader import bundled, default_space, parse_space
    from trainables.data.dataset import load_dataset
    from trainables.data.unpacking.opened import opened_data
    from trainables.machine.places import default_cache

    if weights is not None and not backbones:
        raise click.UsageError("--weights goes with --backbone")
    name = checked_name(name.removesuffix(".toml"))
    if name in bundled():
        raise InputError(f"study name {name!r}: expected a new name, found that of a bundled study", _ANOTHER)
    file = Path(f"{name}.toml")
    if file.exists():
        raise InputError(f"{file}: expected no such file, found one, which was not changed", _ANOTHER)
    space = default_space(name).model_copy(update={"class_names": classes or {}})
    chosen, others = _chosen(backbones, weights)
    typed = DataRequest(data, _options(given, classes or {}))
    opened, options = opened_data(data, typed.options, cache or default_cache(), say)
    with opened.blamed(), on_the_way(as_json) as way:
        divided = divider(space, seed=0)
        dataset = load_dataset(opened.path, options, partial(way.count, "images read"), divided=divided)
    seen = see(space, dataset, typed)
    text = study_file(space, seen, chosen, others, has_gpu=_has_gpu(), file=str(file))
    parse_space(text, str(file))
    if not LocalStorage(Path()).create(str(file), text.encode()):
        raise InputError(f"{file}: expected no such file, found one, which was not changed", _ANOTHER)
    following = commands(name, seen, str(file))
    if as_json:
        counts = dict(zip(seen.classes, seen.images, strict=True))
        told = {"task": seen.task, "classes": counts, "group_meaning": seen.group_meaning, "policy": seen.policy}
        echo_json({"file": str(file), **told, "backbones": [one.name for one in chosen], "next": following})
        return
    for note in seen.notes:
        say(note)
    division = [[*map(str, seen.division.columns)], *([*map(str, row)] for row in seen.division.to_numpy().tolist())]
    echo("\n".join(columns(division, [False, *[True] * (len(division[0]) - 1)])))
    echo(f"Written: {file}")
    for what, command in following.items():
        echo(f"  To {what}: {command}")


_ANOTHER = "Choose another name, or move the file away."


def _chosen(names: tuple[str, ...], weights: str | None) -> tuple[list[Chosen], tuple[str, ...]]:
    """The backbones of the file, and others whose weights lie on this machine. Raises InputError."""
    from orchestrator.beginning.study_file import Chosen
    from trainables.machine.places import weights_choice
    from trainables.network.backbone_names import resolve_name
    from trainables.network.weights import file_of
    from trainables.network.weights_here import weights_here

    here = weights_here()
    asked = tuple(dict.fromkeys(map(resolve_name, names)))
    own = weights if weights not in (None, "hub") else ""
    if own and isinstance(choice := weights_choice(own), Path):
        own = str(file_of(choice).path.resolve())
    taken = asked or here[:MOST] or FETCHED
    chosen = [Chosen(name, own or "", name in here) for name in taken]
    return chosen, () if asked else tuple(name for name in here if name not in taken)


def _options(given: dict[str, Any], classes: dict[str, str]) -> DatasetOptions:
    from dataclasses import replace

    return replace(dataset_options(given), class_names=tuple(classes.items()))


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
