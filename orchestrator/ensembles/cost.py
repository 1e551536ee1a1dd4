"""What an ensemble costs: passes of backbones for each image, and hours where passes were timed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.energy.passes import Passes
from orchestrator.store.record import short_hash
from search_spaces.configuration import Configuration
from search_spaces.settings.declaration import Touch

IMAGES = 1000
"""Hours are of so many."""


@dataclass(frozen=True)
class EnsembleCost:
    """Of one image. models: trained networks. passes: of backbones; models with the same frozen one share its pass.

    hours: of 1,000 images on `device`, of the backbones, beside which heads take next to nothing; None where a pass was
    not timed, or is of a backbone that was trained.
    """

    models: int
    passes: int
    hours: float | None = None
    device: str = ""


def ensemble_cost(members: Sequence[tuple[Configuration, int]], timed: Sequence[Passes]) -> EnsembleCost:
    """members: configurations with the number of their repeats that are used."""
    known = {(one.form, one.precision, one.scope): one for one in timed if one.seconds_each is not None}
    passes, seconds, devices = 0, 0.0, set()
    seen: set[str] = set()
    unknown = False
    for c, repeats in members:
        if c.live.trains_body or c.parent is not None:
            passes, unknown = passes + repeats, True
            continue
        key = short_hash(c.key(Touch.PIXELS, Touch.NETWORK, Touch.FEATURES))
        if key in seen:
            continue
        seen.add(key)
        passes += 1
        timing = known.get((c.form, c.network.precision, c.live.scope))
        if timing is None or timing.seconds_each is None:
            unknown = True
        else:
            seconds += timing.seconds_each
            devices.add(timing.device)
    is_known = not unknown and len(devices) == 1
    return EnsembleCost(
        sum(repeats for _, repeats in members),
        passes,
        seconds * IMAGES / 3600 if is_known else None,
        devices.pop() if is_known else "",
    )
