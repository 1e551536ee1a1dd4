"""What a check finds: how heavy it weighs, what it means, what to type, and the files that it is about. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Weight(StrEnum):
    """How heavy a finding weighs, the heaviest first."""

    RUINS = "ruins"
    """A search stops at it, or its scores would mean nothing."""
    LOOK = "look"
    """May be right as it is: somebody has to look."""
    TOLD = "told"
    """No fault: how it is, for whoever asks."""

    @property
    def words(self) -> str:
        return {"ruins": "Would ruin a study", "look": "Worth a look", "told": "Good to know"}[self.value]


@dataclass(frozen=True)
class Item:
    """One case of a finding: a picture, two that are alike, or words alone.

    words: a line about it, with the names of its files. files: relative to the data root.
    """

    words: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """name: of its kind, for programs. title: a sentence with the number. meaning: what follows from it. advice: what
    to do or type. items: all cases, the worst first. figures: the numbers behind it, JSON values."""

    name: str
    weight: Weight
    title: str
    meaning: str
    advice: str = ""
    items: tuple[Item, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "weight": self.weight.value,
            "title": self.title,
            "meaning": self.meaning,
            "advice": self.advice,
            "items": [{"words": item.words, "files": list(item.files)} for item in self.items],
            **({"figures": dict(self.figures)} if self.figures else {}),
        }


@dataclass(frozen=True)
class Section:
    """A table of plain values: header, rows; caption "" where the place says it."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True)
class Told:
    """A whole check, for text, JSON and page.

    source: as it was typed. head: images, classes, groups in a sentence; "" where nothing could be read. reading: how
    it was read, (what, how). notes: what the search says on the way. table: classes with their images, groups and
    splits. divided: whose splits those are. samples: (class, some of its files). refused: (file, reason) of every
    file that is not used. findings: the heaviest first. following: commands to type next. unusable: whether the input,
    as it was typed, cannot be read. synthetic: made-up images.
    """

    source: str
    head: str
    reading: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    table: Section | None = None
    divided: str = ""
    samples: tuple[tuple[str, tuple[str, ...]], ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    findings: tuple[Finding, ...] = ()
    following: tuple[str, ...] = ()
    unusable: bool = False
    synthetic: bool = False

    def of(self, weight: Weight) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.weight is weight)

    @property
    def exit_status(self) -> int:
        """2: the input cannot be read as it was typed; 1: something would ruin a study; 0: nothing that would."""
        return 2 if self.unusable else 1 if self.of(Weight.RUINS) else 0

    @property
    def verdict(self) -> str:
        ruins, look = len(self.of(Weight.RUINS)), len(self.of(Weight.LOOK))
        if self.unusable:
            return "A search would stop: the input cannot be read as given."
        worth = f"{'is' if look == 1 else 'are'} worth a look."
        if not ruins:
            return "Nothing was found that would ruin a study" + (
                f"; {count(look, 'finding')} {worth}" if look else "."
            )
        return f"{count(ruins, 'finding')} would ruin a study" + (f"; {look} more {worth}" if look else ".")


def count(number: int, what: str, plural: str = "") -> str:
    """ "1 image", "1,200 images"; "2 classes" with the plural given."""
    return f"1 {what}" if number == 1 else f"{number:,} {plural or what + 's'}"
