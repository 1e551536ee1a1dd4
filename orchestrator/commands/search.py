"""`orch search`, `orch resume` and `orch plan`."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.commands.options import complete_study, json_option, local_path, studies_option
from orchestrator.commands.said import answer, echo, echo_json, on_the_way, say
from orchestrator.commands.search_options import (
    keep_gb_option,
    run_options,
    search_options,
    what_to_search,
    while_it_runs,
)
from orchestrator.store.damage import forget

if TYPE_CHECKING:
    from orchestrator.planning.estimate import Estimate
    from orchestrator.resolved import Search
    from orchestrator.running.progress import Display
    from orchestrator.search import SearchOptions
    from orchestrator.train import RunOptions


ALL_DONE = "Everything asked for is already trained; nothing is left to do."
NONE_FAILED = "No repeat has failed. To train anything else that is missing, leave out --failed."


@click.command()
@what_to_search
@while_it_runs
@click.option("--plan", "only_plan", is_flag=True, help="Only estimate what the search needs, as `orch plan` does.")
@click.option(
    "--keep",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="At the end, keep the trained weights of the N best configurations in the study, up to 1 GB.",
)
@json_option
@click.pass_context
def search(
    ctx: click.Context,
    /,
    address: str | None,
    grace: float,
    cache_gb: float | None,
    keep_gb: float,
    time_s: float | None,
    nice: int,
    only_plan: bool,
    keep: int,
    as_json: bool,
    **asked: Any,
) -> None:
    """Train STUDY's grid of configurations for each BACKBONE.

    Each configuration is trained several times, in repeats. STUDY is a bundled study (see `orch spaces list`), a TOML
    file, or a new name given together with --data. Without --data, a small synthetic dataset is made. Running the
    command again trains only what is missing.

    \b
    Examples:
      orch search neuroblastoma inception_v3
      orch search my_study resnet18 --data images/ --group-by parent
      orch search my_study resnet18 --data ome/ --group-by parent --page max --channels DAPI=blue,GFP=green
      orch search my_study resnet18 --lr 1e-4,1e-3 --repeats 20
    """
    from orchestrator.stages import in_order

    options = search_options(_typed(), **asked)
    status = 0
    with on_the_way(as_json) as display:
        if only_plan:
            _plan(options, display, as_json, keep_gb)
            return
        run_as = run_options(address, grace, cache_gb, keep_gb, time_s, nice)
        for turn in in_order(options, display):
            if turn.title:
                display.say(f"{turn.title[0].upper()}{turn.title[1:]}.")
            latest, ended = turn.search, _run(turn.search, display, run_as, as_json, goes_on=turn.goes_on)
            status = max(status, ended)
            if ended == 1 and turn.title and not turn.is_last:
                display.say("The next stage begins when every repeat of this one has a result.")
            if ended not in turn.goes_on:
                break
        if keep and status in (0, 1):
            _keep(latest, keep, display)
    ctx.exit(status)


@click.command()
@click.argument("study", shell_complete=complete_study)
@click.option("--data-root", metavar="DIR", type=local_path(), help="Folder of the images on this machine.")
@click.option("--weights", metavar="hub|none|FILE", help="Where to find the weights on this machine.")
@click.option("--cache", metavar="DIR", type=local_path(), help="Folder for cached features.")
@while_it_runs
@click.option("--failed", is_flag=True, help="Train only the repeats that failed.")
@click.option("--epochs", type=click.IntRange(min=1), help="Train every repeat for at least this many epochs.")
@click.option("--repeats", type=click.IntRange(min=1), help="Train at least this many repeats of every configuration.")
@studies_option
@json_option
@click.pass_context
def resume(
    ctx: click.Context,
    /,
    study: str,
    data_root: Path | None,
    weights: str | None,
    cache: Path | None,
    address: str | None,
    grace: float,
    cache_gb: float | None,
    keep_gb: float,
    time_s: float | None,
    nice: int,
    failed: bool,
    epochs: int | None,
    repeats: int | None,
    studies: str | None,
    as_json: bool,
) -> None:
    """Continue every search of STUDY that is not finished.

    \b
    Examples:
      orch resume neuroblastoma
      orch resume neuroblastoma --failed
      orch resume neuroblastoma --repeats 20 --epochs 100
    """
    from orchestrator.running.progress import Display
    from orchestrator.search import Raise, reopen_search
    from orchestrator.study.studies import open_study, studies_place
    from trainables.machine.places import default_cache

    display = Display()
    opened = open_study(studies_place(studies), study)
    more = Raise(epochs, repeats, _typed()) if epochs or repeats else None
    place = cache or default_cache()
    reopened = reopen_search(opened, data_root, weights, place, display, only_failed=failed, more=more)
    done = NONE_FAILED if failed else ALL_DONE
    ctx.exit(_run(reopened, display, run_options(address, grace, cache_gb, keep_gb, time_s, nice), as_json, done))


@click.command()
@what_to_search
@keep_gb_option
@json_option
def plan(keep_gb: float, as_json: bool, **asked: Any) -> None:
    """Estimate what a search needs: time, memory and disk.

    Counts configurations, repeats and the work left, and times a few steps on this machine. Nothing is trained.

    \b
    Example:
      orch plan neuroblastoma inception_v3 --full
    """
    with on_the_way(as_json) as display:
        _plan(search_options(_typed(), **asked), display, as_json, keep_gb)


def _plan(options: SearchOptions, display: Display, as_json: bool, keep_gb: float) -> None:
    """Of one search as it is, of several one after the other, and their time together."""
    import psutil

    from orchestrator.planning.estimate import estimate
    from orchestrator.planning.estimate_text import estimate_text, span_text
    from orchestrator.results.amounts import duration
    from orchestrator.stages import in_order

    estimates: list[tuple[str, Estimate]] = []
    load = os.getloadavg()[0]
    reading = time.time() - psutil.Process().create_time()
    for turn in in_order(options, display, writes=False):
        counting = partial(display.count, "backbones timed")
        one = estimate(turn.search, 0.0 if estimates else reading, keep_gb * 1e9, load, counting)
        estimates.append((turn.title or "strategies", one))
    together = sum(one.wall_seconds for _, one in estimates)
    if len(estimates) == 1 and as_json:
        echo_json(estimates[0][1].as_json())
    elif as_json:
        parts = [{"title": title, **one.as_json()} for title, one in estimates]
        echo_json({"searches": parts, "wall_seconds": together, "done": all(one.is_done for _, one in estimates)})
    elif len(estimates) == 1:
        echo(estimate_text(estimates[0][1]))
    else:
        echo("\n\n".join(f"{title[0].upper()}{title[1:]}\n{estimate_text(one)}" for title, one in estimates))
        ranges = [one.wall_seconds_range for _, one in estimates]
        said = span_text(sum(least for least, _ in ranges), sum(most for _, most in ranges))
        echo(f"\nAll searches together: about {duration(together)}, {said}")


def _run(
    search: Search,
    display: Display,
    options: RunOptions,
    as_json: bool,
    done: str = ALL_DONE,
    *,
    goes_on: Sequence[int] = (),
) -> int:
    """Train what is owed, write the page, say what was found and what to do next; with a status of `goes_on` another
    search follows, which does so.

    Where the storage refuses to be written, it is said what is there and what failed, before the error.
    """
    if search.has_work:
        display.say("Starting workers.")  # what comes next imports torch and Ray: half a minute on a busy machine
    from orchestrator.commands.look import write_dashboard
    from orchestrator.report import closing_report
    from orchestrator.store.errors import StorageError, first_line
    from orchestrator.train import run

    status, search, page = 0, search.settled(), None
    problem: StorageError | None = None
    try:
        if search.has_work:
            status = run(search, display, lambda: write_dashboard(search.study), options)
        else:
            for told in search.spent() or [done]:
                display.say(told)
        if status in goes_on:
            return status
    except StorageError as error:
        if search.study.place.path is None:
            raise  # a store that was waited for in vain is not asked for more
        problem, status = error, error.exit_status
    forget()  # what was mended: what is still damaged is met again here
    try:
        page = write_dashboard(search.study)
    except StorageError as error:
        problem = problem or error
        status = problem.exit_status
    except Exception as error:  # hours of training lie behind it
        say(f"Warning: the page could not be written: {first_line(error)}")
    report = closing_report(search.now(), page, status)
    answer(report, as_json)
    if problem is not None:
        raise problem
    return status


def _keep(search: Search, count: int, display: Display) -> None:
    """Keep the weights of the best configurations; what it says is no data."""
    from orchestrator.energy.meters import metered
    from orchestrator.evaluation.keeping import keep_best

    places = search.places
    with metered(search.study.storage, "keeping weights"):
        keep_best(search.study, count, places.cache, display.say, display.count, places.data_root)


def _typed() -> str:
    """The command as the user typed it, for the search and the page."""
    return shlex.join(["orch", *sys.argv[1:]])
