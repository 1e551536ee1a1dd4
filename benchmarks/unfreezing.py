"""Training the last u weight layers: from the cached frontier against the whole network in every step.

The whole network is a plain torch loop over the same stored squares with the same trainable parameters; after the first
steps both sides must have the same loss. In one process, without Ray, freshly initialised weights. With --bf16-effect:
what layers trained in bf16 reach beside those trained in fp32 instead, from ImageNet weights where there are any.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import bf16_effect
import images
import torch
from memory_peak import peak_mib
from opened import configurations, partition, resolved, timed, workbench
from plain_loop import PlainLoop
from table import Table, alternately, arguments, median_ratio, progress
from task import loss_of

from orchestrator.resolved import Search
from search_spaces.axes import BATCH_SIZE, LR
from search_spaces.changes import Changes
from search_spaces.presets import NON_LINEARITIES, UNFROZEN
from trainables.bundles.workbench import Workbench
from trainables.features.frozen import Frozen
from trainables.learning.learner import Lane
from trainables.learning.material import learner_of

TOLERANCE = 2e-3
"""Largest difference of the loss after the first steps, relative to it."""
COLUMNS = (
    *("backbone", "u", "cached up to", "trainable parameters", "disk per view (kB)", "step, cached (ms)"),
    *("step, whole (ms)", "step, whole ÷ cached", "score, cached (ms/view)", "score, whole (ms/view)"),
    *("score, whole ÷ cached", "memory, cached (MiB)", "memory, whole (MiB)", "loss, relative difference"),
)
BACKBONES = ("vgg19", "resnet18", "inception_v3")


def main() -> None:
    given = parsed()
    torch.set_num_threads(given.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if given.bf16_effect:
        show_bf16_effect(given, device)
        return
    table = Table("Unfreezing: cached frontier against the whole network", COLUMNS)
    table.notes += [
        f"Batch {given.batch_size}, scoring {given.scored} views at a time, fp32, {given.threads} thread(s), on "
        f"{device.type}; {given.rounds} rounds of {given.steps} steps in alternating order, medians and median ratios. "
        "Freshly initialised weights.",
        "memory: what the first steps and one scoring batch add to the process (on a GPU: the allocator's peak).",
        f"loss: after {given.steps} steps on the same batches, over {given.scored} views; allowed difference "
        f"{TOLERANCE:g}.",
    ]
    with tempfile.TemporaryDirectory(prefix="orch-unfreezing-") as name:
        pictures = images.choose(given, Path(name), given.images)
        table.notes.insert(0, f"{pictures.count} images ({pictures.name}).")
        for backbone in given.backbones:
            measure_backbone(table, pictures, backbone, given, Path(name) / backbone, device)
    table.show()
    table.write_json(given.json)


def show_bf16_effect(given: argparse.Namespace, device: torch.device) -> None:
    with tempfile.TemporaryDirectory(prefix="orch-unfreezing-") as name:
        pictures = images.choose(given, Path(name), given.images)
        table = bf16_effect.of_training(
            pictures, given.backbones, given.unfrozen, Path(name), device, quick=given.quick
        )
    table.show()
    table.write_json(given.json)


def parsed() -> argparse.Namespace:
    parser = arguments(__doc__ or "", rounds=3)
    images.add_options(parser)
    parser.add_argument("--backbones", type=lambda text: text.split(","), default=list(BACKBONES))
    parser.add_argument("--unfrozen", type=_numbers, default=list(range(1, 11)), help="default: 1,2,…,10")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=3, help="per round (default: %(default)s)")
    parser.add_argument("--scored", type=int, default=32, metavar="N", help="views per scoring (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of torch on the CPU (default: %(default)s)")
    parser.add_argument("--images", type=int, default=96, metavar="N", help="at most so many (default: %(default)s)")
    parser.add_argument("--bf16-effect", action="store_true", help="losses of layers trained in fp32 and in bf16")
    given = parser.parse_args()
    if given.quick:
        given.backbones, given.unfrozen, given.rounds, given.steps, given.batch_size = ["resnet18"], [1, 3], 2, 1, 8
    return given


def measure_backbone(
    table: Table,
    pictures: images.Images,
    name: str,
    given: argparse.Namespace,
    folder: Path,
    device: torch.device,
) -> None:
    """One row per u; all frontiers are computed in one pass over the views."""
    progress(name)
    changes = Changes(
        ("unfreezing",),
        {UNFROZEN: tuple(given.unfrozen), NON_LINEARITIES: (0,), LR: (1e-3,), BATCH_SIZE: (given.batch_size,)},
        repeats=1,
        epochs=1,
    )
    search = resolved(pictures, images.Backbone(name, "none"), changes, folder, "fp32")
    bench, split = workbench(search, device), partition(search)
    every = [bench.frozen_ready(c, split) for c in configurations(search)]
    for frozen in every:
        bench.compute_missing(frozen)
    for frozen in every:
        measure(table, search, bench, frozen, given, device)


def measure(
    table: Table,
    search: Search,
    bench: Workbench,
    frozen: Frozen,
    given: argparse.Namespace,
    device: torch.device,
) -> None:
    """One row; raises SystemExit where the two sides have different losses."""
    c = frozen.configuration
    progress(f"{c.network.backbone}, u = {c.adaptation.unfrozen}, cached up to {frozen.layer}")
    material = bench.material(c, partition(search), frozen.layer)
    cached = learner_of([Lane(c, 0)], material)
    whole, reader = PlainLoop(search, c, material, device), frozen.reader(device)
    training = torch.from_numpy(frozen.samples.training).to(device)
    batches = [training[torch.arange(given.batch_size, device=device) + 5 * n] for n in range(given.steps)]
    scored = training[: given.scored]

    def step_cached() -> None:
        for number, rows in enumerate(batches):
            cached.train(rows.unsqueeze(0), 1, number * given.batch_size)

    def step_whole() -> None:
        for rows in batches:
            whole.train(reader.gather(rows)[0], rows)

    def first_cached() -> None:
        step_cached()
        cached.score(scored)

    def first_whole() -> None:
        step_whole()
        whole.score(reader.gather(scored)[0])

    memory = [peak_mib(device, first_cached), peak_mib(device, first_whole)]
    labels = material.labels[scored]
    losses = [
        loss_of(logits, labels).item() for logits in (cached.score(scored)[0], whole.score(reader.gather(scored)[0]))
    ]
    difference = abs(losses[0] - losses[1]) / losses[1]
    steps = alternately({"cached": timed(device, step_cached), "whole": timed(device, step_whole)}, given.rounds)
    scores = alternately(
        {
            "cached": timed(device, lambda: cached.score(scored)),
            "whole": timed(device, lambda: whole.score(reader.gather(scored)[0])),
        },
        given.rounds,
    )
    table.add(
        c.network.backbone,
        c.adaptation.unfrozen,
        frozen.layer,
        whole.parameters,
        frozen.features.row_bytes / 1e3 if frozen.features else 0.0,
        *_milliseconds(steps, given.steps),
        *_milliseconds(scores, len(scored)),
        *memory,
        difference,
    )
    if not difference <= TOLERANCE:
        here = f"{c.network.backbone}, u = {c.adaptation.unfrozen}"
        raise SystemExit(f"{here}: losses {losses[0]:.6f} cached and {losses[1]:.6f} whole")


def _milliseconds(seconds: dict[str, list[float]], parts: int) -> tuple[float, float, float]:
    """Of one part: cached, whole, and the median ratio."""
    cached, whole = (statistics.median(seconds[side]) * 1e3 / parts for side in ("cached", "whole"))
    return cached, whole, median_ratio(zip(seconds["whole"], seconds["cached"], strict=True))


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    main()
