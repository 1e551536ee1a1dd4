"""Predictions laid out for scoring: probabilities, truth and the group of each unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Units:
    """What is scored: images, or groups with the mean of their images' probabilities.

    chances: float64 [models, N, K]. truth: class index int64 [N]. group: 0 … groups − 1, int64 [N].
    """

    chances: Floats
    truth: Integers
    group: Integers
    groups: int

    @property
    def predicted(self) -> Integers:
        """int64 [models, N]."""
        called: Integers = self.chances.argmax(axis=-1)
        return called

    @property
    def classes(self) -> int:
        return int(self.chances.shape[-1])

    def only(self, rows: np.ndarray) -> Units:
        """The units of a mask bool [N]; groups are numbered anew."""
        kept, group = np.unique(self.group[rows], return_inverse=True)
        return Units(self.chances[:, rows], self.truth[rows], group.astype(np.int64), len(kept))

    def groups_of_class(self) -> Integers:
        """How many groups hold at least one unit of each class, int64 [K]."""
        held: Integers = (self.per_class() > 0).sum(axis=0)
        return held

    def per_class(self) -> Integers:
        """Units of each group and class, int64 [groups, K]."""
        held = np.zeros((self.groups, self.classes), dtype=np.int64)
        np.add.at(held, (self.group, self.truth), 1)
        return held

    def even_base(self) -> Floats:
        """What an image of each group counts where groups count alike, float64 [groups]; 1 in the mean over images."""
        return len(self.truth) / self.groups / np.bincount(self.group, minlength=self.groups)

    def ensemble(self) -> Units:
        """One model: the mean of the models' probabilities."""
        return Units(self.chances.mean(axis=0, keepdims=True), self.truth, self.group, self.groups)

    def by_group(self) -> Units | None:
        """Groups as units, with the mean probabilities of their images; None where one has images of two classes."""
        per_class = self.per_class()
        if ((per_class > 0).sum(axis=1) != 1).any():
            return None
        sums = np.zeros((self.groups, len(self.chances), self.classes))
        np.add.at(sums, self.group, self.chances.swapaxes(0, 1))
        sizes = per_class.sum(axis=1)
        return Units(
            sums.swapaxes(0, 1) / sizes[:, None], per_class.argmax(axis=1), np.arange(self.groups), self.groups
        )

    def mixed_groups(self) -> int:
        """How many groups hold units of several classes."""
        return int(((self.per_class() > 0).sum(axis=1) > 1).sum())
