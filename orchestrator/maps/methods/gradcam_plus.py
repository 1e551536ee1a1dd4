"""Grad-CAM++: as Grad-CAM, but each place of a channel has a weight of its own.

With g the gradient of the score, A the layer: α = g² / (2 g² + g³ Σ A) where g is not 0, and a channel's weight is
Σ α relu(g), the sums over its places. The exponential of the score that the paper derives this of changes a map's scale
alone. Chattopadhyay et al. 2018, *Grad-CAM++: generalized gradient-based visual explanations for deep convolutional
networks*, WACV.
"""

from __future__ import annotations

import torch

from orchestrator.maps.methods.gradcam import weighted
from orchestrator.maps.network import Repeats


def maps(repeats: Repeats, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """See `registry.Method`."""
    return weighted(repeats, images, targets, _weights)


def _weights(g: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    below = 2 * g**2 + g**3 * places.sum(dim=(2, 3), keepdim=True)
    alpha = torch.where(below != 0, g**2 / torch.where(below != 0, below, 1.0), 0.0)
    return (alpha * g.relu()).sum(dim=(2, 3))
