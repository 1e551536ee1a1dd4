"""Folds that come with the data: the partitions, and one of them or a given split the test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from orchestrator.store.errors import InputError
from trainables.data.dataset import load_dataset
from trainables.data.folds import fold_partitions
from trainables.data.options import DatasetOptions
from trainables.data.partition import Partition
from trainables.data.rotation import rotate


def folded(folder: Path, folds: int = 4, **columns: str) -> Path:
    """Two images of two classes in two groups of each fold; a column is a value for all rows."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(4 * folds):
        pixels = np.random.default_rng(number).integers(0, 255, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        fold, label = number % folds, "ab"[number // folds % 2]
        rows.append({"file": f"{number}.png", "label": label, "group": f"g{number}", "fold": str(fold), **columns})
    pd.DataFrame(rows).to_csv(folder / "t.csv", index=False)
    return folder / "t.csv"


def loaded(table: Path, **options: object) -> pd.DataFrame:
    return load_dataset(table, DatasetOptions(fold_column="fold", **options)).manifest  # type: ignore[arg-type]


def error_of(table: Path, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        loaded(table, **options)
    return str(caught.value)


def held(partition: Partition, split: str) -> set[str]:
    return {group for group, name in partition.groups.items() if name == split}


def test_one_fold_is_the_test_split_and_the_others_take_turns(tmp_path: Path) -> None:
    manifest = loaded(folded(tmp_path), test_fold="3")
    made = fold_partitions(manifest)
    assert [partition.details["valid_fold"] for partition in made] == ["0", "1", "2"]
    assert {partition.policy for partition in made} == {"given"}
    of_fold = {f: {f"g{number}" for number in range(16) if number % 4 == f} for f in range(4)}
    for fold, partition in enumerate(made):
        assert held(partition, "valid") == of_fold[fold]
        assert held(partition, "test") == of_fold[3]
        assert held(partition, "train") == set().union(*(of_fold[f] for f in range(3) if f != fold))
    assert [p.id for p in rotate(manifest, made[:1], 2, seed=5)] == [p.id for p in made[:2]]
    with pytest.raises(InputError, match="the data has 3 folds beside the test split"):
        rotate(manifest, made[:1], 4, seed=5)


def test_the_test_split_may_be_given_beside_the_folds(tmp_path: Path) -> None:
    table = folded(tmp_path)
    rows = pd.read_csv(table, dtype=str).assign(split="train")
    rows.loc[:3, "split"] = "test"
    rows.loc[:3, "fold"] = None
    rows.to_csv(table, index=False)
    made = fold_partitions(loaded(table))
    assert len(made) == 4
    assert {frozenset(held(partition, "test")) for partition in made} == {frozenset({"g0", "g1", "g2", "g3"})}
    assert "has a test split already" in error_of(table, test_fold="1")
    rows.fillna("NaN").to_csv(table, index=False)
    assert len(fold_partitions(loaded(table))) == 4, "a word for a missing value is no fold"
    rows.assign(split=["valid", "test"] * 8).to_csv(table, index=False)
    assert "splits and folds both say which images are valid" in error_of(table)


def test_what_the_test_split_is_must_be_said(tmp_path: Path) -> None:
    table = folded(tmp_path)
    message = error_of(table)
    assert "none of the folds '0', '1', '2', '3' was chosen as the test split" in message
    assert "--test-fold 3" in message
    assert "the folds are '0', '1', '2', '3'" in error_of(table, test_fold="7")
    made = fold_partitions(loaded(table, test_fold="none"))
    assert len(made) == 4
    assert held(made[0], "test") == set()


def test_faults_of_folds_come_together(tmp_path: Path) -> None:
    manifest = loaded(folded(tmp_path), test_fold="3")
    manifest.loc[manifest["fold"] == "1", "label"] = "a"
    manifest.loc[manifest["file"].isin(["0.png", "3.png"]), "group"] = "both"
    with pytest.raises(InputError) as caught:
        fold_partitions(manifest)
    assert "1 group (both (0, test split)) in more than one fold" in str(caught.value)
    assert "class 'b' has no image in 1 fold ('1')" in str(caught.value)
    with pytest.raises(InputError, match=r"1 fold \('0'\) beside the test split, expected two or more"):
        fold_partitions(loaded(folded(tmp_path / "two", 2), test_fold="1"))


def test_ten_follows_nine(tmp_path: Path) -> None:
    made = fold_partitions(loaded(folded(tmp_path, 12), test_fold="none"))
    assert [partition.details["valid_fold"] for partition in made] == [str(fold) for fold in range(12)]


def test_folds_that_are_nowhere(tmp_path: Path) -> None:
    table = folded(tmp_path)
    with pytest.raises(InputError, match="no image is in a fold"):
        load_dataset(table, DatasetOptions(split_column="none", test_fold="1"))
    table = folded(tmp_path, fold="")
    with pytest.raises(InputError, match="no image is in a fold"):
        load_dataset(table, DatasetOptions(fold_column="fold"))
