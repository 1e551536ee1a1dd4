"""Where this machine keeps what is not part of a study: images, weights, cache. Recorded, never hashed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Places:
    """Paths on one machine. weights is "hub", "none" or the path of a file."""

    data_root: Path
    cache: Path
    weights: str


def weights_choice(weights: str) -> Path | Literal["hub", "none"]:
    """What `Places.weights` means to `open_backbone`."""
    if weights == "hub":
        return "hub"
    return "none" if weights == "none" else Path(weights)


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/orch`, by default `~/.cache/orch`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "orch"
