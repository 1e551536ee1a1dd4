"""What the levels of folders mean: classes, splits, patients or folds. Seen where it is sure, else asked about."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from orchestrator.store.errors import InputError
from trainables.data.listing import named
from trainables.data.patient_folders import PERSONS, are_magnifications
from trainables.data.split_words import SPLITS, split_of, suggested_words, words_of

CLASS, GROUP, SPLIT, FOLD, NOTHING = MEANINGS = ("class", "group", "split", "fold", "-")
"""Words of --layout, one for each level from the top; "-": a level that says nothing."""
_FOLDS = re.compile(r"(?:k?fold|cv|split|part|subset|set|partition|batch)s?[ _-]*\d+", re.IGNORECASE)
_PATIENTS = re.compile(
    rf"(?:{PERSONS}|slide|specimen|family|rat|participant|volunteer)s?[ _-]*(?:id|no|nr)?[ _-]*\d|p[ _-]?\d\d|tcga-",
    re.IGNORECASE,
)
_CLASSES = "--layout class if they are the classes"


def layout_of(text: str) -> tuple[str, ...]:
    """`group/class` as a tuple; raises InputError."""
    levels = tuple(level.strip() for level in text.strip("/").split("/"))
    unknown = [level for level in levels if level not in MEANINGS]
    twice = sorted({level for level in levels if level != NOTHING and levels.count(level) > 1})
    if unknown or twice or CLASS not in levels:
        fault = f"found {named(unknown)}" if unknown else f"{twice[0]} occurs twice" if twice else "class is missing"
        raise InputError(
            f"--layout {text}: expected {', '.join(MEANINGS)} for each level of folders, class among them; {fault}",
            "For example: --layout group/class for patient7/tumour/1.png",
        )
    return levels


def seen_layout(
    subject: str, folder: Path, images: Sequence[PurePosixPath], said: Mapping[str, str]
) -> tuple[str, ...]:
    """The layout of folders whose names leave no doubt; raises InputError, with the option to type, where they do."""
    second: dict[str, Counter[str]] = {}
    for path in images:
        if len(path.parts) > 1:
            second.setdefault(path.parts[0], Counter())[path.parts[1] if len(path.parts) > 2 else ""] += 1
    tops = sorted(second)
    if not tops:
        return (CLASS,)
    if _are_splits(subject, folder, tops, second, said):
        return SPLIT, CLASS
    inner = sorted({name for names in second.values() for name in names if name})
    seen = f"{subject}: the first level of folders is {named(tops)}"
    if len(tops) > 1 and all(_FOLDS.fullmatch(name) for name in tops):
        divided = any(split_of(name, said) for name in inner)
        choice = "" if divided else f"Add --layout fold/class --test-fold {tops[-1]}, {_CLASSES}, or take one: "
        raise InputError(
            f"{seen}, which look like folds, not classes" + (f", with splits of their own ({named(inner)})" * divided),
            f"{choice or 'Take one: '}--data {folder / tops[0]}",
        )
    if len(tops) > 1 and all(_split_within(name) for name in tops) and len({_split_within(n) for n in tops}) > 1:
        raise InputError(
            f"{seen}, names that combine a split with something else",
            f"Sort them as train/CLASS, valid/CLASS and test/CLASS, or add {_CLASSES}.",
        )
    if len(inner) > 1 and (shared := _shared(tops, second, inner)):
        raise _swapped(seen, folder, tops, inner, shared, said)
    if len(tops) == 1 and len(inner) > 1 and "" not in second[tops[0]]:
        raise InputError(
            f"{subject}: one folder only ({tops[0]!r}), which holds {named(inner)}, expected one folder for each class",
            f"Give the folder of the classes: --data {folder / tops[0]}",
        )
    if len(tops) > 2 and all(_PATIENTS.match(name) for name in tops):
        inside = f" (below them: {named(inner)})" if inner else ""
        raise InputError(
            f"{seen}, which look like patients or slides, not classes{inside}",
            "Give a table of files, labels and groups (--data labels.csv), add --layout group/class if classes are "
            f"folders below them, or {_CLASSES}.",
        )
    return (CLASS,)


def _are_splits(
    subject: str, folder: Path, tops: Sequence[str], second: Mapping[str, Counter[str]], said: Mapping[str, str]
) -> bool:
    """Whether the first level is train, valid and test; raises InputError where it is so in part."""
    splits = [name for name in tops if split_of(name, said)]
    others = [name for name in tops if name not in splits]
    meanings = {split_of(name, said) for name in splits}
    if "train" not in meanings and len(meanings) < 2 and not (splits and others and _alike(second, tops)):
        return False
    if others:
        words = suggested_words(others, meanings)
        raise InputError(
            f"{subject}: {named(splits)} are read as the given splits, but {named(others)} lie beside them",
            f"Say which splits they are, as in --split-words {words}; move them elsewhere; or add --layout class if "
            "all of the folders are classes.",
        )
    if len(meanings) < 2 or "train" not in meanings:
        raise InputError(
            f"{subject}: of the given splits only {named(splits)} found, expected train, valid and test",
            f"Add the missing folders, have the partition made (--data {folder / splits[0]}), or add --layout class "
            "if the folders are classes.",
        )
    return True


def _alike(second: Mapping[str, Counter[str]], tops: Sequence[str]) -> bool:
    """Whether every folder of the first level holds the same folders, two or more."""
    held = {frozenset(second[name]) - {""} for name in tops}
    return len(held) == 1 and len(next(iter(held))) > 1


def _shared(tops: Sequence[str], second: Mapping[str, Counter[str]], inner: Sequence[str]) -> int:
    """How many names of the second level occur below several of the first, where that makes the order doubtful.

    Numbered folders below named ones are the usual order: patients, some of which have images of several classes.
    """
    if len(tops) < 2 or (_numbered(inner) and not _numbered(tops)):
        return 0
    shared = sum(sum(name in second[top] for top in tops) > 1 for name in inner)
    return shared if 2 * shared >= len(inner) else 0


def _swapped(
    seen: str, folder: Path, tops: Sequence[str], inner: Sequence[str], shared: int, said: Mapping[str, str]
) -> InputError:
    some = named(inner[:2])
    if {"train"} < {split_of(name, said) for name in inner} <= set(SPLITS):
        order = "--layout class/split if they are classes"
    elif are_magnifications(tops):
        order = f"--layout -/class if these are magnifications and {some} classes, {_CLASSES}"
    elif _numbered(tops):
        order = f"--layout group/class if these are patients and {some} classes, {_CLASSES}"
    else:
        order = (
            f"--layout class/group if they are classes and {some} patients, --layout group/class if it is the "
            f"other way round, {_CLASSES}, --data {folder / tops[0]} to take one of them"
        )
    which = "the same folders lie" if shared == len(inner) else f"{shared} of {len(inner)} folders lie"
    return InputError(
        f"{seen}, and {which} below several of them: {named(inner)}. Which of the two are the classes?",
        f"Add {order}{'' if '-/class' in order else ', or --layout -/class if the first level means nothing'}.",
    )


def _numbered(names: Sequence[str]) -> bool:
    return all(any(letter.isdigit() for letter in name) for name in names)


def _split_within(name: str) -> str | None:
    """The split that a word of the name says beside another word: train_normal."""
    words = words_of(name)
    splits = {split for word in words if (split := split_of(word))}
    return splits.pop() if len(splits) == 1 and len(words) > 1 else None
