"""Networks that a process holds open: weights on the device, and what was made of them. One at a time, for memory.

The flow: configuration → weights of a file, or drawn and calibrated → the network → its parts at a cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save
from torch import nn

from orchestrator.store.errors import InputError
from orchestrator.store.record import canonical_json, short_hash
from orchestrator.store.storage import LocalStorage
from search_spaces.configuration import Configuration
from search_spaces.form import Form
from search_spaces.live import Scope
from search_spaces.resolve import BackboneFacts
from search_spaces.settings.declaration import Touch
from trainables.machine.places import Places
from trainables.network.activations import Activations
from trainables.network.backbone import open_backbone, skeleton
from trainables.network.calibration import calibrate
from trainables.network.division import FEATURES, Cut, Division, together
from trainables.network.frontier import places_to_cut
from trainables.network.known_backbones import KnownBackbones


@dataclass(frozen=True)
class Calibration:
    """What the norm statistics of a freshly initialised network follow from."""

    id: str
    """Names the images and how they are standardised."""
    batches: Callable[[], Iterable[torch.Tensor]]
    """Standardised float32 [n, 3, S, S] on the device."""


class CutName(NamedTuple):
    """A cut of one network: `scope` of it is trained, the frozen part ends at `layer`."""

    scope: Scope
    layer: str


class Pooled(nn.Module):
    """The whole network as a prefix: a tuple of its one output."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.network(images),)


class OpenNetwork:
    """A network in eval mode on the device, and the last parts that were made of it."""

    def __init__(self, module: nn.Module, image_size: int) -> None:
        self.module = module
        self.image_size = image_size
        self._prefix: tuple[tuple[CutName, ...], nn.Module] | None = None
        self._division: tuple[CutName, Division] | None = None

    def prefix(self, cuts: Sequence[CutName]) -> nn.Module:
        """Images → frontier tensors of all cuts, in order."""
        asked = tuple(cuts)
        if [cut.layer for cut in asked] == [FEATURES]:
            return Pooled(self.module)
        if self._prefix is None or self._prefix[0] != asked:
            self._prefix = asked, together([self._cut(cut) for cut in asked])
        return self._prefix[1]

    def division(self, cut: CutName) -> Division:
        """The two parts at a cut."""
        if self._division is None or self._division[0] != cut:
            self._division = cut, self._cut(cut).build()
        return self._division[1]

    def _cut(self, name: CutName) -> Cut:
        candidates = places_to_cut(self.module, self.image_size, name.scope)
        return next(cut for cut in candidates if cut.layer == name.layer)


class _NetworkKey(NamedTuple):
    network: str
    """`network_key`."""
    calibration: str


class _Shape(NamedTuple):
    """What the places to cut follow from; no weights."""

    form: Form
    scope: Scope


def network_key(configuration: Configuration) -> str:
    """Covers every setting that changes which network is opened."""
    return canonical_json(configuration.key(Touch.NETWORK))


class Networks:
    """Opens backbones with the weights of `places`, and knows without opening them how large they are and where they
    can be cut."""

    def __init__(self, places: Places, device: torch.device) -> None:
        self.places = places
        self.device = device
        self._known = KnownBackbones(LocalStorage(places.cache))
        self._cuts: dict[_Shape, list[Cut]] = {}
        self._open: tuple[_NetworkKey, OpenNetwork] | None = None

    def facts(self, configuration: Configuration) -> BackboneFacts:
        """The backbone's size, without its weights."""
        return self._known.architecture(configuration.form).facts

    def is_calibrated(self, configuration: Configuration) -> bool:
        """Whether some of its frozen values follow from images that it was calibrated by."""
        c = configuration
        is_fresh = c.network.weights.startswith("init:") and not c.adaptation.is_drawn_whole
        return is_fresh and self._known.architecture(c.form).is_calibrated

    def keep_facts(self) -> None:
        """Store those asked for, so that workers that only train heads need not import the libraries of networks."""
        self._known.keep()

    def cuts(self, configuration: Configuration) -> list[Cut]:
        """Places where the frozen part may end, the fewest values per view first; of a network without weights."""
        c = configuration
        shape = _Shape(c.form, c.live.scope)
        if shape not in self._cuts:
            self._cuts[shape] = places_to_cut(skeleton(c.form), c.image.size, c.live.scope)
        return self._cuts[shape]

    def activations(self, configuration: Configuration, layer: str) -> Activations:
        """What the network behind the cut at `layer` takes, without its weights; kept as facts are."""
        c = configuration

        def cut() -> Cut:
            return next(cut for cut in self.cuts(c) if cut.layer == layer)

        return self._known.activations(c.form, c.live.scope, cut, layer)

    def open(self, configuration: Configuration, calibration: Calibration | None) -> OpenNetwork:
        """The backbone with its weights; a freshly initialised one is calibrated where it is told by what.

        The one before is let go of. Raises InputError where the weights are not the configuration's.
        """
        c = configuration
        key = _NetworkKey(network_key(c), calibration.id if calibration else "")
        if self._open is None or self._open[0] != key:
            self._open = None  # before the next one takes its memory
            module = self._loaded(configuration)
            if calibration is not None:
                self._calibrate(module, calibration, key)
            self._open = key, OpenNetwork(module, c.image.size)
        return self._open[1]

    def fresh(self, configuration: Configuration, seed: int) -> dict[str, torch.Tensor]:
        """Parameters and buffers of the backbone as its library draws them, by name."""
        return open_backbone(configuration.form, "none", seed).module.state_dict()

    def _loaded(self, c: Configuration) -> nn.Module:
        opened = open_backbone(c.form, self.places.weights_of(c.network.weights), c.data.seed)
        if opened.facts.weights != c.network.weights:
            raise InputError(
                f"weights of {c.network.backbone}: the study was made with {c.network.weights}, "
                f"found {opened.facts.weights}",
                "Give the same file again with --weights FILE, or start a new study.",
            )
        module = opened.module.to(self.device)
        return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    def _calibrate(self, network: nn.Module, calibration: Calibration, key: _NetworkKey) -> None:
        """Statistics are kept in the cache, so that workers share the bits."""
        cache = LocalStorage(self.places.cache)
        path = f"weights/{short_hash(list(key))}.safetensors"
        if not cache.local(path).exists():
            calibrate(network, calibration.batches())
            state = {name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()}
            cache.create(path, save(state))
        network.load_state_dict(load_file(cache.local(path)))
