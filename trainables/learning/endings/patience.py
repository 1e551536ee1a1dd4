"""Early stopping (Prechelt 1998): so many epochs in a row without a better one."""

from __future__ import annotations

import numpy as np

from search_spaces.settings import ending as settings


class Patience:
    is_complete = False

    def __init__(self, same: settings.Ending) -> None:
        self.patience = same.patience

    def is_over(self, scores: np.ndarray) -> bool:
        return len(scores) - 1 - int(np.argmax(scores)) >= self.patience
