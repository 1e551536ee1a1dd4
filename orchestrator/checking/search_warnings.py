"""What a search warns of while it reads: groups that a column or folders contradict."""

from __future__ import annotations

from orchestrator.checking.finding import Finding, Item, Weight, count
from orchestrator.checking.material import Material

BEGIN = "Warning: "
"""How a note that is a warning begins."""


def search_warnings(material: Material) -> Finding | None:
    """The notes of a dataset that are warnings, in its words."""
    told = [note.removeprefix(BEGIN) for note in material.dataset.notes if note.startswith(BEGIN)]
    if not told:
        return None
    return Finding(
        "warnings of a search",
        Weight.LOOK,
        f"A search gives {count(len(told), 'warning')} about how the data are read.",
        "It goes on all the same; if a warning is right, images of one patient may lie in both training and test.",
        "Read each one. If it is right, type what it proposes.",
        tuple(Item(note) for note in told),
    )
