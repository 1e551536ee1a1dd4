"""`orch`: the command line, a thin skin over the library. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import gc
import os
import sys
import traceback
from typing import Any

import click

from orchestrator.commands.choose import best, compare
from orchestrator.commands.cost import cost
from orchestrator.commands.data import data
from orchestrator.commands.decisions import decisions
from orchestrator.commands.doctor import doctor
from orchestrator.commands.ensemble import ensemble
from orchestrator.commands.evaluate import evaluate
from orchestrator.commands.export import export, predict
from orchestrator.commands.figures import figures
from orchestrator.commands.home import list_studies
from orchestrator.commands.init import init
from orchestrator.commands.look import dashboard, status, table
from orchestrator.commands.maps import maps
from orchestrator.commands.mistakes import mistakes
from orchestrator.commands.note import note
from orchestrator.commands.options import name_numbers
from orchestrator.commands.said import say
from orchestrator.commands.search import plan, resume, search
from orchestrator.commands.spaces import spaces
from orchestrator.commands.tidy import forget, rename
from orchestrator.store.damage import collecting
from orchestrator.store.errors import OrchError
from orchestrator.store.packages import DISTRIBUTION
from trainables.machine.home import keep_out_of_home

_RARELY = 200_000
"""Objects made between two looks for garbage: most are kept, and looking took a tenth of the time of a page."""


class _Group(click.Group):
    """Shows every expected error and Ctrl-C as one message; a traceback only with --debug. Commands are as declared."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """The command; then what it left out because it cannot be read, which makes its status 1 at least."""
        with collecting() as left_out:
            status, result = 0, None
            try:
                result = self._told(ctx)
            except click.exceptions.Exit as exit_:
                status = exit_.exit_code
            finally:
                for one in left_out.all:
                    click.echo(one.as_text(), err=True)
            if status or left_out.all:
                ctx.exit(status or 1)
            return result

    def _told(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OrchError as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            click.echo(f"Error: {error.message}", err=True)
            if error.advice:
                click.echo(error.advice, err=True)
            ctx.exit(error.exit_status)
        except MemoryError:
            if ctx.params.get("debug"):
                traceback.print_exc()
            click.echo("Error: there is not enough memory for this.", err=True)
            click.echo("Run it on a machine with more memory, or raise the limit (ulimit -v).", err=True)
            ctx.exit(1)
        except click.NoSuchOption as error:
            there = {name for one in error.ctx.command.params for name in one.opts} if error.ctx else set()
            meant = [one for one in _meant(error.option_name) if one.partition(" ")[0] in there]
            if not meant:
                raise
            told = f"No such option '{error.option_name}'. Did you mean {' or '.join(map(repr, meant))}?"
            raise click.NoSuchOption(error.option_name, told, ctx=error.ctx) from error
        except KeyboardInterrupt:
            click.echo("Interrupted. What is stored is kept; the same command goes on from there.", err=True)
            ctx.exit(130)
        except BrokenPipeError:
            # whoever read the output has enough of it; the interpreter must not complain at its exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)


def _meant(option: str) -> list[str]:
    """What gives the setting that an option would be called after: `--lr` for `--learning-rate`."""
    from search_spaces.changes import option_of
    from search_spaces.tables import from_file

    words = option.lstrip("-").replace("-", " ").replace("_", " ")
    if words == "name":
        return []
    return [option_of(one) for one in from_file() if words in (one.setting.label, one.name.replace("_", " "))]


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name=DISTRIBUTION)
def main(debug: bool) -> None:
    """Distributed hyperparameter search for fine-tuning image backbones on grouped biomedical images.

    \b
    Example that needs no preparation:
      orch search neuroblastoma inception_v3

    Running the same command again trains only what is still missing.

    \b
    Tab completion in bash:
      eval "$(_ORCH_COMPLETE=bash_source orch)"
    """
    gc.set_threshold(_RARELY, 20, 20)
    keep_out_of_home(say)


for command in (
    init,
    search,
    resume,
    list_studies,
    status,
    decisions,
    plan,
    table,
    best,
    compare,
    ensemble,
    mistakes,
    evaluate,
    maps,
    dashboard,
    figures,
    spaces,
    cost,
    export,
    predict,
    data,
    note,
    rename,
    forget,
    doctor,
):
    main.add_command(command)
name_numbers(main)
