"""The rival of the product's learner where a network is trained: a plain torch loop over all of it in every step."""

from __future__ import annotations

import torch
from safetensors.torch import load_file
from same_draws import prepared
from task import loss_of
from torch import nn

from orchestrator.resolved import Search
from search_spaces.configuration import Configuration
from trainables.learning.material import Material
from trainables.network.backbone import open_backbone
from trainables.network.frontier import places_to_cut


class PlainLoop:
    """What the configuration trains of the backbone, and the head, by SGD; batch norm keeps its statistics."""

    def __init__(self, search: Search, c: Configuration, material: Material, device: torch.device) -> None:
        network = open_backbone(c.form, "none", c.data.seed).module
        (calibrated,) = (search.places.cache / "weights").glob("*.safetensors")
        network.load_state_dict(load_file(calibrated))
        self.network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        live = set(places_to_cut(self.network, c.image.size, c.live.scope)[0].live)
        trained = [parameter for name, parameter in self.network.named_parameters() if name in live]
        for parameter in trained:
            parameter.requires_grad_(True)
        self.head = prepared(nn.Sequential(nn.Linear(material.width, c.outputs)), c.data.seed, 0).to(device)
        trained += self.head.parameters()
        self.optimiser = torch.optim.SGD(trained, lr=c.optimiser.lr, momentum=c.optimiser.momentum)
        self.parameters = sum(p.numel() for p in trained)
        self.labels = material.labels

    def train(self, batch: torch.Tensor, rows: torch.Tensor) -> None:
        """One step on float32 [B, 3, S, S] of rows int64 [B]."""
        loss = loss_of(self.head(self.network(batch)), self.labels[rows])
        self.optimiser.zero_grad()
        torch.autograd.backward(loss)
        self.optimiser.step()

    @torch.no_grad()
    def score(self, batch: torch.Tensor) -> torch.Tensor:
        """Logits [N, outputs] of float32 [N, 3, S, S]."""
        logits: torch.Tensor = self.head(self.network(batch))
        return logits
