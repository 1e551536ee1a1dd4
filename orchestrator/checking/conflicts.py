"""One picture under two labels: one of them is wrong, whatever a network learns of it."""

from __future__ import annotations

from orchestrator.checking.finding import Finding, Weight, count
from orchestrator.checking.material import Material
from orchestrator.checking.pairs import pair_items


def conflicting_labels(material: Material) -> Finding | None:
    """Pairs of equal or nearly equal images whose labels differ."""
    told = material.pairs[material.pairs["differs"]]
    if told.empty:
        return None
    equal = int(told["equal"].sum())
    exactly = f"; a search stops at {equal:,} of them, with equal pixels" if equal else ""
    return Finding(
        "conflicting labels",
        Weight.RUINS,
        f"{count(len(told), 'pair')} of images {'shows' if len(told) == 1 else 'show'} the same picture under two "
        f"labels{exactly}.",
        "At least one label of each pair is wrong, or the picture does not tell the classes apart.",
        "Look at each pair and correct the label, or leave both images out; then run this check again.",
        pair_items(told),
        {"pairs": len(told), "equal_pixels": equal},
    )
