"""The one range by which a dataset's images of more than 8 bits are scaled: given, declared by the files, or found."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.store.errors import Faults, InputError
from trainables.data.decode import NEARLY_BLACK, NEARLY_WHITE
from trainables.data.listing import named
from trainables.data.reading import Intensity, Reading, number_text
from trainables.data.shades import Samples, Stated, joined

DEPTHS = (8, 10, 12, 14, 16)
"""Bits per sample of cameras and scanners."""
OPTION = "--intensity LOW:HIGH"
_TWELVE = 4095
_SHOWN = 5


def range_of(samples: Mapping[str, Samples], faults: Faults) -> tuple[Intensity, str]:
    """The one range of all files (path → what it holds) and where it is from, in words; adds to `faults` where that is
    unclear."""
    dicom = {file: one.stated for file, one in samples.items() if one.stated is not None}
    others = {file: one for file, one in samples.items() if file not in dicom}
    if not dicom:
        return _range_held(others, faults)
    intensity, origin = _stated(dicom, joined(samples[file] for file in dicom), faults)
    if others:
        second, _ = _range_held(others, faults)
        if not faults.found and second != intensity:
            faults.add(
                f"range unclear: {_images(len(dicom))} of DICOM state {intensity}, but {_images(len(others))} "
                f"({named(sorted(others))}) hold {second}; give one range for all, for instance --intensity {intensity}"
            )
    return intensity, origin


def _stated(dicom: Mapping[str, Stated], held: Samples, faults: Faults) -> tuple[Intensity, str]:
    """The window of DICOM files, else what their bits hold; faults where they state different ones, or none."""
    common = Counter(stated.range or stated.example for stated in dicom.values())
    intensity = common.most_common(1)[0][0]
    say = f"give one range for all, for instance --intensity {intensity}"
    for by in sorted({stated.by for stated in dicom.values() if stated.range is None}):
        files = sorted(file for file, stated in dicom.items() if stated.by == by and stated.range is None)
        faults.add(f"range unclear: {_images(len(files))} ({named(files)}) state {by}, which is not a range; {say}")
    states = {by: [one.range for one in dicom.values() if one.by == by and one.range] for by in ("window", "bits")}
    if len({*states["window"], *states["bits"]}) > 1:
        told = _told("windows", states["window"]) + _told("no window, but stored bits for", states["bits"])
        faults.add(f"range unclear: {_images(len(dicom))} of DICOM state different ranges: {'; '.join(told)}; {say}")
    by_bits = f"what the bits stored in the files can hold ({held.span})"
    return intensity, "the window that the files state" if states["window"] else by_bits


def _told(what: str, ranges: Sequence[Intensity]) -> list[str]:
    """ "windows 6 × -160:239, 1 × 0:99", the most common first."""
    counts = Counter(map(str, ranges)).most_common()
    shown = ", ".join(f"{count} × {text}" for text, count in counts[:_SHOWN])
    more = f" and {len(counts) - _SHOWN} more" if len(counts) > _SHOWN else ""
    return [f"{what} {shown}{more}"] if counts else []


def _range_held(samples: Mapping[str, Samples], faults: Faults) -> tuple[Intensity, str]:
    """What TIFFs declare, else the fewest bits that hold all values.

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
            f"{span}, and nothing says which value is black and which is white; give the range, for instance "
            f"--intensity {example}"
        )
        return example, ""
    declared = Counter(one.declared for one in samples.values() if one.declared is not None)
    white = max(declared) if declared else 2 ** next(bits for bits in DEPTHS if high < 2**bits) - 1
    if len(declared) > 1:
        told = ", ".join(f"{count} × 0:{end}" for end, count in sorted(declared.items()))
        faults.add(f"range unclear: the files declare different ranges, {told}; save all with one range")
    beyond = sorted(file for file, one in samples.items() if one.high > white)
    if beyond:
        faults.add(
            f"range unclear: {_images(declared[white])} declare {white} as the largest value, {_images(len(beyond))} "
            f"exceed it ({named(beyond)}), {span}; give one range for all, for instance --intensity 0:{white}"
        )
    silent = {file: one for file, one in samples.items() if one.declared is None and one.high > 0}
    dim = sorted(file for file, one in silent.items() if one.high <= _TWELVE)
    if white > _TWELVE and dim:
        faults.add(
            f"range unclear: {_images(len(dim))} of {len(samples)} with 16 bits have no value above {_TWELVE} "
            f"({named(dim)}), others reach {number_text(high)}: if one camera took all, these are dim: give its "
            f"range, --intensity 0:{white}; if not, save the images of each camera with 8 bits"
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


def notes(read: Mapping[str, tuple[Reading, tuple[str, ...]]], origin: str) -> tuple[Note, ...]:
    """How images (path → what came to bear, remarks) were read and what is odd, () where nothing is.

    origin: where the range is from, in words; "" where it was given, and nobody needs to be told how.
    """
    noted = list[Note]()
    deep = [reading.intensity for reading, _ in read.values() if reading.intensity is not None]
    if deep:
        scaled = f"{_images(len(deep))} of {len(read)}: values {deep[0]} are scaled to 0:255"
        noted.append(
            Note(f"{scaled}, {origin}" if origin else scaled, (), f"Another range: {OPTION}" if origin else "")
        )
    counts = {reading.of for reading, _ in read.values() if reading.channels}
    if len(counts) > 1:
        noted.append(Note(f"Images have different numbers of channels: {', '.join(map(str, sorted(counts)))}"))
    for remark in dict.fromkeys(remark for _, remarks in read.values() for remark in remarks):
        files = [file for file, (_, remarks) in read.items() if remark in remarks]
        by_range = remark in (NEARLY_BLACK, NEARLY_WHITE) and any(read[file][0].intensity is not None for file in files)
        advice = f"If they should not be, give the range of values: {OPTION}" if origin and by_range else ""
        noted.append(Note(f"{_images(len(files))} of {len(read)}: {remark}", files, advice))
    return tuple(noted)


def check_foreign(read: Mapping[str, Reading], own: Reading, subject: str) -> None:
    """Raise InputError where images from elsewhere (file → what came to bear) need a range, and the study has none."""
    deep = sorted(file for file, reading in read.items() if reading.intensity is not None)
    if own.intensity is None and deep:
        raise InputError(
            f"{subject}: {_images(len(deep))} ({named(deep)}) have more than 8 bits, the study's have 8, and nothing "
            "says which values are black and white",
            "Save them with 8 bits, as those of the study were.",
        )


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"
