"""Choices with variants: a name, what it is, and the object behind it, which is imported only where it runs."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic_core import PydanticCustomError

from search_spaces.settings.declaration import When


@dataclass(frozen=True)
class Variant:
    """One variant: `target` is the dotted path `package.module:name` of what runs.

    uses: settings of its part that matter with it. defaults: values of those where the part's own would be wrong.
    """

    name: str
    target: str
    help: str
    uses: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)


V = TypeVar("V", bound=Variant)
REGISTRIES: dict[str, Registry[Any]] = {}
"""Every registry, by the path of its setting."""


class Registry(Generic[V]):
    """The variants of one setting, by name; `path` is the setting's."""

    def __init__(self, path: str, variants: tuple[V, ...]) -> None:
        self.path = path
        self.variants = {variant.name: variant for variant in variants}
        REGISTRIES[path] = self

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.variants)

    def using(self, name: str) -> When:
        """The condition under which a setting of the same part matters."""
        return When(self.path, among=tuple(one.name for one in self.variants.values() if name in one.uses))

    def known(self, name: str) -> str:
        """The name itself; a fault that lists the variants where there is none of it."""
        if name not in self.variants:
            told = {"expected": " or ".join(self.names), "found": name}
            raise PydanticCustomError("fault", "expected {expected}, found {found}", told)
        return name

    def load(self, name: str) -> Any:
        """The object behind a variant; imports its module."""
        return imported(self.variants[name].target)


def imported(target: str) -> Any:
    """The object at a dotted path `package.module:name`."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)
