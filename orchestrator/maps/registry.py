"""Every way to make a map: its name, what it needs and where it is."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Protocol

import torch

from orchestrator.maps.network import Repeats


class Method(Protocol):
    """Makes maps of some images for all repeats."""

    def __call__(self, repeats: Repeats, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Maps float32 [repeats, N, h, w], 0 or more: what speaks for a class; what speaks against it is 0.

        images: standardised float32 [N, 3, S, S]. targets: class of each, int64 [N]. Raises InputError where the
        network cannot be explained so.
        """


@dataclass(frozen=True)
class Variant:
    """name: for `--method`. words: what it is called in a text. module: of this room's `methods`. has_layer: whether
    its places are those of a layer. reads_attention: whether it is of transformers alone. has_class: whether it is of a
    class; else head and class are not in it. cost: in passes of the network for each image. at_once: images
    that are computed together on a CPU, four times as many on a GPU; what a gradient needs of all layers is kept."""

    name: str
    words: str
    module: str
    help: str
    has_layer: bool = False
    reads_attention: bool = False
    has_class: bool = True
    cost: str = "one forward pass"
    at_once: int = 16

    def load(self) -> Method:
        """Import it."""
        method: Method = importlib.import_module(f"orchestrator.maps.methods.{self.module}").maps
        return method


METHODS = {
    one.name: one
    for one in (
        Variant(
            "gradcam",
            "Grad-CAM",
            "gradcam",
            "Channels of a layer, weighted by the gradient of the class score.",
            has_layer=True,
        ),
        Variant(
            "gradcam++",
            "Grad-CAM++",
            "gradcam_plus",
            "As Grad-CAM, with a weight for each place of a channel.",
            has_layer=True,
        ),
        Variant(
            "activations",
            "Mean activation",
            "activations",
            "How strongly a layer responds, whatever the class.",
            has_layer=True,
            has_class=False,
        ),
        Variant(
            "integrated",
            "Integrated gradients",
            "integrated",
            "What each pixel adds to the class score, from a grey image to this one.",
            cost="32 forward passes, each with a backward pass for every repeat",
        ),
        Variant(
            "occlusion",
            "Occlusion",
            "occlusion",
            "How much the class score drops when a square is covered.",
            cost="65 forward passes",
        ),
        Variant(
            "rollout",
            "Attention rollout",
            "rollout",
            "Attention of a transformer through all blocks, whatever the class.",
            reads_attention=True,
            has_class=False,
        ),
    )
}
