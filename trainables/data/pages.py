"""Which pages of a file are which channel and plane, by OME-XML, by ImageJ or by their order, and which are taken."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from xml.etree import ElementTree

from trainables.data.reading import PROJECTIONS, Reading, RefusedImageError

_LONGEST = 20_000_000
"""Characters of OME-XML above which it is not parsed."""


@dataclass(frozen=True)
class Layout:
    """pages: number of each page, from 0, as [channels][planes]. names: of the channels, "" where they have none.
    noun: what the planes are called."""

    pages: tuple[Sequence[int], ...]
    names: tuple[str, ...]
    noun: str = "page"

    @property
    def planes(self) -> int:
        return len(self.pages[0])

    @property
    def channels(self) -> str:
        """ "3 channels (DAPI, GFP, Cy5)" """
        count, names = (
            len(self.names),
            ", ".join(_shown(name) or str(place) for place, name in enumerate(self.names, 1)),
        )
        return f"{count} channel{'s' if count > 1 else ''} ({names})"


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise RefusedImageError where there are more pixels than may be decoded."""
    if width * height > max_pixels:
        raise RefusedImageError(f"too many pixels: {width} x {height}, the limit is {max_pixels:,}")


def layout_of(description: str, pages: int, samples: int, as_channels: bool) -> Layout:
    """How the `pages` of a TIFF lie. description: its ImageDescription. samples: in a pixel of a page. as_channels:
    pages of which nothing says what they are are channels. Raises RefusedImageError where that cannot be told."""
    if "<OME" in description[:_LONGEST] and (pages > 1 or as_channels):
        return _of_ome(description, pages, samples)
    if description.startswith("ImageJ="):
        said = {
            key: int(value)
            for key, value in re.findall(r"^(images|channels|slices|frames)=(\d{1,9})\s*$", description, re.M)
        }
        if said.get("images", pages) > pages:
            raise RefusedImageError(
                f"several pages: ImageJ declares {said['images']}, but the file has {pages}; save it as OME-TIFF, or "
                "each page alone"
            )
        channels, planes, times = (said.get(key, 1) for key in ("channels", "slices", "frames"))
        if channels * planes * times == pages and pages > 1:
            _check_times(times)
            return Layout(tuple(range(one, pages, channels) for one in range(channels)), ("",) * channels, "plane")
    if as_channels:
        return Layout(tuple(range(one, one + 1) for one in range(pages)), ("",) * pages)
    return Layout((range(pages),), ("",))


def chosen(layout: Layout, reading: Reading) -> list[tuple[str, Sequence[int]]]:
    """(input, numbers of the pages that are projected into it) of each channel that is read, ("", pages) where files
    have no channels. Raises RefusedImageError, with the option that would read the file."""
    if not reading.channels:
        if len(layout.pages) > 1:
            names = [_typed(layout.names, place) for place in range(len(layout.names))]
            example = ",".join(
                f"{name}={target}" for name, target in zip(names, ("blue", "green", "red"), strict=False)
            )
            raise RefusedImageError(
                f"several channels: {layout.channels}; a search assigns them to red, green and blue with "
                f"--channels '{example}', or takes one with --channels '{names[0]}'"
            )
        return [("", _planes(layout.pages[0], layout.noun, reading.page))]
    places = [_place(layout, name) for name, _ in reading.channels]
    return [
        (target, _planes(layout.pages[place], layout.noun, reading.page))
        for place, (_, target) in zip(places, reading.channels, strict=True)
    ]


def _typed(names: Sequence[str], place: int) -> str:
    """What to type for a channel: its name where that can be written and is its own, else its number."""
    name = names[place]
    can = (
        name
        and name == _shown(name)
        and not {*name} & {*",='"}
        and [one.casefold() for one in names].count(name.casefold()) == 1
    )
    return name if can else str(place + 1)


def _planes(pages: Sequence[int], noun: str, page: str) -> Sequence[int]:
    count = len(pages)
    if page in PROJECTIONS or (not page and count == 1):
        return pages
    if not page:
        raise RefusedImageError(
            f"several pages: {count} {noun}s, expected one image; a search takes one of them with --page 1 to "
            f"--page {count}, or combines all with --page max, mean or min"
        )
    if int(page) > count:
        raise RefusedImageError(f"page: expected {noun} {page}, found {count} {noun}{'s' if count > 1 else ''}")
    return pages[int(page) - 1 : int(page)]


def _place(layout: Layout, name: str) -> int:
    """Of a channel in a layout, by its name, else by its number."""
    for same in (str, str.casefold):
        places = [place for place, one in enumerate(layout.names) if same(one) == same(name)]
        if len(places) == 1:
            return places[0]
        if places:
            raise RefusedImageError(
                f"channels: {len(places)} are named {name!r}, {layout.channels}; give their numbers"
            )
    if name.isdecimal() and 1 <= int(name) <= len(layout.names):
        return int(name) - 1
    raise RefusedImageError(f"channels: expected {name!r}, found {layout.channels}")


def _of_ome(description: str, pages: int, samples: int) -> Layout:
    element = _pixels(description)
    channels = [one for one in element if _tag(one) == "Channel"]
    c, z, t = (_whole_number(element, key) for key in ("SizeC", "SizeZ", "SizeT"))
    if c % samples == 0:
        c //= samples  # SizeC counts red, green and blue
    _check_times(t)
    if c * z != pages:
        raise RefusedImageError(
            f"OME-XML: {c} channels x {z} planes, and {pages} pages in the file: pages are missing or lie in "
            "other files; save each image as one file"
        )
    order = element.get("DimensionOrder", "XYCZT")
    if not re.fullmatch("XY[CZT]{3}", order) or len(set(order)) != 5:
        raise RefusedImageError("OME-XML: unknown order of dimensions; save it again as OME-TIFF")
    fastest = "C" if order.index("C") < order.index("Z") else "Z"
    table: dict[tuple[int, int], int] = {}
    for block in [one for one in element if _tag(one) == "TiffData"] or [ElementTree.Element("TiffData")]:
        first = _whole_number(block, "IFD", 0)
        count = _whole_number(block, "PlaneCount", 1 if "IFD" in block.attrib else pages)
        _whole_number(block, "FirstT", 0, most=0)
        at_c, at_z = _whole_number(block, "FirstC", 0), _whole_number(block, "FirstZ", 0)
        begun = at_c + c * at_z if fastest == "C" else at_z + z * at_c
        for step in range(min(count, pages + 1)):
            place, page = begun + step, first + step
            key = (place % c, place // c) if fastest == "C" else (place // z, place % z)
            if place >= pages or page >= pages or key in table:
                raise RefusedImageError(
                    "OME-XML: it lists pages twice, or pages that do not exist; save it again as OME-TIFF"
                )
            table[key] = page
    if len(table) != pages:
        raise RefusedImageError("OME-XML: it does not say what each page is; save it again as OME-TIFF")
    names = [str(one.get("Name", "")).strip() for one in channels][:c]
    return Layout(
        tuple(tuple(table[channel, plane] for plane in range(z)) for channel in range(c)),
        (*names, *[""] * (c - len(names))),
        "plane",
    )


def _pixels(description: str) -> ElementTree.Element:
    """The element that says sizes and channels. No document types are read, hence no entities; Pillow gives the UTF-8
    of the file as Latin-1."""
    text = description.encode("latin-1", "replace").decode("utf-8", "replace").strip().rstrip("\x00")
    text = re.sub(r"^<\?xml[^>]*\?>", "", text.lstrip("\ufeff"))
    if len(text) > _LONGEST or "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise RefusedImageError("OME-XML: longer than 20 MB, or with definitions of its own; save it again as OME-TIFF")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise RefusedImageError("OME-XML: the description is not complete XML; save it again as OME-TIFF") from error
    images = list(islice((one for one in root if _tag(one) == "Image"), 2))
    if len(images) > 1:
        raise RefusedImageError("OME-XML: several images (series) in one file; save each as a file of its own")
    pixels = [one for image in images for one in image if _tag(one) == "Pixels"]
    if len(pixels) != 1:
        raise RefusedImageError(
            "OME-XML: it says nothing about the pixels, which lie in several files; save it as one file"
        )
    return pixels[0]


def _check_times(times: int) -> None:
    if times > 1:
        raise RefusedImageError(f"time points: {times} of them, expected 1; save the one you want")


def _whole_number(element: ElementTree.Element, key: str, default: int | None = None, most: int = 10**6) -> int:
    text = element.get(key, "" if default is None else str(default))
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) > most or (default is None and int(text) == 0):
        raise RefusedImageError(f"OME-XML: {key} is not a possible number; save it again as OME-TIFF")
    return int(text)


def _tag(element: ElementTree.Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _shown(name: str) -> str:
    """A channel's name as it may be printed: no control characters, not endless."""
    return "".join(sign for sign in name if sign.isprintable())[:60]
