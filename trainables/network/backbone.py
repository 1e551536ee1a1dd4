"""Opening a backbone: any image classifier of timm or torchvision by name, without its classifier, or one of our own.

A backbone maps standardised float32 images [N, 3, S, S] to pooled features float32 [N, D]. Only the classifier's last
weight layer is removed: VGG keeps fc6 and fc7, so D is 4096 there. Of a convolutional classifier (SqueezeNet) the
pooled maps before it are the features.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import nn

from orchestrator.store.errors import InputError, first_line
from search_spaces.form import Form
from search_spaces.own_networks import OWN, is_own, own_network
from search_spaces.resolve import BackboneFacts
from trainables.network.adaptations import holders, refusals
from trainables.network.backbone_names import resolve_name, timm_config
from trainables.network.calibration import batch_norms
from trainables.network.formed import formed
from trainables.network.own import own_module
from trainables.network.tensors import load_into, read_tensors, standardisation_in
from trainables.network.tracing import UntraceableError, images_on_meta, on_meta, trace
from trainables.network.weight_layers import Layers, layers_by_calls, layers_of_trace
from trainables.network.weights import Pretrained, WeightsChoice, WeightsFile, file_of

Triple = tuple[float, float, float]
_IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
_IMAGENET_STD: Triple = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Backbone:
    """A network in eval mode, no parameter of which requires a gradient, and what is known about it."""

    module: nn.Module
    """Standardised float32 [N, 3, S, S] → float32 features [N, D]."""
    facts: BackboneFacts
    origin: str
    """Where the weights came from, with the revision: for the record, not for identity."""


@dataclass(frozen=True)
class Architecture:
    """What the libraries say of a backbone, without any weights; `trainables.network.known_backbones` keeps it."""

    facts: BackboneFacts
    """As if it were initialised from seed 0."""
    pretrained: Pretrained
    is_calibrated: bool
    """Whether it has batch norms, whose statistics follow from images where it is freshly initialised."""


@dataclass(frozen=True)
class _Defaults:
    """What a library says about a named network."""

    image_size: int
    interpolation: Literal["bilinear", "bicubic", "lanczos"]
    mean: Triple
    std: Triple


def open_backbone(
    form: Form,
    weights: WeightsChoice,
    seed: int,
    mean: Triple | None = None,
    std: Triple | None = None,
) -> Backbone:
    """Build a network, load its weights, remove its classifier.

    `mean` and `std` (0–1 scale) are those of the weights; by default what a safetensors file's metadata say, else the
    library's for the architecture.
    With `weights` "none" the network is initialised from `seed`, equally in every process, and then wants
    `calibration.calibrate`. The global random state is not touched. Raises InputError for an unknown name, missing or
    foreign weights, a size that the network cannot take.
    """
    resolved = resolve_name(form.backbone)
    file = _weights_file(resolved, weights, _pretrained(resolved))
    network = _built(resolved, form.image_size, seed, "cpu")
    if file is not None:
        try:
            load_into(network, read_tensors(file.path, file.key), resolved, file.origin)
        except InputError as error:
            # another network of the file may be the one that is meant: a teacher can be larger than its student
            advice = f"{error.advice}. Of {note}" if (note := file.note()) else error.advice
            raise InputError(error.message, advice) from error
    network = _formed(network, form, resolved)
    facts = _with_weights(_facts(network, resolved, form.image_size), file, seed, mean, std)
    network.eval().requires_grad_(False)
    return Backbone(network, facts, _origin(file, seed))


def architecture_of(form: Form) -> Architecture:
    """What is known of a backbone without memory for its weights: it is built on the meta device. Raises InputError as
    `open_backbone` does."""
    resolved = resolve_name(form.backbone)
    network = skeleton(form)
    facts = _facts(network, resolved, form.image_size)
    return Architecture(facts, _pretrained(resolved), bool(batch_norms(network)))


def facts_of(
    network: Form | Architecture,
    weights: WeightsChoice,
    seed: int,
    mean: Triple | None = None,
    std: Triple | None = None,
) -> BackboneFacts:
    """What `open_backbone` would say of a backbone; a file of weights is only hashed; that it fits is seen there."""
    known = network if isinstance(network, Architecture) else architecture_of(network)
    return _with_weights(known.facts, _weights_file(known.facts.name, weights, known.pretrained), seed, mean, std)


def weights_origin(known: Architecture, weights: WeightsChoice, seed: int) -> str:
    """Where the weights come from, for the record: repository, file and revision; address; file name; or the seed."""
    return _origin(_weights_file(known.facts.name, weights, known.pretrained), seed)


def weights_digest(resolved: str, weights: Literal["hub"] | Path) -> str:
    """`sha256:…` of the file that `weights` means for this backbone; InputError when there is none."""
    return (file_of(weights) if isinstance(weights, Path) else _pretrained(resolved).file(resolved)).digest


def _origin(file: WeightsFile | None, seed: int) -> str:
    return file.origin if file else f"initialised from seed {seed}"


def skeleton(form: Form) -> nn.Module:
    """The network without its classifier on the meta device: its graph and shapes, no weights and no memory."""
    resolved = resolve_name(form.backbone)
    return _formed(_built(resolved, form.image_size, 0, "meta"), form, resolved)


def _formed(network: nn.Module, form: Form, resolved: str) -> nn.Module:
    if form.is_plain:
        return network
    size = form.image_size or _defaults(resolved).image_size
    _feature_width(network, resolved, size)  # a size that it cannot take is told as such
    return formed(network, form, size, resolved)


def _facts(network: nn.Module, resolved: str, image_size: int | None) -> BackboneFacts:
    """As if it were initialised from seed 0."""
    defaults = _defaults(resolved)
    size = image_size or defaults.image_size
    width = _feature_width(network, resolved, size)

    def layers_of(one: nn.Module) -> Layers:
        try:
            return layers_of_trace(one, trace(one, size))
        except UntraceableError:
            return layers_by_calls(one, size)

    layers = layers_of(network)
    return BackboneFacts(
        name=resolved,
        weights="init:0",
        image_size=size,
        interpolation=defaults.interpolation,
        mean=defaults.mean,
        std=defaults.std,
        feature_width=width,
        weight_layers=len(layers.names),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        layers=holders(layers),
        refused=refusals(network, layers_of),
    )


def _with_weights(
    facts: BackboneFacts, file: WeightsFile | None, seed: int, mean: Triple | None, std: Triple | None
) -> BackboneFacts:
    own_mean, own_std = standardisation_in(file.path) if file else (None, None)
    return replace(
        facts,
        weights=file.identity if file else f"init:{seed}",
        mean=_triple("mean", mean or own_mean or facts.mean),
        std=_triple("std", std or own_std or facts.std),
    )


def _feature_width(network: nn.Module, resolved: str, size: int) -> int:
    try:
        with torch.no_grad(), torch.device("meta"):
            features = on_meta(network)(images_on_meta(size)[:2])
    except Exception as error:  # the network's own code raises what it likes for a size that it cannot take
        raise InputError(
            f"{resolved}: expected an image size that the network accepts, found {size} pixels ({first_line(error)})",
            f"Its default size is {_defaults(resolved).image_size} pixels.",
        ) from error
    if not isinstance(features, torch.Tensor) or features.ndim != 2:
        actual = list(features.shape[1:]) if isinstance(features, torch.Tensor) else type(features).__name__
        raise InputError(
            f"{resolved}: expected one row of pooled features per image, found {actual}",
            "Choose an image classifier, for instance resnet18.",
        )
    return int(features.shape[1])


def _pretrained(resolved: str) -> Pretrained:
    library, bare = resolved.split(":")
    if is_own(resolved):
        return Pretrained()
    if library == "torchvision":
        import torchvision

        known = torchvision.models.get_model_weights(bare)
        return Pretrained(address=known.DEFAULT.url if list(known) else "")
    config = timm_config(bare)
    if config.hf_hub_id:
        return Pretrained(config.hf_hub_id, config.hf_hub_filename or "")
    return Pretrained(address=config.url if isinstance(config.url, str) and not config.custom_load else "")


def _weights_file(resolved: str, weights: WeightsChoice, pretrained: Pretrained) -> WeightsFile | None:
    if weights == "none":
        return None
    return pretrained.file(resolved) if weights == "hub" else file_of(weights).settled()


def _built(resolved: str, image_size: int | None, seed: int, device: Literal["cpu", "meta"]) -> nn.Module:
    """The network without classifier, initialised from the seed as its library does it."""
    library, bare = resolved.split(":")
    build = {"timm": _timm_network, "torchvision": _torchvision_network, "own": _own_network}[library]
    with _seeded(seed), torch.device(device), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = build(bare, image_size)
    return network.eval()


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draws of the processor's generator follow from the seed inside, and go on as before outside."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def _timm_network(bare: str, image_size: int | None) -> nn.Module:
    import timm

    config = timm_config(bare)
    sized = image_size is not None and config.fixed_input_size and image_size != config.input_size[-1]
    options: dict[str, Any] = {"img_size": image_size} if sized else {}
    return timm.create_model(bare, num_classes=0, **options)


def _torchvision_network(bare: str, image_size: int | None) -> nn.Module:
    import torchvision

    builder: Callable[..., Any] = torchvision.models.get_model_builder(bare)
    options: dict[str, Any] = {"weights": None}
    if bare in ("inception_v3", "googlenet"):
        # the auxiliary outputs are for training from nothing; without init_weights the library only warns
        options |= {"aux_logits": False, "init_weights": True}
    if bare.startswith("vit_") and image_size is not None:
        options["image_size"] = image_size
    network = cast(nn.Module, builder(**options))
    _remove_classifier(network)
    return network


def _own_network(bare: str, image_size: int | None) -> nn.Module:
    return own_module(own_network(f"{OWN}{bare}"), image_size, f"{OWN}{bare}")


def _remove_classifier(network: nn.Module) -> None:
    """Take away the last weight layer of a torchvision classifier; a convolution leaves the pooling behind it."""
    layers = [name for name, part in network.named_modules() if isinstance(part, nn.Linear | nn.Conv2d)]
    holder, _, last = layers[-1].rpartition(".")
    setattr(network.get_submodule(holder), last, nn.Identity())


def _defaults(resolved: str) -> _Defaults:
    library, bare = resolved.split(":")
    if is_own(resolved):
        return _Defaults(own_network(resolved).image_size, "bilinear", _IMAGENET_MEAN, _IMAGENET_STD)
    if library == "timm":
        config = timm_config(bare)
        return _Defaults(
            int(config.input_size[-1]), _interpolation(config.interpolation), tuple(config.mean), tuple(config.std)
        )
    import torchvision

    if not list(torchvision.models.get_model_weights(bare)):
        return _Defaults(224, "bilinear", _IMAGENET_MEAN, _IMAGENET_STD)
    preset = torchvision.models.get_model_weights(bare).DEFAULT.transforms()
    return _Defaults(
        int(preset.crop_size[0]), _interpolation(preset.interpolation.value), tuple(preset.mean), tuple(preset.std)
    )


def _interpolation(name: str) -> Literal["bilinear", "bicubic", "lanczos"]:
    return cast(Any, name) if name in ("bilinear", "bicubic", "lanczos") else "bilinear"


def _triple(what: str, values: tuple[float, ...]) -> Triple:
    if len(values) != 3 or not all(abs(value) < 1e3 for value in values) or (what == "std" and min(values) <= 0):
        expected = "three positive numbers" if what == "std" else "three numbers"
        raise InputError(f"{what} of the weights: expected {expected}, found {list(values)}", f"Give --{what} R,G,B")
    return float(values[0]), float(values[1]), float(values[2])
