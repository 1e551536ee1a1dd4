"""Metrics that do not follow from loss and statistics: of one class that a configuration names, or of the outputs.

`search_spaces.settings.selection.METRICS` names them as measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from search_spaces.configuration import Configuration
from search_spaces.settings.selection import METRICS
from trainables.learning.tasks import confusion
from trainables.learning.tasks.confusion import Floats


@dataclass(frozen=True)
class Outputs:
    """What lanes say of a split; their configurations agree in what selects.

    logits: float32 [lanes, N, outputs]. labels: int64 [N]. counts: confusion counts [lanes, K, K].
    """

    configuration: Configuration
    logits: torch.Tensor
    labels: np.ndarray
    counts: np.ndarray

    @cached_property
    def chances(self) -> torch.Tensor:
        """What orders images by each class, float64 [K, lanes, N]: probabilities; of one output the logits, which no
        image has alike that have the same probability in few digits alone."""
        if self.logits.shape[-1] == 1:
            return torch.stack([-self.logits[..., 0], self.logits[..., 0]]).double()
        return self.logits.double().softmax(dim=-1).permute(2, 0, 1).contiguous()

    @property
    def number(self) -> int:
        """Of the class that a metric of one class is of."""
        return self.configuration.data.classes.index(self.configuration.selection.of_class)


def measured_by(outputs: Outputs) -> Floats | None:
    """The metric that selects, float64 [lanes]; None where it follows from loss and statistics."""
    metric = outputs.configuration.selection.metric
    if not METRICS.variants[metric].is_measured:
        return None
    scores: Floats = METRICS.load(metric)(outputs)
    return scores


def class_precision(outputs: Outputs) -> Floats:
    return confusion.precision(outputs.counts)[:, outputs.number]


def class_recall(outputs: Outputs) -> Floats:
    """NaN where the split has no image of the class."""
    return confusion.recall(outputs.counts)[:, outputs.number]


def class_f1(outputs: Outputs) -> Floats:
    return confusion.f1(outputs.counts)[:, outputs.number]


def macro_auc(outputs: Outputs) -> Floats:
    """Of the classes that occur, unless all images are of one; NaN then. Of two classes the areas are the same."""
    classes = len(outputs.counts[0])
    several = [outputs.labels == number for number in range(classes)]
    areas = [
        area(outputs.chances[number], positive)
        for number, positive in enumerate(several)
        if 0 < positive.sum() < len(positive) and (number or classes > 2)
    ]
    return np.mean(areas, axis=0) if areas else np.full(len(outputs.counts), np.nan)


def recall_at_precision(outputs: Outputs) -> Floats:
    """At whichever threshold it is largest of those with at least `selection.precision`, as of scikit-learn's curve; 0
    where none has, NaN where the split has no image of the class."""
    positive = outputs.labels == outputs.number
    if not positive.any():
        return np.full(len(outputs.counts), np.nan)
    scores, order = outputs.chances[outputs.number].sort(dim=1, descending=True)
    hits = torch.from_numpy(positive).to(scores.device)[order].cumsum(dim=1).cpu().numpy()
    ends = np.ones(hits.shape, dtype=np.bool_)
    ends[:, :-1] = (scores[:, 1:] != scores[:, :-1]).cpu().numpy()
    enough = hits / np.arange(1, hits.shape[1] + 1) >= outputs.configuration.selection.precision
    recall: Floats = np.where(ends & enough, hits, 0).max(axis=1) / positive.sum()
    return recall


def area(scores: torch.Tensor, positive: np.ndarray) -> Floats:
    """Area under the ROC curve, float64 [lanes], of scores float64 [lanes, N] and positive bool [N], some and not all.

    Share of the pairs of a positive image and another in which its score is the larger one, equal ones counted half
    (Mann and Whitney 1947): whole numbers, divided once.
    """
    inside = torch.from_numpy(positive).to(scores.device)
    ours, others = scores[:, inside].contiguous(), scores[:, ~inside].sort(dim=1).values
    below, up_to = (torch.searchsorted(others, ours, right=right).sum(dim=1) for right in (False, True))
    areas: Floats = (below + up_to).cpu().numpy() / (2 * ours.shape[1] * others.shape[1])
    return areas
