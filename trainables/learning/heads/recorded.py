"""Any plain modules as the head of one lane; torch records what its gradients need."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from trainables.learning.draws import initial_layer
from trainables.learning.heads.layer import Layers, modules
from trainables.learning.optimisers.rates import Parameter
from trainables.learning.products import Outer


class Recorded:
    """See `Heads`. One lane; dropout takes the masks that it is given, batch norm moves its statistics in training."""

    def __init__(self, layers: Layers, head: nn.Sequential) -> None:
        self.layers = layers
        self.head = head
        self.parameters = [Parameter(one.data, is_weight=one.dim() > 1) for one in head.parameters()]
        self.buffers = list(head.buffers())
        self._features = self._logits = torch.empty(0)

    @classmethod
    def initial(cls, layers: Layers, seed: int, repeat: int, device: torch.device) -> Recorded:
        """Linear layers as drawn for the repeat, those within modules after the others; the rest as torch begins."""
        head = modules(layers)
        linear = [module for module in head.modules() if isinstance(module, nn.Linear)]
        own = set(head)
        for place, module in enumerate(sorted(linear, key=lambda one: one not in own)):
            weight, bias = initial_layer(seed, repeat, place, module.in_features, module.out_features)
            module.weight.data, module.bias.data = torch.from_numpy(weight.T.copy()), torch.from_numpy(bias)
        for other in head:
            if isinstance(other, nn.BatchNorm1d | nn.LayerNorm):
                other.reset_parameters()
        return cls(layers, head.to(device))

    def forward(self, features: torch.Tensor, masks: Sequence[torch.Tensor]) -> torch.Tensor:
        left = iter(masks)
        self.head.train()
        self._features = features[0].detach().requires_grad_()
        with torch.enable_grad():
            hidden = self._features
            for module in self.head:
                hidden = hidden * next(left)[0] if isinstance(module, nn.Dropout) else module(hidden)
        self._logits = hidden
        return hidden.detach()[None, None]

    def backward(self, gradient: torch.Tensor, *, to_features: bool = False) -> list[torch.Tensor | Outer]:
        trained = [*self.head.parameters(), *([self._features] if to_features else [])]
        gradients = list(torch.autograd.grad(self._logits, trained, gradient[0, 0]))
        if to_features:
            gradients[-1] = gradients[-1].unsqueeze(0)
        self._features = self._logits = torch.empty(0)
        return list(gradients)

    @torch.no_grad()
    def score(self, features: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head.eval()(features)
        return logits.unsqueeze(0)

    def state_of(self, lane: int) -> dict[str, torch.Tensor]:
        return {name: value.detach() for name, value in self.head.state_dict().items()}
