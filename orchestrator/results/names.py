"""How configurations are called in messages and tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable
from typing import Any

from search_spaces.configuration import BACKBONE, Configuration, differing

IN_EVERY_NAME = {
    BACKBONE,
    "adaptation.unfrozen",
    "head.non_linearities",
    "optimiser.lr",
    "optimiser.batch_size",
}
DIGITS = 8
"""Of a checksum."""


def describe_configuration(configuration: Configuration) -> str:
    """Short, for one that is named alone: `inception_v3.tv_in1k n=1 lr 0.01 batch 16`, `resnet18.tv_in1k fitted`."""
    short = _short(configuration, configuration.network.backbone.partition(":")[2])
    return ", ".join(filter(None, [short, begins_words(configuration)]))


def names_of(configurations: Iterable[Configuration]) -> dict[str, str]:
    """By id, names that no two of these share: the short one, then whatever else they differ in.

    `resnet18.tv_in1k n=1 lr 0.01 batch 16, dropout 0.2, optimiser adam`. A setting is said where it matters, and not at
    all where those in which it matters agree.
    """
    several = list({configuration.id: configuration for configuration in configurations}.values())
    libraries: dict[str, set[str]] = defaultdict(set)
    for c in several:
        libraries[c.network.backbone.partition(":")[2]].add(c.network.backbone)
    beside = told_apart(several)
    names = {}
    for c in several:
        bare = c.network.backbone.partition(":")[2]
        short = _short(c, bare if len(libraries[bare]) == 1 else c.network.backbone)
        names[c.id] = ", ".join(filter(None, [short, beside[c.id]]))
    return names


def told_apart(configurations: Iterable[Configuration], leave_out: Container[str] = IN_EVERY_NAME) -> dict[str, str]:
    """By id, the settings in which these differ: `dropout 0.2, optimiser adam`; `leave_out`: paths said anyway.

    Last what a later stage begins from, which other configurations do not: `begins from 3f2a90c41b7e (50 epochs)`.
    """
    several = list(configurations)
    others = [one for one in differing(several) if one.path not in leave_out]
    begins = len({c.parent for c in several}) > 1
    return {
        c.id: ", ".join(
            [
                *(f"{one.setting.label} {value_text(c.value(one.path))}" for one in others if c.matters(one)),
                *([begins_words(c)] if begins and c.parent else []),
            ]
        )
        for c in several
    }


def begins_words(configuration: Configuration) -> str:
    """`begins from 3f2a90c41b7e (50 epochs)` of a later stage; "" of any other."""
    parent = configuration.begins_from
    return f"begins from {parent.configuration} ({counted(parent.epochs, 'epoch')})" if parent else ""


def counted(number: int, what: str) -> str:
    """`1 repeat`, `2 repeats`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def thousands(number: int, what: str) -> str:
    """`1 repeat`, `12,500 repeats`, on pages."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def counted_who(number: int, what: str, does: str, do: str) -> str:
    """`1 configuration lacks repeats`, `2 configurations lack repeats`."""
    return f"{counted(number, what)} {does if number == 1 else do}"


def and_more(first: str, others: int) -> str:
    """The first of several, and how many others there are."""
    return f"{first} and {others} more" if others else first


def span(values: Iterable[int]) -> str:
    """`74`, or the least and the most: `2–12`; `0` of nothing."""
    numbers = {*values} or {0}
    return str(*numbers) if len(numbers) == 1 else f"{min(numbers)}–{max(numbers)}"


def counted_span(values: Iterable[int], what: str) -> str:
    """`1 repeat`, `2–12 repeats`."""
    told = span(values)
    return f"{told} {what}{'' if told == '1' else 's'}"


def untrained_words(selected: int, n: int) -> str:
    """What to say where the selected epoch of so many of n repeats is 0; "" where it is of none."""
    return f"In {selected} of {counted(n, 'repeat')} the untrained network (epoch 0) was selected." if selected else ""


def words(name: str) -> str:
    """`balanced accuracy` of `balanced_accuracy`."""
    return name.replace("_", " ")


def _short(c: Configuration, backbone: str) -> str:
    depth = (f" u={c.adaptation.unfrozen}" if c.adaptation.unfrozen else "") + (
        f" n={c.head.non_linearities}" if c.head.non_linearities else ""
    )
    rates = "fitted" if c.head.is_fitted else f"lr {value_text(c.optimiser.lr)} batch {c.optimiser.batch_size}"
    return f"{backbone}{depth} {rates}"


def value_text(value: Any) -> str:
    """As short as it can be without loss, but for checksums."""
    if isinstance(value, tuple):
        return "/".join(map(value_text, value))
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    kind, colon, digits = str(value).partition(":")
    return kind + colon + digits[:DIGITS] if kind == "sha256" else str(value)
