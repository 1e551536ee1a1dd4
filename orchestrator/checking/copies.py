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
        "What is trained on is scored as well, so that scores come out too high.",
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
        "Groups that share a picture are perhaps one patient or slide: the groups may be wrong. "
        + ("Another partition (another seed, folds) may divide them." if here else "A split may divide them."),
        f"Where they belong together, {material.group_advice}; else leave one of each pair out.",
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
        "No harm: a group is never divided. Such an image counts twice in training and in scores.",
        "Leave one of each pair out if it should count once.",
        pair_items(told),
        {"pairs": len(told), "equal_pixels": int(told["equal"].sum())},
    )


def _look(number: int) -> str:
    return "looks like" if number == 1 else "look like"
