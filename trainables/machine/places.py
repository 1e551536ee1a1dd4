"""Where this machine keeps what is not part of a study: images, weights, cache. Recorded, never hashed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class FilePart:
    """A file of weights, and the key of what is meant in it."""

    path: Path
    key: str


@dataclass(frozen=True)
class Places:
    """Paths on one machine.

    weights: "hub", "none" or the path of a file, for weights that `known` does not name. known: (identity of weights,
    "hub" or the path of their file).
    """

    data_root: Path
    cache: Path
    weights: str
    known: tuple[tuple[str, str], ...] = ()

    @classmethod
    def here(cls, data_root: Path, cache: Path, known: Mapping[str, str]) -> Places:
        """Weights lie where `known` says for their identity, else on the hub."""
        return cls(data_root.resolve(), cache.resolve(), "hub", tuple(sorted(known.items())))

    def weights_of(self, identity: str) -> FilePart | Path | Literal["hub", "none"]:
        """Where the weights of this identity (`Configuration.weights`) lie, for `open_backbone`."""
        if identity.startswith("init:"):
            return "none"
        return weights_choice(dict(self.known).get(identity, self.weights), key_of(identity))


def weights_choice(weights: str, key: str = "") -> FilePart | Path | Literal["hub", "none"]:
    """What `Places.weights` means to `open_backbone`; a key says what of a file."""
    if weights == "hub":
        return "hub"
    if weights == "none":
        return "none"
    return FilePart(Path(weights), key) if key else Path(weights)


def key_of(identity: str) -> str:
    """The key that an identity of weights names behind the digest of their file; "" for none."""
    return identity.partition("#")[2]


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/orch`, by default `~/.cache/orch`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "orch"
