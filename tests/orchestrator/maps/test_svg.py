"""Maps as drawings."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from orchestrator.maps.drawn import over, veil
from orchestrator.maps.explained import Made
from orchestrator.maps.items import items
from orchestrator.maps.ranks import scaled
from orchestrator.maps.svg import drawing
from tests.orchestrator.maps.test_explained import IMAGE, explained

MAPS = scaled(np.random.default_rng(3).random((4, 1, 3, 3), dtype=np.float32))
PIXELS = np.random.default_rng(4).integers(0, 255, (1, 24, 24, 3), dtype=np.uint8)
SVG = "{http://www.w3.org/2000/svg}"


def drawn(maps: np.ndarray = MAPS, with_names: bool = False) -> ElementTree.Element:
    hostile = replace(IMAGE, truth="<script>", file='s/"1&.png')
    made = Made(replace(explained(maps), images=(hostile,)), lambda places: PIXELS[list(places)])
    return ElementTree.fromstring(drawing(made, items(made.explained)[0], with_names))


def pixels(image: ElementTree.Element) -> np.ndarray:
    start, _, content = image.attrib["href"].partition(",")
    assert start == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
        return np.array(picture)


def test_the_map_is_a_layer_of_its_own_over_the_image() -> None:
    images = drawn().findall(f"{SVG}image")
    assert len(images) == 3 + 1 + 2, "image; image, map, its scale; deviation, its scale"
    plain, below, above = (pixels(image) for image in images[:3])
    assert np.array_equal(plain, PIXELS[0])
    assert np.array_equal(below, PIXELS[0])
    assert images[1].attrib["x"] == images[2].attrib["x"]
    assert np.array_equal(above, veil(MAPS.mean(axis=0)[0], 24))
    share = above[..., 3:] / 255
    seen = below * (1 - share) + above[..., :3] * share
    assert np.abs(seen - over(PIXELS[0], MAPS.mean(axis=0)[0])).max() < 1.5, "as the picture has it"


def test_words_stay_text_and_names_are_asked_for() -> None:
    said = [text.text or "" for text in drawn().iter(f"{SVG}text")]
    assert said[0] == "image 7: Grad-CAM, map of b"
    assert said[1].startswith(
        "true <script>, predicted b (wrong); probability of the true class 0.30 ± 0.10; agreement"
    )
    assert said[2:] == ["image", "mean map, 4 repeats", "0", "1", "deviation over repeats", "0", "0.5"]
    assert next(drawn(with_names=True).iter(f"{SVG}text")).text == 's/"1&.png: Grad-CAM, map of b'
    alone = [text.text for text in drawn(MAPS[:1]).iter(f"{SVG}text")]
    assert alone[2:] == ["image", "map", "0", "1"]
