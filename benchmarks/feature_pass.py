"""Views per second of the feature pass against the bare network on the same tensors, per backbone and precision.

In one process, without Ray. With --bf16-effect: what heads reach on features of either precision instead.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import bf16_effect
import images
import numpy as np
import torch
from opened import Precision, configurations, partition, resolved, timed, workbench
from table import Table, alternately, arguments, median_ratio, progress
from torch import nn

from search_spaces.axes import BATCH_SIZE, LR
from search_spaces.changes import Changes
from trainables.bundles.workbench import Workbench
from trainables.features.arrays import ChunkedArrays
from trainables.features.frozen import Frozen
from trainables.features.store import CPU_BATCH, CUDA_BATCH
from trainables.network.backbone import open_backbone
from trainables.network.calibration import calibrate

COLUMNS = (
    *("backbone", "device", "precision", "views", "decoding (images/s)", "feature pass (views/s)"),
    *("bare network (views/s)", "pass ÷ bare", "making views, share of pass", "decoding, share of both"),
)
BACKBONES = ("mobilenetv2_035", "squeezenet1_1", "resnet18", "inception_v3")
CPU_IMAGES, QUICK_IMAGES = 300, 48


def main() -> None:
    given = parsed()
    torch.set_num_threads(given.threads)
    default = QUICK_IMAGES if given.quick else None if given.device == "cuda" else CPU_IMAGES
    device = torch.device(given.device)
    with tempfile.TemporaryDirectory(prefix="orch-features-") as name:
        pictures = images.choose(given, Path(name), given.images or default)
        if given.bf16_effect:
            table = bf16_effect.table(pictures, given.backbones, Path(name), device, quick=given.quick)
        else:
            table = Table("The feature pass against the bare network", COLUMNS)
            table.notes += [
                f"{pictures.count} images ({pictures.name}); {given.rounds} rounds in alternating order, medians. "
                f"{given.threads} thread(s), as one worker has; a search runs one worker per core, or one per GPU.",
                "feature pass: reads stored squares, makes the views on the device, runs the network, and writes the "
                "features to disk with fsync and checksum. bare network: the same batches, normalised float32, "
                "already on the device. making views: the pass without network and writing.",
                "decoding: from files to stored squares, once per image; its share is of decoding plus pass.",
            ]
            for backbone in given.backbones:
                for precision in given.precisions:
                    folder = Path(name) / f"{backbone}-{precision}"
                    measure(table, pictures, images.backbone(backbone), precision, folder, device, given.rounds)
    table.show()
    table.write_json(given.json)


def parsed() -> argparse.Namespace:
    parser = arguments(__doc__ or "", rounds=5)
    images.add_options(parser)
    parser.add_argument("--backbones", type=lambda text: text.split(","), help=f"default: {','.join(BACKBONES)}")
    parser.add_argument("--precisions", type=lambda text: text.split(","), default=["fp32", "bf16"])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1, help="of torch on the CPU (default: %(default)s)")
    parser.add_argument("--images", type=int, metavar="N", help=f"at most so many (default: {CPU_IMAGES} on a CPU)")
    parser.add_argument("--bf16-effect", action="store_true", help="final losses on fp32 and on bf16 features")
    given = parser.parse_args()
    if given.quick:
        given.rounds = min(given.rounds, 2)
    quick = ["mobilenetv2_035"] if given.quick or given.bf16_effect else list(BACKBONES)
    given.backbones = given.backbones or quick
    return given


def measure(
    table: Table,
    pictures: images.Images,
    backbone: images.Backbone,
    precision: Precision,
    folder: Path,
    device: torch.device,
    rounds: int,
) -> None:
    """One row."""
    progress(f"{backbone.name}, {precision}")
    changes = Changes(("straightforward",), {LR: (1e-3,), BATCH_SIZE: (16,), "balance.name": ("ngca",)})
    search = resolved(pictures, backbone, changes, folder, precision)
    configuration, split = configurations(search)[0], partition(search)
    bench = workbench(search, device)
    started = time.perf_counter()
    for chunk in bench.pixels(configuration, split).missing():
        bench.write_pixels(configuration, split, chunk, threads=1)
    decoding_s = time.perf_counter() - started
    frozen = bench.frozen(configuration, split)
    bench.compute_missing(frozen)  # opens the network
    assert frozen.features is not None, "pooled features are always stored"
    (store,) = frozen.features.stores()
    reader = frozen.reader(device)
    size = CUDA_BATCH if device.type == "cuda" else CPU_BATCH
    rows = np.array_split(np.arange(store.rows), range(size, store.rows, size))
    batches = [reader.batch(batch) for batch in rows]
    network = open_backbone(configuration.form, search.places.weights_of(configuration.network.weights), 0).module
    network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if backbone.weights == "none":
        calibrate(network, batches[:4])
    seconds = alternately(
        {
            "pass": timed(device, lambda: _pass(bench, frozen, store)),
            "bare": timed(device, lambda: _bare(network, batches, precision)),
            "views": timed(device, lambda: [reader.batch(batch) for batch in rows]),
        },
        rounds,
    )
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    table.add(
        configuration.network.backbone,
        device.type,
        precision,
        store.rows,
        len(frozen.samples.images) / decoding_s,
        store.rows / middle["pass"],
        store.rows / middle["bare"],
        median_ratio(zip(seconds["bare"], seconds["pass"], strict=True)),
        middle["views"] / middle["pass"],
        decoding_s / (decoding_s + middle["pass"]),
    )


def _pass(bench: Workbench, frozen: Frozen, store: ChunkedArrays) -> None:
    for chunk in range(store.chunks):
        store.discard(chunk)
    bench.compute_missing(frozen)


@torch.no_grad()
def _bare(network: nn.Module, batches: list[torch.Tensor], precision: Precision) -> None:
    with torch.autocast(batches[0].device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
        for batch in batches:
            network(batch)


if __name__ == "__main__":
    main()
