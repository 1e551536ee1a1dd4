"""The section on maps: what `orch maps` answered, in numbers; the maps of some images where images may be shown."""

from __future__ import annotations

from collections.abc import Collection

from dashboards.figures.markup import table, text
from dashboards.page.controls import nothing, reading
from dashboards.page.sample_images import Album, thumbnail
from dashboards.page.section_images import opened_files
from dashboards.page.sheet import Sheet
from orchestrator.maps.record import Average, KeptMap, MapsRecord
from orchestrator.results.names import counted
from search_spaces.configuration import Configuration

LISTED = 20
"""The newest answers in the table, and of them with pictures:"""
PICTURED = 5
_COLUMNS = [
    "Method", "Configuration", "Images", "Chosen", "Agreement", "Random heads", "Random network", "Gain of places",
]  # fmt: skip


def maps_head(sheet: Sheet) -> str:
    """A table of what was asked, the newest first, and how to read it."""
    records = sheet.source.maps
    sentence = (
        "Which places of an image speak for a class, as answered by orch maps; 95 % intervals over groups are in "
        "brackets."
    )
    how = (
        "Agreement is Spearman’s correlation over places between the maps of every two repeats, averaged over images. "
        "Random heads and random network are the same between the maps and those of networks that learned nothing: if "
        "they are near the agreement, a map does not depend on what was learned. Gain of places is how much faster the "
        "class’s probability falls where the map points than in a random order, as an area; at 0 the map points at "
        "nothing. Images chosen as best or worst say something about such images alone."
    )
    more = f" The newest {LISTED} of {len(records)} are listed." if len(records) > LISTED else ""
    listed = table(_COLUMNS, [_row(record) for record in records[:LISTED]], "Maps", "cards")
    return reading(sentence + more, how) + listed


def maps_end(sheet: Sheet) -> str:
    """The maps of the newest answers over their images; a sentence where no images may be shown."""
    album, title = sheet.maps_album, "<h3>Maps of images</h3>"
    if not (album.shown.images and album.shown.redrawn is not None):
        return title + nothing(
            "Maps are drawn over images, which this page does not hold: orch dashboard STUDY --with-images shows some."
        )
    if not album.is_here:
        return title + nothing("The images are not shown, because their folder is not on this machine.")
    configurations = {one.id: one.configuration for one in sheet.source.summary.configurations}
    blocks = []
    for record in sheet.source.maps[:PICTURED]:
        configuration = configurations.get(record.configuration)
        opened = opened_files(sheet.source, record.partition) if record.split == "test" else None
        if configuration is not None:
            blocks.append(_pictured(album, record, configuration, opened))
    words = (
        "The image as networks see it, then the mean map over repeats, then the deviation of the repeats: light where "
        "trainings that differ only in their seed disagree. A map shows what speaks for a class in a network, not "
        "where a finding is."
    )
    return title + reading(words) + "".join(blocks)


def _row(record: MapsRecord) -> list[str]:
    sanity = record.sanity
    kinds = dict.fromkeys(kind for image in record.images for kind in image.kinds)
    return [
        record.method,
        f"{record.name} ({record.configuration}), {counted(len(record.repeats), 'repeat')}",
        f"{len(record.images):,} {record.split}, {counted(record.groups, 'group')}",
        ", ".join(kinds),
        "–" if record.agreement is None else f"{record.agreement:.2f}",
        *(("–",) * 3 if sanity is None else map(_average, (sanity.random_head, sanity.random_network, sanity.gained))),
    ]


def _average(one: Average | None) -> str:
    if one is None or one.value is None:
        return "–"
    limits = "" if one.low is None or one.high is None else f" [{one.low:.2f}, {one.high:.2f}]"
    return f"{one.value:.2f}{limits}"


def _pictured(album: Album, record: MapsRecord, configuration: Configuration, opened: Collection[str] | None) -> str:
    """opened: of test images those that may be shown; None: all may."""
    kept = [one for one in record.kept if opened is None or record.images[one.image].file in opened]
    items = "".join(_item(album, record, configuration, one) for one in kept)
    heading = f"{record.method}: {record.name} ({record.configuration}), {record.split} images"
    return f'<h4>{text(heading)}</h4><ul class="strip triples">{items}</ul>{album.remarks()}'


def _item(album: Album, record: MapsRecord, configuration: Configuration, kept: KeptMap) -> str:
    image = record.images[kept.image]
    pixels = album.pixels(image.file)
    of = f"{record.split} image of class {image.truth}, called {image.predicted}"
    if pixels is None or album.shown.redrawn is None:
        pictures = album.element("", of)
    else:
        pictures = "".join(
            f"<i>{album.element(thumbnail(drawn), f'{of}: {name}')}</i>"
            for name, drawn in album.shown.redrawn(pixels, configuration, record, kept)
        )
    agreement = "" if image.agreement is None else f", agreement {image.agreement:.2f}"
    whose = f", map of {image.map_of}" if image.map_of else ""
    lines = [
        f"{image.truth} → {image.predicted}{whose}",
        f"{', '.join(image.kinds)}; P {image.probability:.2f} ± {image.deviation:.2f}{agreement}",
        f"{album.name('image', image.file)}, {album.name('group', image.group)}",
    ]
    return f"<li>{pictures}{''.join(f'<span>{text(line)}</span>' for line in lines)}</li>"
