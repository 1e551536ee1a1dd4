"""`orch spaces`: the search spaces that come with the product, and checking one's own."""

from __future__ import annotations

import json

import click

from orchestrator.commands.options import json_option
from orchestrator.commands.said import echo


@click.group()
def spaces() -> None:
    """List and show bundled studies, and check a file of your own."""


@spaces.command("list")
@json_option
def list_spaces(as_json: bool) -> None:
    """List the bundled studies.

    \b
    Example:
      orch spaces list
    """
    from search_spaces.loader import bundled, load_space

    studies = [load_space(name) for name in bundled()]
    if as_json:
        click.echo(json.dumps([{"name": space.name, "title": space.title} for space in studies], indent=2))
        return
    width = max(len(space.name) for space in studies)
    for space in studies:
        echo(f"{space.name.ljust(width)}  {space.title}")


@spaces.command("show")
@click.argument("name")
@click.option("--small", is_flag=True, help="Show the small preset that is used for synthetic data.")
@click.option("--toml", is_flag=True, help="Print the file itself, as a start for a study of your own.")
def show_space(name: str, small: bool, toml: bool) -> None:
    """Show a study's grids, configurations and repeats.

    NAME is a bundled study or a TOML file.

    \b
    Examples:
      orch spaces show neuroblastoma
      orch spaces show default --toml > my_study.toml
    """
    from search_spaces.describe import describe
    from search_spaces.loader import load_space, space_source

    echo(space_source(name) if toml else describe(load_space(name), small=small))


@spaces.command("check")
@click.argument("file")
def check_space(file: str) -> None:
    """Check a TOML file, and report all of its faults at once.

    The exit status is 2 if there are any.

    \b
    Example:
      orch spaces check my_study.toml
    """
    from orchestrator.proposing.proposer import check_settings
    from search_spaces.loader import load_space

    space = load_space(file)
    check_settings(*space.search.with_changes(None, {}))
    echo(f"{file}: a valid study file, {space.name}")


@spaces.command("settings")
@json_option
def list_settings(as_json: bool) -> None:
    """List every setting, with its default and what it expects.

    Settings are given in a study's file, with --set, or by an option of their own.

    \b
    Example:
      orch spaces settings
    """
    from search_spaces.changes import option_of
    from search_spaces.faults import shown
    from search_spaces.tables import expected_words, from_file

    rows = [
        {
            "setting": one.path,
            "option": option_of(one),
            "expected": expected_words(one),
            "default": None if one.field.is_required() else one.field.default,
            "matters_with": " and ".join(
                " or ".join(f"{condition.path} {condition.words()}" for condition in several)
                for several in (one.setting.conditions, *((need,) for need in one.setting.needs))
                if several
            ),
            "help": one.setting.help,
        }
        for one in from_file()
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        default = "" if row["default"] is None else f", default {shown(row['default'])}"
        echo(f"{row['setting']}  ({row['option']})")
        echo(f"    {row['help']} Expected {row['expected']}{default}.")
        if row["matters_with"]:
            echo(f"    Applies only with {row['matters_with']}.")
