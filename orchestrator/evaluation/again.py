"""What is said before repeats are trained again whose weights nobody kept."""

from __future__ import annotations

from collections.abc import Callable

import torch

from orchestrator.results.amounts import duration
from orchestrator.results.names import counted
from trainables.bundles.trained import Again
from trainables.machine.devices import device_name

Show = Callable[[str], None]
AGAIN = "epochs trained again"
"""What `trained` counts."""


def telling(show: Show, device: torch.device) -> Callable[[Again], None]:
    """For `trained`: `show` hears what is trained again, and how long that takes if it takes what it took before."""

    def tell(again: Again) -> None:
        here = device_name(device)
        others = [name for name in again.devices if name != here]
        where = f", on {' and '.join(again.devices)}; this is {here}" if others else ""
        show(
            f"The weights of {counted(again.repeats, 'repeat')} were not kept. They are trained again from the seed: "
            f"{counted(again.epochs, 'epoch')}, about {duration(again.seconds)} as in the search{where}."
        )

    return tell
