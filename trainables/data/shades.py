"""Grey samples that need a range to become black, grey and white: what they are, projected over pages, and scaled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trainables.data.reading import Intensity, RefusedImageError, number_text

Pixels = NDArray[np.uint8]
SOME = 1000
HIDDEN = "fully transparent: its alpha hides every pixel; save it without alpha"


@dataclass(frozen=True)
class Stated:
    """The range that a DICOM file states. range: None where it is none. by: "window", "bits" (those stored, with their
    sign and rescaled), else in words what stands in the place of a range. example: one near to it."""

    range: Intensity | None
    by: str
    example: Intensity


@dataclass(frozen=True)
class Samples:
    """What a file of more than 8 bits holds. low, high: its smallest and largest value. declared: the largest value
    that it can have, where a TIFF says so. whole: unsigned integers of 16 bits, whose depth can give a range. stated:
    of DICOM alone. some: float32, up to SOME of the values, evenly over the image."""

    low: float
    high: float
    declared: int | None
    whole: bool
    stated: Stated | None = None
    some: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32), compare=False, repr=False)

    @property
    def span(self) -> str:
        """In words; fractions to six digits."""
        low, high = (value if value == int(value) else float(f"{value:.6g}") for value in (self.low, self.high))
        return f"values from {number_text(low)} to {number_text(high)}"


class NoRangeError(RefusedImageError):
    """Samples that need a range, and none to read them by."""

    def __init__(self, samples: Samples) -> None:
        what = "more than 8 bits" if samples.stated is None else "grey DICOM"
        super().__init__(
            f"range unknown: {what}, {samples.span}, and nothing says which value is black and which is white; save "
            "it with 8 bits"
        )
        self.samples = samples


@dataclass(frozen=True)
class Shades:
    """values: float64 [H, W], upright, all finite. inverted: the lowest value is white. hidden: bool [H, W], pixels
    that are transparent. The rest as in `Samples`."""

    values: NDArray[np.float64]
    whole: bool
    declared: int | None = None
    inverted: bool = False
    hidden: NDArray[np.bool_] | None = None
    stated: Stated | None = None

    @property
    def samples(self) -> Samples:
        flat = self.values.reshape(-1)
        some = flat[:: -(-flat.size // SOME)].astype(np.float32)
        return Samples(flat.min().item(), flat.max().item(), self.declared, self.whole, self.stated, some)

    def scaled(self, intensity: Intensity) -> tuple[Pixels, float]:
        """(uint8 [H, W], rounded to the nearest; share of the samples that lay outside of the range). What a window of
        the file itself cuts off does not count."""
        low, high = intensity.low, intensity.high
        if self.declared is not None and self.declared < high:
            raise RefusedImageError(
                f"another range: the file declares {self.declared} as its largest value, but would be "
                f"read with {intensity}; save it with values in that range"
            )
        clipped = float(np.count_nonzero((self.values < low) | (self.values > high)) / self.values.size)
        if self.stated is not None and self.stated.by == "window" and self.stated.range == intensity:
            clipped = 0.0
        levels = (np.clip(self.values, low, high) - low) * 255 / (high - low)
        grey: Pixels = np.floor(levels + 0.5).astype(np.uint8)
        if self.inverted:
            grey = 255 - grey
        if self.hidden is not None:
            grey = np.where(self.hidden, np.uint8(255), grey)
            if self.hidden.all():
                raise RefusedImageError(HIDDEN)
        return grey, clipped

    def remarks(self, intensity: Intensity) -> tuple[str, ...]:
        """How what a DICOM file states contradicts the range that it is read by."""
        if self.stated is None or self.stated.range is None or self.stated.range == intensity:
            return ()
        if self.stated.by == "window":
            return (f"the file states another window than {intensity}",)
        within = self.stated.range.high < intensity.high or self.stated.range.low > intensity.low
        return (f"the stored bits cannot hold all of {intensity}",) if within else ()


Picture = Pixels | Shades
"""A page of a file: uint8 [H, W, 3], or what needs a range first."""


def joined(samples: Iterable[Samples]) -> Samples:
    """Of the channels of one file, or of several files."""
    several = list(samples)
    declared = [one.declared for one in several if one.declared is not None]
    return Samples(
        min(one.low for one in several),
        max(one.high for one in several),
        min(declared, default=None),
        all(one.whole for one in several),
        several[0].stated,
        np.concatenate([one.some for one in several]),
    )


def projected(pages: Iterable[Picture], how: str) -> Picture:
    """One picture of pages of one size and kind: the largest, mean or smallest of each sample ("max", "mean", "min");
    of a single page, that page. Raises RefusedImageError where they differ."""
    several = iter(pages)
    first = next(several)
    total, count, stated = _values(first).astype(np.float64), 1, {_stated(first)}
    for page in several:
        if _kind(page) != _kind(first):
            raise RefusedImageError("pages differ: in size or in their kind of samples; give one of them, --page N")
        values = _values(page)
        if how == "max":
            np.maximum(total, values, out=total)
        elif how == "min":
            np.minimum(total, values, out=total)
        else:
            total += values
        count, stated = count + 1, stated | {_stated(page)}
    if count == 1:
        return first
    if how == "mean":
        total /= count
    if not isinstance(first, Shades):
        return np.floor(total + 0.5).astype(np.uint8)
    said = first.stated
    if said is not None and len(stated) > 1:
        said = Stated(None, "ranges that differ between frames", said.example)
    return Shades(total, first.whole, first.declared, first.inverted, stated=said)


def _values(page: Picture) -> NDArray[np.float64] | Pixels:
    return page.values if isinstance(page, Shades) else page


def _stated(page: Picture) -> Stated | None:
    return page.stated if isinstance(page, Shades) else None


def _kind(page: Picture) -> tuple[object, ...]:
    if isinstance(page, Shades):
        return page.values.shape, page.whole, page.declared, page.inverted
    return (page.shape,)
