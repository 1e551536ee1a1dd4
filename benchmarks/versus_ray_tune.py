"""The same search three times: (a) as Ray Tune's tutorial writes it, (b) by an expert by hand, (c) by `orch search`.

Of (a) a sample of the trials is run for a few epochs and scaled up: "extrapolated". (b) and (c) run in full.
--quick takes a minute or two and shows that all three train the same thing, not how fast they are.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import images
import torch
from counted import count, seconds_of_heads, seconds_of_one_pass
from opened import configurations, partition, resolved, workbench
from race import Race
from table import Table, alternately, arguments, median_ratio, progress
from task import Task

from search_spaces.axes import BATCH_SIZE, LR
from search_spaces.changes import Changes
from search_spaces.form import Form
from search_spaces.presets import NON_LINEARITIES
from trainables.network.backbone import open_backbone

TOLERANCE = 1e-3
"""Largest difference of a loss, in nats per image, between two sides after any epoch that is compared."""
COLUMNS = (
    *("n", "configurations", "repeats", "epochs", "a: tutorial, extrapolated (s)", "b: by hand (s)", "c: orch (s)"),
    *("c: features cached (s)", "a/c", "b/c", "ideal a/c, counted", "share of ideal"),
    *("limit of c (s)", "limit ÷ c"),
)


class Grid(NamedTuple):
    lr: tuple[float, ...]
    batch_size: tuple[int, ...]
    repeats: int
    epochs: int


FULL = {
    0: Grid((1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1), (16, 32, 64, 128), 10, 100),
    1: Grid((1e-3, 3e-3, 1e-2), (16, 64), 10, 50),
}
QUICK = Grid((1e-3, 1e-2), (16, 32), 2, 3)
QUICK_IMAGES = 96
PARITY = (3, 2)
"""Configurations and repeats of each that are trained again by hand with the product's draws."""


def main() -> None:
    given = parsed()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    table = Table("A search of heads: Ray Tune's tutorial, by hand, orch", COLUMNS)
    with tempfile.TemporaryDirectory(prefix="orch-versus-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        pictures = images.choose(given, folder, given.images or (QUICK_IMAGES if given.quick else None))
        backbone = with_file(images.backbone(given.backbone), folder)
        for number in given.heads:
            progress(f"heads with n = {number}")
            task = described(pictures, backbone, grid_of(given, number), number, given.precision, folder)
            measure(table, Race(folder / f"n{number}", task, pictures, backbone), given, device)
        table.notes[:0] = [
            f"{pictures.count} images ({pictures.name}), {backbone.name}, {given.precision}, on {device.type}.",
            f"{given.rounds} rounds in alternating order; seconds are medians, ratios are medians over the rounds. "
            "Seconds are those of the whole process, including start, decoding and features.",
            f"a, extrapolated: a sample of {given.waves} waves of one trial per core (or GPU) with "
            f"{given.sample_epochs} epochs each. Time of the sample + (trials ÷ at a time − waves) × (from the end of "
            "a trial to the first epoch of the next) + (epochs left ÷ at a time) × mean epoch. a "
            "scores only the validation split.",
            "ideal a/c, counted: multiply-adds of a (the whole network in every step) ÷ those of c (every view once, "
            "then heads). share of ideal: (a/c) ÷ that ideal; it is above 1 where c computes more multiply-adds per "
            "second than a.",
            "limit of c: one pass of the bare network over the images plus the heads' matrix products alone.",
        ]
    table.show()
    table.write_json(given.json)


def parsed() -> argparse.Namespace:
    parser = arguments(__doc__ or "", rounds=3)
    images.add_options(parser)
    parser.add_argument("--backbone", default="mobilenetv2_035", help="default: %(default)s")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="of b and c (default: fp32)")
    parser.add_argument("--heads", type=lambda text: [int(part) for part in text.split(",")], metavar="N,N")
    parser.add_argument("--images", type=int, metavar="N", help="at most so many images (default: all)")
    parser.add_argument("--epochs", type=int, help="in the place of the grid's")
    parser.add_argument("--repeats", type=int, help="in the place of the grid's")
    parser.add_argument("--waves", type=int, default=2, help="of a's sample (default: %(default)s)")
    parser.add_argument("--sample-epochs", type=int, default=2, help="of each trial in a's sample (default: 2)")
    given = parser.parse_args()
    if given.quick:
        given.rounds = 1
    given.heads = given.heads or ([0] if given.quick else [0, 1])
    return given


def grid_of(given: argparse.Namespace, non_linearities: int) -> Grid:
    grid = QUICK if given.quick else FULL.get(non_linearities, FULL[1])
    return grid._replace(epochs=given.epochs or grid.epochs, repeats=given.repeats or grid.repeats)


def with_file(backbone: images.Backbone, folder: Path) -> images.Backbone:
    """Fresh weights become a file, so that all three sides start from the same ones."""
    if backbone.weights != "none":
        return backbone
    path = folder / "fresh.pth"
    torch.save(open_backbone(Form(backbone.name), "none", 0).module.state_dict(), path)
    return replace(backbone, weights=str(path))


def described(
    pictures: images.Images, backbone: images.Backbone, grid: Grid, non_linearities: int, precision: str, folder: Path
) -> Task:
    """The search as the product resolves it: splits, geometry, standardisation, seed, the grid's order."""
    hidden = {NON_LINEARITIES: (non_linearities,)} if non_linearities else {}
    changes = Changes(
        ("extension",) if non_linearities else ("straightforward",),
        {LR: grid.lr, BATCH_SIZE: grid.batch_size, **hidden},
        epochs=grid.epochs,
        repeats=grid.repeats,
    )
    scratch = folder / f"resolved-{non_linearities}"
    search = resolved(pictures, backbone, changes, scratch, "bf16" if precision == "bf16" else "fp32", writes=False)
    asked = configurations(search)
    samples = workbench(search, torch.device("cpu")).samples(asked[0], partition(search))
    training = set(samples.scoring["train"].tolist())
    first = asked[0]
    library, network = first.network.backbone.split(":")
    return Task(
        root=str(pictures.root),
        files=tuple(samples.images["file"]),
        labels=tuple(samples.labels.tolist()),
        training=tuple(row in training for row in range(samples.rows)),
        classes=len(first.data.classes),
        library=library,
        network=network,
        weights=backbone.weights,
        image_size=first.image.size,
        interpolation=first.image.interpolation,
        mean=first.image.mean or (),
        std=first.image.std or (),
        precision=precision,
        grid=tuple((c.optimiser.lr, c.optimiser.batch_size) for c in asked),
        momentum=first.optimiser.momentum,
        non_linearities=non_linearities,
        negative_slope=first.head.negative_slope,
        dropout=first.head.dropout,
        repeats=grid.repeats,
        epochs=grid.epochs,
        seed=first.data.seed,
    )


def measure(table: Table, race: Race, given: argparse.Namespace, device: torch.device) -> None:
    """One row; raises SystemExit where two sides did not train the same thing."""
    task = race.task
    slots = torch.cuda.device_count() or len(os.sched_getaffinity(0))
    counted = count(task)
    seconds = alternately(
        {
            "a": lambda: race.tutorial(given.waves, given.sample_epochs, slots),
            "b": race.by_hand,
            "c": lambda: race.orch(cached=False),
            "cached": lambda: race.orch(cached=True),
        },
        given.rounds,
    )
    by_hand, tutorial = race.parity(*PARITY)
    limit = seconds_of_one_pass(task, device) + seconds_of_heads(task, counted.width, device)
    over_tutorial = median_ratio(zip(seconds["a"], seconds["c"], strict=True))
    table.add(
        task.non_linearities,
        len(task.grid),
        task.repeats,
        task.epochs,
        *(statistics.median(seconds[side]) for side in ("a", "b", "c", "cached")),
        over_tutorial,
        median_ratio(zip(seconds["b"], seconds["c"], strict=True)),
        counted.ratio,
        over_tutorial / counted.ratio,
        limit,
        limit / statistics.median(seconds["c"]),
    )
    table.notes.append(
        f"n = {task.non_linearities}: a passes {counted.passes_every_step:,} images through the network, c "
        f"{counted.passes_once:,}. Parity, largest difference from the losses of c over all epochs compared: by hand "
        f"with the same draws {by_hand:.1e} ({PARITY[0]} configurations × {PARITY[1]} repeats), tutorial "
        f"{tutorial:.1e}."
    )
    if task.precision == "fp32" and max(by_hand, tutorial) > TOLERANCE:
        raise SystemExit(f"the sides did not train the same thing: {table.notes[-1]}")
    shutil.rmtree(race.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
