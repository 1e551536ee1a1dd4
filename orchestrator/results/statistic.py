"""Mean and standard deviation of one number over repeats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Statistic:
    """Mean and standard deviation (n − 1; NaN where n < 2) of `values`, float64 [n], one per repeat with a result."""

    mean: float
    std: float
    n: int
    values: Floats

    @classmethod
    def of(cls, values: np.ndarray) -> Statistic:
        return cls.of_all(np.asarray(values, dtype=np.float64)[None])[0]

    @classmethod
    def of_all(cls, values: Floats) -> list[Statistic]:
        """Of each row of `values`, float64 [rows, n]."""
        n = values.shape[1]
        mean = np.add.reduce(values, axis=1) / n if n else np.full(len(values), np.nan)
        with np.errstate(invalid="ignore"):  # a loss that is infinite
            away = values - mean[:, None]
        std = np.sqrt(np.add.reduce(away * away, axis=1) / (n - 1)) if n > 1 else np.full(len(values), np.nan)
        each = zip(mean.tolist(), std.tolist(), values, strict=True)
        return [cls(its_mean, its_std, n, row) for its_mean, its_std, row in each]
