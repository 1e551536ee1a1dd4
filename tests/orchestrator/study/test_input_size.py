"""Small images are not blown up to what a network was trained with, where nobody says a size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.store.schema import StudyRecord, parse_toml
from orchestrator.study.input_size import InputSizes
from orchestrator.study.studies import open_study
from search_spaces.form import Form
from search_spaces.loader import default_space
from search_spaces.points import points
from tests.support.generated_study import small_study

NAME = "timm:resnet18"
PLAIN = 1000
"""Parameters."""


def sizes(usual: int | None, own: int = 224, parameters: Callable[[int], int] = lambda size: PLAIN) -> InputSizes:
    """parameters: of the network at a size; raises InputError where it cannot take it."""

    def architecture(form: Form) -> Any:
        size = form.image_size or own
        return SimpleNamespace(facts=SimpleNamespace(name=NAME, image_size=size, parameters=parameters(size)))

    return InputSizes(usual, SimpleNamespace(architecture=architecture))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("usual", "own", "taken"),
    [(90, 224, 96), (96, 224, 96), (97, 224, 128), (20, 224, 64), (200, 224, None), (900, 224, None), (20, 32, None)],
)
def test_the_smallest_multiple_that_holds_the_images(usual: int, own: int, taken: int | None) -> None:
    assert sizes(usual, own).taken(Form(NAME)) == taken


def test_a_network_that_needs_more_gets_the_next_size_and_else_its_own() -> None:
    def needs(size: int) -> int:
        if size < 75:
            raise InputError("too small")
        return PLAIN

    assert sizes(60, 299, needs).taken(Form(NAME)) == 96
    assert sizes(60, 224, lambda size: PLAIN + size).taken(Form(NAME)) is None, "positions of a transformer"


def test_what_is_stated_stays_and_what_is_chosen_is_said() -> None:
    free, *_ = points(default_space(), NAME, small=False)
    settled = sizes(90).settled(free, NAME)
    assert settled.values["image.size"] == 96
    assert sizes(90).notes([(free, settled), (free, settled)], NAME) == [
        "timm:resnet18: images are about 90 px, 96 px is used; --image-size 224 for the network's own."
    ]
    for path in ("image.size", "image.store_size"):
        stated = type(free)(free.backbone, {**free.values, path: 224}, free.epochs, free.repeats, free.drawn)
        assert sizes(90).settled(stated, NAME) is stated
    assert sizes(None).settled(free, NAME) is free
    assert sizes(250).notes([(free, sizes(250).settled(free, NAME))], NAME) == []


def test_test_images_are_not_looked_at_and_older_studies_keep_what_they_have(tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path / "slides", name="slides")
    table = pd.read_parquet(tmp_path / "slides" / layout.MANIFEST).assign(reading="")
    is_test = table["group"].str.startswith("test")
    table["width"] = table["width"].where(~is_test, 9000)
    table.loc[table.index[:100], ["width", "height"]] = 30
    table.to_parquet(tmp_path / "slides" / layout.MANIFEST)
    older = open_study(tmp_path, "slides")
    assert InputSizes.of(older, sizes(None).known).usual is None
    record = parse_toml(StudyRecord, storage.read(layout.STUDY), layout.STUDY)
    storage.replace(layout.STUDY, record.model_copy(update={"input_size": "images", "partition": "p0a1b2c3"}).to_toml())
    assert InputSizes.of(open_study(tmp_path, "slides"), sizes(None).known).usual == 250
