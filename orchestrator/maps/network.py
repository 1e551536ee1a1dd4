"""The repeats of a configuration as networks that maps are made of: one backbone, and a head for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import torch
from torch import nn

from orchestrator.maps.layer import Layer, spatial_layer
from search_spaces.configuration import Configuration
from trainables.learning.heads.head import scoring_head
from trainables.learning.weights import Weights, put


class Repeats:
    """Several trainings of one network, of one configuration or of several that differ in heads alone. What of it is
    frozen is computed once for all of them.

    configurations: of each repeat, those of a configuration next to one another. backbone: as it is trained, on
    `device` and in eval mode, images float32 [N, 3, S, S] → features float32 [N, D]; weights of repeats are put into
    it, so that it must be nobody else's. several: weights of each repeat. layer: of
    this backbone, whose places are explained. All is float32, whatever the study computes with.
    """

    def __init__(
        self,
        configurations: Sequence[Configuration],
        backbone: nn.Module,
        width: int,
        several: Sequence[Weights],
        device: torch.device,
        layer: Layer | None = None,
    ) -> None:
        self.configurations = configurations
        self.configuration = configurations[0]
        """For what all have in common."""
        self.backbone = backbone.eval().requires_grad_(False)
        self.width = width
        self.several = several
        self.heads = [scoring_head(c, width, device) for c in configurations]
        self.trains_body = any(name.startswith("body.") for weights in several for name in weights)
        self.device = device
        self._layer = layer
        self._put = -1
        self._kept: tuple[torch.Tensor, torch.Tensor] | None = None
        for repeat, weights in enumerate(several):
            put(_of_head(weights), head=self.heads[repeat], body=None)

    def __len__(self) -> int:
        return len(self.several)

    def rebuilt(self, backbone: nn.Module, several: Sequence[Weights]) -> Repeats:
        """Of another backbone of this kind and other weights, with the same layer."""
        c, layer = self.configuration, self._layer
        if layer is not None:
            layer = spatial_layer(backbone, c.image.size, c.network.backbone, layer.asked)
        return Repeats(self.configurations, backbone, self.width, several, self.device, layer)

    def only(self, part: slice) -> Repeats:
        """Some of them, on the same backbone, which trained layers of others must not be put into meanwhile."""
        if len(self.several[part]) == len(self):
            return self
        c, several = self.configurations[part], self.several[part]
        return Repeats(c, self.backbone, self.width, several, self.device, self._layer)

    @cached_property
    def numbers(self) -> list[int]:
        """Of each its place among the repeats of its configuration."""
        ids = [c.id for c in self.configurations]
        return [place - ids.index(one) for place, one in enumerate(ids)]

    @property
    def layer(self) -> Layer:
        if self._layer is None:
            raise ValueError("no layer was opened for a method that reads one")
        return self._layer

    def turns(self) -> Iterator[list[int]]:
        """Repeats that share what the backbone gives; their weights are in it until the next turn."""
        if not self.trains_body:
            yield list(range(len(self)))
            return
        for repeat, weights in enumerate(self.several):
            if self._put != repeat:
                self._kept = self._kept if self._layer is None or self._shares_layer else None
                put(weights, head=self.heads[repeat], body=self.backbone)
                self._put = repeat
            yield [repeat]

    @torch.no_grad()
    def values(self, images: torch.Tensor) -> torch.Tensor:
        """Of the layer; computed once for a batch where no repeat changes them."""
        if self._kept is None or self._kept[0] is not images:
            self._kept = images, self.layer.before(images)[0]
        return self._kept[1]

    def features(self, values: torch.Tensor) -> torch.Tensor:
        """[N, D] of the layer's values."""
        features: torch.Tensor = self.layer.after((values,))
        return features

    def logits(self, repeat: int, features: torch.Tensor) -> torch.Tensor:
        """float32 [N, outputs]."""
        logits: torch.Tensor = self.heads[repeat](features)
        return logits

    def score(self, repeat: int, features: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """What speaks for a class, [N]: its logit; of a single output, which is the second class's, its logit or minus
        it. targets: int64 [N]."""
        logits = self.logits(repeat, features)
        if logits.shape[1] == 1:
            return torch.where(targets == 1, logits[:, 0], -logits[:, 0])
        return logits.gather(1, targets[:, None])[:, 0]

    @torch.no_grad()
    def chances(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities float64 [repeats, N, K]."""
        chances = []
        for several in self.turns():
            features = self.backbone(images)
            for repeat in several:
                logits = self.logits(repeat, features).double()
                if logits.shape[1] == 1:
                    logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
                chances.append(logits.softmax(dim=1))
        return torch.stack(chances)

    @cached_property
    def _shares_layer(self) -> bool:
        """Whether nothing is trained before the layer, so that its values are those of all repeats."""
        before = {name for name, _ in (*self.layer.before.named_parameters(), *self.layer.before.named_buffers())}
        trained = {name.removeprefix("body.") for weights in self.several for name in weights}
        return before.isdisjoint(trained)


def _of_head(weights: Weights) -> Weights:
    return {name: value for name, value in weights.items() if name.startswith("head.")}
