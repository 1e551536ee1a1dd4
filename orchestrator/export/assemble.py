"""From a repeat's weights to one plain network, and how near it comes to what the study kept of the repeat."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from orchestrator.export.model import Model, Preprocessing
from orchestrator.store import layout
from orchestrator.store.schema import FinalRecord, StudyRecord
from orchestrator.study.studies import versions
from search_spaces.configuration import Configuration
from search_spaces.own_networks import own_network
from trainables.bundles.workbench import Workbench
from trainables.data.manifest import read_manifest, reading_of
from trainables.features.pixels import ViewReader
from trainables.learning.heads.head import layers_of
from trainables.learning.heads.layer import modules
from trainables.learning.weights import Weights, put
from trainables.network.adaptations import adapted, has_adapters

BATCH = 16
COMPARED_IMAGES = 512
"""Of the valid split, spread evenly, that the exported network is compared on."""


@dataclass(frozen=True)
class Agreement:
    """The exported network against the predictions that the study kept, over `images` valid images.

    largest: largest difference of a logit. same: share of images with the same predicted class, 0 to 1.
    """

    images: int
    largest: float
    same: float


@dataclass(frozen=True)
class Assembled:
    """A network and some of the real images that it was checked on, stored squares uint8 [n, S, S, 3]."""

    model: Model
    backbone: nn.Module
    head: nn.Sequential
    squares: np.ndarray
    agreement: Agreement

    @property
    def network(self) -> nn.Sequential:
        return nn.Sequential(self.backbone, self.head).eval()


def assemble(
    bench: Workbench,
    study: StudyRecord,
    configuration: Configuration,
    partition: str,
    record: FinalRecord,
    weights: Weights,
) -> Assembled:
    """Put a repeat's weights into its network.

    Everything is float32 on the CPU, whatever the study computed with. Valid images are read, test images never.
    """
    frozen = bench.frozen_ready(configuration, partition, str(record.meta["recipe"].get("frontier", "")))
    scope = configuration.live.scope
    network = bench.network(frozen)
    backbone = copy.deepcopy(adapted(network, scope)).to("cpu")
    backbone = backbone.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    library, _, architecture = configuration.network.backbone.partition(":")
    model = Model(
        library=library,  # type: ignore[arg-type]  # a configuration's backbone is of one of the three
        architecture=architecture,
        arguments=_arguments(configuration),
        replaced=_replaced(configuration),
        declared=own_network(configuration.network.backbone).declared() if library == "own" else None,
        ends_at=configuration.network.ends_at,
        pooling=configuration.network.pooling,
        joined=configuration.network.joined,
        adapters={"name": scope.name, "rank": scope.rank, "alpha": scope.alpha} if has_adapters(scope) else {},
        head=layers_of(configuration, bench.facts(configuration).feature_width),
        task=configuration.data.task,
        classes=configuration.data.classes,
        preprocessing=Preprocessing(
            configuration.image.store_size,
            configuration.image.size,
            configuration.image.interpolation,
            frozen.mean,
            frozen.std,
            configuration.image.fit,
            configuration.image.borders,
            configuration.image.standardisation,
            reading_of(read_manifest(bench.storage.read(layout.MANIFEST))),
        ),
        origin={
            "study": study.name,
            "synthetic": study.synthetic,
            "configuration": configuration.id,
            "partition": partition,
            "repeat": int(record.meta["repeat"]),
            "epoch": int(record.meta["selected_epoch"]),
            "pretrained_weights": configuration.network.weights,
            "precision_of_frozen_part": configuration.network.precision,
            "arithmetic_of_trained_part": configuration.adaptation.arithmetic,
            "versions": versions(),
        },
        sha256={},
    )
    head = modules(model.head)
    put(weights, head=head, body=backbone)
    for part in (backbone, head):
        part.eval().requires_grad_(False)
    rows = frozen.samples.scoring["valid"]
    places = np.unique(np.linspace(0, len(rows) - 1, min(COMPARED_IMAGES, len(rows))).round().astype(np.int64))
    reader = frozen.reader(torch.device("cpu"))
    network = nn.Sequential(backbone, head)
    logits = _logits(network, reader, rows[places])
    squares = reader.pixels[reader.views[rows[places[:BATCH]], 0]].transpose(0, 2, 3, 1)
    return Assembled(model, backbone, head, squares, _agreement(logits, record.logits[places]))


@torch.no_grad()
def _logits(network: nn.Module, reader: ViewReader, rows: np.ndarray) -> np.ndarray:
    parts = [network(reader.batch(rows[i : i + BATCH]).contiguous()).numpy() for i in range(0, len(rows), BATCH)]
    return np.concatenate(parts)


def _agreement(logits: np.ndarray, kept: np.ndarray) -> Agreement:
    here, there = logits.astype(np.float64), kept.astype(np.float64)
    one = here.shape[1] == 1
    same = (here > 0) == (there > 0) if one else here.argmax(axis=1) == there.argmax(axis=1)
    return Agreement(len(here), float(np.abs(here - there).max(initial=0.0)), float(same.mean()))


def _arguments(configuration: Configuration) -> dict[str, object]:
    """What the library's builder must be told beside the name, as when the backbone was opened."""
    library, _, bare = configuration.network.backbone.partition(":")
    size = configuration.image.size
    if library == "own":
        return {}
    if library == "timm":
        import timm

        config = timm.get_pretrained_cfg(bare)
        sized = config is not None and config.fixed_input_size and size != config.input_size[-1]
        return {"img_size": size} if sized else {}
    if bare in ("inception_v3", "googlenet"):
        return {"aux_logits": False, "init_weights": False}
    return {"image_size": size} if bare.startswith("vit_") else {}


def _replaced(configuration: Configuration) -> str:
    """Name of the classifier's last weight layer in a torchvision network; "" for timm."""
    library, _, bare = configuration.network.backbone.partition(":")
    if library != "torchvision":
        return ""
    import torchvision

    with torch.device("meta"):
        network = torchvision.models.get_model(bare, weights=None, **_arguments(configuration))
    layers = [name for name, part in network.named_modules() if isinstance(part, nn.Linear | nn.Conv2d)]
    return str(layers[-1])
