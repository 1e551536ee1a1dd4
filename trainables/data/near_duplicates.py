"""Images that are nearly the same picture: saved again, brighter, moved a little, turned or mirrored.

Two steps, both on small grey pictures. The first compares every image with every other one by its 143 lowest
frequencies (a discrete cosine transform of 12 × 12 without the mean), each less its mean over the dataset and divided
by its standard deviation: what all images of a dataset share (a cell in the middle, light towards a corner) counts for
nothing. In these numbers a mirror image changes signs and a turn exchanges rows and columns, so all eight symmetries of
a square cost as much as two comparisons. The second step takes the pairs that are left, lays one picture over the other
where they fit best, and correlates their detail: what lies between blurs of 0.8 and 2.5 pixels. Cells of one kind share
outlines, but not detail.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 64
"""Of the small pictures, pixels."""
ALIKE = 0.8
"""Least correlation of the detail of two pictures that are called near-duplicates."""
COARSE = 0.6
"""Least correlation of their low frequencies, below which the detail is not looked at."""
MOST_COMPARED = 50_000
"""Pairs whose detail is compared at most, those with the most similar low frequencies."""
EVEN = 1.0
"""Standard deviation in grey levels below which a picture has nothing to be recognised by."""
FURTHEST = 4
"""How far one picture may be moved against the other, of SIDE pixels."""
_ORDER = 12
_ENOUGH, _OF_SHARED = 20, 500
"""Pictures from which on it is known what they share, and how many of them tell it at most."""
_ROWS, _CHUNK = 512, 256
_SIGNS = ((-1.0) ** np.arange(_ORDER)).astype(np.float32)

Floats = NDArray[np.float32]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Near-duplicates, most alike first; all arrays have one entry per pair.

    first, second: places of the images, first < second. similarity: float64, ALIKE to 1. symmetry: which of the eight
    of `trainables.data.views` makes the second image look like the first.
    """

    first: Places
    second: Places
    similarity: NDArray[np.float64]
    symmetry: Places

    def __len__(self) -> int:
        return len(self.first)


def small_picture(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 [H, W, 3] → grey uint8 [SIDE, SIDE], whatever the shape; every pixel counts."""
    image = Image.fromarray(np.ascontiguousarray(pixels)).convert("L")
    return np.array(image.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.uint8)


def near_duplicates(pictures: NDArray[np.uint8]) -> Pairs:
    """All pairs among small pictures, uint8 [n, SIDE, SIDE]. Every pair is compared."""
    told = np.flatnonzero(pictures.std(axis=(1, 2)) >= EVEN)
    if len(told) < 2:
        none = np.zeros(0, dtype=np.int64)
        return Pairs(none, none, np.zeros(0), none)
    coarse = _coarse(pictures[told])
    first, second = _candidates(coarse)
    symmetry = _best_symmetry(coarse, first, second)
    similarity = _detail_similarity(_detail(pictures[told]), first, second, symmetry)
    kept = np.flatnonzero(similarity >= ALIKE)
    kept = kept[np.lexsort((second[kept], first[kept], -similarity[kept]))]
    return Pairs(told[first[kept]], told[second[kept]], similarity[kept], symmetry[kept])


def _coarse(pictures: NDArray[np.uint8]) -> Floats:
    """Low frequencies, whitened over the dataset and its symmetries, of length 1: [n, _ORDER, _ORDER]."""
    from scipy.fft import dctn

    low = np.empty((len(pictures), _ORDER, _ORDER), dtype=np.float32)
    for at in range(0, len(pictures), _CHUNK):
        whole = dctn(pictures[at : at + _CHUNK].astype(np.float32), axes=(1, 2), norm="ortho")
        low[at : at + _CHUNK] = whole[:, :_ORDER, :_ORDER]
    low[:, 0, 0] = 0
    low /= np.maximum(np.linalg.norm(low, axis=(1, 2), keepdims=True), 1e-6)
    views = [_turned(low, symmetry) for symmetry in range(8)]
    mean = np.mean([view.mean(axis=0) for view in views], axis=0)
    variance = np.mean([(view**2).mean(axis=0) for view in views], axis=0) - mean**2
    white = (low - mean) / np.sqrt(np.maximum(variance, 0) + 1e-6 * variance.max() + 1e-12)
    white[:, 0, 0] = 0
    white /= np.maximum(np.linalg.norm(white, axis=(1, 2), keepdims=True), 1e-6)
    return np.asarray(white, dtype=np.float32)


def _turned(low: Floats, symmetry: int) -> Floats:
    """What low frequencies become when their picture is moved by one of the eight symmetries of `views`."""
    if symmetry >= 4:
        low = low * _SIGNS
    for _ in range(symmetry % 4):
        low = low.swapaxes(1, 2) * _SIGNS[:, None]
    return low


def _candidates(coarse: Floats) -> tuple[Places, Places]:
    """Pairs (first < second) of images with low frequencies alike in at least one symmetry, the likest."""
    odd = np.arange(_ORDER) % 2
    parity = 2 * odd[:, None] + odd[None, :]
    mine = [np.ascontiguousarray(coarse[:, parity == kind]) for kind in range(4)]
    turned = coarse.swapaxes(1, 2)
    others = [mine, [np.ascontiguousarray(turned[:, parity == kind]) for kind in range(4)]]
    pairs: list[tuple[Places, Places, Floats]] = []
    held, least = 0, np.float32(COARSE)
    for top in range(0, len(coarse), _ROWS):
        block = slice(top, top + _ROWS)
        best = np.maximum(*(_best_flip([mine[k][block] @ other[k][top:].T for k in range(4)]) for other in others))
        rows, columns = np.nonzero(best >= least)
        later = columns > rows
        rows, columns = rows[later], columns[later]
        pairs.append((rows + top, columns + top, best[rows, columns]))
        held += len(rows)
        if held > 2 * MOST_COMPARED or top + _ROWS >= len(coarse):
            first, second, values = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
            kept = np.sort(np.argsort(-values, kind="stable")[:MOST_COMPARED])
            pairs, held = [(first[kept], second[kept], values[kept])], len(kept)
            least = values[kept].min() if held == MOST_COMPARED else least
    first, second, _ = pairs[0]
    return first, second


def _best_flip(products: list[Floats]) -> Floats:
    """The best correlation over the four flips, from those of frequencies even or odd in rows and columns.

    A flip of the columns changes the sign of odd columns, one of the rows that of odd rows.
    """
    even, odd_columns, odd_rows, odd_both = products
    as_is = even + odd_columns + np.abs(odd_rows + odd_both)
    return np.asarray(np.maximum(as_is, even - odd_columns + np.abs(odd_rows - odd_both)))


def _best_symmetry(coarse: Floats, first: Places, second: Places) -> Places:
    scores = np.empty((8, len(first)), dtype=np.float32)
    for symmetry in range(8):
        turned = _turned(coarse, symmetry)
        for at in range(0, len(first), _CHUNK):
            part = slice(at, at + _CHUNK)
            scores[symmetry, part] = np.einsum("nij,nij->n", coarse[first[part]], turned[second[part]])
    return np.asarray(scores.argmax(axis=0), dtype=np.int64)


def _detail(pictures: NDArray[np.uint8]) -> Floats:
    """What lies between two blurs, less what most pictures share: a scale bar, a rim."""
    from scipy.ndimage import gaussian_filter

    detail = np.empty(pictures.shape, dtype=np.float32)
    for at in range(0, len(pictures), _CHUNK):
        part = pictures[at : at + _CHUNK].astype(np.float32)
        fine, rough = (gaussian_filter(part, (0, width, width), mode="reflect") for width in (0.8, 2.5))
        detail[at : at + _CHUNK] = fine - rough
    if len(detail) >= _ENOUGH:
        detail -= np.median(detail[:: -(-len(detail) // _OF_SHARED)], axis=0)
    return detail


def _detail_similarity(detail: Floats, first: Places, second: Places, symmetry: Places) -> NDArray[np.float64]:
    """Correlation of the detail of each pair where the pictures overlap, at the shift at which they fit best."""
    from scipy.fft import irfft2, rfft2

    shifts = np.r_[0 : FURTHEST + 1, -FURTHEST:0]
    spectra = np.asarray(rfft2(detail, axes=(1, 2), workers=-1))
    similarity = np.zeros(len(first))
    order = np.argsort(symmetry, kind="stable")
    for number in range(8):
        pairs = order[symmetry[order] == number]
        for at in range(0, len(pairs), _CHUNK):
            part = pairs[at : at + _CHUNK]
            one, other = detail[first[part]], _moved(detail[second[part]], number)
            product = spectra[first[part]] * np.conj(rfft2(other, axes=(1, 2), workers=-1))
            fit = irfft2(product, s=(SIDE, SIDE), axes=(1, 2), workers=-1)[:, shifts][:, :, shifts]
            best = fit.reshape(len(part), -1).argmax(axis=1)
            for place in np.unique(best):
                here = best == place
                down, right = int(shifts[place // len(shifts)]), int(shifts[place % len(shifts)])
                similarity[part[here]] = _correlation(_cut(one[here], down, right), _cut(other[here], -down, -right))
    return similarity


def _moved(pictures: Floats, symmetry: int) -> Floats:
    """The same moves of pixels as in `views`."""
    if symmetry >= 4:
        pictures = pictures[:, :, ::-1]
    return np.rot90(pictures, symmetry % 4, (1, 2))


def _cut(pictures: Floats, down: int, right: int) -> Floats:
    """The part that another picture, moved by so many pixels, covers."""
    return pictures[:, max(0, down) : SIDE + min(0, down), max(0, right) : SIDE + min(0, right)]


def _correlation(one: Floats, other: Floats) -> NDArray[np.float64]:
    one, other = (part - part.mean(axis=(1, 2), keepdims=True) for part in (one, other))
    size = np.sqrt((one**2).sum(axis=(1, 2)) * (other**2).sum(axis=(1, 2)))
    return np.asarray((one * other).sum(axis=(1, 2)) / np.maximum(size, 1e-6), dtype=np.float64)
