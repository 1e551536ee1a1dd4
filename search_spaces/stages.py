"""Stages: trainings in a row, of which each but the first begins from the selected weights of the one before.

Those of a study's file, and lists of stages that any study can be asked for by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.store.errors import InputError
from search_spaces.configuration import Configuration
from search_spaces.faults import did_you_mean, nearest
from search_spaces.schema import Space, Stage
from search_spaces.tables import from_file

OF_FILE = "file"
"""The name by which the stages of the study's own file are asked for."""
LISTS: Mapping[str, tuple[Stage, ...]] = {
    "lp_ft": (
        Stage(name="linear probe", strategy="straightforward"),
        Stage(name="fine-tuning", strategy="finetune"),
    ),
}
"""lp_ft: a new last layer first, then the whole network, which so begins with a head that fits it (Kumar et al. 2022,
Fine-tuning can distort pretrained features and underperform out-of-distribution). Grids are the study's own."""
HELP = {"lp_ft": "a linear probe, then fine-tuning from it", OF_FILE: "those of the study's file"}
_HELD = ("network", "image", "head")
"""Parts in which a stage is as its parent."""


def stages_named(space: Space, name: str) -> tuple[Stage, ...]:
    """Raises InputError where there is no such list, or the file has none."""
    if name == OF_FILE:
        if not space.stages:
            raise InputError(
                f"study {space.name!r}: expected [[stages]] in its file, found none",
                f"Add them to the file, or ask for {' or '.join(LISTS)}: --stages {next(iter(LISTS))}",
            )
        return space.stages
    if name not in LISTS:
        known = (*LISTS, OF_FILE)
        hint = did_you_mean(nearest(name, known))
        raise InputError(f"--stages: expected one of {', '.join(known)}, found {name!r}{hint}")
    return LISTS[name]


def held_by(parent: Configuration) -> dict[str, Any]:
    """The values, by path, that a stage has from its parent where its own table gives none."""
    return {one.path: parent.value(one.path) for one in from_file() if one.part in _HELD}
