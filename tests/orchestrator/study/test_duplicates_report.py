"""What near-duplicates mean for a partition, how they are kept, told by a search, and listed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from orchestrator.command_line import main
from orchestrator.results.near_duplicates import COLUMNS, counts, pairs_csv, read_pairs, warning, with_kinds
from orchestrator.store import layout
from orchestrator.store.storage import LocalStorage
from orchestrator.study.preparation import DataRequest, prepare
from orchestrator.study.studies import write_study
from search_spaces.loader import default_space
from trainables.data.options import DatasetOptions

IMAGES = pd.DataFrame(
    [("a1", "x", "A"), ("a2", "x", "A"), ("b1", "x", "B"), ("c1", "y", "C"), ("d1", "y", "D")],
    columns=["file", "label", "group"],
)
SPLITS = {"A": "train", "B": "train", "C": "valid", "D": "valid"}


def pairs(*rows: tuple[str, str, float, int]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=COLUMNS)


def test_kinds_are_those_of_the_partition() -> None:
    found = pairs(("a1", "a2", 0.99, 0), ("a1", "b1", 0.9, 4), ("c1", "d1", 0.88, 0), ("b1", "c1", 0.85, 1))
    told = with_kinds(found, IMAGES, SPLITS)
    assert list(zip(told["file"], told["other"], told["kind"], told["differs"], strict=True)) == [
        ("b1", "c1", "across splits", True),
        ("a1", "b1", "across groups", False),
        ("c1", "d1", "across groups", False),
        ("a1", "a2", "within a group", False),
    ]
    assert counts(told).to_numpy().tolist() == [
        ["across splits", 1, 1],
        ["across groups", 2, 0],
        ["within a group", 1, 0],
    ]
    other = with_kinds(found, IMAGES, {**SPLITS, "D": "test"})
    assert other["kind"].tolist() == ["across splits", "across splits", "across groups", "within a group"]
    assert warning(told, "orch data duplicates slides") == (
        "Warning: 4 pairs of images look alike (3 across groups, 1 of them in two splits; 1 under two labels), such as "
        "b1 in train and c1 in valid (0.85, rotated by 90°, labels x and y). List all: orch data duplicates slides"
    )
    assert warning(told[told["kind"] == "within a group"], "slides") == ""
    assert counts(with_kinds(pairs(), IMAGES, SPLITS))["pairs"].tolist() == [0, 0, 0]


def test_pairs_are_kept_as_text(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    assert read_pairs(storage) is None
    for found in (pairs(("NA", 'b,"1".png', 0.9, 3), ("1.0", "c\n.png", 0.85, 0)), pairs()):
        storage.replace(layout.NEAR_DUPLICATES, pairs_csv(found))
        assert read_pairs(storage).to_numpy().tolist() == found.to_numpy().tolist()  # type: ignore[union-attr]
    for damaged in (
        b"",
        b"\xff",
        b"file,other\n",
        b"file,other,similarity,symmetry\na,b,c,d\n",
        pairs_csv(pairs(("a", "b", 0.9, 9))),
    ):
        storage.replace(layout.NEAR_DUPLICATES, damaged)
        assert read_pairs(storage) is None


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, list[str]]:
    """A study of 24 images in 12 groups; one group's image is mirrored in another, and under another label too."""
    from scipy.ndimage import gaussian_filter

    root = tmp_path / "images"
    draw = np.random.default_rng(0)
    fields = [gaussian_filter(draw.standard_normal((80, 80)), 3) for _ in range(24)]
    fields[4], fields[15] = fields[0][:, ::-1], fields[1]
    for place, field in enumerate(fields):
        pixels = (128 + 40 * field / field.std() + place % 3).clip(0, 255).astype(np.uint8)
        path = root / "ab"[place // 12] / f"p{place // 2}_{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    shown: list[str] = []
    data = DataRequest(root, DatasetOptions(group_by="(p[0-9]+)_"))
    prepared = prepare("cells", default_space("cells"), tmp_path / "studies", tmp_path, data, 0, "fp32", shown.append)
    write_study(prepared.study)
    return tmp_path / "studies", shown


def orch(*arguments: str, status: int = 0) -> str:
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == status, result.output
    return result.output


def test_a_new_study_looks_for_them_and_lists_them(made: tuple[Path, list[str]]) -> None:
    studies, shown = made
    told = [line for line in shown if "look alike" in line]
    assert len(told) == 1
    assert "2 pairs of images look alike (2 across groups" in told[0]
    assert "1 under two labels" in told[0]
    answer = json.loads(orch("data", "duplicates", "cells", "--studies", str(studies), "--json"))
    found = {(pair["file"], pair["other"], pair["symmetry"]) for pair in answer["pairs"]}
    assert found == {("a/p0_0.png", "a/p2_4.png", 4), ("a/p0_1.png", "b/p7_15.png", 0)}
    assert sum(row["pairs"] for row in answer["counts"]) == 2
    assert sum(row["differs"] for row in answer["counts"]) == 1
    text = orch("data", "duplicates", "cells", "--studies", str(studies))
    assert "2 pairs of near-duplicates among 24 images" in text
    assert "mirrored" in text
    assert "labels a and b" in text


def test_a_study_of_an_earlier_version_says_so_and_can_look(made: tuple[Path, list[str]]) -> None:
    studies, _ = made
    asked: tuple[Any, ...] = ("data", "duplicates", "cells", "--studies", str(studies))
    kept = studies / "cells" / layout.NEAR_DUPLICATES
    before = kept.read_bytes()
    kept.unlink()
    assert "orch data duplicates cells --look" in orch(*asked, status=2)
    assert "--data-root goes with --look" in orch(*asked, "--data-root", str(studies), status=2)
    assert "24 of 24 images" in orch(*asked, "--look", "--data-root", str(studies), status=2)
    orch(*asked, "--look")
    assert kept.read_bytes() == before
    assert "no partition" in orch(*asked, "--partition", "x", status=2)
