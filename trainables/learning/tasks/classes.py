"""One of several classes: cross entropy in nats, confusion counts."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from search_spaces.settings import data as settings
from trainables.learning.tasks.confusion import counted


class Binary:
    """Two classes, (negative, positive); the one logit is that of the positive one."""

    def __init__(self, data: settings.Data) -> None:
        self.shape = (2, 2)

    def targets(self, labels: torch.Tensor) -> torch.Tensor:
        return soft_targets(labels, 1)

    def losses(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        margin = logits.squeeze(-1)
        return functional.softplus(margin) - margin * labels

    def predictions(self, logits: torch.Tensor) -> torch.Tensor:
        """Class indices int64, 1 above zero."""
        return (logits.squeeze(-1) > 0).long()

    def statistics(self, truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        return counted(truth, predicted, 2)


class Multiclass:
    """One logit for each class."""

    def __init__(self, data: settings.Data) -> None:
        self.classes = len(data.classes)
        self.shape = (self.classes, self.classes)

    def targets(self, labels: torch.Tensor) -> torch.Tensor:
        return soft_targets(labels, self.classes)

    def losses(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        truth = logits.gather(-1, labels.expand(len(logits), -1).unsqueeze(-1)).squeeze(-1)
        return torch.logsumexp(logits, dim=-1) - truth

    def predictions(self, logits: torch.Tensor) -> torch.Tensor:
        """Class indices int64, of the largest logit."""
        return logits.argmax(dim=-1)

    def statistics(self, truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        return counted(truth, predicted, self.classes)


def soft_targets(labels: torch.Tensor, outputs: int) -> torch.Tensor:
    """Shares of the classes, float32 [R, 1, B, outputs], by labels int64 [R, B]; with one output that of class 1."""
    wanted = labels.unsqueeze(1).unsqueeze(-1)
    if outputs == 1:
        return wanted.float()
    return (wanted == torch.arange(outputs, device=labels.device)).float()
