"""What timm and torchvision say of backbones, and what their parts take, kept in the cache: importing the libraries
takes longer than most of what follows.

A search that goes on, and workers that only train heads, import neither.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from typing import Any, NamedTuple

from orchestrator.store.errors import DamagedRecordError, StorageError
from orchestrator.store.parsing import parsed_json
from orchestrator.store.record import short_hash
from orchestrator.store.storage import Storage
from search_spaces.live import Scope
from search_spaces.resolve import BackboneFacts
from trainables.network.activations import Activations, activations_behind
from trainables.network.backbone import Architecture, architecture_of
from trainables.network.division import Cut
from trainables.network.weights import Pretrained

_LIBRARIES = ("torch", "torchvision", "timm")


class _Behind(NamedTuple):
    """The part of a backbone behind a cut."""

    backbone: str
    image_size: int
    scope: Scope
    layer: str

    @property
    def path(self) -> str:
        return _path(self.backbone, self.image_size, self.scope.key, self.layer)


class KnownBackbones:
    """Architectures by name and size of the input, as the installed versions of the libraries have them."""

    def __init__(self, cache: Storage) -> None:
        self._cache = cache
        self._known: dict[tuple[str, int | None], Architecture] = {}
        self._new: set[tuple[str, int | None]] = set()
        self._activations: dict[_Behind, Activations] = {}
        self._new_activations: set[_Behind] = set()

    def architecture(self, name: str, image_size: int | None = None) -> Architecture:
        """image_size: side of the input in pixels, the library's own by default. Nothing is written. InputError."""
        asked = name, image_size
        if asked not in self._known:
            kept = self._read(*asked)
            self._known[asked] = kept or architecture_of(name, image_size)
            if kept is None:
                self._new.add(asked)
        return self._known[asked]

    def activations(self, name: str, image_size: int, scope: Scope, cut: Callable[[], Cut], layer: str) -> Activations:
        """Of the network behind the cut at `layer`, which is asked for where they are not known. Nothing is written."""
        asked = _Behind(name, image_size, scope, layer)
        if asked not in self._activations:
            kept = self._read_activations(asked)
            self._activations[asked] = kept or activations_behind(cut())
            if kept is None:
                self._new_activations.add(asked)
        return self._activations[asked]

    def keep(self) -> None:
        """Store what was not yet kept: under the name that was asked for, and by full name and size, as workers ask."""
        for asked in self._new:
            found = self._known[asked]
            for path in {_path(*asked), _path(found.facts.name, found.facts.image_size)}:
                self._write(path, asdict(found))
        for behind in self._new_activations:
            self._write(behind.path, asdict(self._activations[behind]))
        self._new.clear()
        self._new_activations.clear()

    def _write(self, path: str, content: dict[str, Any]) -> None:
        with contextlib.suppress(StorageError):  # a cache that takes nothing costs time alone
            self._cache.replace(path, json.dumps(content).encode())

    def _read(self, name: str, image_size: int | None) -> Architecture | None:
        path = _path(name, image_size)
        with contextlib.suppress(FileNotFoundError, DamagedRecordError, StorageError, TypeError, KeyError):
            content = parsed_json(self._cache.read(path), path)
            facts: dict[str, Any] = content["facts"]
            facts |= {key: tuple(facts[key]) for key in ("mean", "std", "layers")}
            return Architecture(BackboneFacts(**facts), Pretrained(**content["pretrained"]))
        return None

    def _read_activations(self, behind: _Behind) -> Activations | None:
        path = behind.path
        with contextlib.suppress(FileNotFoundError, DamagedRecordError, StorageError, TypeError):
            return Activations(**parsed_json(self._cache.read(path), path))
        return None


def _path(*asked: str | int | None) -> str:
    return f"facts/{short_hash([*asked, *map(version, _LIBRARIES)], 20)}.json"
