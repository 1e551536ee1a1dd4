"""What maps of all repeats take, in passes of the bare network over the same images; heads and images are made up.

Where the backbone is frozen it is passed once for all repeats. "each repeat apart" is Grad-CAM of one repeat after the
other, as a library makes it of a whole network.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import images
import numpy as np
import torch
from opened import configurations, partition, resolved, timed, workbench
from table import Table, alternately, arguments, median_ratio, progress
from torch import nn

from orchestrator.maps.network import Repeats
from orchestrator.maps.passes import opened_backbone
from orchestrator.maps.registry import METHODS, Method
from search_spaces.axes import BATCH_SIZE, LR
from search_spaces.changes import Changes
from trainables.learning.draws import initial_layer

COLUMNS = ("backbone", "device", "images", "repeats", "made", "ms for an image", "passes")
BATCH = 16
SEVERAL = 5
"""Configurations whose frozen network is one."""


def main() -> None:
    parser = arguments(__doc__ or "", rounds=5)
    images.add_options(parser)
    parser.add_argument("--backbone", default="mobilenetv2_035", metavar="NAME")
    parser.add_argument("--images", type=int, default=160, metavar="N", help="default: %(default)s")
    parser.add_argument("--repeats", type=int, default=10, metavar="R", help="default: %(default)s")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    if given.quick:
        given.rounds, given.images, given.repeats = min(given.rounds, 2), 48, 3
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="orch-maps-") as folder:
        pictures = images.choose(given, Path(folder), given.images)
        table = measured(
            pictures, given.backbone, given.repeats, Path(folder), torch.device(given.device), given.rounds
        )
    table.show()
    table.write_json(given.json)


def measured(pictures: images.Images, name: str, count: int, folder: Path, device: torch.device, rounds: int) -> Table:
    """One row for each way; raises AssertionError where all at once differ from each repeat apart."""
    progress(f"opening {name}")
    changes = Changes(("straightforward",), {LR: (1e-3,), BATCH_SIZE: (16,)})
    search = resolved(pictures, images.backbone(name), changes, folder, "fp32")
    c, bench = configurations(search)[0], workbench(search, device)
    frozen = bench.frozen_ready(c, partition(search))
    backbone, layer = opened_backbone(bench, frozen, METHODS["gradcam"])
    width = bench.facts(c).feature_width

    def head(repeat: int) -> dict[str, np.ndarray]:
        weight, bias = initial_layer(0, repeat, 0, width, c.outputs)
        return {"head.0.weight": np.ascontiguousarray(weight.T), "head.0.bias": bias}

    heads = [head(repeat) for repeat in range(count)]
    many = [head(repeat) for repeat in range(SEVERAL * count)]
    several = Repeats([c] * len(many), backbone, width, many, device, layer)
    together = Repeats([c] * count, backbone, width, heads, device, layer)
    apart = [Repeats([c], backbone, width, [one], device, layer) for one in heads]
    reader, rows = frozen.reader(device), frozen.samples.scoring["train"][: pictures.count]
    batches = [reader.batch(rows[start : start + BATCH]) for start in range(0, len(rows), BATCH)]
    ways = {name: METHODS[name].load() for name in ("gradcam", "gradcam++")}
    one_by_one = torch.cat([_maps(ways["gradcam"], each, batches[:1]) for each in apart])
    torch.testing.assert_close(_maps(ways["gradcam"], together, batches[:1]), one_by_one)
    seconds = alternately(
        {
            "one pass of the network": timed(device, lambda: _bare(backbone, batches)),
            "Grad-CAM, all repeats at once": timed(device, lambda: _maps(ways["gradcam"], together, batches)),
            f"Grad-CAM, {SEVERAL} configurations at once": timed(
                device, lambda: _maps(ways["gradcam"], several, batches)
            ),
            "Grad-CAM++, all repeats at once": timed(device, lambda: _maps(ways["gradcam++"], together, batches)),
            "Grad-CAM, each repeat apart": timed(
                device, lambda: [_maps(ways["gradcam"], each, batches) for each in apart]
            ),
        },
        rounds,
    )
    table = Table("Maps of all repeats", COLUMNS)
    table.notes.append(f"{rounds} rounds in alternating order, medians; one thread, batches of {BATCH}.")
    bare = seconds["one pass of the network"]
    for made, spent in seconds.items():
        middle = 1000 * statistics.median(spent) / len(rows)
        passes = median_ratio(zip(spent, bare, strict=True))
        table.add(c.network.backbone, device.type, len(rows), count, made, middle, passes)
    return table


def _maps(method: Method, repeats: Repeats, batches: list[torch.Tensor]) -> torch.Tensor:
    targets = torch.zeros(BATCH, dtype=torch.int64, device=repeats.device)
    return torch.cat([method(repeats, batch, targets[: len(batch)]) for batch in batches], dim=1)


@torch.no_grad()
def _bare(network: nn.Module, batches: list[torch.Tensor]) -> None:
    for batch in batches:
        network(batch)


if __name__ == "__main__":
    main()
