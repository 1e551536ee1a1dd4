"""What `model.json` may say: anybody may have made the model, and a library's builder does what it is told there."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from search_spaces.settings.image import Borders, Standardisation

_Size = Annotated[int, Field(ge=1, le=10_000)]
_Three = Annotated[list[float], Field(min_length=3, max_length=3)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class _Arguments(_Strict):
    """No more than an export writes: builders take files, addresses and code as well."""

    img_size: _Size | None = None
    image_size: _Size | None = None
    aux_logits: Literal[False] | None = None
    init_weights: Literal[False] | None = None


class _Adapters(_Strict):
    name: Literal["scale_and_shift", "lora"] | None = None
    rank: Annotated[int, Field(ge=1, le=1024)] | None = None
    alpha: Annotated[float, Field(gt=0)] | None = None


class _Preprocessing(_Strict):
    store_size: _Size
    image_size: _Size
    interpolation: Literal["bilinear", "bicubic", "lanczos"]
    mean: _Three
    std: _Three
    fit: Literal["crop", "pad", "squash"]
    borders: Borders
    standardisation: Standardisation
    reading: str
    crop: list[int]


class Described(_Strict):
    """As `orchestrator.export.model.Model.to_json` writes it. architecture: a name, never an address or a folder.
    declared: checked where it is built."""

    format: int
    library: Literal["timm", "torchvision", "own"]
    architecture: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=200)
    arguments: _Arguments
    replaced: str
    declared: dict[str, Any] | None
    ends_at: str = Field(max_length=200)
    pooling: Literal["own", "class_token", "mean", "both"]
    joined: int = Field(ge=1, le=100)
    adapters: _Adapters
    head: Annotated[list[list[str | int | float]], Field(min_length=1, max_length=1000)]
    task: str
    classes: Annotated[list[str], Field(min_length=2)]
    preprocessing: _Preprocessing
    origin: dict[str, Any]
    sha256: dict[Literal["backbone.safetensors", "head.safetensors"], str]
