"""Which backbone of a study's file is meant by a name that may leave out library and weights."""

from __future__ import annotations

import re

from orchestrator.store.errors import InputError
from search_spaces.schema import Backbone, Space


def of_timm(asked: str) -> str:
    """`timm:NAME` for names as the hub has them, `timm/NAME` and `hf-hub:timm/NAME`; others as they are."""
    return re.sub(r"^(hf[-_]hub:)?timm/", "timm:", asked)


def renamed(asked: str, resolved: str) -> list[str]:
    """A note where the architecture of this name was found under another one."""
    name = _parts(of_timm(asked))[1]
    return [] if name == _parts(resolved)[1] else [f"{asked} is an old name; it is now called {resolved}."]


def find_backbone(space: Space, asked: str) -> Backbone | None:
    """The file's entry for `inception_v3`, `timm:inception_v3` or `timm:inception_v3.tv_in1k`; None if it has none.

    A part that the asked name gives must be the entry's; a part that it leaves out is the file's to choose.
    Raises InputError when several entries fit.
    """
    asked = of_timm(asked)
    exact = [entry for entry in space.backbones if entry.name == asked]
    fitting = exact or [entry for entry in space.backbones if _fits(asked, entry.name)]
    if len(fitting) > 1:
        names = ", ".join(entry.name for entry in fitting)
        raise InputError(
            f"backbone {asked!r}: expected a name that fits one backbone of study {space.name}, found {names}",
            f"Give the whole name, such as {fitting[0].name}",
        )
    return fitting[0] if fitting else None


def settled_name(space: Space, asked: str) -> str:
    """The name to look weights up by: the file's own for a backbone it lists, else the name as asked."""
    entry = find_backbone(space, asked)
    return of_timm(asked) if entry is None else entry.name


def _fits(asked: str, listed: str) -> bool:
    library, architecture, weights = _parts(asked)
    of_listed = _parts(listed)
    return (library or of_listed[0], architecture, weights or of_listed[2]) == of_listed


def _parts(name: str) -> tuple[str, str, str]:
    """(library, architecture, weights) of a backbone's name, empty where left out."""
    library, _, rest = name.rpartition(":")
    architecture, _, weights = rest.partition(".")
    return library, architecture, weights
