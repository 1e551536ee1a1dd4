"""What a trial whose steps compute a network takes at its highest, against what `orch plan` says of it.

Each row is a process of its own: it opens the network with its features already in the cache, then cuts it, takes two
steps and scores one batch. In one process, without Ray, freshly initialised weights.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import images
import torch
from memory_peak import peak_mib
from opened import configurations, partition, resolved, workbench
from table import Table, arguments, progress

from orchestrator.resolved import Search
from search_spaces.axes import BATCH_SIZE, LR
from search_spaces.changes import Changes
from search_spaces.configuration import Configuration
from search_spaces.presets import ADAPTATION, NON_LINEARITIES, PRESETS, UNFROZEN
from trainables.bundles.memory import FLOAT32, StepAndScore, network_bytes
from trainables.bundles.recipe import scoring_batch
from trainables.bundles.workbench import Workbench
from trainables.learning.learner import Lane
from trainables.learning.material import learner_of

COLUMNS = (
    *("backbone", "trained", "batch", "augmentation", "read from"),
    *("measured (MB)", "estimate (MB)", "estimate ÷ measured"),
)


def main() -> None:
    given = parsed()
    torch.set_num_threads(1)
    table = Table("Memory of a trial whose steps compute its network", COLUMNS)
    table.notes.append(
        "Both figures are above what the process holds with the network open. SGD, one thread, on the processor. "
        "Augmentation (flips) reads the pixels."
    )
    with tempfile.TemporaryDirectory(prefix="orch-memory-") as name:
        pictures = images.choose(given, Path(name), given.images)
        for backbone, several in given.backbones:
            for trained in several:
                for augmentation in given.augmentations:
                    folder = Path(name) / backbone / trained / augmentation
                    changes = _changes(trained, given.batch_sizes, augmentation)
                    search = resolved(pictures, images.Backbone(backbone, "none"), changes, folder, "fp32")
                    for c in configurations(search):
                        progress(f"{backbone}, {trained}, batch {c.optimiser.batch_size}, {augmentation}")
                        measure(table, search, c, trained)
    table.show()
    table.write_json(given.json)


def parsed() -> argparse.Namespace:
    parser = arguments(__doc__ or "", rounds=1)
    images.add_options(parser)
    parser.add_argument(
        "--backbones",
        type=lambda text: [_trained(one) for one in text.split(",")],
        default="resnet18:1+5+20,test_vit:1+5",
        help="each with what of it is trained: a depth, a strategy or an adapter (default: %(default)s)",
    )
    parser.add_argument("--batch-sizes", type=lambda text: [int(part) for part in text.split(",")], default=[16, 64])
    parser.add_argument("--augmentations", type=lambda text: text.split(","), default=["none", "flips"])
    parser.add_argument("--images", type=int, default=200, metavar="N", help="at most so many (default: %(default)s)")
    given = parser.parse_args()
    if given.quick:
        given.backbones, given.batch_sizes = [("test_resnet", ("1",))], [16]
    return given


def measure(table: Table, search: Search, c: Configuration, trained: str) -> None:
    """One row; a child of this process, which holds no network, fills the cache, and another one is measured."""
    _in_child(_filled, search, c)
    layer, measured, told = _in_child(_measured, search, c)
    augmentation = " + ".join(c.augmentation.names)
    row = (c.network.backbone, trained, c.optimiser.batch_size, augmentation, layer, measured, told, told / measured)
    table.add(*row)


def _filled(search: Search, c: Configuration) -> None:
    workbench(search, torch.device("cpu")).material(c, partition(search))


def _measured(search: Search, c: Configuration) -> tuple[str, float, float]:
    """(where the frozen part ends, MB measured, MB told)."""
    torch.nn.Conv2d(3, 64, 7)(torch.randn(1, 3, 64, 64)).sum().backward()  # what libraries take once
    device = torch.device("cpu")
    bench = workbench(search, device)
    frozen = bench.frozen(c, partition(search))
    bench.network(frozen)
    scored = scoring_batch(c, _values(frozen.shapes), device)
    computed = StepAndScore.by(bench, c, frozen.layer)
    told = network_bytes(c, bench.facts(c), computed, scored, frozen.samples, device)
    told -= FLOAT32 * bench.facts(c).parameters
    measured = peak_mib(device, lambda: _two_steps(bench, c, partition(search), frozen.layer, scored))
    if measured is None:
        raise SystemExit("this system does not tell how much memory a process had at its highest")
    return frozen.layer, measured * 2**20 / 1e6, told / 1e6


def _two_steps(bench: Workbench, c: Configuration, split: str, layer: str, scored: int) -> None:
    material = bench.material(c, split, layer)
    learner = learner_of([Lane(c, 0)], material)
    rows = torch.from_numpy(material.samples.training[: c.optimiser.batch_size])
    for _ in range(2):
        learner.train(rows.unsqueeze(0), 1, 0)
    learner.score(torch.from_numpy(material.samples.scoring["train"][:scored]))


def _in_child(act, search: Search, c: Configuration):  # type: ignore[no-untyped-def]
    """What `act(search, c)` returns in a fresh copy of this process."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)

    def run(answer: Connection) -> None:
        answer.send(act(search, c))

    child = context.Process(target=run, args=(there,))
    child.start()
    there.close()
    try:
        return here.recv()
    except EOFError:
        raise SystemExit("a process that was to be measured ended without an answer") from None
    finally:
        child.join()


def _values(shapes: tuple[tuple[int, ...], ...]) -> int:
    return sum(torch.Size(shape).numel() for shape in shapes)


def _trained(text: str) -> tuple[str, tuple[str, ...]]:
    """ "resnet18:1+finetune+lora": the name and what of it is trained."""
    name, _, several = text.partition(":")
    return name, tuple(several.split("+"))


def _changes(trained: str, batch_sizes: Sequence[int], augmentation: str) -> Changes:
    """What asks for it: the last layers, how many; a strategy; or an adapter by its name."""
    settings: dict[str, tuple[Any, ...]] = {NON_LINEARITIES: (0,), LR: (1e-3,), BATCH_SIZE: tuple(batch_sizes)}
    settings["augmentation.names"] = ((augmentation,),)
    strategy = trained if trained in PRESETS else "adapters"
    if trained.isdigit():
        strategy, settings[UNFROZEN] = "unfreezing", (int(trained),)
    elif strategy == "adapters":
        settings[ADAPTATION] = (trained,)
    return Changes((strategy,), settings, repeats=1, epochs=1)


if __name__ == "__main__":
    main()
