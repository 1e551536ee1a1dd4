"""Options that several commands share, and the parsing of lists."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

import click

from orchestrator.store.errors import OrchError
from orchestrator.store.place import is_address

Command = TypeVar("Command", bound=Callable[..., Any])


class NumberOr(click.ParamType[int | str]):
    """A whole number from 1, or one of some words."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self.name = "|".join(("N", *words))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if value in self.words:
            return str(value)
        try:
            return int(value)
        except ValueError:
            self.fail(f"expected a whole number or {' or '.join(self.words)}, found {value}", param, ctx)


class CommaList(click.ParamType[tuple[Any, ...]]):
    """`1e-3,1e-2` → (0.001, 0.01); every value that cannot be read is named."""

    name = "LIST"

    def __init__(self, kind: type[float] | type[int] | type[str]) -> None:
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in str(value).split(",") if part.strip()]
        wrong = [part for part in parts if not self._is_right(part)]
        if wrong or not parts:
            expected = {float: "numbers", int: "whole numbers", str: "names"}[self.kind]
            self.fail(f"expected {expected} separated by commas, found {', '.join(wrong) or 'nothing'}", param, ctx)
        return tuple(self.kind(part) for part in parts)

    def _is_right(self, part: str) -> bool:
        try:
            self.kind(part)
        except ValueError:
            return False
        return True


class LocalPath(click.Path):
    """A path of this machine; an address is refused, which would otherwise become a folder of a strange name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, str) and is_address(value):
            self.fail("expected a path on this machine, found an address; only --studies takes one", param, ctx)
        return super().convert(value, param, ctx)


def local_path(*, file_okay: bool = True, dir_okay: bool = True) -> LocalPath:
    """Type of options that name files or folders here: images, weights, cache, output."""
    return LocalPath(file_okay=file_okay, dir_okay=dir_okay, path_type=Path)


studies_option = click.option(
    "--studies",
    metavar="DIR|ADDRESS",
    help="Where the studies are: a folder or s3://BUCKET/PREFIX (default: $ORCH_STUDIES, else ./studies).",
)
named_option = click.option(
    "--of",
    "named",
    metavar="ID,…",
    type=CommaList(str),
    default=(),
    help="Configurations to use instead of the best, by the first digits of their ids.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON to stdout.")


def name_numbers(command: click.Command) -> None:
    """Numbers are called N in the help of a command and of those in it, not INTEGER RANGE."""
    for one in command.commands.values() if isinstance(command, click.Group) else ():
        name_numbers(one)
    for param in command.params:
        if param.metavar is None and isinstance(param.type, click.IntRange | click.FloatRange):
            param.metavar = "N"


def within(sentence: str) -> str:
    """A sentence as part of another: no full stop, and a small first letter unless it begins with a name."""
    first = sentence.partition(" ")[0]
    is_name = "'" in first or not first[1:].islower()
    return (sentence if is_name else sentence[:1].lower() + sentence[1:]).removesuffix(".")


def complete_study(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Names of bundled studies and of those that are stored; of a store that does not answer there are none."""
    from orchestrator.study.studies import studies_in, studies_place
    from search_spaces.loader import bundled

    names = {*bundled()} - {"default"}
    with contextlib.suppress(OrchError):
        names.update(studies_in(studies_place(ctx.params.get("studies"))))
    return sorted(name for name in names if name.startswith(incomplete))


def complete_backbone(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Backbones of the study's file; any timm or torchvision name is accepted beside them."""
    from search_spaces.loader import bundled, load_space

    study = ctx.params.get("study") or ""
    if study not in bundled():
        return []
    names = [entry.name.partition(":")[2].partition(".")[0] for entry in load_space(study).backbones]
    return [name for name in names if name.startswith(incomplete)]


def complete_strategy(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Names of strategies, for the last of a list."""
    from search_spaces.presets import PRESETS

    before, comma, begun = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in PRESETS if name.startswith(begun)]


def check_with(ctx: click.Context, there: Collection[str], what: str) -> None:
    """Refuse options that do not go with `what`."""
    typed = click.core.ParameterSource.COMMANDLINE
    others = [one for one in ctx.command.params if one.name and one.name not in there]
    given = [one.opts[0] for one in others if ctx.get_parameter_source(str(one.name)) is typed]
    if given:
        raise click.UsageError(f"{', '.join(given)}: cannot be used with {what}")
