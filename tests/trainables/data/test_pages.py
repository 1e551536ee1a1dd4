"""TIFF files with several pages, planes and channels: read as the options say, else refused with the option to type."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from orchestrator.store.errors import InputError
from tests.support.page_files import ome_xml, tiff_pages
from trainables.data.dataset import load_dataset
from trainables.data.decode import decode, read_rgb
from trainables.data.manifest import reading_of
from trainables.data.options import DatasetOptions
from trainables.data.pages import chosen, layout_of
from trainables.data.reading import (
    AS_IT_IS,
    Intensity,
    Reading,
    RefusedImageError,
    parsed_channels,
    parsed_page,
)
from trainables.data.shades import NoRangeError

LIMIT = 1_000_000
FULL = Intensity(0, 255)


def flat(value: int, kind: type = np.uint8) -> np.ndarray:
    return np.full((3, 4), value, dtype=kind)


def pixel(path: Path, reading: Reading) -> list[int]:
    found = read_rgb(path, LIMIT, reading)
    assert (found == found[0, 0]).all()
    return [int(value) for value in found[0, 0]]


def refusal(path: Path, reading: Reading = AS_IT_IS, limit: int = LIMIT) -> str:
    with pytest.raises(RefusedImageError) as caught:
        decode(path, limit, reading)
    return caught.value.reason


def channels(text: str, **more: Any) -> Reading:
    return Reading(channels=parsed_channels(text), **more)


# --- the rule as text -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0:4095",
        "page=max",
        "page=3",
        "-160:239 page=mean",
        "channels=DAPI",
        "0:4095 page=max of=3 channels=DAPI=blue,GFP=green",
        "of=2 channels=Alexa 488 (EGFP)=red,page=2=green",
    ],
)
def test_a_reading_is_written_as_it_is_read(text: str) -> None:
    assert str(Reading.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["4095", "page=0", "page=top", "0:9 page", "channels=", "0:9channels=1", "of=x", "a:b"]
)
def test_readings_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|could not"):
        Reading.parse(text)


def test_pages_and_channels_as_they_are_typed() -> None:
    assert [parsed_page(text) for text in ("1", "007", "max", "mean", "min")] == ["1", "7", "max", "mean", "min"]
    assert parsed_channels(" DAPI = blue, GFP=green") == (("DAPI", "blue"), ("GFP", "green"))
    assert (
        parsed_channels("DAPI") == parsed_channels("DAPI=grey") == parsed_channels("DAPI=gray") == (("DAPI", "grey"),)
    )
    for text in ("", "A=blue,B=blue", "A=purple", "A,B", "A=red,B", "=red", "A=red,", "A=red,B=grey"):
        with pytest.raises(ValueError, match="expected NAME=red"):
            parsed_channels(text)


# --- pages ------------------------------------------------------------------------------------------------------------


def test_pages_are_refused_with_the_option(tmp_path: Path) -> None:
    path = tiff_pages(tmp_path / "a.tif", [flat(10), flat(40), flat(250)])
    assert refusal(path) == (
        "several pages: 3 pages, expected one image; a search takes one of them with --page 1 to --page 3, or "
        "combines all with --page max, mean or min"
    )
    found = {page: pixel(path, Reading(page=page))[0] for page in ("1", "2", "3", "max", "mean", "min")}
    assert found == {"1": 10, "2": 40, "3": 250, "max": 250, "mean": 100, "min": 10}
    assert refusal(path, Reading(page="4")) == "page: expected page 4, found 3 pages"
    assert decode(path, LIMIT, Reading(page="max")).reading == Reading(page="max")


def test_a_page_of_a_file_with_one(tmp_path: Path) -> None:
    path = tiff_pages(tmp_path / "a.tif", [flat(10)])
    for page in ("", "1", "max", "mean"):
        assert pixel(path, Reading(page=page)) == [10, 10, 10]
        assert decode(path, LIMIT, Reading(page=page)).reading == AS_IT_IS
    assert refusal(path, Reading(page="2")) == "page: expected page 2, found 1 page"


def test_deep_pages_are_projected_before_they_are_scaled(tmp_path: Path) -> None:
    path = tiff_pages(tmp_path / "a.tif", [flat(100, np.uint16), flat(1000, np.uint16), flat(401, np.uint16)])
    with pytest.raises(NoRangeError) as caught:
        decode(path, LIMIT, Reading(page="max"))
    assert (caught.value.samples.low, caught.value.samples.high) == (1000, 1000)
    assert pixel(path, Reading(Intensity(0, 1000), "max"))[0] == 255
    assert pixel(path, Reading(Intensity(0, 1000), "mean"))[0] == 128
    assert pixel(path, Reading(Intensity(0, 1000), "min"))[0] == 26


def test_colour_pages(tmp_path: Path) -> None:
    first, second = (np.full((2, 2, 3), values, np.uint8) for values in ((10, 200, 30), (20, 100, 31)))
    path = tiff_pages(tmp_path / "a.tif", [first, second])
    assert pixel(path, Reading(page="max")) == [20, 200, 31]
    assert pixel(path, Reading(page="mean")) == [15, 150, 31]
    assert pixel(path, Reading(page="2")) == [20, 100, 31]


def test_pages_that_differ(tmp_path: Path) -> None:
    path = tiff_pages(tmp_path / "a.tif", [flat(10), np.zeros((9, 9), np.uint8)])
    assert refusal(path, Reading(page="max")).startswith("pages differ: in size")
    assert pixel(path, Reading(page="1")) == [10, 10, 10]
    assert read_rgb(path, LIMIT, Reading(page="2")).shape == (9, 9, 3)
    assert refusal(path, Reading(page="2"), 80) == "too many pixels: 9 x 9, the limit is 80"
    assert refusal(path, channels("1=red,2=blue")).startswith("pages differ: channels of different sizes")
    path = tiff_pages(tmp_path / "b.tif", [flat(10), flat(10, np.uint16)])
    assert refusal(path, Reading(FULL, "max")).startswith("pages differ: in size or in their kind of samples")


def test_many_pages_are_too_many_pixels(tmp_path: Path) -> None:
    path = tiff_pages(tmp_path / "a.tif", [flat(10)] * 50)
    assert refusal(path, Reading(page="max"), 20).startswith("too many pixels: 50 pages of 4 x 3")
    assert refusal(path, Reading(page="max"), 11).startswith("too many pixels: 4 x 3")


# --- OME-TIFF ---------------------------------------------------------------------------------------------------------


def test_channels_are_told_apart_by_name(tmp_path: Path) -> None:
    path = tiff_pages(
        tmp_path / "a.ome.tif", [flat(10), flat(20), flat(30)], ome_xml((3, 1, 1), ["DAPI", "GFP", "Cy 5"])
    )
    assert refusal(path) == (
        "several channels: 3 channels (DAPI, GFP, Cy 5); a search assigns them to red, green and blue with --channels "
        "'DAPI=blue,GFP=green,Cy 5=red', or takes one with --channels 'DAPI'"
    )
    assert pixel(path, channels("DAPI=blue,GFP=green")) == [0, 20, 10]
    assert pixel(path, channels("cy 5=red,1=green")) == [30, 10, 0]
    assert pixel(path, channels("GFP")) == [20, 20, 20]
    assert refusal(path, channels("RFP=red")) == "channels: expected 'RFP', found 3 channels (DAPI, GFP, Cy 5)"
    assert refusal(path, channels("4=red")).startswith("channels: expected '4'")
    assert refusal(path, Reading(page="max")).startswith("several channels: 3")
    assert str(decode(path, LIMIT, channels("GFP")).reading) == "of=3 channels=GFP"


@pytest.mark.parametrize("order", ["XYCZT", "XYZCT", "XYTZC", "XYCTZ"])
def test_planes_are_projected_in_each_channel(tmp_path: Path, order: str) -> None:
    values = {(0, 0): 10, (0, 1): 12, (1, 0): 20, (1, 1): 26}
    fast_channel = order.index("C") < order.index("Z")
    keys = (
        [(c, z) for z in range(2) for c in range(2)] if fast_channel else [(c, z) for c in range(2) for z in range(2)]
    )
    path = tiff_pages(
        tmp_path / "a.ome.tif", [flat(values[key]) for key in keys], ome_xml((2, 2, 1), ["A", "B"], order)
    )
    assert pixel(path, channels("A=red,B=blue", page="max")) == [12, 0, 26]
    assert pixel(path, channels("A=red,B=blue", page="1")) == [10, 0, 20]
    assert refusal(path, channels("A=red,B=blue")).startswith("several pages: 2 planes, expected one image; ")


@pytest.mark.parametrize("inside", ["", '<UUID FileName="a.ome.tif">urn:uuid:1</UUID>'])
def test_pages_that_ome_lists_in_an_order_of_its_own(tmp_path: Path, inside: str) -> None:
    """Bio-Formats writes a block for each page."""
    blocks = (
        f'<TiffData FirstC="1" FirstT="0" FirstZ="0" IFD="0" PlaneCount="1">{inside}</TiffData>'
        f'<TiffData FirstC="0" FirstT="0" FirstZ="0" IFD="1" PlaneCount="1">{inside}</TiffData>'
    )
    path = tiff_pages(tmp_path / "a.ome.tif", [flat(10), flat(20)], ome_xml((2, 1, 1), ["A", "B"], blocks=blocks))
    assert pixel(path, channels("A=red,B=blue")) == [20, 0, 10]


@pytest.mark.parametrize(
    ("sizes", "more", "said"),
    [
        ((2, 1, 3), {}, "time points: 3 of them, expected 1"),
        (
            (2, 2, 1),
            {},
            "OME-XML: 2 channels x 2 planes, and 2 pages in the file: pages are missing or lie in other files",
        ),
        ((2, 1, 1), {"blocks": '<TiffData IFD="0"/>'}, "OME-XML: it does not say what each page is"),
        ((2, 1, 1), {"blocks": '<TiffData IFD="1" PlaneCount="2"/>'}, "OME-XML: it lists pages twice, or"),
        ((2, 1, 1), {"blocks": '<TiffData IFD="0"/>' * 3}, "OME-XML: it lists pages twice, or"),
        ((2, 1, 1), {"blocks": '<TiffData IFD="-1"/>'}, "OME-XML: IFD is not a possible number"),
        ((2, 1, 1), {"blocks": '<TiffData IFD="999999999"/>'}, "OME-XML: IFD is not a possible number"),
        ((0, 1, 1), {}, "OME-XML: SizeC is not a possible number"),
        ((2, 1, 1), {"order": "XYCCT"}, "OME-XML: unknown order"),
    ],
)
def test_descriptions_that_do_not_fit(
    tmp_path: Path, sizes: tuple[int, int, int], more: dict[str, Any], said: str
) -> None:
    path = tiff_pages(tmp_path / "a.ome.tif", [flat(10), flat(20)], ome_xml(sizes, ["A", "B"], **more))
    assert refusal(path, channels("A=red,B=blue")).startswith(said)


def test_descriptions_that_are_no_xml_or_hostile(tmp_path: Path) -> None:
    whole = ome_xml((2, 1, 1), ["A", "B"])
    laughs = whole.replace("?>", '?><!DOCTYPE OME [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>', 1).replace('"A"', '"&b;"')
    series = whole.replace("</Image>", "</Image><Image><Pixels/></Image>")
    companion = '<OME><BinaryOnly MetadataFile="a.companion.ome" UUID="1"/></OME>'
    for text, said in (
        (laughs, "with definitions of its own"),
        (whole[:-20], "is not complete XML"),
        (series, "several images (series)"),
        (companion, "which lie in several files"),
        (whole.replace("?>", "?>" + "<a>" * 100_000, 1), "is not complete XML"),
    ):
        path = tiff_pages(tmp_path / "a.ome.tif", [flat(10), flat(20)], text)
        assert said in refusal(path, channels("A=red,B=blue"))


def test_names_with_signs_of_their_own_and_twice(tmp_path: Path) -> None:
    path = tiff_pages(tmp_path / "a.ome.tif", [flat(10), flat(20)], ome_xml((2, 1, 1), ["β-actin µ", "β-actin µ"]))
    assert pixel(path, channels("2=red")) == [20, 0, 0]
    assert refusal(path, channels("β-actin µ=red")).startswith("channels: 2 are named 'β-actin µ'")
    assert "--channels '1=blue,2=green'" in refusal(path), "a name that is two says nothing"


def test_one_plane_of_ome_is_read_as_any_tiff(tmp_path: Path) -> None:
    path = tiff_pages(tmp_path / "a.ome.tif", [flat(10)], ome_xml((1, 1, 1), ["DAPI"]))
    assert pixel(path, AS_IT_IS) == [10, 10, 10]
    assert pixel(path, channels("DAPI=blue")) == [0, 0, 10]
    colours = np.full((3, 4, 3), (10, 20, 30), np.uint8)
    path = tiff_pages(tmp_path / "rgb.ome.tif", [colours], ome_xml((3, 1, 1), ["RGB"], samples=3))
    assert pixel(path, AS_IT_IS) == [10, 20, 30]
    stack = tiff_pages(tmp_path / "rgbs.ome.tif", [colours, colours + 1], ome_xml((3, 2, 1), ["RGB"], samples=3))
    assert pixel(stack, Reading(page="max")) == [11, 21, 31]


def test_deep_channels_are_scaled_by_one_range(tmp_path: Path) -> None:
    path = tiff_pages(
        tmp_path / "a.ome.tif", [flat(500, np.uint16), flat(1000, np.uint16)], ome_xml((2, 1, 1), ["A", "B"])
    )
    with pytest.raises(NoRangeError) as caught:
        decode(path, LIMIT, channels("A=red,B=blue"))
    assert (caught.value.samples.low, caught.value.samples.high) == (500, 1000)
    assert pixel(path, channels("A=red,B=blue", intensity=Intensity(0, 1000))) == [128, 0, 255]


# --- pages as channels, ImageJ ----------------------------------------------------------------------------------------


def test_plain_pages_are_channels_by_number(tmp_path: Path) -> None:
    path = tiff_pages(tmp_path / "a.tif", [flat(10), flat(20), flat(30)])
    assert pixel(path, channels("1=red,2=green")) == [10, 20, 0]
    assert refusal(path, channels("4=red")) == "channels: expected '4', found 3 channels (1, 2, 3)"
    one = tiff_pages(tmp_path / "b.tif", [flat(10)])
    assert refusal(one, channels("1=red,2=green")) == "channels: expected '2', found 1 channel (1)"


def test_colour_images_have_no_channels(tmp_path: Path) -> None:
    Image.fromarray(np.full((3, 4, 3), 9, np.uint8)).save(tmp_path / "a.png")
    assert refusal(tmp_path / "a.png", channels("1=red")).startswith(
        "channels: expected grey channels (1=red), found a colour image"
    )


def test_colour_pages_are_no_channels(tmp_path: Path) -> None:
    colours = np.full((3, 4, 3), (10, 20, 30), np.uint8)
    path = tiff_pages(tmp_path / "a.tif", [flat(10), colours])
    assert refusal(path, channels("2=red")) == "channels: expected grey channels (2=red), found a colour page"
    assert pixel(path, channels("1=red")) == [10, 0, 0]


def test_hyperstacks_of_imagej(tmp_path: Path) -> None:
    pages = [flat(value) for value in (10, 20, 12, 26)]
    said = "ImageJ=1.54f\nimages=4\nchannels=2\nslices=2\nhyperstack=true\nmode=composite\n"
    path = tiff_pages(tmp_path / "a.tif", pages, said)
    assert pixel(path, channels("1=red,2=blue", page="max")) == [12, 0, 26]
    assert refusal(path, Reading(page="max")).startswith("several channels: 2 channels (1, 2)")
    stack = tiff_pages(tmp_path / "b.tif", pages, "ImageJ=1.54f\nimages=4\nslices=4\n")
    assert pixel(stack, Reading(page="max")) == [26, 26, 26]
    film = tiff_pages(tmp_path / "c.tif", pages, "ImageJ=1.54f\nimages=4\nframes=4\n")
    assert refusal(film, Reading(page="max")) == "time points: 4 of them, expected 1; save the one you want"
    large = tiff_pages(tmp_path / "d.tif", pages[:1], "ImageJ=1.54f\nimages=900\nslices=900\n")
    assert refusal(large).startswith("several pages: ImageJ declares 900, but the file has 1")


def test_layouts_are_built_only_for_pages_that_are_there() -> None:
    for description in (ome_xml((10**6, 10**6, 1)), "ImageJ=1\nimages=2\nchannels=999999999\nslices=999999999\n"):
        with contextlib.suppress(RefusedImageError):
            layout = layout_of(description, 2, 1, as_channels=False)
            assert chosen(layout, Reading(page="max")) == [("", range(2))]


def test_bytes_flipped_anywhere_give_pixels_or_a_refusal(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    path = tiff_pages(tmp_path / "a.ome.tif", [flat(10), flat(20)] * 2, ome_xml((2, 2, 1), ["A", "B"]))
    original = np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(250):
        damaged = original.copy()
        damaged[generator.integers(0, len(damaged), 4)] = generator.integers(0, 256, 4)
        (tmp_path / "b.tif").write_bytes(damaged.tobytes())
        for reading in (Reading(FULL, "max"), channels("A=red,B=blue", page="mean", intensity=FULL)):
            with contextlib.suppress(RefusedImageError):
                assert read_rgb(tmp_path / "b.tif", 10_000, reading).shape[2] == 3


# --- a study's images -------------------------------------------------------------------------------------------------


def study(folder: Path, names: list[str], planes: int = 1) -> Path:
    for index, label in enumerate("ab"):
        for number in range(5):
            generator = np.random.default_rng([index, number])
            pages = [generator.integers(0, 3000, (12, 12)).astype(np.uint16) for _ in range(len(names) * planes)]
            description = ome_xml((len(names), planes, 1), names)
            tiff_pages(folder / label / f"p{number}_{index}.ome.tif", pages, description)
    return folder


def options(reading: Reading) -> DatasetOptions:
    return DatasetOptions(group_by=r"(p\d)_", reading=reading)


def test_a_dataset_of_channels_is_read_by_one_rule_and_one_range(tmp_path: Path) -> None:
    images = load_dataset(study(tmp_path, ["DAPI", "GFP"], 2), options(channels("DAPI=blue,GFP=green", page="max")))
    assert set(images.manifest["reading"]) == {"0:4095 page=max of=2 channels=DAPI=blue,GFP=green"}
    rule = reading_of(images.manifest)
    pixels = read_rgb(tmp_path / images.manifest["file"][0], LIMIT, rule)
    assert pixels[..., 0].max() == 0
    assert min(pixels[..., 1].max(), pixels[..., 2].max()) > 100


def test_a_file_that_lacks_a_channel_is_refused_by_name(tmp_path: Path) -> None:
    study(tmp_path, ["DAPI", "GFP"])
    pages = [flat(9, np.uint16), flat(10, np.uint16)]
    tiff_pages(tmp_path / "a" / "p0_9.ome.tif", pages, ome_xml((2, 1, 1), ["DAPI", "Cy5"]))
    images = load_dataset(tmp_path, options(channels("DAPI=blue,GFP=green")))
    assert images.refused.to_dict("records") == [
        {"file": "a/p0_9.ome.tif", "reason": "channels: expected 'GFP', found 2 channels (DAPI, Cy5)"}
    ]


def test_a_name_that_no_file_has_stops_the_search(tmp_path: Path) -> None:
    study(tmp_path, ["DAPI", "GFP"])
    with pytest.raises(
        InputError, match=r"10 × channels\n.*: channels: expected 'FITC', found 2 channels \(DAPI, GFP\)"
    ):
        load_dataset(tmp_path, options(channels("DAPI=blue,FITC=green")))


def test_another_number_of_channels_is_told(tmp_path: Path) -> None:
    study(tmp_path, ["DAPI", "GFP"])
    pages = [flat(9, np.uint16), flat(10, np.uint16), flat(11, np.uint16)]
    path = tiff_pages(tmp_path / "a" / "p0_9.ome.tif", pages, ome_xml((3, 1, 1), ["DAPI", "GFP", "Cy5"]))
    rule = channels("DAPI=blue,GFP=green")
    images = load_dataset(tmp_path, options(rule))
    assert reading_of(images.manifest).of == 0
    assert any("Images have different numbers of channels: 2, 3" in str(note) for note in images.odd)
    told = decode(path, LIMIT, Reading(Intensity(0, 4095), channels=rule.channels, of=2)).remarks
    assert told[0] == "3 channels, but images of the study have 2"
