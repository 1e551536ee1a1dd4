"""The section on errors on validation images: what `orch mistakes` found last, and the worst images where they show."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.figures.markup import table
from dashboards.page.controls import nothing, reading
from dashboards.page.sample_images import Album, strip
from dashboards.page.sheet import Sheet
from orchestrator.mistakes.record import WrongImage
from orchestrator.results.grouped import of_groups
from orchestrator.results.names import counted

SHOWN = 24
"""Images of each kind at most."""


def errors_head(sheet: Sheet) -> str:
    """Of which configurations, repeats and images all of it is, and since when."""
    record = sheet.source.mistakes
    if record is None:
        return ""
    repeats = counted(max(record.repeats), "repeat") + (" at most" if len({*record.repeats}) > 1 else "")
    where = f" on each of {len(record.partitions)} partitions" if len(record.partitions) > 1 else ""
    sentence = (
        f"Written by orch mistakes on {record.created[:16].replace('T', ' ')} UTC: "
        f"{of_groups(record.images, record.groups)} while in validation, predicted by {repeats}{where} of each "
        "configuration. These images were used to select epochs and configurations, so the numbers are a little too "
        "good; no test images are included."
    )
    rows = [(place + 1, one.name, one.id, f"{one.wrong:.1%}") for place, one in enumerate(record.configurations)]
    return reading(sentence) + table(["", "Configuration", "Id", "Wrong"], rows, "Whose errors they are", "cards")


def errors_end(sheet: Sheet) -> str:
    """The images that are most often wrong, and those whose label is suspected; a sentence where none may be shown."""
    record = sheet.source.mistakes
    if record is None:
        return ""
    album = next(iter(sheet.albums.values()))
    said = (
        f"Confident learning suspects the labels of {record.suspected:,} of {record.images:,} images; where networks "
        "are often wrong, most of these are hard images with a correct label. For a list to review blind: orch "
        "mistakes STUDY --review FILE"
    )
    return _block("Most often wrong", "", album, record.worst) + _block(
        "Suspected labels", said, album, record.suspects
    )


def _block(title: str, sentence: str, album: Album, images: Sequence[WrongImage]) -> str:
    head = f"<h3>{title}</h3>" + (reading(sentence) if sentence else "")
    shown = images[:SHOWN]
    if not album.shown.something or not shown:
        return head if sentence else ""
    if album.shown.images and album.is_here:
        return head + strip(album, [(one.file, _alt(one), _caption(album, one)) for one in shown])
    absent = nothing("The images are not shown, because their folder is not on this machine.")
    rows = [
        (album.name("image", one.file), album.name("group", one.group), one.label, one.called, f"{one.right:.0%}",
         f"{one.probability:.2f}")
        for one in shown
    ]  # fmt: skip
    return (
        head
        + (absent if album.shown.images else "")
        + table(["Image", "Group", "Label", "Called", "Right", "P"], rows, title, "cards")
    )


def _alt(one: WrongImage) -> str:
    return f"validation image of class {one.label}, called {one.called}"


def _caption(album: Album, one: WrongImage) -> list[str]:
    share = f"right {one.right:.0%}, P {one.probability:.2f}"
    return [f"{one.label} → {one.called}", share, album.name("image", one.file), album.name("group", one.group)]
