"""`orch status`, `orch table` and `orch dashboard`: reading a study, once or live; none of them starts torch or Ray."""

from __future__ import annotations

import contextlib
import functools
import sys
import webbrowser
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.commands.options import complete_study, json_option, local_path, studies_option
from orchestrator.commands.said import echo, echo_json, on_the_way, say
from orchestrator.commands.serving import serve
from orchestrator.store import layout
from orchestrator.store.open import open_storage
from orchestrator.store.place import Place
from orchestrator.store.storage import LocalStorage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dashboards.page.sample_images import Shown
    from orchestrator.study.studies import Study


@click.command()
@click.argument("study", shell_complete=complete_study)
@click.option("--watch", "watches", is_flag=True, help="Show the progress every second, until Ctrl-C.")
@click.option("--with-names", is_flag=True, help="Show the names of files and groups in the causes of failures.")
@studies_option
@json_option
def status(study: str, watches: bool, with_names: bool, studies: str | None, as_json: bool) -> None:
    """Show the progress of STUDY: repeats done, running and failed.

    \b
    Examples:
      orch status neuroblastoma
      orch status neuroblastoma --watch
    """
    from orchestrator.report import status_report
    from orchestrator.study.studies import open_study, studies_place

    if watches and as_json:
        raise click.UsageError("--watch and --json cannot be used together: JSON is a single answer")
    opened = open_study(studies_place(studies), study)
    if watches:
        from orchestrator.watch.screen import watch

        watch(opened)
        return
    report = status_report(opened)
    text, data = report.as_text(), report.as_json()
    if not with_names:
        text, data = unnamed(opened, text, data)
    if as_json:
        echo_json(data)
    else:
        echo(text)


def unnamed(study: Study, text: str, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A report whose causes of failures name no file and no group of the study."""
    lines = text.split("\n")
    failed = [line for line in lines if line.startswith("Failed")]
    if not failed:
        return text, data
    from dashboards.page.names import without_names_of

    replaced = without_names_of(study.storage, failed)

    def within(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: within(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [within(inner, key) for inner in value]
        return replaced(value) if key == "cause" and isinstance(value, str) else value

    shown = [replaced(line) if line.startswith("Failed") else line for line in lines]
    if shown != lines:
        shown.append(f"Names of files and groups are hidden. To show them: orch status {study.name} --with-names")
    return "\n".join(shown), within(data)


@click.command()
@click.argument("study", shell_complete=complete_study)
@click.option(
    "--per",
    type=click.Choice(["epoch", "repeat", "config"]),
    default="config",
    show_default=True,
    help="What each row is: an epoch, a repeat or a configuration.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "json", "parquet"]),
    default="csv",
    show_default=True,
    help="Format of the table.",
)
@studies_option
def table(study: str, per: str, form: str, studies: str | None) -> None:
    """Write STUDY's results as a tidy table to stdout.

    \b
    Example:
      orch table neuroblastoma --per repeat --format csv > repeats.csv
    """
    from orchestrator.results.summary import summarise
    from orchestrator.results.summary_table import build_table
    from orchestrator.store.errors import InputError
    from orchestrator.study.studies import open_study, studies_place

    summary = summarise(open_study(studies_place(studies), study).storage)
    frame = build_table(summary, per)  # type: ignore[arg-type]  # click has checked the choice
    if form == "csv":
        frame.to_csv(sys.stdout, index=False)
    elif form == "json":
        frame.to_json(sys.stdout, orient="records", lines=False)
        echo()
    elif sys.stdout.isatty():
        raise InputError(
            "Parquet is binary and stdout is a terminal",
            f"Write it to a file: orch table {study} --format parquet > table.parquet",
        )
    else:
        frame.to_parquet(sys.stdout.buffer, index=False)


@click.command()
@click.argument("names", metavar="[STUDY...]", nargs=-1, shell_complete=complete_study)
@click.option("--compare", "compares", is_flag=True, help="Write one page that compares several studies.")
@click.option("--output", metavar="FILE", type=local_path(dir_okay=False), help="File to write the page to.")
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser.")
@click.option("--live", is_flag=True, help="Serve the page and keep it up to date while searches run.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port of --live (default: a free one).")
@click.option("--host", metavar="ADDRESS", help="Address of --live (default: this machine alone; others need a token).")
@click.option("--with-images", is_flag=True, help="Show small images: samples, and mistakes on the test split.")
@click.option("--with-names", is_flag=True, help="Show the names of files and groups, which may identify patients.")
@click.option(
    "--data-root",
    metavar="DIR",
    type=local_path(),
    help="Folder of the images for --with-images (default: where they were when the study was made).",
)
@studies_option
def dashboard(
    names: tuple[str, ...],
    compares: bool,
    output: Path | None,
    opens: bool,
    live: bool,
    port: int | None,
    host: str | None,
    with_images: bool,
    with_names: bool,
    data_root: Path | None,
    studies: str | None,
) -> None:
    """Write STUDY's page as one HTML file, or serve it live.

    The file needs no network and no server. Without STUDY, the page lists all studies, with links to their pages.

    The page holds no images, and numbers instead of the names of files and groups, unless you ask for them.

    \b
    Examples:
      orch dashboard neuroblastoma --open
      orch dashboard neuroblastoma --with-images
      orch dashboard neuroblastoma --live --open
      orch dashboard --live --open
      orch dashboard neuroblastoma hep2 --compare --output both.html
    """
    from orchestrator.study.studies import open_study, studies_place

    if len(names) > 1 and not compares:
        raise click.UsageError("several studies: expected --compare, which puts them on one page")
    if compares and (len(names) < 2 or live):
        raise click.UsageError("--compare takes at least two studies, and no --live")
    if not live and (port is not None or host is not None):
        raise click.UsageError("--port and --host go with --live")
    if live and output is not None:
        raise click.UsageError("--output and --live cannot be used together: a live page is served, not written")
    if (with_images or with_names) and (live or compares or not names):
        raise click.UsageError("--with-images and --with-names go with the written page of a single study")
    if data_root is not None and not with_images:
        raise click.UsageError("--data-root goes with --with-images")
    if not names:
        from orchestrator.commands.home import serve_home, write_home

        if live:
            serve_home(studies, host or "127.0.0.1", port or 0, opens, live_page)
        else:
            _told(write_home(studies, output), opens)
        return
    place = studies_place(studies)
    opened = [open_study(place, name) for name in names]
    if live:
        serve_dashboard(opened[0], host or "127.0.0.1", port or 0, opens)
        return
    if compares:
        page = write_comparison(opened, Place.of(output) if output else place / "comparison.html")
    else:
        with on_the_way() as told:
            which = shown(opened[0], with_images, with_names, data_root)
            page = write_dashboard(opened[0], output, which, partial(told.count, "parts of the page drawn"))
    _told(page, opens)


def _told(page: Place, opens: bool) -> None:
    echo(str(page))
    if opens:
        webbrowser.open(_on_disk(page).resolve().as_uri())


def _on_disk(page: Place) -> Path:
    """The page, or a copy of it in the cache: a browser opens no address of a store."""
    from trainables.machine.places import default_cache

    if page.path is not None:
        return page.path
    copies = default_cache() / "pages"
    name = f"{page.parent.name}-{page.name}"
    LocalStorage(copies).replace(name, open_storage(page.parent).read(page.name))
    return copies / name


def serve_dashboard(study: Study, host: str, port: int, opens: bool) -> None:
    """Serve the page until Ctrl-C; its address goes to stdout."""
    from dashboards.live.server import LiveServer
    from orchestrator.store.errors import StorageError
    from orchestrator.watch.now import StudyNow

    server = LiveServer(host, port, StudyNow(study.storage).look, lambda: live_page(study))
    try:
        server.state.page()  # the first reader should not wait for it, and a study that cannot be read is told now
    except RuntimeError as error:
        server.server_close()
        raise StorageError(str(error), f"See what the study holds: orch status {study.name}") from error
    serve(server, f"{study.name} is", "read the page. It is sent unencrypted.", opens=opens)


def live_page(study: Study) -> str:
    """The page as it is now; what can be compacted is, so that the next one is read faster."""
    from dashboards.page.page import render
    from orchestrator.study.studies import now

    _compacted(study)
    return render(study.storage, now=now())


def shown(study: Study, with_images: bool, with_names: bool, data_root: Path | None) -> Shown:
    """What the study's page may show. Raises InputError where `data_root` is no folder."""
    from dashboards.page.sample_images import Shown
    from orchestrator.export.pseudonyms import pseudonyms
    from orchestrator.maps.redrawn import redrawn
    from orchestrator.store.errors import InputError
    from orchestrator.study.data_root import root_of
    from trainables.data.decode import MAX_PIXELS, content_hash, read_rgb
    from trainables.data.manifest import read_manifest, reading_of
    from trainables.data.reading import Reading
    from trainables.machine.places import default_cache

    root = None
    if with_images and (study.record.data_source or data_root is not None):
        root = root_of(study, data_root, default_cache(), say)
    if data_root is not None and root is not None and not root.is_dir():
        raise InputError(
            f"--data-root {data_root}: expected the folder of the study's images, found no folder",
            f"Name the folder that holds them: orch dashboard {study.name} --with-images --data-root DIR",
        )

    @functools.cache
    def reading() -> Reading:
        return reading_of(read_manifest(study.storage.read(layout.MANIFEST)))

    def read(path: Path, content: str) -> NDArray[np.uint8]:
        pixels = read_rgb(path, MAX_PIXELS, reading())
        if content and content_hash(pixels) != content:
            raise ValueError("not the image that was searched")
        return pixels

    return Shown(with_images, with_names, root, read, pseudonyms, redrawn)


def write_dashboard(
    study: Study,
    output: Path | None = None,
    shown: Shown | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Place:
    """Compact the histories and write the page, into the study or to `output`; returns where it lies.

    It has no images and names unless `shown` says so.
    """
    from dashboards.page.page import render
    from dashboards.page.sample_images import Shown
    from orchestrator.study.studies import now

    _compacted(study)
    content = render(study.storage, now=now(), shown=shown or Shown(), progress=progress)
    return _written(Place.of(output) if output else study.place / layout.DASHBOARD, content)


def rewrite_dashboard(study: Study) -> None:
    """Write the study's page again where there is one, so that what was just found is on it. A page with images or
    names of files is left alone: it is said how it is written again.

    It comes last: a page that cannot be written is a warning, whatever the reason, and costs no result.
    """
    from dashboards.page.page import held
    from orchestrator.store.errors import first_line

    try:
        before = study.storage.read(layout.DASHBOARD)
    except FileNotFoundError:
        return
    command = f"orch dashboard {study.name}"
    try:
        if options := " ".join(f"--with-{name}" for name in held(before)):
            say(f"The page holds names or images, so it was not updated. To update it: {command} {options}")
        else:
            say(f"Dashboard: {write_dashboard(study)}")
    except Exception as error:
        say(f"Warning: the page could not be updated: {first_line(error)}")
        say(f"The results are stored. To write the page: {command}")


def write_comparison(studies: Sequence[Study], page: Place) -> Place:
    """One page for several studies; returns where it lies."""
    from dashboards.page.comparison import render_comparison
    from orchestrator.study.studies import now

    for study in studies:
        _compacted(study)
    content = render_comparison([study.storage for study in studies], now=now())
    return _written(page, content)


def _compacted(study: Study) -> None:
    """Compact the histories; a study that one may only read is shown all the same."""
    from orchestrator.results.histories import compact
    from orchestrator.store.errors import StorageError

    with contextlib.suppress(StorageError):
        compact(study.storage)


def _written(page: Place, content: str) -> Place:
    open_storage(page.parent).replace(page.name, content.encode())
    return page
