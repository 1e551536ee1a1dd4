"""`orch rename` and `orch forget`: a study under another name, and what of it is no longer wanted."""

from __future__ import annotations

import sys

import click

from orchestrator.commands.options import complete_study, json_option, studies_option
from orchestrator.commands.said import echo, echo_json, say


def complete_part(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of studies, and behind a colon ids of what one holds."""
    from orchestrator.store import layout
    from orchestrator.store.errors import OrchError
    from orchestrator.study.studies import find_study, studies_place

    name, colon, begun = incomplete.partition(":")
    if not colon:
        return complete_study(ctx, param, incomplete)
    try:
        study = find_study(studies_place(ctx.params.get("studies")), name)
    except OrchError:
        return []
    folders = (layout.CONFIGURATIONS, layout.SEARCHES, layout.PARTITIONS)
    ids = [one.partition(".")[0] for folder in folders for one in (study.storage.list(folder) if study else [])]
    return [f"{name}:{one}" for one in ids if one.startswith(begun)]


@click.command()
@click.argument("study", shell_complete=complete_study)
@click.argument("name")
@studies_option
@json_option
def rename(study: str, name: str, studies: str | None, as_json: bool) -> None:
    """Rename STUDY to NAME, with its folder and its page.

    The commands on its page then use the new name. Moving the folder by hand does the same. Nobody may be working on
    the study meanwhile.

    \b
    Example:
      orch rename slides slides_2025
    """
    from orchestrator.commands.look import rewrite_dashboard
    from orchestrator.forgetting.renaming import rename as renamed
    from orchestrator.forgetting.workers import check_idle
    from orchestrator.study.studies import open_study, studies_place

    opened = open_study(studies_place(studies), study)
    check_idle(opened)
    now = renamed(opened, name)
    rewrite_dashboard(now)
    if as_json:
        echo_json({"before": opened.name, "study": now.name, "place": str(now.place)})
    else:
        echo(f"{opened.name} is called {now.name} now, in {now.place}")


@click.command()
@click.argument("part", metavar="STUDY[:ID]", shell_complete=complete_part)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@studies_option
@json_option
def forget(part: str, yes: bool, studies: str | None, as_json: bool) -> None:
    """Delete a part of STUDY with its results, or all of STUDY.

    ID is the beginning of the id of a configuration, a search or a partition (see orch table and orch decisions). The
    command first says what it will delete, and asks. Tests that were made are kept, and so is the count of looks at
    test images. What is searched again later is trained again.

    \b
    Examples:
      orch forget slides:3f2a90c41b7e
      orch forget slides --yes
    """
    from orchestrator.commands.look import rewrite_dashboard
    from orchestrator.forgetting.going import going
    from orchestrator.forgetting.workers import check_idle
    from orchestrator.store.errors import InputError
    from orchestrator.study.studies import open_study, studies_place

    name, colon, asked = part.partition(":")
    if colon and not asked:
        raise click.UsageError(f"{part}: expected an id after the colon, or no colon for the whole study")
    opened = open_study(studies_place(studies), name)
    check_idle(opened)
    gone = going(opened, asked)
    if not yes:
        if not _can_answer():
            raise InputError(f"This would delete {gone.words}", f"If you want this: orch forget {part} --yes")
        say(f"This deletes {gone.words}.")
        click.confirm("Delete it?", abort=True, err=True)
    gone.go(opened)
    if not gone.is_all:
        rewrite_dashboard(opened)
    if as_json:
        echo_json({"study": opened.name, "deleted": gone.what, "repeats": gone.repeats, "bytes": gone.bytes})
    else:
        echo(f"Deleted {gone.words}.")


def _can_answer() -> bool:
    return sys.stdin.isatty()
