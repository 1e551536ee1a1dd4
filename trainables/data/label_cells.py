"""The labels of a table's rows: one column with a class in each cell, or a column of 0 and 1 for each class."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from orchestrator.store.errors import Faults
from trainables.data.columns import Columns, Row, one_hot
from trainables.data.labels import name_faults
from trainables.data.listing import named
from trainables.data.spellings import column_keys, is_missing, is_number, missing_words, shown, spellings

_PARTS = re.compile(r"[,/+&]")


def read_labels(
    rows: Sequence[Row], columns: Columns, classes: Sequence[str] | None, faults: Faults, notes: list[str]
) -> list[str]:
    """The label of every row; numbers and words of yes and no that mean one class get one name, which is told.

    classes: those of the study, which give the name. Every fault of a label goes to `faults`: rows without one, with
    several, with words for a missing value, names that are no class names. What is no label is "" in the answer.
    """
    if len(columns.labels) > 1:
        return _from_columns(rows, columns.labels, faults, notes)
    (name,) = columns.labels
    cells = [row[name] for row in rows]
    missing = [number for number, cell in enumerate(cells) if is_missing(cell) and cell.strip() not in (classes or ())]
    if missing:
        faults.add(
            f"column {name!r}: {len(missing)} rows without a label (data rows {named([str(n + 1) for n in missing])}; "
            f"{missing_words(cells[n] for n in missing)}). Leave these rows out; a class of that name "
            "needs another"
        )
    there = [cell for number, cell in enumerate(cells) if number not in set(missing)]
    several = _several(there, frozenset(classes or ()))
    if several:
        faults.add(
            f"column {name!r}: {len(several)} rows hold several labels ({named(list(dict.fromkeys(several)))}), "
            "expected one class for each image. Keep one label, or make a class of each combination"
        )
    keys = set(column_keys(there).values())
    if keys & {"true", "false"} and any(map(is_number, keys)):
        faults.add(
            f"column {name!r}: True or False are mixed with numbers ({named(sorted(set(there)))}), expected one or the "
            "other. Write each class in one way"
        )
    called = _one_name(there, name, classes or (), notes)
    if not several:
        faults.extend(name_faults(called.values()))
    none = {number for number, cell in enumerate(cells) if cell in set(several)} | set(missing)
    return ["" if number in none else called.get(cell, cell) for number, cell in enumerate(cells)]


def _from_columns(rows: Sequence[Row], names: Sequence[str], faults: Faults, notes: list[str]) -> list[str]:
    counts = one_hot(rows, names)
    told = {
        "cells other than 0 and 1": [number for number, count in enumerate(counts, 1) if count < 0],
        "no 1": [number for number, count in enumerate(counts, 1) if count == 0],
        "several 1": [number for number, count in enumerate(counts, 1) if count > 1],
    }
    faults.extend(
        f"--label-column {','.join(names)}: {len(row_numbers)} rows have {what} in these columns (data rows "
        f"{named(list(map(str, row_numbers)))}), expected exactly one 1 in each row"
        for what, row_numbers in told.items()
        if row_numbers
    )
    if any(told.values()):
        return [""] * len(rows)
    notes.append(f"Labels are read from {len(names)} columns of 0 and 1, one class each: {', '.join(names)}.")
    return [next(name for name in names if one_hot([row], [name]) == [1]) for row in rows]


def _several(cells: Sequence[str], classes: frozenset[str]) -> list[str]:
    """Cells with several labels. A comma may belong to a name, as may / + &: these divide where every part occurs
    elsewhere too."""
    parts = {cell: [part.strip() for part in _PARTS.split(cell)] for cell in set(cells) if _PARTS.search(cell)}
    seen = Counter(part for pieces in parts.values() for part in set(pieces))
    whole = {cell.strip() for cell in cells}

    def holds_several(cell: str) -> bool:
        if cell in classes or is_number(cell):
            return False
        if re.search(r"[;|\n]", cell.strip()) or re.fullmatch(r"\s*\[.*,.*\]\s*|\s*\{.*,.*\}\s*", cell):
            return True
        return cell in parts and all(part in whole or seen[part] > 1 for part in parts[cell])

    return [cell for cell in cells if holds_several(cell)]


def _one_name(cells: Sequence[str], column: str, classes: Sequence[str], notes: list[str]) -> dict[str, str]:
    """The class of every cell that is a number or a word of yes and no: the study's, or one for each value."""
    keys = column_keys([*cells, *classes])
    both = {name: key for name, key in keys.items() if is_number(key)}
    named_so = {both[name]: name for name in classes if name in both}
    written = {name: key for name, key in both.items() if name in set(cells)}
    mixed = spellings(written, written.__getitem__)
    boolean = bool(mixed) and set(keys.values()) <= {"0", "1"}
    ambiguous = {name for same in mixed for name in same} | (set(written) if boolean else set())
    called = {cell: named_so.get(key) or (key if cell in ambiguous else cell) for cell, key in written.items()}
    changed = sorted(cell for cell, name in called.items() if cell != name)
    if changed:
        sets = [tuple(cell for cell in written if called[cell] == name) for name in sorted(set(called.values()))]
        into = ", ".join(sorted(set(called.values())))
        notes.append(
            f"Column {column!r}: values written in several ways are read as one class each ({shown(sets)}): {into}."
        )
    return {cell: called.get(cell, cell) for cell in cells}
