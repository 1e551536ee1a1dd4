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
        f"{count(len(told), 'warning')} that a search gives of how the data were read.",
        "It goes on as it was told; where the warning is right, images of one patient may lie in training and test.",
        "Read each, and type what it proposes where it is right.",
        tuple(Item(note) for note in told),
    )
