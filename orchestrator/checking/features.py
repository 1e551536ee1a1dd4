"""What images are compared by where no backbone is asked for: colour, brightness, sharpness, and how fine detail is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orchestrator.checking.looks import Looks
from orchestrator.checking.material import Features
from trainables.data.dataset import Dataset
from trainables.data.near_duplicates import SIDE

RINGS = 8
"""Bands of spatial frequency, each an octave's part; whichever way an image is turned they are the same."""
_CHUNK = 512
WORDS = "colour, brightness, sharpness and texture (no network)"


def plain_features(dataset: Dataset, looks: Looks) -> Features:
    """float32 [images, 12 + RINGS]: `looks.NAMES`, and the power of the small grey pictures in rings of frequency."""
    seen = looks.of(dataset.manifest["file"].tolist())
    return Features(np.hstack([seen, ring_power(dataset.pictures)]), WORDS)


def ring_power(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logarithm of the mean power in RINGS rings of frequency, float32 [n, RINGS]; pictures: uint8 [n, SIDE, SIDE]."""
    from scipy.fft import rfft2

    down, right = np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None, :]
    radius = np.hypot(down, right) * SIDE
    edges = np.geomspace(1, SIDE / 2, RINGS + 1)
    ring = np.clip(np.digitize(radius, edges) - 1, -1, RINGS - 1)
    bands = np.empty((len(pictures), RINGS), dtype=np.float32)
    window = np.hanning(SIDE)[:, None] * np.hanning(SIDE)[None, :]
    for at in range(0, len(pictures), _CHUNK):
        part = pictures[at : at + _CHUNK].astype(np.float32)
        part = (part - part.mean(axis=(1, 2), keepdims=True)) * window
        power = np.abs(np.asarray(rfft2(part, axes=(1, 2), workers=-1))) ** 2
        for number in range(RINGS):
            inside = ring == number
            mean = power[:, inside].mean(axis=1) if inside.any() else np.zeros(len(part))
            bands[at : at + _CHUNK, number] = np.log1p(mean)
    return bands
