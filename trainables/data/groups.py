"""What a group is: asked of the user, never guessed from file names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from orchestrator.store.errors import InputError
from trainables.data.labels import normalised
from trainables.data.listing import Entry, Listing, named

INDEPENDENT = "images assumed independent"
_SUGGESTIONS = (r"([^/]+)_[^/_]+$", r"([^/]+)-[^/-]+$", r"([^/]*[^/\d.])\d+\.[^/.]+$", r"([^/_-]+)[_-][^/]*$")


def with_groups(listing: Listing, group_by: str | None) -> tuple[list[Entry], str]:
    """Every entry with its group, and the group's meaning in words; raises InputError where none was said."""
    if group_by is None:
        if not listing.group_meaning:
            raise _not_said(listing)
        entries, meaning = list(listing.entries), listing.group_meaning
    elif group_by == "none":
        entries, meaning = [replace(entry, group=entry.file) for entry in listing.entries], INDEPENDENT
    elif group_by == "parent":
        entries, meaning = _grouped(listing.entries, parent_group), "parent folder"
        _refuse_class_folders(listing, entries)
    else:
        entries, meaning = _by_pattern(listing, group_by), f"pattern {group_by}"
    if group_by != "none":
        _check_names(listing, entries)
    return entries, meaning


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
            f"--group-by {text!r}: expected parent, none or a regular expression, which this is not: {error}",
            f"For example: --group-by '{_SUGGESTIONS[0]}'",
        ) from error
    if not pattern.groups:
        raise InputError(
            f"--group-by {text!r}: the pattern has no parentheses around what the group is",
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
            f"{listing.subject}: --group-by parent gives one single group ({named(sorted(groups))})",
            _choices(listing),
        )


def _check_names(listing: Listing, entries: Sequence[Entry]) -> None:
    bad = sorted({entry.group for entry in entries if not entry.group.isprintable()})
    if bad:
        raise InputError(
            f"{listing.subject}: {len(bad)} groups hold control or invisible characters: {named(bad)}",
            "Rename these groups, then run the same command again.",
        )


def _not_said(listing: Listing) -> InputError:
    files = [entry.file for entry in listing.entries]
    shown = [files[index] for index in sorted({0, len(files) // 2, len(files) - 1})]
    suggested = suggested_pattern(files)
    if suggested is None and _parents(listing) > 1:
        rule, read = "parent", {file: parent_group(file) for file in files}
    else:
        pattern = re.compile(suggested or _SUGGESTIONS[0])
        rule, read = f"'{pattern.pattern}'", {file: pattern_group(pattern, file) or "" for file in files}
    width = max(len(file) for file in shown)
    lines = "\n".join(f"  {file:<{width}}  →  {read[file] or 'no match'}" for file in shown)
    number = len({group for group in read.values() if group})
    return InputError(
        f"{listing.subject}: it was not said what a group is (the patient or slide that images share; it is never "
        f"divided between training and test). Three of the {len(files)} files, and the groups that\n"
        f"--group-by {rule} would read ({number} groups in all):\n{lines}",
        _choices(listing),
    )


def suggested_pattern(files: Sequence[str]) -> str | None:
    """The first usual pattern that finds a group in every file and puts some files, but not all, into one."""
    for text in _SUGGESTIONS:
        groups = {pattern_group(re.compile(text), file) for file in files}
        if None not in groups and 1 < len(groups) < len(files):
            return text
    return None


def _parents(listing: Listing) -> int:
    """How many folders files lie in; 0 where these are the classes."""
    parents = {parent_group(entry.file) for entry in listing.entries}
    return len(parents) if any(parent_group(entry.file) != entry.label for entry in listing.entries) else 0


def _choices(listing: Listing) -> str:
    suggested = suggested_pattern([entry.file for entry in listing.entries])
    lines = [f"  --group-by '{suggested or _SUGGESTIONS[0]}'   or a pattern of your own"]
    if (parents := _parents(listing)) > 1:
        lines.insert(0 if suggested is None else 1, f"  --group-by parent   the file's folder ({parents} groups)")
    if listing.columns:
        lines.append(f"  --group-column NAME   one of {', '.join(listing.columns)}")
    lines.append(f"  --group-by none   every image by itself; “{INDEPENDENT}” is stamped on every output")
    return "\n".join(["Add one of these to the command:", *lines])
