"""Early stopping (Prechelt 1998): so many epochs in a row without one that is better by more than the least gain.

Which epoch is selected does not hang on the gain: the best of those trained is.
"""

from __future__ import annotations

import numpy as np

from search_spaces.settings import ending as settings


class Patience:
    is_complete = False

    def __init__(self, same: settings.Ending) -> None:
        self.patience = same.patience
        self.gain = same.min_gain

    def is_over(self, scores: np.ndarray) -> bool:
        best, at = scores[0], 0
        for epoch, score in enumerate(scores):
            if score > best + self.gain:
                best, at = score, epoch
        return len(scores) - 1 - at >= self.patience
