"""What one process keeps open to compute features and to train. One per process.

The study says what is asked (`StudyFiles`), networks are opened one at a time (`Networks`), what is frozen of them is
cut off and kept in the cache (`FrozenParts`); the bench brings them together and holds what lanes learn from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import nn

from orchestrator.store.record import canonical_json
from orchestrator.store.storage import Storage
from search_spaces.configuration import Configuration
from search_spaces.live import Live
from search_spaces.resolve import BackboneFacts
from search_spaces.settings.declaration import Touch
from trainables.bundles.study_files import StudyFiles
from trainables.features.arrays import ChunkedArrays
from trainables.features.frozen import Frozen, FrozenParts, of_any_standardisation
from trainables.features.pixels import Standard
from trainables.features.samples import Samples, samples_key
from trainables.features.shards import Part
from trainables.features.store import StoredInputs
from trainables.learning.draws import body_seed
from trainables.learning.learner import Images, Inputs, Resident
from trainables.learning.material import Material
from trainables.machine.arithmetic import settle_arithmetic
from trainables.machine.places import Places
from trainables.network.activations import Activations
from trainables.network.opened import CutName, Networks


def open_bench(storage: Storage, places: Places, device: torch.device | None = None, threads: int = 1) -> Workbench:
    """The bench of this process, after torch was told how to compute (`settle_arithmetic`), for all of the process.

    storage: the study. device: this machine's GPU by default where there is one, else the CPU.
    """
    settle_arithmetic(threads)
    return Workbench(storage, places, device or torch.device("cuda" if torch.cuda.is_available() else "cpu"))


class _MaterialKey(NamedTuple):
    """All that a learner is given: equal features can be split or scored otherwise, pixels feed any network."""

    samples: str
    features: str
    pixels: str
    settings: str
    """Of the network and what its frozen part gives."""
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    valid: Standard | None
    calibration: str
    cut: CutName
    from_pixels: bool

    @classmethod
    def of(cls, frozen: Frozen, partition_id: str) -> _MaterialKey:
        c = frozen.configuration
        return cls(
            samples_key(c, partition_id),
            frozen.features.key if frozen.features else "",
            frozen.pixels.folder.name,
            canonical_json(c.key(Touch.NETWORK, Touch.FEATURES)),
            frozen.mean,
            frozen.std,
            frozen.valid,
            frozen.calibration,
            frozen.cut,
            c.live.from_pixels,
        )


class _Depth(NamedTuple):
    """What the place where the frozen part ends follows from, on one machine."""

    samples: str
    settings: str
    live: Live


class Workbench:
    """Opens things of a study once and hands them out; `storage` is the study, `places` this machine's folders."""

    def __init__(self, storage: Storage, places: Places, device: torch.device) -> None:
        self.storage = storage
        self.places = places
        self.device = device
        self._study = StudyFiles(storage)
        self._networks = Networks(places, device)
        self._parts = FrozenParts(places, self._networks, device)
        self._foreseen: dict[_Depth, Frozen] = {}
        self._material: tuple[_MaterialKey, Material] | None = None
        """The last one alone: features and what is trained of a network take memory."""

    def configuration(self, configuration_id: str) -> Configuration:
        """To train with; raises InputError for one of another engine, which would learn otherwise here."""
        return self._study.configuration(configuration_id)

    def remember(self, configurations: Iterable[Configuration], partitions: Mapping[str, bytes] | None = None) -> None:
        """Take configurations, and files of partitions by id, as stored that a plan describes before they are."""
        self._study.remember(configurations, partitions)

    def samples(self, configuration: Configuration, partition_id: str) -> Samples:
        return self._study.samples(configuration, partition_id)

    def facts(self, configuration: Configuration) -> BackboneFacts:
        """The backbone's size, without its weights."""
        return self._networks.facts(configuration)

    def keep_facts(self) -> None:
        """Store those asked for, so that workers that only train heads need not import the libraries of networks."""
        self._networks.keep_facts()

    def pixels(self, configuration: Configuration, partition_id: str) -> ChunkedArrays:
        """The stored squares; some may be missing."""
        return self._parts.pixels(configuration, self.samples(configuration, partition_id))

    def write_pixels(self, configuration: Configuration, partition_id: str, chunk: int, threads: int) -> None:
        """Decode one chunk of images into the store, if it is still missing."""
        self._parts.write_pixels(configuration, self.samples(configuration, partition_id), chunk, threads)

    def frozen(self, configuration: Configuration, partition_id: str, layer: str = "") -> Frozen:
        """Decide where the frozen part ends (or take `layer`, from a recipe). The stored squares must be complete."""
        return self._parts.decide(configuration, self.samples(configuration, partition_id), layer)

    def foreseen(self, configuration: Configuration, partition_id: str) -> Frozen:
        """`frozen` before the squares are stored: without them mean and std are not known, which change neither where
        the frozen part ends nor its size. Asked once for each depth."""
        c = configuration
        depth = _Depth(samples_key(c, partition_id), canonical_json(c.key(Touch.NETWORK, Touch.FEATURES)), c.live)
        if depth not in self._foreseen:
            self._foreseen[depth] = self.frozen(of_any_standardisation(c), partition_id)
        return self._foreseen[depth]

    def activations(self, configuration: Configuration, layer: str) -> Activations:
        """What the network behind the cut at `layer` takes beside its weights."""
        return self._networks.activations(configuration, layer)

    def frozen_ready(self, configuration: Configuration, partition_id: str, layer: str = "") -> Frozen:
        """`frozen`, after storing whatever squares are missing on this machine."""
        for chunk in self.pixels(configuration, partition_id).missing():
            self.write_pixels(configuration, partition_id, chunk, threads=1)
        return self.frozen(configuration, partition_id, layer)

    def reserve(self, several: Sequence[Frozen]) -> None:
        """Room on the disk for what is missing of cuts of one network, on the same samples."""
        self._parts.reserve(several)

    def compute(self, several: Sequence[Frozen], part: Part) -> None:
        """Run the frozen part over one part's views for all cuts that still miss it, every layer once.

        The cuts are of one network, on the same samples.
        """
        self._parts.compute(several, part)

    def compute_missing(self, frozen: Frozen) -> None:
        """Whatever is missing of its features on this machine."""
        self.reserve([frozen])
        for part in frozen.features.missing() if frozen.features else []:
            self.compute([frozen], part)

    def material(self, configuration: Configuration, partition_id: str, layer: str = "") -> Material:
        """Everything a learner needs; computes whatever part of it is missing on this machine."""
        frozen = self.frozen_ready(configuration, partition_id, layer)
        key = _MaterialKey.of(frozen, partition_id)
        if self._material is None or self._material[0] != key:
            self.compute_missing(frozen)
            self._material = None  # before the next one takes its memory
            self._material = key, self._opened(frozen)
        return self._material[1]

    def network(self, frozen: Frozen) -> nn.Module:
        """The backbone with its weights, on the device, in eval mode; freshly initialised ones are calibrated."""
        return self._parts.network(frozen).module

    def prefix(self, several: Sequence[Frozen]) -> nn.Module:
        """Images → frontier tensors of all, in order; they are of one network."""
        return self._parts.prefix(several)

    def whole(self, frozen: Frozen) -> tuple[nn.Module, nn.Module | None]:
        """images → frontier tensors, and frontier tensors → features; None where the frontier is the features."""
        if not frozen.configuration.live.trains_body:
            return self.prefix([frozen]), None
        division = self._parts.division(frozen)
        return division.prefix, division.suffix

    def _opened(self, frozen: Frozen) -> Material:
        samples, configuration = frozen.samples, frozen.configuration
        labels = torch.from_numpy(samples.labels).to(self.device)
        weights = None if samples.weights is None else torch.from_numpy(samples.weights).to(self.device)
        width = self.facts(configuration).feature_width
        inputs, images, suffix, depths = self._inputs(frozen), None, None, dict[str, int]()
        if configuration.live.trains_body:
            division = self._parts.division(frozen)
            suffix, depths = division.suffix, dict(division.depths)
        if configuration.live.from_pixels:
            images = Images(frozen.reader(self.device), self.whole(frozen)[0], configuration.network.precision)

        def fresh(repeat: int) -> dict[str, torch.Tensor]:
            return self._networks.fresh(configuration, body_seed(configuration.data.seed, repeat))

        return Material(samples, labels, weights, width, inputs, suffix, frozen.layer, images, depths, fresh)

    def _inputs(self, frozen: Frozen) -> Inputs:
        if frozen.features is None:
            return frozen.reader(self.device)
        stored = StoredInputs(frozen.features, frozen.configuration.network.precision, self.device)
        return stored if frozen.configuration.live.trains_body else Resident(stored.everything())
