"""A range of values by percentiles: of training images alone, each with the same weight."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from orchestrator.store.errors import Faults, InputError
from trainables.data.dataset import Dataset, DatasetOptions, load_dataset
from trainables.data.manifest import reading_of
from trainables.data.percentiles import Percentiles
from trainables.data.reading import Intensity
from trainables.data.shades import SOME, Samples

ONE = Percentiles(1, 99)


def write(folder: Path, test_peak: float, kind: type = np.uint16) -> Path:
    """Classes a and b in six groups each; of p5 the values are others."""
    for index, label in enumerate("ab"):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for group in range(6):
            draws = np.random.default_rng([index, group])
            values = draws.uniform(100, test_peak if group == 5 else 1000, (30, 40))
            Image.fromarray(values.astype(kind)).save(folder / label / f"p{group}.tif")
    return folder


def split_of(manifest: pd.DataFrame) -> pd.Series[str]:
    """p0 … p3 train."""
    group = manifest["group"].str.extract(r"(\d)", expand=False).astype(int)
    return group.map(lambda number: "train" if number < 4 else "valid" if number < 5 else "test")


def load(folder: Path) -> Dataset:
    return load_dataset(folder, DatasetOptions(group_by=r"(p\d)", percentiles=ONE), divided=split_of)


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_they_are_of_training_images(tmp_path: Path, kind: type) -> None:
    found = load(write(tmp_path / "one", 60_000, kind))
    intensity = reading_of(found.manifest).intensity
    files = [tmp_path / "one" / label / f"p{group}.tif" for label in "ab" for group in range(4)]
    values = np.concatenate([np.asarray(Image.open(file)).reshape(-1) for file in files])
    assert intensity is not None
    assert [intensity.low, intensity.high] == pytest.approx(np.percentile(values, [1, 99]), rel=0.03)
    assert reading_of(load(write(tmp_path / "two", 900, kind)).manifest).intensity == intensity, "test images count not"
    assert "the percentiles 1 and 99 of training images" in str(found.odd[0])
    assert any("are clipped" in str(note) for note in found.odd)


def test_each_image_has_the_same_weight() -> None:
    samples = {
        "dark": Samples(0, 9, None, True, some=np.full(SOME, 5, np.float32)),
        "bright": Samples(0, 90, None, True, some=np.full(10, 50, np.float32)),
    }
    faults = Faults("data")
    assert Percentiles(40, 60).range(samples, set(samples), faults) == Intensity(5, 50)
    assert not faults.found


@pytest.mark.parametrize(
    ("training", "told"), [((), "no training image has more than 8 bits"), (("one",), "choose wider ones")]
)
def test_what_gives_no_range_is_a_fault(training: tuple[str, ...], told: str) -> None:
    faults = Faults("data")
    ONE.range({"one": Samples(5, 5, None, True, some=np.full(4, 5, np.float32))}, training, faults)
    assert told in faults.found[0]


def test_without_splits_there_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--intensity 1%:99%: expected a range, LOW:HIGH"):
        load_dataset(write(tmp_path, 900), DatasetOptions(group_by=r"(p\d)", percentiles=ONE))


def test_text() -> None:
    assert Percentiles.parse("0.5%:99.5%") == Percentiles(0.5, 99.5)
    assert str(Percentiles(0.5, 99.5)) == "0.5%:99.5%"
    assert Percentiles.parse("0:4095") is None
    for text in ("99%:1%", "1%:101%", "5%:5%"):
        with pytest.raises(ValueError, match="expected two percentages up to 100%"):
            Percentiles.parse(text)
