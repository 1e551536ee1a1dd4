"""`orch figures`: every figure of a study as a file for a paper, with its data."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from orchestrator.commands.options import CommaList, complete_study, json_option, local_path, studies_option
from orchestrator.commands.said import echo, echo_json, on_the_way, say


@click.command()
@click.argument("study", shell_complete=complete_study)
@click.option(
    "--format",
    "form",
    type=click.Choice(["svg", "png", "pdf"]),
    default="svg",
    show_default=True,
    help="Format of the figures.",
)
@click.option(
    "--only", type=CommaList(str), default=(), metavar="NAMES", help="Write these figures only: curves,heat-map"
)
@click.option("--every", is_flag=True, help="Draw every score and statistic, not only means of the selection metric.")
@click.option(
    "--width",
    metavar="MM",
    type=click.FloatRange(40, 600),
    help="Width in millimetres (default: 85, one column; 180 if a figure has several panels or long names).",
)
@click.option("--x", metavar="SETTING", help="Draw a score against this setting instead (lr, head.dropout …).")
@click.option("--y", metavar="METRIC", help="With --x: the metric to draw, such as accuracy (default: loss).")
@click.option("--line", metavar="SETTING", help="With --x: a line for each of its values.")
@click.option("--facet", metavar="SETTING", help="With --x: a panel for each of its values.")
@click.option("--band", type=click.Choice(["std", "none"]), help="With --x: error bar of each mark (default: std).")
@click.option("--output", metavar="DIR", type=local_path(file_okay=False), help="Folder to write the files to.")
@json_option
@studies_option
def figures(
    study: str,
    form: str,
    only: tuple[str, ...],
    every: bool,
    width: float | None,
    x: str | None,
    y: str | None,
    line: str | None,
    facet: str | None,
    band: str | None,
    output: Path | None,
    as_json: bool,
    studies: str | None,
) -> None:
    """Write STUDY's figures for print, each with its data as CSV.

    captions.md says how to read them.

    \b
    Examples:
      orch figures neuroblastoma --format pdf --only curves,heat-map
      orch figures neuroblastoma --x lr --y accuracy --line batch_size --facet strategy
    """
    from dashboards.export.files import checked_figures, write_any, write_figures
    from dashboards.figures.any_axes import Asked
    from dashboards.figures.registry import open_source
    from orchestrator.results.names import counted
    from orchestrator.store.place import Place
    from orchestrator.study.studies import open_study, studies_place

    names = checked_figures(only)
    opened = open_study(studies_place(studies), study)
    place = Place.of(output) if output else opened.place / "figures"
    source = open_source(opened.storage)
    if x is None:
        if y or line or facet or band:
            raise click.UsageError("--y, --line, --facet and --band go with --x SETTING")
        with on_the_way(as_json) as told_of:
            counting = partial(told_of.count, "figures written")
            exported = write_figures(source, place, form, names, every, width, counting)  # type: ignore[arg-type]
    else:
        if only or every:
            raise click.UsageError("--only and --every choose among the page's figures and cannot be used with --x")
        asked = Asked(x, y or "loss", line or "", facet or "", band or "std")  # type: ignore[arg-type]
        exported = write_any(source, place, asked, form, width)  # type: ignore[arg-type]
    drawn = [one for one in exported.written if one.image is not None]
    if as_json:
        rows = [
            {"figure": one.figure, "caption": one.caption, "data": str(one.data), "image": one.image and str(one.image)}
            for one in exported.written
        ]
        lost = [{"figure": one.figure, "cause": one.cause} for one in exported.lost]
        told = {"study": opened.name, "figures": rows, "lost": lost, "problem": exported.problem}
        echo_json(told)
    elif not exported.written and not exported.lost:
        echo(f"{opened.name} has no results to draw yet.")
    else:
        tables = counted(len(exported.written), "table")
        echo(f"{counted(len(drawn), 'figure')} as {form} and {tables}: {place}")
    for one in exported.lost:
        say(f"{one.figure} could not be drawn. {one.cause}")
    is_without_images = bool(exported.problem and exported.written)
    if is_without_images:
        say(exported.problem)
    if exported.lost or is_without_images:
        raise SystemExit(1)
