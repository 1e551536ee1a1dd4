"""How users write train, valid and test: in the cells of a table and as names of folders."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

SPLITS = ("train", "valid", "test")
_WORDS = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "validating", "dev"), "valid"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
}
_BESIDE = frozenset(
    {"set", "sets", "data", "dataset", "split", "subset", "partition", "folder", "files", "images", "image", "imgs"}
    | {"img", "samples", "tiles", "patches", "cohort"}
)
"""Words that say nothing beside one of those above: `Training_Set`, `train-images`."""
_SOUNDS = re.compile(
    r"train|valid|test|eval|hold|held|infer|(?:tr|va|te|tra|val|dev|ts|trainval|development|tune|tuning)\b"
)


def words_of(text: str) -> list[str]:
    """The words of a name in small letters, parted by all that is no letter or digit and at `aB`, `a1` and `1a`."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return re.findall(r"[^\W\d_]+|\d+", apart.casefold())


def split_of(text: str, said: Mapping[str, str] | None = None) -> str | None:
    """train, valid or test where `text` is a usual way to write it, or one of `said` (small letters → split)."""
    if said and (split := said.get(text.strip().casefold())):
        return split
    words = words_of(text)
    if len(words) > 1 and words[0].isdecimal():  # 1_train, 02-test
        words = words[1:]
    kept = [word for word in words if word not in _BESIDE]
    if len(kept) != 1:
        return None
    (word,) = kept
    for beside in ("", *sorted(_BESIDE)):
        if word.endswith(beside) and (split := _WORDS.get(word.removesuffix(beside))):  # trainset, testdata
            return split
    return None


def split_flag(name: str) -> str | None:
    """The split that a column of yes and no is about: is_train, in_test_set, valid."""
    kept = [word for word in words_of(name) if word not in ("is", "in", "set", "flag", "for", "used")]
    return split_of(kept[0].removeprefix("is")) if len(kept) == 1 else None


def sounds_like_a_split(text: str) -> bool:
    """Whether a reader would think of a split, though which one is not sure: train2, trainval, holdout, tr, eval."""
    return split_of(text) is not None or any(_SOUNDS.match(word) for word in words_of(text))


_BEGIN = (
    *((("tr", "learn"), ("train",)), (("dev",), ("valid", "train")), (("eval",), ("valid", "test"))),
    *((("v", "tun"), ("valid",)), (("te", "ts", "inf"), ("test",)), (("hold", "held"), ("test", "valid"))),
)
"""How words of a split begin, and the splits that they may mean, the likeliest first."""


def suggested_words(unknown: Sequence[str], known: Collection[str | None] = ()) -> str:
    """The unknown words as --split-words takes them, by how they begin; WORD where that tells nothing.

    known: the splits that other words say: `eval` beside a word for valid is the test split.
    """
    taken: dict[str, str] = {}
    for text in unknown:
        meant = next((splits for begins, splits in _BEGIN if text.casefold().startswith(begins)), ())
        if meant:
            taken.setdefault(next((split for split in meant if split not in known), meant[0]), text)
    if len(taken) < len(unknown):
        taken = {split: taken.get(split, "WORD") for split in SPLITS}
    return ",".join(f"{split}={taken[split]}" for split in SPLITS if split in taken)
