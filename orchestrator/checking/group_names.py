"""File names that tell another grouping than the one that is used: P12_… in several groups."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

from orchestrator.checking.finding import Finding, Item, Weight, count
from orchestrator.checking.material import Material
from trainables.data.patient_folders import PERSONS

_AFTER, _BEFORE = r"(?=[/_\-. ]|$)", r"(?:^|[/_\-. ])"
_PERSON = rf"{_BEFORE}((?i:{PERSONS})[ _-]?(?:id|no|nr)?[ _-]?\d+){_AFTER}"
_WHOLE = (
    rf"{_BEFORE}((?i:slide|p)[ _-]?\d+){_AFTER}",
    *(rf"([^/_\-. ]+(?:[_\-. ][^/_\-. ]+){{{more}}})[_\-. ][^/]*$" for more in range(3)),
)
"""A slide or P12, which may be a running number as well; then the first one, two or three parts of a file's name, which
more parts follow."""
_MOST_NAMED = 0.95
"""Share of the files that a name has to be read from."""
_LEAST = 3
"""Names of a class, without which it could not be divided: the year of a date is no patient."""


def other_grouping(material: Material) -> Finding | None:
    """A part of the path that lies in several groups: of persons by its word, else one that holds whole groups."""
    if not material.groups_said:
        return None
    files, groups = material.manifest["file"].tolist(), material.manifest["group"].tolist()
    labels = material.manifest["label"].tolist()
    for pattern in (_PERSON, *_WHOLE):
        divided = _divided(pattern, files, groups, labels, whole=pattern != _PERSON)
        if divided:
            names = _read(pattern, files)
            return _finding(material, pattern, divided, len({*names} - {""}), names.count(""))
    return None


def _read(pattern: str, files: Sequence[str]) -> list[str]:
    """What the pattern reads from each file, "" where it does not match."""
    compiled = re.compile(pattern)
    return [match[1] if (match := compiled.search(file)) else "" for file in files]


def _divided(
    pattern: str, files: Sequence[str], groups: Sequence[str], labels: Sequence[str], whole: bool
) -> dict[str, list[str]]:
    """Name → its groups, of names in several groups; {} where the pattern tells no other grouping.

    whole: a group in two names says that the names are something else, a running number for instance.
    """
    names = _read(pattern, files)
    told = {name for name in names if name}
    named = sum(bool(name) for name in names)
    if named < _MOST_NAMED * len(files) or len(told) < 2 or (whole and len(told) >= len(set(groups))):
        return {}
    if sum(any(letter.isdigit() for letter in name) for name in told) < _MOST_NAMED * len(told):
        return {}
    inside, over, classes = (defaultdict[str, set[str]](set) for _ in range(3))
    for name, group, label in zip(names, groups, labels, strict=True):
        if name:
            inside[name].add(group)
            over[group].add(name)
            classes[label].add(name)
    if whole and any(len(held) > 1 for held in over.values()):
        return {}
    if whole and any(len(held) < _LEAST for held in classes.values()):
        return {}
    if len(told) == len(classes) and all(len(held) == 1 for held in classes.values()):
        return {}  # the name is the class
    return {name: sorted(held) for name, held in inside.items() if len(held) > 1}


def _finding(material: Material, pattern: str, divided: dict[str, list[str]], names: int, without: int) -> Finding:
    worst = sorted(divided.items(), key=lambda one: (-len(one[1]), one[0]))
    first, held = worst[0]
    number = material.manifest["group"].nunique()
    each = f"there are {number:,} groups" if material.has_groups else "every image is its own group"
    files = material.manifest["file"].tolist()
    example = PurePosixPath(files[_read(pattern, files).index(first)]).name
    return Finding(
        "another grouping in names",
        Weight.LOOK,
        f"File names suggest {names:,} groups, but {each}: {first!r} (as in {example}) lies in {len(held)} of them.",
        "If such a name is a patient or slide, its images may lie in both training and test, and scores come out too "
        "high.",
        f"To keep each together: --group-by '{pattern}' (instead of the current groups)"
        + (f"; {count(without, 'file')} without such a name would need one" if without else ""),
        tuple(
            Item(f"{name}: {count(len(groups), 'group')}, {', '.join(groups[:4])}{' …' if len(groups) > 4 else ''}")
            for name, groups in worst
        ),
        {"pattern": pattern, "names": names, "divided": len(divided)},
    )
