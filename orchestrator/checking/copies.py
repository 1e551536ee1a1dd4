"""One picture twice: in two splits, in two groups, or twice in one group."""

from __future__ import annotations

from orchestrator.checking.finding import Finding, Weight, count
from orchestrator.checking.material import Material
from orchestrator.checking.pairs import pair_items
from orchestrator.results.near_duplicates import KINDS

_SPLITS, _GROUPS, _WITHIN = KINDS


def across_splits(material: Material) -> Finding | None:
    """The same picture is trained on and scored."""
    told = material.pairs[(material.pairs["kind"] == _SPLITS) & ~material.pairs["differs"]]
    if told.empty:
        return None
    equal = int(told["equal"].sum())
    return Finding(
        "copies across splits",
        Weight.RUINS,
        f"{count(len(told), 'pair')} of images {_look(len(told))} the same picture in two of {material.whose_splits}.",
        "Networks are scored on pictures that they were trained on, so scores come out too high.",
        f"Leave one of each pair out, or {material.group_advice}; then run this check again.",
        pair_items(told),
        {"pairs": len(told), "equal_pixels": equal},
    )


def across_groups(material: Material) -> Finding | None:
    """Groups that count as independent share a picture."""
    told = material.pairs[(material.pairs["kind"] == _GROUPS) & ~material.pairs["differs"]]
    if told.empty:
        return None
    groups = {group for pair in told[["group", "other_group"]].to_numpy().tolist() for group in pair}
    here = material.partition is not None
    return Finding(
        "copies across groups",
        Weight.LOOK,
        f"{count(len(told), 'pair')} of images {_look(len(told))} the same picture, in {len(groups)} groups"
        + (" that lie in one split." if here else "."),
        "Groups that share a picture may be the same patient or slide, so the groups may be wrong. "
        + ("Another partition (another seed, folds) may separate them." if here else "A split may separate them."),
        f"If they belong together, {material.group_advice}; otherwise leave one of each pair out.",
        pair_items(told),
        {"pairs": len(told), "groups": len(groups)},
    )


def within_groups(material: Material) -> Finding | None:
    """No harm to scores: a group is never divided."""
    told = material.pairs[(material.pairs["kind"] == _WITHIN) & ~material.pairs["differs"]]
    if told.empty:
        return None
    return Finding(
        "copies within a group",
        Weight.TOLD,
        f"{count(len(told), 'pair')} of images {_look(len(told))} the same picture within one group.",
        "This does no harm, since a group is never divided, but the image counts twice in training and in scores.",
        "Leave one of each pair out if it should count once.",
        pair_items(told),
        {"pairs": len(told), "equal_pixels": int(told["equal"].sum())},
    )


def _look(number: int) -> str:
    return "looks like" if number == 1 else "look like"
