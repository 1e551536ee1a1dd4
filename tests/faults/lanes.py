"""What lanes learn with in the rounds: the plain search, and whatever carries more from step to step, or draws more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from search_spaces.configuration import Configuration
from tests.support.tiny_study import TinyStudy

BEGINS_FROM = "begins from"
"""In the place of a parent: the place of another configuration among these, from whose PARENT_EPOCHS it begins."""
PARENT_EPOCHS = 2


@dataclass(frozen=True)
class Lanes:
    """settings: of each configuration. epoch_steps: of a segment, as they are noted: batches times its repeats.

    proposer, rules: who says what of them to train, and its settings.
    """

    settings: tuple[Mapping[str, Any], ...]
    epoch_steps: int
    proposer: str = "grid"
    rules: Mapping[str, Any] = field(default_factory=dict)

    @property
    def costs_epochs(self) -> int:
        """Most that a kill costs: the epoch that was under way, or, where a parent's weights are not kept yet, those
        that it is trained again for them."""
        return PARENT_EPOCHS if any(BEGINS_FROM in one for one in self.settings) else 1

    def stored(self, study: TinyStudy) -> list[Configuration]:
        """In the study, in their order."""
        made: list[Configuration] = []
        for one in self.settings:
            changes = dict(one)
            if BEGINS_FROM in changes:
                changes["parent"] = f"{made[changes.pop(BEGINS_FROM)].id}:{PARENT_EPOCHS}"
            made.append(study.configuration(**changes))
        return made


def _lanes(*settings: Mapping[str, Any], epoch_steps: int = 4, **search: Any) -> Lanes:
    return Lanes(tuple({"lr": 0.02, "momentum": 0.9, **one} for one in settings), epoch_steps, **search)


def _stage(*, of: Mapping[str, Any], then: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """A parent and a child that differs from it, which begins from what the parent selected."""
    return of, {**of, **then, BEGINS_FROM: 0}


_WHOLE: Mapping[str, Any] = {"adaptation": "whole"}
_HEAD: Mapping[str, Any] = {"lr": 0.3, "non_linearities": 1, "dropout": 0.4}
_BODY: Mapping[str, Any] = {"unfrozen": 2, "head": "widths", "widths": (8,), "dropout": 0.25, "norms": "moving"}

_HALVING_AND_RACE: Mapping[str, Any] = {
    "epochs": "halving",
    "first": 0.5,
    "least": 1,
    "ranked_on": 2,
    "repeats": "race",
    "looks": ((6, 0.02), (8, 0.03)),
}

PLAIN = "plain"
ADAPTIVE = "halving and race"
LANES: Mapping[str, Lanes] = {
    PLAIN: _lanes({**_HEAD}, {"lr": 0.1}, {"lr": 0.05}, epoch_steps=12),  # the last two may be stacked
    "augmented images": _lanes(
        {"augmentation": ("dihedral", "colour", "noise")},
        {"augmentation": ("dihedral", "colour", "noise"), "unfrozen": 1},
    ),
    "CutMix": _lanes({"augmentation": ("cutmix",), "unfrozen": 1, "average": 0.6}),
    "from scratch, moving batch norm, averages": _lanes(
        {**_WHOLE, "start": "drawn", "norms": "moving", "average": 0.6}
    ),
    "rates by layer": _lanes({**_WHOLE, "lr_decay": 0.7, "optimiser": "adamw", "lr": 0.002}),
    "bfloat16, averages": _lanes({**_WHOLE, "arithmetic": "bf16", "average": 0.6}),
    "scale and shift": _lanes({"adaptation": "scale_and_shift", "average": 0.6}),
    "LoRA": _lanes({"adaptation": "lora", "rank": 2, "backbone": "timm:test_vit.r160_in1k"}),
    "a stage of heads": _lanes(*_stage(of=_HEAD, then={"lr": 0.05}), epoch_steps=8),
    "a stage of bodies": _lanes(*_stage(of=_BODY, then={"lr": 0.004, "augmentation": "flips"})),
    "input norm, excitation": _lanes(
        {"input_norm": True, "excitation": "after_pooling", "reduction": 4, **_HEAD}, epoch_steps=8
    ),
    "counted images, borders cut off": _lanes(
        {"balance": "count", "count": 12, "borders": "cropped"},
        {"balance": "count", "count": 12, "borders": "cropped", "unfrozen": 1},
        epoch_steps=6,
    ),
    ADAPTIVE: _lanes(
        *({"lr": lr, "momentum": 0.0} for lr in (0.0003, 0.003, 0.02, 0.1)),
        {"lr": 0.05, "momentum": 0.5},  # as good as the one before
        epoch_steps=24,  # of the segment with the most lanes: two repeats of each of three
        proposer="adaptive",
        rules=_HALVING_AND_RACE,
    ),
}
NEW = tuple(name for name in LANES if name != PLAIN)
