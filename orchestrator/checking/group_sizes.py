"""Groups that say nothing, or too little: groups that are the classes, one that holds most images, classes of few."""

from __future__ import annotations

from orchestrator.checking.finding import Finding, Item, Weight, count
from orchestrator.checking.material import Material

MOST = 0.5
"""Share of images from which on one group outweighs all others."""
_SAY = "Say what a group is: --group-by REGEX, --group-by parent, --group-column NAME or --layout group/class."


def groups_are_classes(material: Material) -> Finding | None:
    """As many groups as classes, each of one class: the column or folder of groups repeats the label."""
    held = material.per_class > 0
    alone = (held.sum(axis=1) == 1).all() and (held.sum(axis=0) == 1).all()
    if not material.has_groups or not alone:
        return None
    return Finding(
        "groups are classes",
        Weight.RUINS,
        f"The {len(held)} groups are the {held.shape[1]} classes under other names: each class is one group.",
        "No group can be held back, so nothing can be scored. The groups were read from something that repeats the "
        "class.",
        _SAY,
        tuple(Item(f"{group}: {row.idxmax()}") for group, row in held.iterrows()),
    )


def dominant_group(material: Material) -> Finding | None:
    """One group holds most images of all, or of a class that has several."""
    if not material.has_groups:
        return None
    table, items = material.per_class, list[Item]()
    of_all = table.sum(axis=1)
    if len(of_all) > 2 and of_all.max() > MOST * of_all.sum():
        items.append(Item(f"{of_all.idxmax()}: {of_all.max():,} of all {of_all.sum():,} images"))
    for label in table.columns:
        sizes = table[label]
        if (sizes > 0).sum() > 2 and sizes.max() > MOST * sizes.sum():
            items.append(Item(f"{sizes.idxmax()}: {sizes.max():,} of {sizes.sum():,} images of class {label}"))
    if not items:
        return None
    return Finding(
        "dominant group",
        Weight.LOOK,
        f"In {count(len(items), 'case')}, one group holds more than half of the images.",
        "A group is never divided: its split consists mostly of this group, and no split gets its share of images. The "
        "group may stand for everything unknown.",
        "Check what the group is. If there are finer groups, name them with --group-by or --group-column.",
        tuple(items),
    )


def few_groups(material: Material) -> Finding | None:
    """Classes of which valid or test have one group: scores rest on it."""
    if not material.has_groups or material.partition is None:
        return None
    frame = material.manifest.assign(split=material.split.to_numpy())
    numbers = {
        (str(label), str(split)): rows["group"].nunique() for (label, split), rows in frame.groupby(["label", "split"])
    }
    lonely: dict[str, list[str]] = {}
    for label in material.per_class.columns:
        for name in ("valid", "test"):
            if numbers.get((label, name), 0) == 1:
                lonely.setdefault(label, []).append(name)
    if not lonely:
        return None
    items = tuple(
        Item(f"{label}: one group in {' and one in '.join(names)}, {(material.per_class[label] > 0).sum()} in all")
        for label, names in lonely.items()
    )
    return Finding(
        "few groups",
        Weight.LOOK,
        f"{count(len(lonely), 'class', 'classes')} {'has' if len(lonely) == 1 else 'have'} a single group in valid or "
        "test.",
        "The score of such a class is that of one patient or slide, and says little about others.",
        "Add images of more groups, merge classes, or search on several partitions: --partitions 5",
        items,
    )
