"""What the name of an array says: images or labels, of which split, or a column beside them."""

from __future__ import annotations

from dataclasses import dataclass

from trainables.data.columns import GROUP_NAMES
from trainables.data.split_words import split_of, words_of

IMAGES, LABELS = "images", "labels"
_WORDS = {
    **dict.fromkeys(("images", "image", "imgs", "img", "x", "data", "pixels", "inputs"), IMAGES),
    **dict.fromkeys(("labels", "label", "lbls", "y", "targets", "target", "classes", "class"), LABELS),
}
_SINGULAR = {"patients": "patient", "slides": "slide", "cases": "case", "subjects": "subject", "donors": "donor"}
_SINGULAR |= {"specimens": "specimen", "families": "family", "groups": "group", "splits": "split", "folds": "fold"}


@dataclass(frozen=True)
class Role:
    """what: IMAGES, LABELS or "". split: train, valid, test or "". rest: the words that say neither. column: what a
    column of its values is called."""

    what: str
    split: str
    rest: tuple[str, ...]
    column: str

    @property
    def is_beside(self) -> bool:
        """Whether it is a column that datasets usually have, by its name."""
        return self.column in (*GROUP_NAMES, "split", "fold")


def role_of(name: str) -> Role:
    """train_images, x_val, yTest, labels, patient_id …"""
    what, split, rest, words = "", "", list[str](), list[str]()
    for word in _parted(name):
        if not split and (said := split_of(word)) is not None:
            split = said
            continue
        words.append(word)
        if not what and word in _WORDS:
            what = _WORDS[word]
        else:
            rest.append(word)
    column = "_".join(words)
    if column.endswith("ids"):  # patient_ids
        column = column.removesuffix("s")
    return Role(what, split, tuple(rest), _SINGULAR.get(column, column))


def _parted(name: str) -> list[str]:
    """The words of a name; xtrain and ytest are two."""
    parts = list[str]()
    for word in words_of(name):
        is_joined = word[0] in "xy" and split_of(word[1:]) is not None
        parts += [word[0], word[1:]] if is_joined else [word]
    return parts
