"""A study keeps the range that its images of more than 8 bits were scaled by, and reads all others by it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from orchestrator.evaluation.choice import Split
from orchestrator.evaluation.external import External, external_images
from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.study.preparation import DataRequest, Prepared, find_space, prepare
from orchestrator.study.studies import Study, write_study
from tests.support.dicom_files import dicom
from tests.support.page_files import ome_xml, tiff_pages
from trainables.data.decode import content_hash, read_rgb
from trainables.data.manifest import read_manifest, reading_of
from trainables.data.options import DatasetOptions
from trainables.data.partition import Partition, splits
from trainables.data.percentiles import Percentiles
from trainables.data.reading import Intensity, Reading


def write(folder: Path, peak: int, groups: int = 4, kind: type = np.uint16) -> Path:
    for index, label in enumerate("ab"):
        (folder / label).mkdir(parents=True)
        for group in range(groups):
            values = np.random.default_rng([peak, index, group]).uniform(0.3, 1, (24, 24)) * peak
            Image.fromarray(values.astype(kind)).save(folder / label / f"g{group}_{index}.png")
    return folder


def prepared(
    folder: Path,
    said: list[str],
    intensity: Intensity | None = None,
    rule: str = "",
    percentiles: Percentiles | None = None,
) -> Prepared:
    reading = Reading.parse(rule) if rule else Reading(intensity)
    options = DatasetOptions(group_by=r"(g\d)", reading=reading, percentiles=percentiles)
    data = DataRequest(folder / "data", options)
    space = find_space("mine", folder / "studies", data)
    return prepare("mine", space, folder / "studies", folder / "cache", data, 0, "fp32", said.append)


def elsewhere(study: Study, source: Path) -> Any:
    manifest = read_manifest(study.storage.read(layout.MANIFEST))
    configuration: Any = SimpleNamespace(data=SimpleNamespace(classes=("a", "b")))
    options = DatasetOptions(group_by="none")
    return external_images(study.storage, configuration, Split(manifest[:0], manifest), External(source, options))


def test_the_range_is_told_and_kept(tmp_path: Path) -> None:
    write(tmp_path / "data", 50_000)
    said: list[str] = []
    study = prepared(tmp_path, said).study
    assert any("Note: 8 images of 8: values 0:65535 are scaled to 0:255" in line for line in said)
    assert reading_of(read_manifest(study.storage.read(layout.MANIFEST))).intensity == Intensity(0, 65_535)


def test_a_study_is_opened_again_with_its_own_range(tmp_path: Path) -> None:
    """The same command without the option means the same images."""
    write(tmp_path / "data", 50_000)
    write_study(prepared(tmp_path, [], Intensity(0, 60_000)).study)
    again = prepared(tmp_path, []).study
    assert reading_of(read_manifest(again.storage.read(layout.MANIFEST))).intensity == Intensity(0, 60_000)
    with pytest.raises(InputError, match=r"study 'mine': --intensity 0:4095: its images are scaled by 0:60000"):
        prepared(tmp_path, [], Intensity(0, 4095))


def test_percentiles_are_those_of_the_partition_that_is_made_and_stay(tmp_path: Path) -> None:
    write(tmp_path / "data", 50_000)
    said: list[str] = []
    first = prepared(tmp_path, said, percentiles=Percentiles(5, 95)).study
    own = reading_of(read_manifest(first.storage.read(layout.MANIFEST))).intensity
    assert own is not None
    assert 15_000 < own.low < own.high < 50_000
    assert any("the percentiles 5 and 95 of training images" in line for line in said)
    manifest = read_manifest(first.storage.read(layout.MANIFEST))
    path = layout.partition(first.record.partition)
    split = splits(manifest, Partition.from_bytes(first.storage.read(path), path))
    training = [tmp_path / "data" / file for file in manifest.loc[(split == "train").to_numpy(), "file"]]
    values = np.concatenate([np.asarray(Image.open(file)).reshape(-1) for file in training])
    assert [own.low, own.high] == pytest.approx(np.percentile(values, [5, 95]), rel=0.02)
    write_study(first)
    again = prepared(tmp_path, [], percentiles=Percentiles(10, 90)).study
    assert reading_of(read_manifest(again.storage.read(layout.MANIFEST))).intensity == own


def test_percentiles_that_nothing_needs_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "data", 200, kind=np.uint8)
    with pytest.raises(InputError, match="--intensity 1%:99%: expected images with more than 8 bits or DICOM"):
        prepared(tmp_path, [], percentiles=Percentiles(1, 99))


def test_a_range_that_nothing_needs_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "data", 200, kind=np.uint8)
    with pytest.raises(
        InputError, match="--intensity 0:4095: expected images with more than 8 bits or DICOM, found none"
    ):
        prepared(tmp_path, [], Intensity(0, 4095))


def test_images_from_elsewhere_are_read_by_the_range_of_the_study(tmp_path: Path) -> None:
    """All of them dim: by a range of their own they would be as bright as those that were trained on."""
    write(tmp_path / "data", 50_000)
    study = prepared(tmp_path, []).study
    source = write(tmp_path / "other", 3500)
    found = elsewhere(study, source)
    row = found.split.test.iloc[0]
    assert row["content"] == content_hash(read_rgb(source / row["file"], 10_000, Reading(Intensity(0, 65_535))))
    assert "8 images of 8: nearly black." in found.notes, "names of files would be in the model card"
    assert found.told == (
        "8 images of 8: nearly black ('a/g0_0.png', 'a/g1_0.png', 'a/g2_0.png', 'a/g3_0.png', "
        "'b/g0_1.png' and 3 more).",
    )
    assert not any("--intensity" in note for note in found.notes), "it is no option of orch evaluate"


def test_values_beyond_the_range_of_the_study_are_told(tmp_path: Path) -> None:
    write(tmp_path / "data", 4000)
    study = prepared(tmp_path, []).study
    found = elsewhere(study, write(tmp_path / "other", 9000))
    assert "8 images of 8: values outside 0:4095 are clipped." in found.notes
    assert found.told[0].startswith("8 images of 8: values outside 0:4095 are clipped ('a/g0_0.png'")


def test_16_bits_from_elsewhere_for_a_study_of_8_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "data", 200, kind=np.uint8)
    study = prepared(tmp_path, []).study
    with pytest.raises(InputError, match=r"8 images \(.*\) have more than 8 bits, the study's have 8"):
        elsewhere(study, write(tmp_path / "other", 9000))


@pytest.mark.parametrize("text", ["4095", "9:1", "low:high", "99%:1%"])
def test_ranges_that_are_none_are_explained(text: str) -> None:
    from click.testing import CliRunner

    from orchestrator.commands.search import search

    run = CliRunner().invoke(search, ["mine", "resnet18", "--data", "images", "--intensity", text])
    assert run.exit_code == 2
    assert f"expected LOW:HIGH, such as 0:4095 or 1%:99%, the smaller first, found '{text}'" in run.stderr.replace(
        "\n", " "
    )


def write_channels(folder: Path, names: tuple[str, ...] = ("DAPI", "GFP")) -> Path:
    for index, label in enumerate("ab"):
        for group in range(4):
            generator = np.random.default_rng([len(names), index, group])
            pages = [generator.integers(0, 4000, (16, 16)).astype(np.uint16) for _ in range(2 * len(names))]
            tiff_pages(folder / label / f"g{group}_{index}.ome.tif", pages, ome_xml((len(names), 2, 1), names))
    return folder


RULE = "page=max channels=DAPI=blue,GFP=green"


def test_a_study_keeps_its_page_and_channels(tmp_path: Path) -> None:
    write_channels(tmp_path / "data")
    write_study(prepared(tmp_path, [], rule=RULE).study)
    study = prepared(tmp_path, []).study
    assert str(reading_of(read_manifest(study.storage.read(layout.MANIFEST)))) == f"0:4095 {RULE}".replace(
        "channels", "of=2 channels", 1
    )
    with pytest.raises(InputError) as caught:
        prepared(tmp_path, [], rule="0:99 page=min channels=GFP")
    assert [line.removeprefix("  - ") for line in str(caught.value).splitlines()[1:]] == [
        "--intensity 0:99: its images are scaled by 0:4095",
        "--page min: its images are read by page max",
        "--channels GFP: its images are read by channels DAPI=blue,GFP=green",
        "Leave it out, or make another study under another name.",
    ]


def test_what_to_type_again_has_page_and_channels() -> None:
    request = DataRequest(Path("x"), DatasetOptions(reading=Reading.parse("0:9 page=2 channels=Cy 5=red")))
    assert request.typed() == "--data x --intensity 0:9 --page 2 --channels 'Cy 5=red'"


def test_channels_from_elsewhere(tmp_path: Path) -> None:
    write_channels(tmp_path / "data")
    study = prepared(tmp_path, [], rule=RULE).study
    found = elsewhere(study, write_channels(tmp_path / "other", ("GFP", "Cy5", "DAPI")))
    assert "8 images of 8: 3 channels, but images of the study have 2." in found.notes
    row = found.split.test.iloc[0]
    pixels = read_rgb(tmp_path / "other" / row["file"], 10_000, Reading.parse(f"0:4095 {RULE}"))
    assert row["content"] == content_hash(pixels)
    with pytest.raises(InputError, match=r"channels: expected 'GFP', found 2 channels \(DAPI, Cy5\)"):
        elsewhere(study, write_channels(tmp_path / "third", ("DAPI", "Cy5")))


def test_dicom_with_another_window_from_elsewhere_is_told(tmp_path: Path) -> None:
    for place, centre in (("data", 2048), ("other", 1000)):
        for index, label in enumerate("ab"):
            for group in range(4):
                values = np.random.default_rng([centre, index, group]).integers(0, 4096, (16, 16)).astype(np.uint16)
                tags = {"WindowCenter": centre, "WindowWidth": 4096}
                dicom(tmp_path / place / label / f"g{group}_{index}.dcm", values, 12, **tags)
    study = prepared(tmp_path, []).study
    assert "8 images of 8: the file states another window than 0:4095." in elsewhere(study, tmp_path / "other").notes
