"""Stored squares and the views made from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from orchestrator.store.errors import InputError
from search_spaces.configuration import Configuration
from tests.support.tiny_study import SIZE, TinyStudy, make_tiny_study
from trainables.features import pixels
from trainables.features.pixels import ViewReader, channel_statistics, pixel_key, pixel_store, write_pixels
from trainables.features.samples import Samples


@pytest.fixture
def study(tmp_path: Path) -> TinyStudy:
    return make_tiny_study(tmp_path)


def laid_out(study: TinyStudy, configuration: Configuration) -> Samples:
    return study.bench().samples(configuration, study.partition)


def stored(study: TinyStudy, cache: Path, threads: int = 1, chunk_rows: int | None = None) -> np.ndarray:
    configuration = study.configuration()
    images = laid_out(study, configuration).images
    store = pixel_store(images, configuration, cache)
    store.chunk_rows = chunk_rows or store.chunk_rows
    store.prepare()
    for chunk in store.missing():
        write_pixels(store, chunk, images, configuration, study.data, threads)
    return store.open()["pixels"]


def test_squares_do_not_depend_on_chunks_or_threads(study: TinyStudy, tmp_path: Path) -> None:
    one = stored(study, tmp_path / "one")
    assert one.shape == (37, 3, SIZE, SIZE)
    assert one.dtype == np.uint8
    assert np.array_equal(stored(study, tmp_path / "two", threads=3, chunk_rows=5), one)
    images = laid_out(study, study.configuration()).images
    original = np.asarray(Image.open(study.data / images["file"][0]))
    assert abs(one[0].transpose(1, 2, 0).mean() - original.mean()) < 6


def test_the_key_covers_content_size_and_interpolation(study: TinyStudy) -> None:
    base = study.configuration()
    images = laid_out(study, base).images
    key = pixel_key(images, base)
    assert pixel_key(images, study.configuration(lr=0.7, unfrozen=1)) == key
    moved = images.assign(file="elsewhere/" + images["file"], group="another")
    assert pixel_key(moved, base) == key
    others = {
        pixel_key(images, study.configuration(interpolation="bicubic")),
        pixel_key(images, study.configuration(store_size=40)),
        pixel_key(images.iloc[1:], base),
        pixel_key(images.iloc[::-1], base),
    }
    assert len(others | {key}) == 5


def _changed(study: TinyStudy, file: str) -> None:
    image = np.asarray(Image.open(study.data / file)).copy()
    image[3, 3, 0] ^= 1
    Image.fromarray(image).save(study.data / file)


def test_a_changed_image_is_refused(study: TinyStudy, tmp_path: Path) -> None:
    file = laid_out(study, study.configuration()).images["file"][5]
    _changed(study, file)
    with pytest.raises(InputError, match=f"{file} is not the image that the study was made from") as raised:
        stored(study, tmp_path / "c")
    assert "Put the original file back" in raised.value.advice


@pytest.mark.parametrize("content", [None, b"", b"no image"])
def test_a_lost_image_is_refused(study: TinyStudy, tmp_path: Path, content: bytes | None) -> None:
    file = laid_out(study, study.configuration()).images["file"][5]
    (study.data / file).unlink()
    if content is not None:
        (study.data / file).write_bytes(content)
    with pytest.raises(InputError, match=f"{file} could be read when the study was made, but not now"):
        stored(study, tmp_path / "c")


def test_no_test_image_is_opened(study: TinyStudy, tmp_path: Path) -> None:
    for file in study.data.rglob("test_*.png"):
        file.unlink()
    assert len(stored(study, tmp_path / "c")) == 37


def test_statistics_are_those_of_the_images_named(study: TinyStudy, tmp_path: Path) -> None:
    squares = stored(study, study.cache)
    configuration = study.configuration()
    store = pixel_store(laid_out(study, configuration).images, configuration, study.cache)
    mean, std = channel_statistics(store, [0, 3, 9])
    expected = squares[[0, 3, 9]].astype(np.float64) / 255
    assert mean == pytest.approx(expected.mean(axis=(0, 2, 3)))
    assert std == pytest.approx(expected.std(axis=(0, 2, 3)))


def test_a_batch_is_the_standardised_view(study: TinyStudy) -> None:
    squares = stored(study, study.cache)
    configuration = study.configuration(views=4)
    samples = laid_out(study, configuration)
    store = pixel_store(samples.images, configuration, study.cache)
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.5)
    reader = ViewReader(store, samples.views, configuration, mean, std, torch.device("cpu"))
    rows = np.array([samples.rows - 1, 0, 3, 3, 2, 1])
    batch = reader.batch(rows)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    for row, image in zip(rows, batch, strict=True):
        index, view = samples.views[row]
        turned = squares[index]
        if view >= 4:
            turned = turned[:, :, ::-1]
        turned = np.rot90(turned, view % 4, axes=(1, 2))
        expected = (turned / 255.0 - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
        assert np.allclose(image.numpy(), expected, atol=1e-5), view
    (gathered,) = reader.gather(torch.from_numpy(rows))
    assert torch.equal(gathered, batch)


def test_each_split_is_standardised_by_its_own(study: TinyStudy) -> None:
    bench = study.bench()
    frozen = bench.frozen_ready(study.configuration(standardisation="each_split", views=2), study.partition)
    samples, squares = frozen.samples, frozen.pixels.open()["pixels"].astype(np.float64) / 255
    split = samples.images["group"].map(study.groups()).to_numpy()
    reader = frozen.reader(torch.device("cpu"))
    rows = np.random.default_rng(0).permutation(samples.rows)
    for row, image in zip(rows, reader.batch(rows).numpy(), strict=True):
        index, view = samples.views[row]
        own = squares[split == split[index]]
        mean, std = (one.reshape(3, 1, 1) for one in (own.mean(axis=(0, 2, 3)), own.std(axis=(0, 2, 3))))
        if view == 0:
            assert np.allclose(image, (squares[index] - mean) / std, atol=1e-4)
    trained = frozen.samples.training
    assert torch.equal(reader.batch(trained), reader.standardised(reader.plain(trained))), "as changed images are"


def test_half_is_from_minus_one_to_one(study: TinyStudy) -> None:
    frozen = study.bench().frozen_ready(study.configuration(standardisation="half"), study.partition)
    assert frozen.valid is None
    rows = np.array([0, 5])
    found = frozen.reader(torch.device("cpu")).batch(rows).numpy()
    expected = frozen.pixels.open()["pixels"][frozen.samples.views[rows, 0]] / 127.5 - 1.0
    assert np.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("by", ["train", "each_split"])
def test_standardisation_reads_no_images_of_other_splits(
    study: TinyStudy, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    bench, configuration = study.bench(), study.configuration(standardisation=by)
    read: list[list[int]] = []
    real = channel_statistics

    def noted(store: pixels.ChunkedArrays, images: list[int]) -> object:
        read.append(sorted(images))
        return real(store, images)

    monkeypatch.setattr("trainables.features.frozen.channel_statistics", noted)
    frozen = bench.frozen_ready(configuration, study.partition)
    split = frozen.samples.images["group"].map(study.groups()).to_numpy()
    splits = ["train"] if by == "train" else ["train", "valid"]
    assert read == [np.flatnonzero(split == name).tolist() for name in splits]
