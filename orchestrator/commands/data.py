"""`orch data`: questions about a study's images and their division that are no search, and cutting them before one."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from orchestrator.commands import check, patches
from orchestrator.commands.options import complete_study, json_option, local_path, studies_option
from orchestrator.commands.said import answer, echo, echo_json, on_the_way, say
from orchestrator.commands.search_options import set_by_path


@click.group()
def data() -> None:
    """Check, divide and cut images, and look at those of a study."""


data.add_command(check.check)
data.add_command(check.split)
data.add_command(patches.patches)
data.add_command(patches.cut)


@data.command()
@click.argument("study", shell_complete=complete_study)
@click.option(
    "--backbone", metavar="NAME", help="Backbone to use, of those that the study searched (default: the first)."
)
@click.option(
    "--repeats", type=click.IntRange(1, 1000), default=10, show_default=True, help="Repeats of each experiment."
)
@click.option(
    "--epochs", type=click.IntRange(1, 100_000), default=60, show_default=True, help="Epochs of each training."
)
@click.option(
    "--lr", type=click.FloatRange(min=0, min_open=True), default=1e-3, show_default=True, help="Learning rate of Adam."
)
@click.option("--data-root", metavar="DIR", type=local_path(), help="Folder of the images on this machine.")
@click.option("--weights", metavar="hub|none|FILE", help="Where to find the pretrained weights on this machine.")
@click.option("--cache", metavar="DIR", type=local_path(), help="Folder for cached features.")
@click.option(
    "--figure", metavar="FILE", type=local_path(dir_okay=False), help="File for a page with the curves: leak.html"
)
@studies_option
@json_option
def leak(
    study: str,
    backbone: str | None,
    repeats: int,
    epochs: int,
    lr: float,
    data_root: Path | None,
    weights: str | None,
    cache: Path | None,
    figure: Path | None,
    studies: str | None,
    as_json: bool,
) -> None:
    """Show how much a random split of STUDY's images would leak.

    A network that can memorise images is trained in three ways: with train and valid separated by group, with one image
    of every group exchanged, and with all images shuffled together. Groups held back from both splits show what it is
    really worth. The test split stays closed, and nothing from this experiment can be selected or evaluated.

    \b
    Example:
      orch data leak slides --figure leak.html
    """
    from orchestrator.commands.look import rewrite_dashboard
    from orchestrator.energy.meters import metered
    from orchestrator.leak.experiment import LeakOptions, leak_experiment
    from orchestrator.leak.records import answer_data, answer_lines
    from orchestrator.planning.rates import head_seconds
    from orchestrator.study.studies import open_study, studies_place
    from trainables.machine.places import default_cache

    opened = open_study(studies_place(studies), study)
    options = LeakOptions(cache or default_cache(), backbone, repeats, epochs, lr, data_root, weights)

    with metered(opened.storage, "leak experiment"), on_the_way(as_json) as way:
        told = leak_experiment(opened, options, way.say, partial(way.count, "trainings"), head_seconds)
    if figure is not None:
        _write_page(figure, opened.name, opened.record.synthetic, answer_data(told))
    if as_json:
        echo_json({"study": opened.name, "synthetic": opened.record.synthetic, **answer_data(told)})
    else:
        if opened.record.synthetic:
            echo("Synthetic images: the scores say nothing about real ones.")
        echo("\n".join(answer_lines(opened.name, told)))
    rewrite_dashboard(opened)


@data.command()
@click.argument("study", shell_complete=complete_study)
@click.option("--partition", metavar="ID", help="Partition whose splits to use (default: the study's own).")
@click.option("--every", is_flag=True, help="List every pair, not only the first twenty.")
@click.option(
    "--look", "looks", is_flag=True, help="Compare the images now, if the version that made the study did not."
)
@click.option(
    "--data-root",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of the images for --look on this machine.",
)
@studies_option
@json_option
def duplicates(
    study: str,
    partition: str | None,
    every: bool,
    looks: bool,
    data_root: Path | None,
    studies: str | None,
    as_json: bool,
) -> None:
    """List images of STUDY that are nearly the same picture.

    Rotated and mirrored copies count too. Pairs in different splits come first.

    \b
    Example:
      orch data duplicates slides --every
    """
    from orchestrator.study.duplicates_report import duplicates_report, look_now
    from orchestrator.study.studies import find_study, open_study, studies_place

    if data_root is not None and not looks:
        raise click.UsageError("--data-root goes with --look")
    if Path(study).exists() and (Path(study).name != study or find_study(studies_place(studies), study) is None):
        raise click.UsageError(
            f"{study}: expected a study, found images. To find copies among them: orch data check {study} --every"
        )
    opened = open_study(studies_place(studies), study)
    if looks:
        look_now(opened, data_root, say)
    report = duplicates_report(opened, partition, every)
    answer(report, as_json)


@data.command()
@click.argument("study", shell_complete=complete_study)
@click.option("--partition", metavar="ID", help="Partition to use (default: the study's own).")
@click.option("--every", is_flag=True, help="List every candidate, not only the five nearest of each class.")
@studies_option
@json_option
def candidates(study: str, partition: str | None, every: bool, studies: str | None, as_json: bool) -> None:
    """List the partitions of STUDY that IFPO chooses from.

    IFPO is iterative filling with overfill. The partitions nearest to the targets come first.

    \b
    Example:
      orch data candidates neuroblastoma
    """
    from orchestrator.study.candidates_report import candidates_report
    from orchestrator.study.studies import open_study, studies_place

    report = candidates_report(open_study(studies_place(studies), study), partition, every)
    answer(report, as_json)


@data.command()
@click.argument("study", shell_complete=complete_study)
@click.option(
    "--augmentation",
    metavar="NAMES",
    help="Augmentations to show, such as flips,contrast (default: those of the first configuration).",
)
@click.option(
    "--set", "settings", metavar="PATH=VALUE", multiple=True, help="Strength of an augmentation: augmentation.hue=0.1"
)
@click.option(
    "--images",
    type=click.IntRange(1, 100),
    default=8,
    show_default=True,
    help="Number of images from the training split.",
)
@click.option(
    "--draws",
    type=click.IntRange(1, 50),
    default=6,
    show_default=True,
    help="Number of draws of each image, one per epoch.",
)
@click.option("--data-root", metavar="DIR", type=local_path(), help="Folder of the images on this machine.")
@click.option("--cache", metavar="DIR", type=local_path(), help="Folder for cached features.")
@click.option(
    "--output", metavar="FILE", type=local_path(dir_okay=False), required=True, help="File for the page: views.html"
)
@studies_option
def views(
    study: str,
    augmentation: str | None,
    settings: tuple[str, ...],
    images: int,
    draws: int,
    data_root: Path | None,
    cache: Path | None,
    output: Path,
    studies: str | None,
) -> None:
    """Show training images of STUDY before and after augmentation.

    Augmentations are drawn as in training, with the study's seed. Nothing is trained, and the study is not changed. The
    page holds images: be careful who sees it.

    \b
    Example:
      orch data views slides --augmentation flips,contrast --output views.html
    """
    from dashboards.page.contact_sheet import contact_sheet_page
    from orchestrator.contact_sheet import contact_sheet
    from orchestrator.store.storage import LocalStorage
    from orchestrator.study.studies import open_study, studies_place
    from search_spaces.changes import Typed, changes_of
    from trainables.machine.places import default_cache

    typed = [Typed("--augmentation", "augmentation.names", augmentation)] if augmentation is not None else []
    changes = changes_of([*typed, *set_by_path(settings)])
    opened = open_study(studies_place(studies), study)
    sheet = contact_sheet(opened, changes, images, draws, cache or default_cache(), data_root, say)
    title = f"{opened.name} (synthetic data)" if opened.record.synthetic else opened.name
    page = contact_sheet_page(title, sheet.names, sheet.settings, sheet.labels, sheet.original, sheet.drawn)
    LocalStorage(output.parent).replace(output.name, page.encode())
    say(f"Page: {output}")


def _write_page(path: Path, name: str, synthetic: bool, answer: dict[str, Any]) -> None:
    from dashboards.page.leak_curves import leak_page
    from orchestrator.store.storage import LocalStorage

    title = f"{name} (synthetic data)" if synthetic else name
    LocalStorage(path.parent).replace(path.name, leak_page(title, answer).encode())
    say(f"Curves: {path}")
