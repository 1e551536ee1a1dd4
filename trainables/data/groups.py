"""What a group is: asked of the user, never guessed from file names."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from orchestrator.store.errors import Faults, InputError
from trainables.data.columns import top_columns
from trainables.data.labels import normalised
from trainables.data.listing import Entry, Listing, named
from trainables.data.patient_folders import Level, are_magnifications, folder_above, torn_folders
from trainables.data.spellings import DIFFERENCES, group_key, is_missing, joined, missing_words, shown, spellings

INDEPENDENT = "images assumed independent"
_SUGGESTIONS = (r"([^/]+)_[^/_]+$", r"([^/]+)-[^/-]+$", r"([^/]*[^/\d.])\d+\.[^/.]+$", r"([^/_-]+)[_-][^/]*$")


@dataclass(frozen=True)
class Grouped:
    """Every entry with its group. meaning: what a group is, in words. notes: what the user has to know of it. warnings:
    those of them that stay with a study, without names of files, folders and groups."""

    entries: list[Entry]
    meaning: str
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def with_groups(listing: Listing, group_by: str | None, join: bool = False) -> Grouped:
    """Find the group of every entry; raises InputError where none was said, or one patient has several names.

    join: names that differ only in case, spaces, hyphens, Unicode form or the format of numbers are one group.
    """
    if group_by is None:
        if not listing.group_meaning and "group" not in listing.unclear:
            raise _not_said(listing)
        entries, meaning = list(listing.entries), listing.group_meaning
    elif group_by == "none":
        entries = [replace(entry, group=entry.file) for entry in listing.entries]
        doubts = _divided_column(listing, entries)
        return Grouped(entries, INDEPENDENT, tuple(text for text, _ in doubts), tuple(short for _, short in doubts))
    elif group_by == "parent":
        entries, meaning = _grouped(listing.entries, parent_group), "parent folder"
        _refuse_class_folders(listing, entries)
    else:
        entries, meaning = _by_pattern(listing, group_by), f"pattern {group_by}"
    notes = list[str]()
    if join:
        entries = _joined(entries, notes)
        meaning += ", spellings joined" if notes else ""
    faults = Faults(listing.subject)
    faults.extend(_name_faults(entries))
    faults.extend(spelling_faults([entry.group for entry in entries if entry.group]))
    faults.raise_if_any("Correct these groups, then run the same command again.")
    doubts = list[Doubt]()
    if group_by is not None:
        doubts = [*_divided_column(listing, entries), *_doubts(entries), *_alone(entries, group_by)][:1]
        doubts += _in_class_folders(entries) if group_by == "parent" else []
    elif not listing.columns:
        doubts = _magnifications(entries)
    notes.extend(text for text, _ in doubts)
    return Grouped(entries, meaning, tuple(notes), tuple(nameless for _, nameless in doubts))


Doubt = tuple[str, str]
"""A warning, and the same without names of folders and groups."""


def _doubts(entries: Sequence[Entry]) -> list[Doubt]:
    """Warnings where folder names say that groups read from paths are no patients."""
    torn = torn_folders(entries)
    if torn is not None:
        number = len({entry.group for entry in entries})
        return [(torn.warning(number), torn.warning(number, names=False))]
    return _magnifications(entries)


def _magnifications(entries: Sequence[Entry]) -> list[Doubt]:
    groups = sorted({entry.group for entry in entries})
    if not are_magnifications(groups):
        return []
    text = (
        f"Warning: the {len(groups)} groups have names of magnifications{{}}, not of patients or slides: images of "
        "one patient may lie in both training and test. Give a pattern that reads the patient: --group-by REGEX"
    )
    return [(text.replace("{}", f" ({named(groups)})"), text.replace("{}", ""))]


def _alone(entries: Sequence[Entry], group_by: str) -> list[Doubt]:
    """A warning where a rule that should join images of one patient joins none."""
    if len({entry.group for entry in entries}) < len(entries) or len(entries) < 2:
        return []
    text = (
        f"Warning: --group-by {shlex.quote(group_by)} makes each of the {len(entries)} images a group of its own. "
        "If several are of one patient or slide, they may lie in both training and test; if none are: --group-by none"
    )
    return [(text, text)]


def _in_class_folders(entries: Sequence[Entry]) -> list[Doubt]:
    """A warning where some images lie beside the folders of patients, so that their group is the class."""
    number = sum(normalised(entry.group) == normalised(entry.label) for entry in entries)
    if not number:
        return []
    text = (
        f"Warning: {number} of {len(entries)} images lie directly in the folder of their class, which --group-by "
        "parent takes as their group. If they are of patients whose folders lie there too, move them into those."
    )
    return [(text, text)]


def _divided_column(listing: Listing, entries: Sequence[Entry]) -> list[Doubt]:
    """A warning where the table has a column of patients or slides that groups read from paths divide."""
    for name in top_columns(listing.columns):
        inside = defaultdict[str, set[str]](set)
        for entry in entries:
            if not is_missing(entry.extra.get(name, "")):
                inside[group_key(entry.extra[name])].add(entry.group)
        several = sum(len(groups) > 1 for groups in inside.values())
        if several:
            text = (
                f"Warning: groups read by --group-by divide {several} of the {len(inside)} values of column {name!r}, "
                f"whose images may lie in both training and test. To keep each together: --group-column "
                f"{shlex.quote(name)}"
            )
            return [(text, text)]
    return []


def spelling_faults(groups: Sequence[str]) -> list[str]:
    """A sentence on groups that differ only in how they are written, none where all names differ."""
    alike = spellings(groups, group_key)
    if not alike:
        return []
    number = f"{len(alike)} groups are" if len(alike) > 1 else "1 group is"
    return [
        f"{number} written in several ways, which differ only in {DIFFERENCES}: {shown(alike)}. Write each in one way, "
        "or join them: --join-groups"
    ]


def _joined(entries: Sequence[Entry], notes: list[str]) -> list[Entry]:
    names = [entry.group for entry in entries]
    alike = spellings(names, group_key)
    if alike:
        notes.append(
            f"Groups joined from several spellings ({len(alike)}), each under the name that most of its images have: "
            f"{shown(alike)}."
        )
    return [replace(entry, group=name) for entry, name in zip(entries, joined(names, alike), strict=True)]


def parent_group(file: str) -> str | None:
    """Name of the file's folder. The name alone: one patient's folder in two classes (or splits) is one group."""
    return PurePosixPath(file).parent.name or None


def pattern_group(pattern: re.Pattern[str], file: str) -> str | None:
    """What the group named `group`, else the first one, matches in a path; None without a match or an empty one."""
    match = pattern.search(file)
    return (match["group" if "group" in pattern.groupindex else 1] or None) if match else None


def _by_pattern(listing: Listing, text: str) -> list[Entry]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise InputError(
            f"--group-by {text!r}: expected parent, none or a regular expression, found an invalid one: {error}",
            f"For example: --group-by '{_SUGGESTIONS[0]}'",
        ) from error
    if not pattern.groups:
        raise InputError(
            f"--group-by {text!r}: the pattern has no parentheses around the part that names the group",
            f"For example: --group-by '{_SUGGESTIONS[0]}'",
        )
    unmatched = [entry.file for entry in listing.entries if pattern_group(pattern, entry.file) is None]
    if unmatched:
        raise InputError(
            f"--group-by {text!r}: {len(unmatched)} of {len(listing.entries)} files do not match: {named(unmatched)}",
            "Widen the pattern so that it finds a group in every file's path.",
        )
    return _grouped(listing.entries, lambda file: pattern_group(pattern, file))


def _grouped(entries: Sequence[Entry], read: Callable[[str], str | None]) -> list[Entry]:
    return [replace(entry, group=read(entry.file) or ".") for entry in entries]


def _refuse_class_folders(listing: Listing, entries: Sequence[Entry]) -> None:
    """One group per class cannot be divided into splits: the parent folder is then the class folder."""
    groups = {entry.group for entry in entries}
    if all(normalised(entry.group) == normalised(entry.label) for entry in entries):
        raise InputError(
            f"{listing.subject}: --group-by parent gives one group per class ({named(sorted(groups))}), since the "
            "images lie directly in the class folders; expected at least three groups in each class",
            _choices(listing),
        )
    if len(groups) == 1:
        raise InputError(
            f"{listing.subject}: --group-by parent gives a single group ({named(sorted(groups))})",
            _choices(listing),
        )


def _name_faults(entries: Sequence[Entry]) -> list[str]:
    faults = []
    bad = sorted({entry.group for entry in entries if not entry.group.isprintable()})
    if bad:
        faults.append(f"{len(bad)} groups hold control or invisible characters: {named(bad)}")
    missing = [entry for entry in entries if entry.group and is_missing(entry.group)]
    if missing:
        faults.append(
            f"{len(missing)} images have a word for a missing value as their group "
            f"({missing_words(entry.group for entry in missing)}): {named([entry.file for entry in missing])}"
        )
    return faults


def _not_said(listing: Listing) -> InputError:
    files = [entry.file for entry in listing.entries]
    places = sorted({0, len(files) // 2, len(files) - 1})
    suggested = suggested_pattern(files)
    above = folder_above(listing.entries)
    if above is not None or (suggested is None and _parents(listing) > 1):
        rule = f"'{above.pattern}'" if above is not None else "parent"
    else:
        rule = f"'{suggested or _SUGGESTIONS[0]}'"
    if rule == "parent":
        read = [parent_group(file) for file in files]
    else:
        read = [pattern_group(re.compile(rule.strip("'")), file) for file in files]
    width = max(len(files[place]) for place in places)
    lines = "\n".join(f"  {files[place]:<{width}}  →  {read[place] or 'no match'}" for place in places)
    number = len({group for group in read if group})
    return InputError(
        f"{listing.subject}: no groups given (the patients or slides that images come from, which are never "
        f"divided between training and test). Three of the {len(files)} files, and the groups that\n"
        f"--group-by {rule} would read ({number} groups in all):\n{lines}",
        _choices(listing, above),
    )


def suggested_pattern(files: Sequence[str]) -> str | None:
    """The first usual pattern that finds a group in every file and puts some files, but not all, into one."""
    for text in _SUGGESTIONS:
        groups = {pattern_group(re.compile(text), file) for file in files}
        if None not in groups and 1 < len(groups) < len(files):
            return text
    return None


def _parents(listing: Listing) -> int:
    """How many folders files lie in; 0 where these are the classes, or magnifications."""
    parents = {parent_group(entry.file) for entry in listing.entries}
    if are_magnifications(name or "" for name in parents):
        return 0
    return len(parents) if any(parent_group(entry.file) != entry.label for entry in listing.entries) else 0


def _choices(listing: Listing, above: Level | None = None) -> str:
    suggested = suggested_pattern([entry.file for entry in listing.entries])
    lines = [f"  --group-by '{suggested or _SUGGESTIONS[0]}'   or a pattern of your own"]
    if above is not None:
        lines = [f"  --group-by '{above.pattern}'   {above.told()}; or a pattern of your own"]
    elif (parents := _parents(listing)) > 1:
        lines.insert(0 if suggested is None else 1, f"  --group-by parent   the file's folder ({parents} groups)")
    if listing.columns:
        lines.append(f"  --group-column NAME   one of {', '.join(listing.columns)}")
    lines.append(f"  --group-by none   every image is a group of its own; “{INDEPENDENT}” is stamped on every output")
    return "\n".join(["Add one of these to the command:", *lines])
