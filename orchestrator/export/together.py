"""An ensemble outside a study: networks with weights, those with the same backbone behind one pass of it.

`ensemble.json` beside `members/<number>/` (each a model.json and a head) and `backbones/<hash>.safetensors`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import nn

from orchestrator.export.model import BACKBONE, Model, Preprocessing, load
from orchestrator.store.errors import InputError
from orchestrator.store.record import canonical_json
from orchestrator.store.schema import told_of

FORMAT = 1
DESCRIPTION = "ensemble.json"
MEMBERS, BACKBONES = "members", "backbones"
_AGAIN = "Export it again: orch export STUDY --ensemble ID --output DIR"


class Placed(BaseModel):
    """One network: the folder with its model.json and head, the file with its backbone, how much it counts."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    folder: str = Field(pattern=r"^members/\d{1,5}$")
    backbone: str = Field(pattern=r"^backbones/[0-9a-f]{16}\.safetensors$")
    weight: Annotated[float, Field(gt=0, le=1)]


class Description(BaseModel):
    """`ensemble.json`; anybody may have made it.

    preprocessing: as in a model.json, where all members read images alike; crop, mean and standard deviation of it are
    the first member's alone.
    """

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    format: Literal[1]
    combine: Literal["probabilities", "logits", "votes"]
    classes: Annotated[list[str], Field(min_length=2)]
    parts: Annotated[list[Placed], Field(min_length=1, max_length=100_000)]
    preprocessing: dict[str, Any] | None
    origin: dict[str, Any]


@dataclass(frozen=True)
class Part:
    """A network of an ensemble. backbone_key: equal for equal backbones."""

    model: Model
    backbone: nn.Module
    head: nn.Module
    backbone_key: str
    weight: float


class Together(nn.Module):
    """The parts as one predictor: standardised images, a batch for each of `steps`, → probabilities float64 [N, K]."""

    def __init__(self, parts: Sequence[Part], combine: str, origin: Mapping[str, Any]) -> None:
        super().__init__()
        keys = list(dict.fromkeys((part.backbone_key, part.model.preprocessing) for part in parts))
        self.steps = tuple(dict.fromkeys(steps for _, steps in keys))
        self.classes = parts[0].model.classes
        self.origin = dict(origin)
        self.combine = combine
        shared = {(p.backbone_key, p.model.preprocessing): p.backbone for p in reversed(parts)}
        self.backbones = nn.ModuleList([shared[key] for key in keys])
        self.steps_of = [self.steps.index(steps) for _, steps in keys]
        self.heads = nn.ModuleList([part.head for part in parts])
        self.backbone_of = [keys.index((part.backbone_key, part.model.preprocessing)) for part in parts]
        total = sum(part.weight for part in parts)
        self.weights = [part.weight / total for part in parts]
        self.eval().requires_grad_(False)

    def chances(self, images: Sequence[torch.Tensor]) -> torch.Tensor:
        features = [body(images[at]) for body, at in zip(self.backbones, self.steps_of, strict=True)]
        logits = [head(features[at]).double() for head, at in zip(self.heads, self.backbone_of, strict=True)]
        mean = sum(w * self._values(_wide(one)) for w, one in zip(self.weights, logits, strict=True))
        assert isinstance(mean, torch.Tensor)  # there is a part
        return mean.softmax(dim=1) if self.combine == "logits" else mean

    def _values(self, logits: torch.Tensor) -> torch.Tensor:
        """What is averaged, as `orchestrator.ensembles.combining` does it."""
        if self.combine == "votes":
            return torch.eye(logits.shape[1], dtype=logits.dtype)[logits.argmax(dim=1)]
        return logits.log_softmax(dim=1) if self.combine == "logits" else logits.softmax(dim=1)


def is_ensemble(folder: Path) -> bool:
    return (folder / DESCRIPTION).is_file()


def load_together(folder: Path) -> Together:
    """Raises InputError for a folder that does not hold what its description says."""
    path = folder / DESCRIPTION
    try:
        described = Description.model_validate_json(path.read_bytes())
    except (ValidationError, OSError) as error:
        told = told_of(error) if isinstance(error, ValidationError) else str(error.strerror)
        raise InputError(f"{path} does not describe an ensemble: {told}", _AGAIN) from error
    parts, bodies = [], dict[str, nn.Module]()
    for placed in described.parts:
        model, network = load(folder / placed.folder, folder / placed.backbone)
        if list(model.classes) != described.classes:
            raise InputError(
                f"{path}: {placed.folder} has the classes {', '.join(model.classes)}, expected "
                f"{', '.join(described.classes)}",
                _AGAIN,
            )
        key = backbone_key(model)
        parts.append(Part(model, bodies.setdefault(key, network[0]), network[1], key, placed.weight))
    return Together(parts, described.combine, described.origin)


def backbone_key(model: Model) -> str:
    """Equal for equal backbones."""
    built = (model.arguments, model.ends_at, model.pooling, model.joined, model.adapters)
    return canonical_json([model.backbone, *built, model.sha256[BACKBONE]])


def described(parts: Sequence[Placed], combine: str, models: Sequence[Model], origin: Mapping[str, Any]) -> bytes:
    """The content of ensemble.json."""
    alike = read_alike([model.preprocessing for model in models])
    steps = json.loads(models[0].to_json())["preprocessing"] if alike else None
    description = Description.model_validate(
        {
            "format": FORMAT,
            "combine": combine,
            "classes": list(models[0].classes),
            "parts": list(parts),
            "preprocessing": steps,
            "origin": dict(origin),
        }
    )
    return (json.dumps(description.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n").encode()


def read_alike(several: Sequence[Preprocessing]) -> bool:
    """Whether one square of each image serves all: they differ at most in crop, mean and standard deviation."""
    nothing = (0.0, 0.0, 0.0)
    return len({replace(one, image_size=0, mean=nothing, std=nothing) for one in several}) == 1


def _wide(logits: torch.Tensor) -> torch.Tensor:
    return torch.cat([torch.zeros_like(logits), logits], dim=1) if logits.shape[1] == 1 else logits
