"""A range of values by percentiles of the training split: what lies below and above them becomes black and white."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from orchestrator.store.errors import Faults
from trainables.data.reading import Intensity, number_text
from trainables.data.shades import Samples

_NUMBER = r"([0-9]{1,3}(?:\.[0-9]+)?)"
_TEXT = re.compile(rf"{_NUMBER}%:{_NUMBER}%")


@dataclass(frozen=True)
class Percentiles:
    """low, high: percent, 0 ≤ low < high ≤ 100."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{number_text(self.low)}%:{number_text(self.high)}%"

    @classmethod
    def parse(cls, text: str) -> Percentiles | None:
        """ "1%:99%" → Percentiles(1, 99); None for text of another form. Raises ValueError where it is no range."""
        match = _TEXT.fullmatch(text)
        if match is None:
            return None
        low, high = float(match[1]), float(match[2])
        if not low < high <= 100:
            raise ValueError(f"expected two percentages up to 100%, the smaller first, found {text!r}")
        return cls(low, high)

    @property
    def origin(self) -> str:
        return f"the percentiles {number_text(self.low)} and {number_text(self.high)} of training images"

    def range(self, samples: Mapping[str, Samples], training: Collection[str], faults: Faults) -> Intensity:
        """Of the samples of the training images (files), each image with the same weight: up to 1,000 values of each
        are known, and the range has six digits. Adds to `faults` where they give no range."""
        values = [one.some for file, one in samples.items() if file in training]
        if not values:
            faults.add(f"--intensity {self}: no training image has more than 8 bits")
            return Intensity(0, 1)
        weights = np.concatenate([np.full(len(some), 1 / len(some)) for some in values])
        quantiles = np.quantile(
            np.concatenate(values), [self.low / 100, self.high / 100], method="inverted_cdf", weights=weights
        )
        low, high = (float(f"{value:.6g}") for value in quantiles)
        if not low < high:
            faults.add(
                f"--intensity {self}: both percentiles of the training images are {number_text(low)}; choose wider ones"
            )
            return Intensity(low, low + 1)
        return Intensity(low, high)
