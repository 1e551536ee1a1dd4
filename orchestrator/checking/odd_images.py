"""Images that came out nearly black or white, with values cut off or not read; and how values were scaled."""

from __future__ import annotations

from orchestrator.checking.finding import Finding, Item, Weight, count
from orchestrator.checking.material import Material


def odd_intensities(material: Material) -> Finding | None:
    """What `trainables.data.intensity.notes` remarks of images."""
    remarks = [note for note in material.dataset.odd if note.files]
    if not remarks:
        return None
    items = tuple(Item(f"{file}: {_short(note.nameless)}", (file,)) for note in remarks for file in note.files)
    files = {file for item in items for file in item.files}
    number, labels = len(files), material.manifest["label"]
    counts = labels[material.manifest["file"].isin(files)].value_counts()
    where = ", ".join(f"{label} {some:,} of {(labels == label).sum():,}" for label, some in counts.items())
    advice = next((note.advice for note in remarks if note.advice), "")
    what = "; ".join(note.nameless for note in remarks)
    return Finding(
        "odd intensities",
        Weight.LOOK,
        f"{count(number, 'image')} {'is' if number == 1 else 'are'} nearly black or white, or not completely read.",
        f"What they show may not be what was recorded. {what}. By class: {where}.",
        advice or "Look at them; leave out those that show nothing.",
        items,
    )


def intensity_rule(material: Material) -> Finding | None:
    """How samples become grey levels: told where images have more than 8 bits."""
    rule = next((note for note in material.dataset.odd if not note.files), None)
    if rule is None:
        return None
    return Finding(
        "range of values",
        Weight.TOLD,
        f"{rule.nameless}.",
        "All images share one range, so brightness stays comparable.",
        rule.advice,
    )


def _short(nameless: str) -> str:
    return nameless.partition(": ")[2] or nameless
