"""`orch data patches` and `orch data cut`: large fields cut into squares, and squares rejected by hand."""

from __future__ import annotations

import contextlib
import json
import webbrowser
from functools import partial
from pathlib import Path
from typing import Any

import click

from orchestrator.commands.data_options import dataset_options, how_to_read, split_column_option, split_words_option
from orchestrator.commands.options import json_option, local_path
from orchestrator.commands.reading import rule_of_reading
from orchestrator.commands.said import echo, on_the_way, say


class MarginType(click.ParamType[tuple[int, ...]]):
    """`found` → (); `20` → four times 20; `0,60,0,0` → left, top, right, bottom."""

    name = "found|PIXELS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in str(value).split(",")]
        if parts == ["found"]:
            return ()
        if len(parts) not in (1, 4) or not all(part.isdecimal() for part in parts):
            self.fail(f"expected found, one whole number, or four: left,top,right,bottom; found {value!r}", param, ctx)
        return tuple(map(int, parts * 4 if len(parts) == 1 else parts))


def _reading(command: Any) -> Any:
    for decorate in reversed(how_to_read("Folder that the table's paths are relative to.")):
        command = decorate(command)
    return command


@click.command()
@click.argument("source", metavar="DIR|TABLE", type=local_path())
@click.option(
    "--output", metavar="DIR", type=local_path(file_okay=False), required=True, help="Folder to write the patches to."
)
@click.option(
    "--size", type=click.IntRange(16, 10_000), default=250, show_default=True, help="Side of a patch in pixels."
)
@click.option(
    "--margin",
    metavar="found|PIXELS",
    type=MarginType(),
    default="found",
    show_default=True,
    help="Margin to cut off first: found (uniform borders), or pixels, the same on each side or left,top,right,bottom.",
)
@click.option(
    "--um-per-pixel",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="Resample every image to N µm per pixel.",
)
@click.option(
    "--source-um-per-pixel",
    metavar="N|COLUMN",
    help="Micrometres per pixel of files that do not state it, or the table column that holds it.",
)
@click.option(
    "--least-tissue",
    type=click.FloatRange(0, 1),
    default=0.01,
    show_default=True,
    help="Skip patches with a smaller share of tissue than this, as background.",
)
@_reading
@split_column_option
@split_words_option
@rule_of_reading
@click.option("--plan", "plans", is_flag=True, help="Show the plan and write nothing.")
@json_option
def patches(source: Path, output: Path, plans: bool, as_json: bool, **given: Any) -> None:
    """Cut large images into square patches for a search.

    Takes class folders or a table; the patches do not overlap. Patches of one source image, or of one patient or slide
    if the table has such a column, are one group. Running the same command again continues where it was interrupted;
    nothing is overwritten.

    \b
    Examples:
      orch data patches fields/ --output patches/ --plan
      orch data patches fields/ --size 250 --output patches/
      orch data patches labels.csv --group-column patient --um-per-pixel 0.5 --output patches/
    """
    from orchestrator.patches.asked import CutOptions
    from orchestrator.patches.cut import carry_out, check_output, need_of
    from orchestrator.patches.grid import Margin
    from orchestrator.patches.plan import plan_cut
    from orchestrator.patches.report import data_of, lines_of, next_lines
    from trainables.data.unpacking.opened import opened_data
    from trainables.machine.places import default_cache

    margin = Margin(*given["margin"]) if given["margin"] else None
    opened, data = opened_data(source, dataset_options(given), default_cache(), say)
    options = CutOptions(
        opened.path,
        given["size"],
        margin,
        given["um_per_pixel"],
        _number_or_column(given["source_um_per_pixel"]),
        given["least_tissue"],
        data,
    )
    check_output(output, options)
    with opened.blamed(), on_the_way(as_json) as told:
        plan = plan_cut(options, partial(told.count, "images measured"))
    need = need_of(plan, output)
    said = lines_of(plan, need, output)
    if not as_json:
        echo("\n".join(said))
    if not plans:
        with on_the_way(as_json) as told:
            carry_out(plan, output, partial(told.count, "patches written"))
        if not as_json:
            echo("\n".join(["", f"Written: {output}", *next_lines(output)]))
    if as_json:
        click.echo(json.dumps({"planned_only": plans, **data_of(plan, need, output)}, indent=2))


@click.command()
@click.argument("output", metavar="DIR", type=local_path(file_okay=False))
@click.option("--name", metavar="NAME", help="Your name, kept with each click (default: account and machine).")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port on this machine (default: a free one).")
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser.")
def cut(output: Path, name: str | None, port: int, opens: bool) -> None:
    """Look through patches and reject those that show nothing.

    DIR holds patches made by `orch data patches`. Serves a page on this machine only, until Ctrl-C. Every click is
    stored at once, with who and when. Rejected patches are removed from labels.csv, and can be restored.

    \b
    Example:
      orch data cut patches/ --name Ada --open
    """
    from dashboards.patches.server import PatchServer
    from orchestrator.patches.review import Review
    from orchestrator.study.studies import who

    review = Review(output, (name or who()).strip()[:100])
    server = PatchServer(port, review)
    echo(server.url)
    say("Only people who have this address can open the page, on this machine only. Ctrl-C ends it.")
    if opens:
        webbrowser.open(server.url)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
    server.server_close()
    counts = review.counts()
    echo(f"{counts['used']} of {counts['patches']} patches are used, {counts['rejected']} rejected: {output}")


def _number_or_column(text: str | None) -> float | str | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return text
