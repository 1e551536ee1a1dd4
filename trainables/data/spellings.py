"""When two names are one name written differently, and which words stand for none."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal

DIFFERENCES = "case, spaces, hyphens, Unicode form or the format of numbers"
WRITTEN_BY_PROGRAMS = frozenset(
    {"nan", "<na>", "nat", "null", "#n/a", "#na", "(null)", "\\n"}
    | {"#ref!", "#value!", "#div/0!", "#name?", "#num!", "#null!", "#spill!", "#calc!"}
)
"""What programs write for a missing value; nobody calls a class or a patient so."""
MISSING = WRITTEN_BY_PROGRAMS | {
    *("", "none", "na", "n/a", "n.a.", "n.a", "n.d.", "n/d", "nil", "unknown", "unk", "missing", "undefined"),
    *("not available", "not applicable", "not known", "(none)", "(unknown)", "<none>", "<unknown>", "[unknown]"),
    *(
        "unspecified",
        "not specified",
        "not recorded",
        "tbd",
        "no data",
        "no id",
        "-",
        "--",
        "---",
        "?",
        "??",
        "???",
        ".",
        "..",
        "...",
        "/",
        "_",
        "*",
        "#",
    ),
}
"""Words, as `plain` gives them, that stand for a missing value in a column."""
_DASHES = {ord(dash): "-" for dash in "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"}
_TRUE, _FALSE = frozenset({"true", "yes"}), frozenset({"false", "no"})
_SHORT = {"t": "1", "y": "1", "f": "0", "n": "0"}
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d{1,3})?")
_BETWEEN = re.compile(r"(?<=[^\W_])[ _-]+(?=[^\W_])")
_NAMED_LISTS = 5


def plain(text: str) -> str:
    """A text without case, Unicode form, kinds of dashes, and white space beyond one blank between words."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().translate(_DASHES).split())


def is_missing(cell: str) -> bool:
    """Whether a cell of a column is empty or holds a word for a missing value."""
    return plain(cell) in MISSING


def is_number(text: str) -> bool:
    """Whether a text is a number and nothing else."""
    return bool(_NUMBER.fullmatch(plain(text)))


def label_key(name: str) -> str:
    """Equal for class names that a reader takes for one: `plain`, hyphens and underscores between words as blanks, and
    numbers by their value."""
    text = plain(name)
    return _value(text) if _NUMBER.fullmatch(text) else _BETWEEN.sub(" ", text)


def column_keys(cells: Iterable[str]) -> dict[str, str]:
    """`label_key` of every cell of a column; where all are 0, 1 and words of yes and no, these are 0 and 1."""
    keys = {cell: label_key(cell) for cell in cells}
    distinct = set(keys.values())
    if distinct & (_TRUE | _FALSE) and distinct <= _TRUE | _FALSE | _SHORT.keys() | {"0", "1"}:
        told = {**dict.fromkeys(_TRUE, "1"), **dict.fromkeys(_FALSE, "0"), **_SHORT}
        return {cell: told.get(key, key) for cell, key in keys.items()}
    return keys


def group_key(name: str) -> str:
    """Equal for ids that differ in case, blanks, hyphens, Unicode form or the format of numbers: P01, p1, "P 1", P_1;
    2, 2.0, 002.

    Digits behind a point are kept: 2.1 and 2.10 are two ids. So is what divides two digits, 1-12 is not 11-2.
    """
    text = re.sub(r"(?<!\d) | (?!\d)", "", _BETWEEN.sub(" ", plain(name)))
    text = re.sub(r"(?<![\d.,])(\d+)[.,]0{0,2}$", r"\1", text)
    return re.sub(r"(?<![\d.,])0+(?=\d)", "", text)


def spellings(names: Iterable[str], key: Callable[[str], str]) -> list[tuple[str, ...]]:
    """The sets of two or more names with one key, the commonest spelling of each first."""
    by_key: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for name in names:
        by_key[key(name)][name] += 1
    return sorted(
        tuple(sorted(same, key=lambda name: (-same[name], name))) for same in by_key.values() if len(same) > 1
    )


def shown(sets: Sequence[Sequence[str]]) -> str:
    """The first few sets of spellings as text, invisible differences in ASCII, with the number of the others."""
    text = "; ".join(", ".join(map(_visible, same)) for same in sets[:_NAMED_LISTS])
    return text if len(sets) <= _NAMED_LISTS else f"{text} and {len(sets) - _NAMED_LISTS} more"


def joined(names: Sequence[str], sets: Sequence[Sequence[str]]) -> list[str]:
    """The names, each in the first spelling of its set."""
    first: Mapping[str, str] = {name: same[0] for same in sets for name in same}
    return [first.get(name, name) for name in names]


def missing_words(cells: Iterable[str]) -> str:
    """What the missing ones of these cells hold, in words: "4 'nan', 2 empty"."""
    counts = Counter(cell.strip() for cell in cells)
    return ", ".join(f"{count} {repr(word) if word else 'empty'}" for word, count in counts.most_common())


def _visible(name: str) -> str:
    return ascii(name) if unicodedata.normalize("NFKC", name) != name or not name.isprintable() else repr(name)


def _value(text: str) -> str:
    value = Decimal(text.replace(",", ".")).normalize()
    return f"{value if value else Decimal(0):f}"
