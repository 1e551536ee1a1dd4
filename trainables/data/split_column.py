"""The column of a table that holds a given partition: recognised, or asked about; never passed over in silence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from orchestrator.store.errors import Faults
from trainables.data.columns import SPLIT_NAMES, Columns, Row, plain_name
from trainables.data.listing import named
from trainables.data.options import DatasetOptions
from trainables.data.split_words import sounds_like_a_split, split_flag, split_of, suggested_words, words_of

_NAMES = frozenset(SPLIT_NAMES)
"""A column called one of these, or by a longer name that holds the word (cv_fold), is about a division."""
_SHORT = frozenset({"set", "subset", "partition"})
"""Of those, words that longer names hold for other reasons (set_point): they count as the whole name alone."""
_PERHAPS = frozenset({"phase", "stage", "usage", "mode", "dataset", "cohort", "purpose", "role", "type", "use"})
"""A column called one of these is about a division where its values sound like it."""
_FLAGS = frozenset({"0", "1", "0.0", "1.0", "true", "false", "yes", "no", "y", "n", "t", "f", ""})
_MOST = 20
"""A division has no more parts; a column of more values is about something else."""
_FOLD = re.compile(r"(?:[a-z]*[ _-]*)\d+(?:\.0)?", re.IGNORECASE)
_NONE = "--split-column none to make the partition anew"


def read_splits(
    header: Sequence[str], rows: Sequence[Row], columns: Columns, options: DatasetOptions, faults: Faults
) -> tuple[str | None, list[str]]:
    """The split column and the split of every row, "" where there is none; what cannot be read goes to `faults`."""
    said, before = dict(options.split_words), len(faults.found)
    values = {name: Counter(row[name].strip() for row in rows) for name in header}
    column = columns.split
    asked = options.split_column != "none" and "split" not in columns.unclear and not options.undivided
    if column is None and asked:
        column = _only_split(header, values, columns, said, faults)
    if column is None:
        if said and "split" not in columns.unclear and len(faults.found) == before:
            faults.add("--split-words was given, but no column is read as splits: add --split-column NAME")
        return None, [""] * len(rows)
    held = values[column]
    unknown = sorted(value for value in held if value and split_of(value, said) is None)
    if unknown:
        faults.add(_unknown_words(column, held, unknown, said))
    if held[""] and columns.fold is None:
        faults.add(f"column {column!r}: {held['']} rows without a split, expected train, valid or test in every row")
    unused = sorted(word for word in said if word not in {value.casefold() for value in held})
    if unused:
        faults.add(f"--split-words names {named(unused)}, which no row of column {column!r} holds")
    return column, [split_of(row[column].strip(), said) or "" for row in rows]


def _only_split(
    header: Sequence[str],
    values: Mapping[str, Counter[str]],
    columns: Columns,
    said: Mapping[str, str],
    faults: Faults,
) -> str | None:
    """The one column that is the split, its words known or not; None, with a fault where others may be it."""
    taken = {columns.file, *columns.labels, columns.group, columns.fold}
    asked: dict[str, str] = {}
    sure = []
    for name in header:
        if name in taken:
            continue
        held = values[name]
        if _is_sure(name, held, said):
            sure.append(name)
        elif question := _question(name, held, said):
            asked[name] = question
    likely = [*sure, *(name for name in asked if _is_division(name))]
    if len(sure) + len(asked) == 1 and likely:
        return likely[0]
    if len(sure) + len(asked) > 1:
        possible = [name for name in header if name in sure or name in asked]
        choices = " or ".join(f"--split-column {_quoted(name)}" for name in possible)
        folds = "".join(f", --fold-column {_quoted(name)} for folds" for name in possible if _are_folds(values[name]))
        faults.add(
            f"{len(possible)} columns may be the split ({', '.join(possible)}): give {choices}{folds}, or {_NONE}"
        )
    faults.extend(asked.values() if len(asked) == 1 and not sure else ())
    return None


def _is_sure(name: str, held: Counter[str], said: Mapping[str, str]) -> bool:
    meanings = {split_of(value, said) for value in held if value}
    if not meanings or None in meanings:
        return False
    return _is_division(name) or (plain_name(name) in _PERHAPS and len(meanings) > 1)


def _question(name: str, held: Counter[str], said: Mapping[str, str]) -> str:
    """What to ask about a column that may hold a split; "" for one that is about something else."""
    filled = [value for value in held if value]
    if (meaning := split_flag(name)) and {value.casefold() for value in held} <= _FLAGS:
        other = {"train": "valid", "valid": "train", "test": "train"}
        yes = next((value for value in filled if value.casefold() in ("1", "1.0", "true", "yes", "y", "t")), "1")
        no = next((value for value in filled if value != yes), "0")
        return (
            f"column {name!r} holds {_counted(held)} and may be a split: say what its values mean, as in "
            f"--split-column {_quoted(name)} --split-words {meaning}={yes},{other[meaning]}={no}, or give {_NONE}"
        )
    if not filled or len(filled) > _MOST:
        return ""
    known = {split_of(value, said) for value in filled}
    if _is_division(name) or (plain_name(name) in _PERHAPS and any(sounds_like_a_split(value) for value in filled)):
        return _unknown_words(name, held, sorted(value for value in filled if split_of(value, said) is None), said)
    if None not in known and len(known) > 1:
        choice = f"give --split-column {_quoted(name)}, or {_NONE}"
        return f"column {name!r} holds {_counted(held)} and may be a split: {choice}"
    return ""


def _unknown_words(name: str, held: Counter[str], unknown: Sequence[str], said: Mapping[str, str]) -> str:
    option = f"--split-column {_quoted(name)} "
    text = f"column {name!r} holds {named(unknown)}, expected train, valid or test in every row"
    if any(split_of(value, said) for value in held) and not any(sounds_like_a_split(value) for value in unknown):
        text += ": correct these rows, or"
    else:
        text += f" (in all: {_counted(held)}):"
    if _are_folds(held):
        text += f" give --fold-column {_quoted(name)} --test-fold {_quoted(max(held))} if these are folds,"
    words = suggested_words(unknown, {split_of(value, said) for value in held})
    return f"{text} say what the words mean, as in {option}--split-words {words}, or give {_NONE}"


def _is_division(name: str) -> bool:
    return plain_name(name) in _NAMES or bool((_NAMES - _SHORT) & set(words_of(name)))


def _are_folds(held: Counter[str]) -> bool:
    filled = [value for value in held if value]
    return 1 < len(filled) <= _MOST and all(_FOLD.fullmatch(value) for value in filled)


def _counted(held: Counter[str]) -> str:
    shown = ", ".join(
        f"{value!r} in {count} row{'' if count == 1 else 's'}" for value, count in sorted(held.items())[:6]
    )
    return shown if len(held) <= 6 else f"{shown} and {len(held) - 6} more values"


def _quoted(name: str) -> str:
    return f"'{name}'" if not re.fullmatch(r"[\w.-]+", name) else name
