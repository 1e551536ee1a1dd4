"""Maps as files: arrays, and pictures of each image."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Picture

from orchestrator.maps.drawn import Pixels
from orchestrator.maps.explained import Explained, Made
from orchestrator.maps.items import items, layers
from orchestrator.maps.report import as_data
from orchestrator.store.storage import LocalStorage

_ENDS = {"image": "", "mean map": " mean", "deviation": " deviation"}


def write_arrays(path: Path, explained: Explained, with_names: bool) -> None:
    """One npz: "maps" float32 [repeats, N, h, w], "mean", "deviation" (of several repeats) [N, h, w], "repeats" int64,
    "images" [N], what each is called, and "about", all else as JSON text."""
    arrays: dict[str, Any] = {
        "maps": explained.maps,
        "mean": explained.mean,
        "repeats": np.array(explained.repeats, dtype=np.int64),
        "images": np.array([one.file if with_names else one.called for one in explained.images]),
        "about": np.array(json.dumps(as_data(explained, with_names))),
    }
    if explained.deviation is not None:
        arrays["deviation"] = explained.deviation
    target = io.BytesIO()
    np.savez_compressed(target, **arrays)
    LocalStorage(path.parent).replace(path.name, target.getvalue())


def write_pictures(folder: Path, made: Made) -> list[str]:
    """PNG files of each image or source, "image 07 mean.png": as it is, the mean map over it, and the
    deviation over repeats. They hold no names. Returns the files' names."""
    storage, names = LocalStorage(folder), []
    for item in items(made.explained):
        for kind, pixels in layers(made, item).items():
            names.append(f"{item.image.called}{_ENDS[kind]}.png")
            storage.replace(names[-1], png(pixels))
    return names


def png(pixels: Pixels) -> bytes:
    """Of uint8 [H, W, 3], or [H, W, 4] with alpha."""
    target = io.BytesIO()
    Picture.fromarray(pixels).save(target, "PNG")
    return target.getvalue()
