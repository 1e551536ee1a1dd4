"""TIFF files with several pages: plain, of ImageJ, and OME-TIFF with channels and planes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def tiff_pages(path: Path, pages: Sequence[np.ndarray], description: str = "") -> Path:
    """Each page uint8, uint16 or float32 [H, W], or uint8 [H, W, 3]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [Image.fromarray(page) for page in pages]
    more: dict[str, object] = {"tiffinfo": {270: description.encode()}} if description else {}
    images[0].save(path, save_all=True, append_images=images[1:], **more)
    return path


def ome_xml(
    sizes: tuple[int, int, int],
    names: Sequence[str] = (),
    order: str = "XYCZT",
    blocks: str = "<TiffData/>",
    samples: int = 1,
) -> str:
    """sizes: of C, Z and T. names: of the channels."""
    c, z, t = sizes
    channels = "".join(
        f'<Channel ID="Channel:0:{number}" SamplesPerPixel="{samples}" Name="{name}"/>'
        for number, name in enumerate(names)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        f'<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="{order}" Type="uint16" SizeX="8" SizeY="8" '
        f'SizeC="{c}" SizeZ="{z}" SizeT="{t}">{channels}{blocks}</Pixels></Image></OME>'
    )
