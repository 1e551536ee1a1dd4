"""The one range by which a dataset's images of more than 8 bits are scaled: given, declared by the files, or found."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.store.errors import Faults, InputError
from trainables.data.decode import NEARLY_BLACK, NEARLY_WHITE, Intensity, Samples, number_text
from trainables.data.listing import named

DEPTHS = (8, 10, 12, 14, 16)
"""Bits per sample of cameras and scanners."""
OPTION = "--intensity LOW:HIGH"
_TWELVE = 4095


def range_of(samples: Mapping[str, Samples], faults: Faults) -> tuple[Intensity, str]:
    """The range of all files (path → what it holds) and where it is from, in words: what the files declare, else the
    fewest bits that hold all values.

    Adds to `faults` where that is unclear: floating point, signed and 32-bit samples have no depth to go by; files
    declare different ranges, or exceed what others declare; or values beyond 12 bits lie beside images without any,
    which may be dim, or of another camera.
    """
    low, high = min(one.low for one in samples.values()), max(one.high for one in samples.values())
    span = Samples(low, high, None, whole=False).span
    endless = sorted(file for file, one in samples.items() if not one.whole)
    if endless:
        example = Intensity(min(0, math.floor(low)), max(1, math.ceil(high)))
        faults.add(
            f"range unknown: {_images(len(endless))} ({named(endless)}) hold floating point, signed or 32-bit samples, "
            f"{span}, and nothing says which are black and white; say it, for instance --intensity {example}"
        )
        return example, ""
    declared = Counter(one.declared for one in samples.values() if one.declared is not None)
    white = max(declared) if declared else 2 ** next(bits for bits in DEPTHS if high < 2**bits) - 1
    if len(declared) > 1:
        told = ", ".join(f"{count} × 0:{end}" for end, count in sorted(declared.items()))
        faults.add(f"range unclear: the files say that they have different ones, {told}; save all with one range")
    beyond = sorted(file for file, one in samples.items() if one.high > white)
    if beyond:
        faults.add(
            f"range unclear: {_images(declared[white])} say that values end at {white}, {_images(len(beyond))} exceed "
            f"it ({named(beyond)}), {span}; say the range of all, for instance --intensity 0:{white}"
        )
    silent = {file: one for file, one in samples.items() if one.declared is None and one.high > 0}
    dim = sorted(file for file, one in silent.items() if one.high <= _TWELVE)
    if white > _TWELVE and dim:
        faults.add(
            f"range unclear: {_images(len(dim))} of {len(samples)} with 16 bits have no value above {_TWELVE} "
            f"({named(dim)}), others reach {number_text(high)}: if all are of one camera, these are dim, and its range "
            f"is to be said, --intensity 0:{white}; if not, save those of one camera with 8 bits"
        )
    bits = int(white).bit_length()
    return Intensity(0, white), "as the files say" if declared else f"the fewest bits that hold all values ({bits})"


@dataclass(frozen=True)
class Note:
    """What is to be said of images: without names in what leaves this place, as text with a few of the files."""

    nameless: str
    files: Sequence[str] = ()
    advice: str = ""

    def __str__(self) -> str:
        shown = f" ({named(self.files)})" if self.files else ""
        return f"{self.nameless}{shown}.{self.advice and ' '}{self.advice}"


def notes(read: Mapping[str, tuple[Intensity | None, tuple[str, ...]]], origin: str) -> tuple[Note, ...]:
    """How images (path → what scaled it, remarks) were read and what is odd, () where nothing is.

    origin: where the range is from, in words; "" where it was given, and nobody needs to be told how.
    """
    found = list[Note]()
    deep = [intensity for intensity, _ in read.values() if intensity is not None]
    if deep:
        scaled = f"{_images(len(deep))} of {len(read)} have more than 8 bits: values {deep[0]} are scaled to 0:255"
        found.append(
            Note(f"{scaled}, {origin}" if origin else scaled, (), f"Another range: {OPTION}" if origin else "")
        )
    for remark in dict.fromkeys(remark for _, remarks in read.values() for remark in remarks):
        files = [file for file, (_, remarks) in read.items() if remark in remarks]
        by_range = remark in (NEARLY_BLACK, NEARLY_WHITE) and any(read[file][0] is not None for file in files)
        advice = f"If they should not be, say the range of values: {OPTION}" if origin and by_range else ""
        found.append(Note(f"{_images(len(files))} of {len(read)}: {remark}", files, advice))
    return tuple(found)


def check_foreign(read: Mapping[str, str], own: Intensity | None, subject: str) -> None:
    """Raise InputError where images from elsewhere (file → range, "" for 8 bits) have more than 8 bits, and the study's
    have not."""
    deep = sorted(file for file, intensity in read.items() if intensity)
    if own is None and deep:
        raise InputError(
            f"{subject}: {_images(len(deep))} ({named(deep)}) have more than 8 bits, the study's have 8, and nothing "
            "says which values are black and white",
            "Save them with 8 bits, as those of the study were.",
        )


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"
