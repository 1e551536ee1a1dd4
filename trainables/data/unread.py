"""Pictures whose formats are not read: told by their names, with a way to go on. An exported model carries it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_PICTURES = (
    (".heic .heif .avif", "a HEIC or AVIF photograph: save it as JPEG or PNG"),
    (
        ".jp2 .j2k .jxl .psd .xcf .svg .eps .ico .tga .ppm .pgm .pbm .pnm .exr",
        "a format that is not supported: save it as PNG",
    ),
    (".cr2 .cr3 .nef .arw .dng .orf .rw2", "a camera's raw data: develop it and save it as TIFF or PNG"),
    (
        ".svs .ndpi .mrxs .scn .vms .vmu .bif .svslide .isyntax",
        "a whole-slide image: cut it into tiles, for instance with OpenSlide, and make the slide or patient the group",
    ),
    (
        ".czi .lif .nd2 .oib .oif .oir .vsi .lsm .ims .qptiff",
        "a microscope's own format: export the fields as PNG or TIFF, for instance with Bio-Formats",
    ),
    (
        ".mp4 .avi .mov .mkv .webm .wmv .m4v .mpg .mpeg",
        "a video: save frames as PNG, and make the video or patient the group",
    ),
    (
        ".nii .nii.gz .mha .mhd .nrrd .nhdr .mgz .mgh .mnc",
        "a volume: save slices as PNG, and make the patient the group",
    ),
)


def unread_picture(path: Path) -> str:
    """Why a picture of this name cannot be read and how to go on, as "kind: detail"; "" where it may be read."""
    return said_of(path.name, _PICTURES)


def said_of(name: str, table: Sequence[tuple[str, str]]) -> str:
    """What a table of (suffixes, reason) says of a name; "" where it says nothing."""
    plain = name.casefold()
    return next((f"not read: {why}" for suffixes, why in table if plain.endswith(tuple(suffixes.split()))), "")
