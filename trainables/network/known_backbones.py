"""What timm and torchvision say of backbones, kept in the cache: importing them takes longer than most of what follows.

A search that goes on, and workers that only train heads, import neither.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from orchestrator.store.errors import DamagedRecordError, StorageError
from orchestrator.store.record import short_hash
from orchestrator.store.schema import parse_json
from orchestrator.store.storage import Storage
from search_spaces.resolve import BackboneFacts
from trainables.network.backbone import Architecture, architecture_of
from trainables.network.weights import Pretrained

_LIBRARIES = ("torch", "torchvision", "timm")


class KnownBackbones:
    """Architectures by name and size of the input, as the installed versions of the libraries have them."""

    def __init__(self, cache: Storage) -> None:
        self._cache = cache
        self._known: dict[tuple[str, int | None], Architecture] = {}
        self._new: set[tuple[str, int | None]] = set()

    def architecture(self, name: str, image_size: int | None = None) -> Architecture:
        """image_size: side of the input in pixels, the library's own by default. Nothing is written. InputError."""
        asked = name, image_size
        if asked not in self._known:
            kept = self._read(*asked)
            self._known[asked] = kept or architecture_of(name, image_size)
            if kept is None:
                self._new.add(asked)
        return self._known[asked]

    def keep(self) -> None:
        """Store what was not yet kept: under the name that was asked for, and by full name and size, as workers ask."""
        for asked in self._new:
            found = self._known[asked]
            content = json.dumps(asdict(found)).encode()
            with contextlib.suppress(StorageError):  # a cache that takes nothing costs time alone
                for path in {_path(*asked), _path(found.facts.name, found.facts.image_size)}:
                    self._cache.replace(path, content)
        self._new.clear()

    def _read(self, name: str, image_size: int | None) -> Architecture | None:
        path = _path(name, image_size)
        with contextlib.suppress(FileNotFoundError, DamagedRecordError, StorageError, TypeError, KeyError):
            content = parse_json(self._cache.read(path), path)
            facts: dict[str, Any] = content["facts"]
            facts |= {key: tuple(facts[key]) for key in ("mean", "std")}
            return Architecture(BackboneFacts(**facts), Pretrained(**content["pretrained"]))
        return None


def _path(name: str, image_size: int | None) -> str:
    return f"facts/{short_hash([name, image_size, *map(version, _LIBRARIES)], 20)}.json"
