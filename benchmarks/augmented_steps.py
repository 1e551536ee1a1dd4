"""Training a whole network on augmented images: the product's step against the bare network's.

The bare side is a plain torch loop that is handed the product's own augmented batches, ready on the device: it reads,
decodes and changes nothing. After the first steps both sides must have the same loss. In one process, without Ray,
freshly initialised weights.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import images
import torch
from opened import configurations, partition, resolved, timed, workbench
from plain_loop import PlainLoop
from table import Table, alternately, arguments, median_ratio, progress
from task import loss_of

from search_spaces.axes import BATCH_SIZE, LR
from search_spaces.changes import Changes
from search_spaces.form import Form
from search_spaces.presets import NON_LINEARITIES, UNFROZEN
from search_spaces.settings.augmentation import AUGMENTATIONS
from trainables.learning.augmentations.augmentation import Batch
from trainables.learning.learner import Lane, Learner
from trainables.learning.material import learner_of
from trainables.network.backbone import architecture_of

TOLERANCE = 2e-3
"""Largest difference of the loss after the first steps, relative to it."""
COLUMNS = (
    *("backbone", "augmentation", "step, augmented (ms)", "step, bare (ms)", "bare ÷ augmented"),
    "loss, relative difference",
)
BACKBONES = ("resnet18", "resnet50")
SEVERAL = (
    *("none", "dihedral", "crop+dihedral+brightness+contrast", "colour", "blur", "noise", "erasing"),
    *("randaugment", "augmix"),
)
LR_OF_BOTH = 1e-4


def main() -> None:
    given = parsed()
    torch.set_num_threads(given.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    table = Table("Augmented training: the product's step against the bare network's", COLUMNS)
    table.notes += [
        f"Batch {given.batch_size}, fp32, {given.threads} thread(s), on {device.type}; {given.rounds} rounds of "
        f"{given.steps} steps in alternating order, medians and median ratios. Every layer is trained, from freshly "
        "initialised weights.",
        f"loss: after {given.steps} steps on the same batches; allowed difference {TOLERANCE:g}.",
    ]
    with tempfile.TemporaryDirectory(prefix="orch-augmented-") as name:
        pictures = images.choose(given, Path(name), given.images)
        table.notes.insert(0, f"{pictures.count} images ({pictures.name}).")
        for backbone in given.backbones:
            for place, augmentation in enumerate(given.augmentations):
                progress(f"{backbone}, {augmentation}")
                folder = Path(name) / backbone / str(place)
                measure(table, pictures, backbone, augmentation, given, folder, device)
    table.show()
    table.write_json(given.json)


def parsed() -> argparse.Namespace:
    parser = arguments(__doc__ or "", rounds=5)
    images.add_options(parser)
    parser.add_argument("--backbones", type=lambda text: text.split(","), default=list(BACKBONES))
    parser.add_argument(
        "--augmentations",
        type=lambda text: text.split(","),
        default=list(SEVERAL),
        help=f"several together with +, of {', '.join(AUGMENTATIONS.names)}",
    )
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=3, help="per round (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of torch on the CPU (default: %(default)s)")
    parser.add_argument("--images", type=int, default=96, metavar="N", help="at most so many (default: %(default)s)")
    given = parser.parse_args()
    if given.quick:
        given.backbones, given.augmentations = ["resnet18"], ["dihedral", "augmix"]
        given.rounds, given.steps, given.batch_size = 2, 1, 8
    return given


def measure(
    table: Table,
    pictures: images.Images,
    backbone: str,
    augmentation: str,
    given: argparse.Namespace,
    folder: Path,
    device: torch.device,
) -> None:
    """One row; raises SystemExit where the two sides have different losses."""
    changes = Changes(
        ("unfreezing",),
        {
            UNFROZEN: (architecture_of(Form(backbone)).facts.weight_layers,),
            NON_LINEARITIES: (0,),
            LR: (LR_OF_BOTH,),
            BATCH_SIZE: (given.batch_size,),
            AUGMENTATIONS.path: (tuple(augmentation.split("+")),),
        },
        repeats=1,
        epochs=1,
    )
    search = resolved(pictures, images.Backbone(backbone, "none"), changes, folder, "fp32")
    (configuration,) = configurations(search)
    bench = workbench(search, device)
    material = bench.material(configuration, partition(search))
    learner = learner_of([Lane(configuration, 0)], material)
    bare = PlainLoop(search, configuration, material, device)
    training = torch.from_numpy(material.samples.training).to(device)
    several = [training[torch.arange(given.batch_size, device=device) + 5 * n] for n in range(given.steps)]
    ready = [prepared_batch(learner, rows, n * given.batch_size) for n, rows in enumerate(several)]

    def step_augmented() -> None:
        for number, rows in enumerate(several):
            learner.train(rows.unsqueeze(0), 1, number * given.batch_size)

    def step_bare() -> None:
        for rows, batch in zip(several, ready, strict=True):
            bare.train(batch, rows)

    step_augmented()
    step_bare()
    scored = several[0]
    clean = material.inputs.gather(scored)[0]
    losses = [
        loss_of(logits, material.labels[scored]).item() for logits in (learner.score(scored)[0], bare.score(clean))
    ]
    difference = abs(losses[0] - losses[1]) / losses[1]
    seconds = alternately({"augmented": timed(device, step_augmented), "bare": timed(device, step_bare)}, given.rounds)
    augmented, plain = (statistics.median(seconds[side]) * 1e3 / given.steps for side in ("augmented", "bare"))
    ratio = median_ratio(zip(seconds["bare"], seconds["augmented"], strict=True))
    table.add(backbone, augmentation, augmented, plain, ratio, difference)
    if not difference <= TOLERANCE:
        raise SystemExit(f"{backbone}, {augmentation}: losses {losses[0]:.6f} augmented and {losses[1]:.6f} bare")


def prepared_batch(learner: Learner, rows: torch.Tensor, first: int) -> torch.Tensor:
    """What the learner trains on in the first epoch, float32 [B, 3, S, S] on its device."""
    if learner.images is None:
        return learner.inputs.gather(rows)[0]
    batch = Batch(learner.seed, tuple(learner.repeats), 1, first, len(rows))
    plain = learner.images.reader.plain(rows.cpu().numpy())
    for one in learner.augmentations:
        plain = one.apply(plain, one.draw(batch))
    return learner.images.reader.standardised(plain)


if __name__ == "__main__":
    main()
