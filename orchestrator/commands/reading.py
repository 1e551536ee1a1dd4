"""The options that say how image files are read: range of values, page, channels. They are one `Reading`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from trainables.data.percentiles import Percentiles
    from trainables.data.reading import Reading

Command = TypeVar("Command", bound=Callable[..., Any])


class Parsed(click.ParamType[Any]):
    """Text that a function reads, whose ValueError says what was expected and found."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name, self.parse = name, parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self.parse(value) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Range(click.ParamType[Any]):
    """`0:4095`, two numbers, the smaller first, or `1%:99%`, percentiles."""

    name = "LOW:HIGH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from trainables.data.percentiles import Percentiles
        from trainables.data.reading import Intensity

        if not isinstance(value, str):
            return value
        try:
            ends = Percentiles.parse(value) or Intensity.parse(value)
        except ValueError:
            ends = None
        if ends is None:
            expected = "expected LOW:HIGH, such as 0:4095 or 1%:99%, the smaller first"
            self.fail(f"{expected}, found {value!r}", param, ctx)
        return ends


def _page(text: str) -> str:
    from trainables.data.reading import parsed_page

    return parsed_page(text)


def _channels(text: str) -> tuple[tuple[str, str], ...]:
    from trainables.data.reading import parsed_channels

    return parsed_channels(text)


def rule_of_reading(command: Command) -> Command:
    """Options that are one `Reading`, see `reading_of`."""
    decorators = [
        click.option(
            "--intensity",
            metavar="LOW:HIGH",
            type=Range(),
            help="Values to show as black and white, for DICOM and images of more than 8 bits; 1%:99%: percentiles of "
            "the training images (default: the window that all files state, else their bit depth).",
        ),
        click.option(
            "--page",
            metavar="N|max|mean|min",
            type=Parsed("PAGE", _page),
            help="For files with several pages, planes or frames: which one, from 1, or a projection over all.",
        ),
        click.option(
            "--channels",
            metavar="NAME=INPUT,…",
            type=Parsed("CHANNELS", _channels),
            help="For files with several channels: DAPI=blue,GFP=green (names of OME-TIFF, or numbers), or one alone.",
        ),
    ]
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


def reading_of(given: dict[str, Any]) -> tuple[Reading, Percentiles | None]:
    """What `rule_of_reading` parsed, taken out of `given`."""
    from trainables.data.percentiles import Percentiles
    from trainables.data.reading import Reading

    values, page, channels = given.pop("intensity"), given.pop("page") or "", given.pop("channels") or ()
    if isinstance(values, Percentiles):
        return Reading(None, page, channels), values
    return Reading(values, page, channels), None
