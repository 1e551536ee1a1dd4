"""What findings look at: the images as a search would read them, divided as it would divide them, and measured."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trainables.data.dataset import Dataset
from trainables.data.groups import INDEPENDENT
from trainables.data.partition import Partition


@dataclass(frozen=True)
class Features:
    """values: float32 [images, D], rows as in the manifest. words: what they are."""

    values: NDArray[np.float32]
    words: str


@dataclass(frozen=True)
class Material:
    """source, typed: the data and the options as they would be typed, for commands. groups_said: False where nobody
    said what a group is, and every image stands for one. group_advice: how a group can be put right.

    partition: that of the data, else the one that a search would make; None where none can be made. is_given: whether
    the data has it. pairs: near-duplicates, see `results.near_duplicates.with_kinds`, with "equal": whether the pixels
    are. borders: float64 [images], share of the area that black borders have. grey: bool [images]. formats, cameras:
    str per image, "" where unknown.
    """

    dataset: Dataset
    source: str
    typed: str
    groups_said: bool
    group_advice: str
    partition: Partition | None
    is_given: bool
    pairs: pd.DataFrame
    features: Features
    borders: NDArray[np.float64]
    grey: NDArray[np.bool_]
    formats: tuple[str, ...]
    cameras: tuple[str, ...]

    @property
    def manifest(self) -> pd.DataFrame:
        return self.dataset.manifest

    @property
    def has_groups(self) -> bool:
        """Whether groups mean more than a single image."""
        return self.groups_said and self.dataset.group_meaning != INDEPENDENT

    @property
    def whose_splits(self) -> str:
        return "the given splits" if self.is_given else "the splits that a search would make"

    @cached_property
    def split(self) -> pd.Series[str]:
        """Of every image, "" where there is no partition."""
        of = self.partition.groups if self.partition is not None else {}
        return self.manifest["group"].map(lambda group: of.get(group, "")).astype("str")

    @cached_property
    def per_class(self) -> pd.DataFrame:
        """Images of each group (rows) in each class (columns), int64."""
        return pd.crosstab(self.manifest["group"], self.manifest["label"]).astype("int64")
