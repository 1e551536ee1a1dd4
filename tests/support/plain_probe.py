"""A linear probe trained as anyone would write it: autograd, torch.optim, torch's own losses and schedules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from search_spaces.configuration import Configuration
from tests.support.tiny_study import TinyStudy
from trainables.learning.draws import epoch_order, initial_layer
from trainables.learning.material import Material


def train_losses(
    study: TinyStudy,
    c: Configuration,
    repeat: int,
    epochs: int,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = functional.cross_entropy,
    schedule_of: Callable[[torch.optim.Optimizer, int], Any] | None = None,
) -> list[float]:
    """Mean cross entropy of the training split after each epoch; schedule_of is told the steps of an epoch.

    loss: of what steps are, the mean of logits [B, K] and labels, with one output as two classes.
    """
    material: Material = study.bench().material(c, study.partition)
    features, samples, labels = material.features, material.samples, material.labels
    assert features is not None
    weight, bias = initial_layer(c.data.seed, repeat, 0, material.width, c.outputs)
    linear = nn.Linear(material.width, c.outputs)
    linear.weight.data, linear.bias.data = torch.from_numpy(weight.T.copy()), torch.from_numpy(bias)
    optimiser = torch.optim.SGD(linear.parameters(), lr=c.optimiser.lr, momentum=c.optimiser.momentum)
    schedule = schedule_of(optimiser, -(-len(samples.training) // c.optimiser.batch_size)) if schedule_of else None

    def logits_of(rows: torch.Tensor) -> torch.Tensor:
        logits = linear(features[rows])
        return torch.cat([torch.zeros_like(logits), logits], dim=1) if c.outputs == 1 else logits

    scored = torch.from_numpy(samples.scoring["train"])
    found = []
    for epoch in range(1, epochs + 1):
        order = samples.training[epoch_order(c.data.seed, repeat, epoch, len(samples.training))]
        for first in range(0, len(order), c.optimiser.batch_size):
            batch = torch.from_numpy(order[first : first + c.optimiser.batch_size])
            optimiser.zero_grad()
            loss(logits_of(batch), labels[batch]).backward()
            optimiser.step()
            if schedule is not None:
                schedule.step()
        with torch.no_grad():
            found.append(float(functional.cross_entropy(logits_of(scored), labels[scored])))
    return found
