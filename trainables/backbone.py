"""Opening a backbone: any image classifier of timm or torchvision by name, without its classifier.

A backbone maps standardised float32 images [N, 3, S, S] to pooled features float32 [N, D]. Only the classifier's last
weight layer is removed: VGG keeps fc6 and fc7, so D is 4096 there. Of a convolutional classifier (SqueezeNet) the
pooled maps before it are the features.
"""

from __future__ import annotations

import contextlib
import difflib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import nn

from orchestrator.store.errors import InputError
from search_spaces.resolve import BackboneFacts
from trainables.tracing import UntraceableError, images_on_meta, on_meta, trace
from trainables.weight_layers import layers_by_calls, layers_of_trace
from trainables.weights import (
    WeightsChoice,
    WeightsFile,
    file_of,
    from_address,
    from_hub,
    load_into,
    no_weights,
    read_tensors,
    standardisation_in,
)

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
class _Defaults:
    """What a library says about a named network."""

    image_size: int
    interpolation: Literal["bilinear", "bicubic", "lanczos"]
    mean: Triple
    std: Triple


def resolve_name(name: str) -> str:
    """The full name of a backbone: `timm:resnet18.a1_in1k`, `torchvision:squeezenet1_1`.

    A bare name goes to timm where timm has it, else to torchvision; a timm name without a tag gets the library's
    default one, where there is any. Nothing is downloaded. Raises InputError with the nearest names for an unknown one.
    """
    library, _, bare = name.rpartition(":")
    if library in ("", "timm"):
        found = _timm_name(bare)
        if found:
            return f"timm:{found}"
    if library in ("", "torchvision") and bare in _torchvision_names():
        return f"torchvision:{bare}"
    if library not in ("", "timm", "torchvision"):
        raise InputError(
            f"backbone {name[:80]!r}: expected timm:NAME or torchvision:NAME, found {library[:40]!r} before the colon",
            f"Try {bare[:80]!r}, or a file of weights with --weights FILE",
        )
    known = [] if library == "torchvision" else _timm_names()
    known += [] if library == "timm" else _torchvision_names()
    near = difflib.get_close_matches(bare, sorted(set(known)), n=4, cutoff=0.5)
    where = library or "timm and torchvision"
    raise InputError(
        f"backbone {name[:80]!r}: expected the name of an image classifier, {where} has none such",
        f"Nearest names: {', '.join(near)}" if near else "timm.list_models() lists the names",
    )


def open_backbone(
    name: str,
    weights: WeightsChoice,
    seed: int,
    image_size: int | None = None,
    mean: Triple | None = None,
    std: Triple | None = None,
) -> Backbone:
    """Build a network, load its weights, remove its classifier.

    `image_size` is the side of the input in pixels, the library's own by default. `mean` and `std` (0–1 scale) are
    those of the weights; by default what a safetensors file's metadata say, else the library's for the architecture.
    With `weights` "none" the network is initialised from `seed`, equally in every process, and then wants
    `weights.calibrate`. The global random state is not touched. Raises InputError for an unknown name, missing or
    foreign weights, a size that the network cannot take.
    """
    resolved = resolve_name(name)
    file = _weights_file(resolved, weights)
    network = _built(resolved, image_size, seed, "cpu")
    if file is not None:
        load_into(network, read_tensors(file.path), resolved, file.origin)
    facts = _facts(network, resolved, file, seed, image_size, mean, std)
    network.eval().requires_grad_(False)
    return Backbone(network, facts, _origin(file, seed))


def facts_of(
    name: str,
    weights: WeightsChoice,
    seed: int,
    image_size: int | None = None,
    mean: Triple | None = None,
    std: Triple | None = None,
) -> BackboneFacts:
    """What `open_backbone` would say of a backbone, without memory for its weights: it is built on the meta device.

    A file of weights is only hashed; that it fits is seen when the backbone is opened.
    """
    resolved = resolve_name(name)
    file = _weights_file(resolved, weights)
    return _facts(_built(resolved, image_size, seed, "meta"), resolved, file, seed, image_size, mean, std)


def weights_origin(resolved: str, weights: WeightsChoice, seed: int) -> str:
    """Where the weights come from, for the record: repository, file and revision; address; file name; or the seed."""
    return _origin(_weights_file(resolved, weights), seed)


def weights_identity(resolved: str, weights: WeightsChoice) -> str:
    """`sha256:…` of the file that `weights` means for this backbone; InputError when there is none."""
    file = _weights_file(resolved, weights)
    return file.identity if file else ""


def _origin(file: WeightsFile | None, seed: int) -> str:
    return file.origin if file else f"initialised from seed {seed}"


def skeleton(name: str, image_size: int | None = None) -> nn.Module:
    """The network without its classifier on the meta device: its graph and shapes, no weights and no memory."""
    return _built(resolve_name(name), image_size, 0, "meta")


def _facts(
    network: nn.Module,
    resolved: str,
    file: WeightsFile | None,
    seed: int,
    image_size: int | None,
    mean: Triple | None,
    std: Triple | None,
) -> BackboneFacts:
    defaults = _defaults(resolved)
    size = image_size or defaults.image_size
    width = _feature_width(network, resolved, size)
    try:
        layers = layers_of_trace(network, trace(network, size))
    except UntraceableError:
        layers = layers_by_calls(network, size)
    own_mean, own_std = standardisation_in(file.path) if file else (None, None)
    return BackboneFacts(
        name=resolved,
        weights=file.identity if file else f"init:{seed}",
        image_size=size,
        interpolation=defaults.interpolation,
        mean=_triple("mean", mean or own_mean or defaults.mean),
        std=_triple("std", std or own_std or defaults.std),
        feature_width=width,
        weight_layers=len(layers.names),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
    )


def _feature_width(network: nn.Module, resolved: str, size: int) -> int:
    try:
        with torch.no_grad(), torch.device("meta"):
            features = on_meta(network)(images_on_meta(size)[:2])
    except Exception as error:  # the network's own code raises what it likes for a size that it cannot take
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{resolved}: expected an image size that it takes, found {size} pixels ({reason[:200]})",
            f"Its own size is {_defaults(resolved).image_size} pixels.",
        ) from error
    if not isinstance(features, torch.Tensor) or features.ndim != 2:
        found = list(features.shape[1:]) if isinstance(features, torch.Tensor) else type(features).__name__
        raise InputError(
            f"{resolved}: expected one row of pooled features per image, found {found}",
            "Choose an image classifier, for instance resnet18.",
        )
    return int(features.shape[1])


def _weights_file(resolved: str, weights: WeightsChoice) -> WeightsFile | None:
    if weights == "none":
        return None
    if isinstance(weights, Path):
        return file_of(weights)
    library, bare = resolved.split(":")
    if library == "torchvision":
        import torchvision

        known = list(torchvision.models.get_model_weights(bare))
        if not known:
            raise no_weights(resolved)
        return from_address(resolved, torchvision.models.get_model_weights(bare).DEFAULT.url)
    config = _timm_config(bare)
    if config.hf_hub_id:
        return from_hub(resolved, config.hf_hub_id, config.hf_hub_filename)
    if isinstance(config.url, str) and config.url and not config.custom_load:
        return from_address(resolved, config.url)
    raise no_weights(resolved)


def _built(resolved: str, image_size: int | None, seed: int, device: Literal["cpu", "meta"]) -> nn.Module:
    """The network without classifier, initialised from the seed as its library does it."""
    library, bare = resolved.split(":")
    build = _timm_network if library == "timm" else _torchvision_network
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

    config = _timm_config(bare)
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


def _remove_classifier(network: nn.Module) -> None:
    """Take away the last weight layer of a torchvision classifier; a convolution leaves the pooling behind it."""
    layers = [name for name, part in network.named_modules() if isinstance(part, nn.Linear | nn.Conv2d)]
    holder, _, last = layers[-1].rpartition(".")
    setattr(network.get_submodule(holder), last, nn.Identity())


def _defaults(resolved: str) -> _Defaults:
    library, bare = resolved.split(":")
    if library == "timm":
        config = _timm_config(bare)
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


def _timm_config(bare: str) -> Any:
    import timm

    return timm.get_pretrained_cfg(bare)


def _timm_names() -> list[str]:
    import timm

    return timm.list_models()


def _timm_name(bare: str) -> str | None:
    """`architecture.tag` as timm has it, the default tag where none is given; none for an unknown name."""
    import timm

    architecture, _, tag = bare.partition(".")
    if not timm.is_model(architecture):
        return None
    tags = timm.list_pretrained(f"{architecture}.*")
    if not tag:
        default = _timm_config(architecture).tag
        return f"{architecture}.{default}" if default and f"{architecture}.{default}" in tags else architecture
    if bare in tags:
        return bare
    raise InputError(
        f"backbone {bare[:80]!r}: expected a tag of weights that timm has for {architecture}, found {tag[:60]!r}",
        f"It has: {', '.join(name.partition('.')[2] for name in tags) or 'none'}",
    )


def _torchvision_names() -> list[str]:
    import torchvision

    return cast(list[str], torchvision.models.list_models(module=torchvision.models))
