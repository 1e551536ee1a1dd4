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
from search_spaces.form import Form
from search_spaces.live import Scope
from search_spaces.own_networks import is_own, whole_own_name
from search_spaces.resolve import BackboneFacts
from trainables.network.activations import Activations, activations_behind
from trainables.network.backbone import Architecture, architecture_of
from trainables.network.division import Cut
from trainables.network.weights import Pretrained

_LIBRARIES = ("torch", "torchvision", "timm")


class _Behind(NamedTuple):
    """The part of a backbone behind a cut."""

    form: Form
    scope: Scope
    layer: str

    @property
    def path(self) -> str:
        return _path(*self.form, self.scope.key, self.layer)


class KnownBackbones:
    """Architectures by form, as the installed versions of the libraries have them."""

    def __init__(self, cache: Storage) -> None:
        self._cache = cache
        self._known: dict[Form, Architecture] = {}
        self._new: set[Form] = set()
        self._activations: dict[_Behind, Activations] = {}
        self._new_activations: set[_Behind] = set()

    def architecture(self, form: Form) -> Architecture:
        """Nothing is written. Raises InputError as `architecture_of` does."""
        if is_own(form.backbone):  # what is kept is of what its file declared then
            form = form._replace(backbone=whole_own_name(form.backbone))
        if form not in self._known:
            kept = self._read(form)
            self._known[form] = kept or architecture_of(form)
            if kept is None:
                self._new.add(form)
        return self._known[form]

    def activations(self, form: Form, scope: Scope, cut: Callable[[], Cut], layer: str) -> Activations:
        """Of the network behind the cut at `layer`, which is asked for where they are not known. Nothing is written."""
        asked = _Behind(form, scope, layer)
        if asked not in self._activations:
            kept = self._read_activations(asked)
            self._activations[asked] = kept or activations_behind(cut())
            if kept is None:
                self._new_activations.add(asked)
        return self._activations[asked]

    def keep(self) -> None:
        """Store what was not yet kept: under the name that was asked for, and by full name and size, as workers ask."""
        for asked in self._new:
            known = self._known[asked]
            resolved = asked._replace(backbone=known.facts.name, image_size=known.facts.image_size)
            for path in {_path(*asked), _path(*resolved)}:
                self._write(path, asdict(known))
        for behind in self._new_activations:
            self._write(behind.path, asdict(self._activations[behind]))
        self._new.clear()
        self._new_activations.clear()

    def _write(self, path: str, content: dict[str, Any]) -> None:
        with contextlib.suppress(StorageError):  # a cache that takes nothing costs time alone
            self._cache.replace(path, json.dumps(content).encode())

    def _read(self, form: Form) -> Architecture | None:
        path = _path(*form)
        with contextlib.suppress(FileNotFoundError, DamagedRecordError, StorageError, TypeError, KeyError):
            content = parsed_json(self._cache.read(path), path)
            facts: dict[str, Any] = content["facts"]
            facts |= {key: tuple(facts[key]) for key in ("mean", "std", "layers")}
            return Architecture(BackboneFacts(**facts), Pretrained(**content["pretrained"]), content["is_calibrated"])
        return None

    def _read_activations(self, behind: _Behind) -> Activations | None:
        path = behind.path
        with contextlib.suppress(FileNotFoundError, DamagedRecordError, StorageError, TypeError):
            return Activations(**parsed_json(self._cache.read(path), path))
        return None


def _path(*asked: Form | str | int | None) -> str:
    return f"facts/{short_hash([*asked, *map(version, _LIBRARIES)], 20)}.json"
