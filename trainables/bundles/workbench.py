"""What one process keeps open to compute features and to train: samples, network, cut, stores. One per process.

The flow here is the product's: samples → stored squares → network divided at a cut → features → what learners read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save
from torch import nn

from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.store.record import short_hash
from orchestrator.store.schema import ENGINE, Configuration, parse_toml
from orchestrator.store.storage import LocalStorage, Storage
from search_spaces.resolve import BackboneFacts
from trainables.data.dataset import read_manifest
from trainables.data.partition import Partition, splits
from trainables.features.arrays import ChunkedArrays
from trainables.features.pixels import ViewReader, channel_statistics, pixel_key, pixel_store, write_pixels
from trainables.features.samples import Samples, collect, samples_key
from trainables.features.store import Pooled, StoredInputs, compute_chunk, feature_key, feature_store, room
from trainables.learning.learners import Inputs
from trainables.machine.places import Places
from trainables.network.backbone import open_backbone, skeleton
from trainables.network.calibration import calibrate
from trainables.network.division import FEATURES, Cut, Division, together
from trainables.network.frontier import places_to_cut
from trainables.network.known_backbones import KnownBackbones

CALIBRATION_IMAGES = 64
CALIBRATION_BATCH = 16


@dataclass(frozen=True)
class Frozen:
    """The frozen part of one configuration on one partition: where it ends and where its values lie."""

    configuration: Configuration
    samples: Samples
    pixels: ChunkedArrays
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    layer: str
    """`Cut.layer`: known to no other cut of the network."""
    shapes: tuple[tuple[int, ...], ...]
    features: ChunkedArrays | None
    """None where the pixels themselves are the frontier."""
    calibration: str
    """What the norm statistics of a freshly initialised network follow from; "" with real weights."""


@dataclass(frozen=True)
class Material:
    """All that a group of lanes learns from, on the device."""

    samples: Samples
    labels: torch.Tensor
    weights: torch.Tensor | None
    width: int
    features: torch.Tensor | None
    """float32 [rows, D] where nothing of the backbone is trained."""
    inputs: Inputs | None
    suffix: nn.Module | None
    layer: str


class Workbench:
    """Opens things of a study once and hands them out; `storage` is the study, `places` this machine's folders."""

    def __init__(self, storage: Storage, places: Places, device: torch.device) -> None:
        self.storage = storage
        self.places = places
        self.device = device
        self._manifest: pd.DataFrame | None = None
        self._partitions: dict[str, Partition] = {}
        self._configurations: dict[str, Configuration] = {}
        self._known = KnownBackbones(LocalStorage(places.cache))
        self._samples: dict[str, Samples] = {}
        self._networks: dict[str, nn.Module] = {}
        self._cuts: dict[str, list[Cut]] = {}
        self._divisions: dict[str, Division] = {}
        self._prefixes: dict[str, nn.Module] = {}
        self._materials: dict[str, Material] = {}
        self._verified: set[Path] = set()

    def configuration(self, configuration_id: str) -> Configuration:
        """To train with; raises InputError for one of another engine, which would learn otherwise here."""
        if configuration_id not in self._configurations:
            path = layout.configuration(configuration_id)
            found = parse_toml(Configuration, self.storage.read(path), path)
            if found.engine != ENGINE:
                raise InputError(
                    f"configuration {configuration_id}: expected engine {ENGINE}, which this version of orch trains "
                    f"with, found engine {found.engine}",
                    "Open the study with the version of orch that made it, or start a new study under another name.",
                )
            self._configurations[configuration_id] = found
        return self._configurations[configuration_id]

    def remember(self, configurations: Iterable[Configuration]) -> None:
        """Take configurations as stored that a plan describes before they are."""
        self._configurations |= {configuration.id: configuration for configuration in configurations}

    def samples(self, configuration: Configuration, partition_id: str) -> Samples:
        """Laid out once per setting that changes them."""
        key = samples_key(configuration, partition_id)
        if key not in self._samples:
            if self._manifest is None:
                self._manifest = read_manifest(self.storage.read(layout.MANIFEST))
            if partition_id not in self._partitions:
                content = self.storage.read(layout.partition(partition_id))
                self._partitions[partition_id] = Partition.from_bytes(content)
            split = splits(self._manifest, self._partitions[partition_id])
            self._samples[key] = collect(self._manifest, split, configuration)
        return self._samples[key]

    def pixels(self, configuration: Configuration, partition_id: str) -> ChunkedArrays:
        images = self.samples(configuration, partition_id).images
        return self._verified_once(pixel_store(images, configuration, self.places.cache))

    def write_pixels(self, configuration: Configuration, partition_id: str, chunk: int, threads: int) -> None:
        """Decode one chunk of images into the store, if it is still missing."""
        store = self.pixels(configuration, partition_id)
        store.prepare()
        if chunk in store.missing():
            images = self.samples(configuration, partition_id).images
            write_pixels(store, chunk, images, configuration, self.places.data_root, threads)

    def frozen(self, configuration: Configuration, partition_id: str, layer: str = "") -> Frozen:
        """Decide where the frozen part ends (or take `layer`, from a recipe). The stored squares must be complete."""
        samples = self.samples(configuration, partition_id)
        store = self.pixels(configuration, partition_id)
        mean, std = self._standardisation(configuration, samples, store)
        calibration = ""
        if configuration.weights.startswith("init:"):
            rows = _calibration_rows(samples)
            calibration = short_hash([store.folder.name, samples.views[rows].tolist(), mean, std])

        def stored(layer: str, shapes: tuple[tuple[int, ...], ...]) -> ChunkedArrays:
            pixels = pixel_key(samples.images, configuration) + calibration
            key = feature_key(samples, configuration, pixels, mean, std, layer, shapes)
            precision, device = configuration.precision, self.device.type
            return feature_store(key, self.places.cache, samples.rows, shapes, precision, device)

        if configuration.unfrozen == 0:
            shapes: tuple[tuple[int, ...], ...] = ((self.facts(configuration).feature_width,),)
            features: ChunkedArrays | None = stored(FEATURES, shapes)
            chosen = FEATURES
        else:
            cut = self._cut(configuration, samples.rows, layer, lambda cut: stored(cut.layer, cut.shapes))
            shapes, chosen = cut.shapes, cut.layer
            features = None if cut.is_pixels else stored(chosen, shapes)
        if features is not None:
            self._verified_once(features)
        return Frozen(configuration, samples, store, mean, std, chosen, shapes, features, calibration)

    def compute(self, several: Sequence[Frozen], chunk: int) -> None:
        """Run the frozen part over one chunk of views for all cuts that still miss it, every layer once.

        The cuts are of one network, on the same samples, stored in the same chunks.
        """
        stores = [frozen.features for frozen in several if frozen.features is not None]
        for store in stores:
            store.prepare()
        missing = [frozen for frozen in several if frozen.features is not None and chunk in frozen.features.missing()]
        if missing:
            wanted = [frozen.features for frozen in missing if frozen.features is not None]
            reader, precision = self._reader(missing[0]), missing[0].configuration.precision
            compute_chunk(wanted, chunk, self._prefix(missing), reader, precision)

    def frozen_ready(self, configuration: Configuration, partition_id: str, layer: str = "") -> Frozen:
        """`frozen`, after storing whatever squares are missing on this machine."""
        for chunk in self.pixels(configuration, partition_id).missing():
            self.write_pixels(configuration, partition_id, chunk, threads=1)
        return self.frozen(configuration, partition_id, layer)

    def material(self, configuration: Configuration, partition_id: str, layer: str = "") -> Material:
        """Everything a learner needs; computes whatever part of it is missing on this machine."""
        frozen = self.frozen_ready(configuration, partition_id, layer)
        key = _material_key(frozen, partition_id)
        if key not in self._materials:
            for chunk in frozen.features.missing() if frozen.features else []:
                self.compute([frozen], chunk)
            self._materials.clear()
            self._materials[key] = self._opened(frozen)
        return self._materials[key]

    def whole(self, frozen: Frozen) -> tuple[nn.Module, nn.Module | None]:
        """images → frontier tensors, and frontier tensors → features; None where the frontier is the features."""
        if frozen.configuration.unfrozen == 0:
            return self._prefix([frozen]), None
        division = self._division(frozen)
        return division.prefix, division.suffix

    def facts(self, configuration: Configuration) -> BackboneFacts:
        """The backbone's size, without its weights."""
        return self._known.architecture(configuration.backbone, configuration.image_size).facts

    def keep_facts(self) -> None:
        """Store those asked for, so that workers that only train heads need not import the libraries of networks."""
        self._known.keep()

    def close(self) -> None:
        """Let go of networks and arrays, before another study or device."""
        for kept in (self._materials, self._divisions, self._prefixes, self._cuts, self._networks, self._samples):
            kept.clear()

    def _opened(self, frozen: Frozen) -> Material:
        samples, configuration = frozen.samples, frozen.configuration
        labels = torch.from_numpy(samples.labels).to(self.device)
        weights = None if samples.weights is None else torch.from_numpy(samples.weights).to(self.device)
        width = self.facts(configuration).feature_width
        inputs: Inputs
        if frozen.features is None:
            inputs = self._reader(frozen)
        else:
            inputs = StoredInputs(frozen.features, configuration.precision, self.device)
            if configuration.unfrozen == 0:
                return Material(samples, labels, weights, width, inputs.everything(), None, None, frozen.layer)
        suffix = self._division(frozen).suffix
        return Material(samples, labels, weights, width, None, inputs, suffix, frozen.layer)

    def _reader(self, frozen: Frozen) -> ViewReader:
        return ViewReader(
            frozen.pixels, frozen.samples.views, frozen.configuration, frozen.mean, frozen.std, self.device
        )

    def _standardisation(
        self, configuration: Configuration, samples: Samples, store: ChunkedArrays
    ) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        if configuration.standardisation == "weights":
            if configuration.mean is None or configuration.std is None:
                raise InputError(f"configuration {configuration.id} has no mean and std of its weights")
            return configuration.mean, configuration.std
        return channel_statistics(store, np.unique(samples.views[samples.training, 0]).tolist())

    def _verified_once(self, store: ChunkedArrays) -> ChunkedArrays:
        """What a disk lost or changed since it was written is missing from now on, hence computed again."""
        if store.folder not in self._verified:
            store.discard_damaged()
            self._verified.add(store.folder)
        return store

    def _cut(self, configuration: Configuration, rows: int, layer: str, stored: Callable[[Cut], ChunkedArrays]) -> Cut:
        key = short_hash([configuration.backbone, configuration.image_size, configuration.unfrozen])
        if key not in self._cuts:
            network = skeleton(configuration.backbone, configuration.image_size)
            self._cuts[key] = places_to_cut(network, configuration.image_size, configuration.unfrozen)
        candidates = self._cuts[key]
        for cut in candidates:
            if cut.layer == layer:
                return cut
        # The latest cut first: an earlier one may hold fewer values but is computed from again in every step
        for cut in reversed(candidates):
            if cut.is_pixels:
                continue
            # Space that features lie in already is no longer free, and they need no more of it
            if self._fits(cut, rows, configuration) or stored(cut).is_prepared:
                return cut
        return candidates[-1]

    def _fits(self, cut: Cut, rows: int, configuration: Configuration) -> bool:
        return rows * cut.values_per_view * (2 if configuration.precision == "bf16" else 4) <= room(self.places.cache)

    def _prefix(self, several: Sequence[Frozen]) -> nn.Module:
        """images → frontier tensors of all, in order."""
        network = self.network(several[0].configuration, several[0])
        if [frozen.configuration.unfrozen for frozen in several] == [0]:
            return Pooled(network)
        key = short_hash([[frozen.configuration.unfrozen, frozen.layer] for frozen in several] + [id(network)])
        if key not in self._prefixes:
            self._prefixes = {key: together([_cut_at(network, frozen) for frozen in several])}
        return self._prefixes[key]

    def _division(self, frozen: Frozen) -> Division:
        configuration = frozen.configuration
        key = short_hash(
            [
                configuration.backbone,
                configuration.weights,
                configuration.image_size,
                frozen.calibration,
                frozen.layer,
                configuration.unfrozen,
            ]
        )
        if key not in self._divisions:
            self._divisions.clear()
            network = self.network(configuration, frozen)
            self._divisions[key] = _cut_at(network, frozen).build()
        return self._divisions[key]

    def network(self, configuration: Configuration, frozen: Frozen | None) -> nn.Module:
        """The backbone with its weights, on the device, in eval mode; freshly initialised ones are calibrated."""
        fresh = configuration.weights.startswith("init:")
        calibration = frozen.calibration if frozen else ""
        key = short_hash([configuration.backbone, configuration.weights, configuration.image_size, calibration])
        if key not in self._networks:
            self._networks.clear()
            self._prefixes.clear()  # they are known by the network's address, which the next one may get
            choice = self.places.weights_of(configuration.weights)
            opened = open_backbone(configuration.backbone, choice, configuration.study_seed, configuration.image_size)
            if opened.facts.weights != configuration.weights:
                raise InputError(
                    f"weights of {configuration.backbone}: the study was made with {configuration.weights}, "
                    f"found {opened.facts.weights}",
                    "Give the same file again with --weights FILE, or start a new study.",
                )
            network = opened.module.to(self.device)
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            if fresh and frozen is not None:
                self._calibrate(network, frozen, key)
            self._networks[key] = network
        return self._networks[key]

    def _calibrate(self, network: nn.Module, frozen: Frozen, key: str) -> None:
        """Norm statistics of fresh weights from some training images; kept, so that workers share the bits."""
        cache = LocalStorage(self.places.cache)
        path = f"weights/{key}.safetensors"
        if not cache.local(path).exists():
            rows = _calibration_rows(frozen.samples)
            reader = self._reader(frozen)
            batches = np.array_split(rows, -(-len(rows) // CALIBRATION_BATCH))
            calibrate(network, [reader.batch(batch) for batch in batches])
            state = {name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()}
            cache.create(path, save(state))
        network.load_state_dict(load_file(cache.local(path)))


def _cut_at(network: nn.Module, frozen: Frozen) -> Cut:
    """The cut that was decided on, in the network with its weights."""
    c = frozen.configuration
    return next(cut for cut in places_to_cut(network, c.image_size, c.unfrozen) if cut.layer == frozen.layer)


def _material_key(frozen: Frozen, partition_id: str) -> str:
    """Covers all that a learner is given: equal features can be split or scored otherwise, pixels feed any network."""
    c = frozen.configuration
    features = frozen.features.folder.name if frozen.features else ""
    pixels = [frozen.pixels.folder.name, c.image_size, frozen.mean, frozen.std, frozen.calibration]
    network = [c.backbone, c.weights, c.unfrozen, frozen.layer, c.precision]
    return short_hash([samples_key(c, partition_id), features, pixels, network])


def _calibration_rows(samples: Samples) -> np.ndarray:
    """View 0 of training images, spread evenly over the manifest: its order goes by file, hence often by class."""
    rows = samples.scoring["train"]
    return rows[np.linspace(0, len(rows) - 1, min(CALIBRATION_IMAGES, len(rows))).round().astype(np.int64)]
