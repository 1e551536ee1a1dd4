"""Times one pass of a frozen part on this machine, for what caching saved."""

from __future__ import annotations

import torch

from orchestrator.energy.passes import Passes, keep_rate
from orchestrator.planning.rates import prefix_seconds
from orchestrator.store.storage import Storage
from trainables.machine.devices import device_name
from trainables.network.backbone import open_backbone
from trainables.network.frontier import places_to_cut
from trainables.network.opened import Pooled


def measure_passes(storage: Storage, several: tuple[Passes, ...], seed: int) -> tuple[Passes, ...]:
    """Time each kind of pass that nobody timed yet, with fresh weights, and keep the times in the study."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(1)
    return tuple(
        passes if passes.seconds_each is not None else _measured(storage, passes, seed, device) for passes in several
    )


def _measured(storage: Storage, passes: Passes, seed: int, device: torch.device) -> Passes:
    network, size = open_backbone(passes.form, "none", seed).module.to(device), passes.form.image_size
    assert size is not None  # a configuration always has one
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    prefix: torch.nn.Module = Pooled(network)
    if passes.scope.trains_body:
        cuts = places_to_cut(network, size, passes.scope)
        prefix = next((cut for cut in cuts if cut.layer == passes.layer), cuts[0]).build().prefix
    seconds = prefix_seconds(prefix, size, passes.precision, device)
    return keep_rate(storage, passes, seconds, device_name(device))
