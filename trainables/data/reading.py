"""How a study reads image files, said once and the same for all of them: range of values, page, channels.

This file, `unread`, `shades`, `pages`, `dicom` and `decode` need numpy and Pillow alone, and pydicom where a file is
DICOM: an exported model carries them (`orchestrator/export/script.py`).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

PROJECTIONS = ("max", "mean", "min")
INPUTS = ("red", "green", "blue")
GREY = "grey"
"""The input of a channel that is taken alone: all three."""


class RefusedImageError(Exception):
    """A file that is not used; `reason` reads "kind: detail", so that refusals can be counted by kind."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def kind(self) -> str:
        return self.reason.partition(":")[0]


@dataclass(frozen=True)
class Intensity:
    """The range of samples that is scaled to 0–255: `low` becomes black, `high` white."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{number_text(self.low)}:{number_text(self.high)}"

    @classmethod
    def parse(cls, text: str) -> Intensity | None:
        """ "0:4095" → Intensity(0, 4095), "" → None; raises ValueError."""
        if not text:
            return None
        low, _, high = text.partition(":")
        intensity = cls(float(low), float(high))
        if not (math.isfinite(intensity.low) and math.isfinite(intensity.high) and intensity.low < intensity.high):
            raise ValueError(f"expected LOW:HIGH with LOW below HIGH, found {text!r}")
        return intensity


@dataclass(frozen=True)
class Reading:
    """The rule of a study, and of one of its files what of it came to bear.

    intensity: range of grey of more than 8 bits, and of DICOM. page: which page or plane of a file with several, from
    "1", or one of PROJECTIONS over all; "": files have one. channels: (name or number from "1", input) of each channel
    that is read, input one of INPUTS, or GREY for a single one; (): files have no channels. of: how many channels the
    files have, 0 where that is not known or differs.

    As text: "0:4095 page=max of=3 channels=DAPI=blue,GFP=green", each part where it is said.
    """

    intensity: Intensity | None = None
    page: str = ""
    channels: tuple[tuple[str, str], ...] = ()
    of: int = 0

    def __str__(self) -> str:
        parts = [str(self.intensity)] if self.intensity is not None else []
        parts += [f"page={self.page}"] if self.page else []
        parts += [f"of={self.of}"] if self.of else []
        parts += [f"channels={channels_text(self.channels)}"] if self.channels else []
        return " ".join(parts)

    @classmethod
    def parse(cls, text: str) -> Reading:
        """What `str` wrote; raises ValueError."""
        match = _READING.fullmatch(text)
        if match is None:
            raise ValueError(f"expected LOW:HIGH page=PAGE of=N channels=NAME=INPUT,…, found {text!r}")
        span, page, of, channels = (part or "" for part in match.groups())
        return cls(
            Intensity.parse(span),
            parsed_page(page) if page else "",
            parsed_channels(channels) if channels else (),
            int(of or 0),
        )


AS_IT_IS = Reading()
"""Of images of 8 bits, one in a file."""

_READING = re.compile(
    r"(\S+:\S+)?(?:(?:^| )page=(\S+))?(?:(?:^| )of=([0-9]{1,9}))?(?:(?:^| )channels=(.+))?", re.DOTALL
)


def parsed_page(text: str) -> str:
    """ "3", "max"; raises ValueError."""
    if text in PROJECTIONS:
        return text
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) == 0:
        raise ValueError(f"expected the number of a page, from 1, or max, mean or min, found {text!r}")
    return str(int(text))


def parsed_channels(text: str) -> tuple[tuple[str, str], ...]:
    """ "DAPI=blue,GFP=green" → (("DAPI", "blue"), ("GFP", "green")); one name alone goes to GREY. Raises ValueError."""
    parts = [part.strip() for part in text.split(",")]
    pairs = []
    for part in parts:
        name, equals, target = (piece.strip() for piece in part.rpartition("="))
        if not equals:
            name, target = part, GREY
        pairs.append((name, "grey" if target == "gray" else target))
    targets = [target for _, target in pairs]
    alone = targets == [GREY]
    if not all(name for name, _ in pairs) or not (alone or set(targets) <= {*INPUTS}) or len(set(targets)) < len(pairs):
        raise ValueError(
            "expected NAME=red,NAME=green,NAME=blue, each input once, or a single NAME, such as DAPI=blue,GFP=green or "
            f"1=red,2=green, found {text!r}"
        )
    return tuple(pairs)


def channels_text(channels: tuple[tuple[str, str], ...]) -> str:
    return ",".join(name if target == GREY else f"{name}={target}" for name, target in channels)


def number_text(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
