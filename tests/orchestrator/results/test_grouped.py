"""Groups that are single images are said once, wherever images and groups are counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dashboards.page.page import render
from orchestrator.evaluation.estimates import _estimate
from orchestrator.evaluation.samples import Units
from orchestrator.evaluation.text import estimate_lines
from orchestrator.results.grouped import grouped_by, images_in, of_groups
from orchestrator.store import layout
from orchestrator.store.schema import StudyRecord, parse_toml
from orchestrator.store.storage import LocalStorage
from orchestrator.study.preparation import describe_partition
from search_spaces.loader import default_space, load_space
from tests.support.generated_study import NOW, PARTITION, small_study
from trainables.data.groups import INDEPENDENT
from trainables.data.partition import Partition


def test_words() -> None:
    assert images_in(1200, 9, "column slide") == "1,200 images in 9 groups (column slide)"
    assert images_in(3, 1, "folder", "test image") == "3 test images in 1 group (folder)"
    assert images_in(1, 1, INDEPENDENT) == "1 image, assumed independent"
    assert images_in(4, 4, "column slide") == "4 images, each a group of its own (column slide)"
    assert (of_groups(4, 4), of_groups(4, 1), of_groups(1200, 3)) == (
        "4 images",
        "4 images of 1 group",
        "1,200 images of 3 groups",
    )
    assert grouped_by(INDEPENDENT) == "Images are assumed independent."
    assert grouped_by("column slide") == "Images are grouped by column slide."


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    """A study whose images are each a group of their own, and that has a title."""
    storage, _ = small_study(tmp_path, group_meaning=INDEPENDENT)
    table = pd.read_parquet(tmp_path / layout.MANIFEST)
    made = Partition.from_bytes(storage.read(layout.partition(PARTITION)))
    by_file = {file: made.groups[group] for file, group in zip(table["file"], table["group"], strict=True)}
    pq.write_table(pa.Table.from_pandas(table.assign(group=table["file"])), tmp_path / layout.MANIFEST)
    storage.replace(layout.partition(PARTITION), Partition(by_file, "stratified", 0, {}).to_bytes())
    record = parse_toml(StudyRecord, storage.read(layout.STUDY), layout.STUDY)
    storage.replace(layout.STUDY, record.model_copy(update={"title": "Cells & more"}).to_toml())
    return storage


def test_the_page_counts_images_alone(storage: LocalStorage) -> None:
    page = render(storage, now=NOW)
    assert "<li><b>Images</b> 600 used images, assumed independent</li>" in page
    assert "<li><b>Train</b> 420 images</li>" in page
    assert "Images are assumed independent.</p></header>" in page
    assert ">train images</th>" in page
    assert ">train groups</th>" not in page
    assert '<p class="lede">Cells &amp; more</p>' in page


def test_the_first_table_counts_images_alone() -> None:
    manifest = pd.DataFrame({"label": ["a", "a", "b"], "group": ["1", "2", "3"]})
    told = describe_partition(manifest, pd.Series(["train", "valid", "train"]))
    assert list(told.columns) == ["class", "images", "train", "valid", "test"]
    assert told.iloc[0].tolist() == ["a", 2, "1", "1", "0"]


def test_a_test_has_no_second_table_of_the_same_numbers() -> None:
    chances = np.tile([[0.2, 0.8], [0.7, 0.3]], (1, 20, 1))
    truth = np.tile([1, 0], 20)
    units = Units(chances, truth, np.arange(40), 40)
    told = "\n".join(estimate_lines(_estimate("single", units, ("a", "b"), 0, ()), 40))
    assert "No scores per group: every group is one image." in told
    assert "mean over groups" not in told


def test_the_title_of_the_default_file_is_not_of_a_study() -> None:
    assert default_space("mine").title == ""
    assert load_space("hep2").title == "HEp-2 cell patterns"
