"""Statistics for the norm layers of a freshly initialised network, from some training images."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn


def batch_norms(network: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """Those that run on statistics; a network without any needs no calibration."""
    return [part for part in network.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]


def calibrate(network: nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Give the norm layers of a freshly initialised network statistics, in place, in one pass over some images.

    Frozen layers run on stored statistics, and those of a fresh network (mean 0, variance 1) let its features vanish
    or explode. Call it once after `open_backbone(…, "none", seed)` and before the network is divided, with standardised
    float32 batches [N ≥ 2, 3, S, S] of view 0 of training images, always the same images in the same order (a hundred
    or so are enough); the statistics are the plain average over the batches, each computed behind layers that normalise
    by that same batch. Dropout stays off. A network without batch norm is left as it is, and no batch is taken.
    """
    norms = batch_norms(network)
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    network.eval()
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
        with torch.no_grad():
            for batch in batches:
                network(batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        network.eval()
