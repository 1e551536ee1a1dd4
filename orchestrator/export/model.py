"""A model outside a study: what it is made of, as JSON, and the network built again, from timm or torchvision alone or
from what was declared of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import nn

from orchestrator.export.described import Described
from orchestrator.store.errors import DamagedRecordError, InputError, first_line
from orchestrator.store.parsing import json_object
from orchestrator.store.schema import told_of
from orchestrator.store.storage import LocalStorage
from search_spaces.form import Form
from search_spaces.live import Scope
from search_spaces.own_networks import read_network
from search_spaces.settings.image import Standardisation
from trainables.data.borders import Borders
from trainables.data.decode import Fit
from trainables.data.reading import AS_IT_IS, Reading
from trainables.data.views import crop_offset
from trainables.learning.heads.layer import Layer, Layers, linear, modules, outline
from trainables.network.adaptations import adapted
from trainables.network.formed import formed
from trainables.network.own import own_module

FORMAT = 6
DESCRIPTION = "model.json"
BACKBONE = "backbone.safetensors"
HEAD = "head.safetensors"
ONNX = "model.onnx"
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Preprocessing:
    """From an RGB image to the network's input: cut off black borders if so, make a square of store_size by fit (see
    `to_square` for both), cut the centre of image_size from it, scale to 0–1, subtract mean, divide by std (per
    channel).

    standardisation: what mean and std are of, as a study's file calls it; of `each_split` those of the training split.
    reading: range of grey of more than 8 bits and of DICOM, page and channels, as the study's images were read; a text
    in the file.
    """

    store_size: int
    image_size: int
    interpolation: Literal["bilinear", "bicubic", "lanczos"]
    mean: Triple
    std: Triple
    fit: Fit
    borders: Borders = "kept"
    standardisation: Standardisation = "weights"
    reading: Reading = AS_IT_IS


@dataclass(frozen=True)
class Model:
    """Everything but the weights.

    library and architecture: as timm or torchvision name them; arguments: for its builder; replaced: the layer that
    gives way to an identity ("" where num_classes=0 does it); declared: of a network of the library "own", its file;
    ends_at, pooling, joined: what of it gives the features, as the settings of these names. adapters: what was put into
    its layers, by name, rank and alpha, {} where nothing was. head: modules of `layer.KINDS` in order. One output is
    the logit of the second class, several are one per class.
    """

    library: Literal["timm", "torchvision", "own"]
    architecture: str
    arguments: dict[str, Any]
    replaced: str
    declared: dict[str, Any] | None
    ends_at: str
    pooling: Literal["own", "class_token", "mean", "both"]
    joined: int
    adapters: dict[str, Any]
    head: Layers
    task: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    origin: dict[str, Any]
    """Study, configuration, partition, repeat, epoch, weights, versions: for the record."""
    sha256: dict[str, str]
    """Of the files with weights."""

    @property
    def backbone(self) -> str:
        return f"{self.library}:{self.architecture}"

    def to_json(self) -> bytes:
        """`head` as [name, argument, …] of each module; `crop` says the same as the sizes do."""
        described = {"format": FORMAT, **asdict(self), "head": [[kind, *values] for kind, values in self.head]}
        first, size = (
            (self.preprocessing.store_size - self.preprocessing.image_size) // 2,
            self.preprocessing.image_size,
        )
        described["preprocessing"]["reading"] = str(self.preprocessing.reading)
        described["preprocessing"]["crop"] = [first, first, first + size, first + size]
        return (json.dumps(described, indent=1, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes, name: str) -> Model:
        """Raises InputError where it is not what `to_json` wrote."""
        try:
            described = json_object(content, name)
            if described.get("format") != FORMAT:
                raise ValueError(f"expected format {FORMAT}")
            Described.model_validate(described)
            del described["format"]
            prepared = described.pop("preprocessing")
            del prepared["crop"]
            prepared |= {key: tuple(prepared[key]) for key in ("mean", "std")}
            prepared["reading"] = Reading.parse(prepared["reading"])
            head = tuple(Layer(kind, tuple(values)) for kind, *values in described.pop("head"))
            outline(head)
            classes = tuple(described.pop("classes"))
            model = cls(**described, head=head, classes=classes, preprocessing=Preprocessing(**prepared))
            if model.preprocessing.image_size > model.preprocessing.store_size:
                raise ValueError("expected an image_size no larger than store_size")
            _, outputs = linear(head)[-1]
            if outputs != len(classes) and (outputs, len(classes)) != (1, 2):
                raise ValueError(f"expected a head with as many outputs as classes, found {outputs:g}")
        except (DamagedRecordError, LookupError, TypeError, ValueError, RuntimeError) as error:
            told = told_of(error) if isinstance(error, ValidationError) else first_line(error)
            raise InputError(f"{name} does not describe a model: {told}", _AGAIN) from error
        return model


_AGAIN = "Export it again: orch export STUDY --output DIR"


def bare_backbone(model: Model) -> nn.Module:
    """The network without its classifier, as plain timm or torchvision builds it or as it was declared, up to where it
    ends, with fresh weights."""
    size = model.preprocessing.image_size
    form = Form(model.backbone, size, model.ends_at, model.pooling, model.joined)
    return formed(_whole_backbone(model).eval(), form, size, model.backbone)


def _whole_backbone(model: Model) -> nn.Module:
    if model.library == "own":
        own = read_network(model.declared or {}, model.backbone)
        return own_module(own, model.preprocessing.image_size, model.backbone)
    if model.library == "timm":
        import timm

        network: nn.Module = timm.create_model(model.architecture, num_classes=0, **model.arguments)
        return network
    import torchvision

    network = torchvision.models.get_model(model.architecture, weights=None, **model.arguments)
    holder, _, last = model.replaced.rpartition(".")
    setattr(network.get_submodule(holder), last, nn.Identity())
    return network


def load(folder: Path, weights: Path | None = None) -> tuple[Model, nn.Sequential]:
    """(model, network in eval mode: standardised float32 [N, 3, S, S] → logits [N, outputs]) from an export's folder.

    weights: of the backbone, where they lie elsewhere. The network is the backbone, then the head. Raises InputError
    for a folder that is none, or with files that are not the ones it describes.
    """
    try:
        model = Model.from_json(LocalStorage(folder).read(DESCRIPTION), str(folder / DESCRIPTION))
    except FileNotFoundError as error:
        raise InputError(
            f"model {str(folder)!r}: expected a folder with {DESCRIPTION}, found none",
            "Name a folder that `orch export STUDY --output DIR` wrote.",
        ) from error
    places = {BACKBONE: weights or folder / BACKBONE, HEAD: folder / HEAD}
    for name, place in places.items():
        if not place.is_file() or file_hash(place) != model.sha256.get(name):
            raise InputError(f"model {str(folder)!r}: {name} is missing, or is not the file that was exported", _AGAIN)
    try:
        head = modules(model.head)
        backbone = bare_backbone(model)
        if model.adapters:
            backbone = adapted(backbone, Scope(**model.adapters))
        backbone.load_state_dict(load_file(places[BACKBONE]))
        head.load_state_dict(load_file(places[HEAD]))
    except Exception as error:  # a builder raises what it likes for what it does not know
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise InputError(
            f"model {str(folder)!r}: {model.backbone} cannot be built from it: {reason}", _AGAIN
        ) from error
    return model, nn.Sequential(backbone, head).eval().requires_grad_(False)


def standardised(square: np.ndarray, steps: Preprocessing) -> np.ndarray:
    """What the network takes, float32 [3, image_size, image_size], of a square uint8 [store_size, store_size, 3]."""
    top, left = crop_offset(0, steps.store_size, steps.image_size)
    part = square[top : top + steps.image_size, left : left + steps.image_size].astype(np.float32)
    mean, std = (np.array(values, dtype=np.float32) for values in (steps.mean, steps.std))
    image: np.ndarray = ((part / np.float32(255.0) - mean) / std).transpose(2, 0, 1)
    return image


def probabilities(logits: torch.Tensor) -> torch.Tensor:
    """float64 [N, K] of logits [N, outputs]; one output is the logit of the second class."""
    wide = logits.double()
    if wide.shape[1] == 1:
        wide = torch.cat([torch.zeros_like(wide), wide], dim=1)
    return torch.softmax(wide, dim=1)


def file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
