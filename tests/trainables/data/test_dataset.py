"""A whole dataset: manifest, fingerprint, refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from orchestrator.store.errors import DamagedRecordError, InputError
from tests.support.checkout import SHARED
from trainables.data.dataset import (
    Dataset,
    DatasetOptions,
    fingerprint,
    load_dataset,
    manifest_bytes,
    read_manifest,
    refused_csv,
    verify_unchanged,
)
from trainables.data.manifest import COLUMNS

DATA = SHARED / "data"


def save(path: Path, value: int, size: tuple[int, int] = (6, 4)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, 10, 20)).save(path)


def folders(root: Path, images: int = 4) -> Path:
    for index, label in enumerate(("b", "a")):
        for number in range(images):
            save(root / label / f"p{number // 2}_{number}.png", 100 * index + number)
    return root


def load(root: Path, **options: object) -> Dataset:
    return load_dataset(root, DatasetOptions(**{"group_by": r"(p\d)_", **options}))  # type: ignore[arg-type]


def test_manifest(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    dataset = load_dataset(folders(tmp_path), DatasetOptions(group_by="(p.)_"), lambda *step: steps.append(step))
    manifest = dataset.manifest
    assert tuple(manifest.columns) == COLUMNS
    assert list(manifest["file"]) == sorted(manifest["file"])
    row = manifest.iloc[0]
    assert (row["file"], row["label"], row["group"], row["split"]) == ("a/p0_0.png", "a", "p0", "")
    assert (row["width"], row["height"], row["bytes"]) == (6, 4, (tmp_path / "a/p0_0.png").stat().st_size)
    assert len(row["content"]) == 64
    assert (dataset.group_meaning, dataset.synthetic, len(dataset.refused)) == ("pattern (p.)_", False, 0)
    assert steps == [(done, 8) for done in range(1, 9)]
    stored = read_manifest(manifest_bytes(manifest))
    assert stored.equals(manifest)
    assert (stored.dtypes == manifest.dtypes).all()


def test_classes_are_called_what_the_study_calls_them(tmp_path: Path) -> None:
    folders(tmp_path)
    manifest = load(tmp_path, class_names=(("b", "Blast cells"), ("c", "Cyst"))).manifest
    assert sorted({*manifest["label"]}) == ["Blast cells", "a"]
    assert (manifest.loc[manifest["label"] == "Blast cells", "file"].str[0] == "b").all()


def test_users_columns_are_kept(tmp_path: Path) -> None:
    folders(tmp_path)
    rows = [f"{label}/p{n // 2}_{n}.png,{label},p{n // 2},{n}" for label in "ab" for n in range(4)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label,group,Age", *rows]))
    manifest = load_dataset(tmp_path, DatasetOptions()).manifest
    assert list(manifest.columns)[-1] == "user_Age"
    assert list(manifest["user_Age"]) == ["0", "1", "2", "3"] * 2


def test_damaged_manifest() -> None:
    with pytest.raises(DamagedRecordError, match="not a whole Parquet file"):
        read_manifest(b"PAR1 torn")


def test_fingerprint_is_about_content_and_labels_alone(tmp_path: Path) -> None:
    first = load(folders(tmp_path / "one")).manifest
    (tmp_path / "one/a/p0_0.png").rename(tmp_path / "one/a/p9_7.png")
    moved = load(tmp_path / "one").manifest
    assert list(first["file"]) != list(moved["file"])
    assert fingerprint(first) == fingerprint(moved) == fingerprint(first[::-1])
    relabelled = first.assign(label=["a", "a", "a", "b", "b", "b", "b", "b"])
    assert fingerprint(relabelled) != fingerprint(first)
    assert fingerprint(first[1:]) != fingerprint(first)
    assert fingerprint(first[:0]) == fingerprint(first[:0])


def test_refused_files_are_listed_with_reasons(tmp_path: Path) -> None:
    folders(tmp_path, images=12)
    (tmp_path / "a/p0_bad.png").write_text("text")
    (tmp_path / "a/notes.txt").write_text("text")
    dataset = load(tmp_path)
    assert len(dataset.manifest) == 24
    assert dataset.refused.to_dict("list") == {
        "file": ["a/notes.txt", "a/p0_bad.png"],
        "reason": [
            "not an image by its name: .txt suffix",
            "not an image: the content is not JPEG, PNG, TIFF, BMP, WebP, GIF or DICOM",
        ],
    }
    assert refused_csv(dataset.refused).decode().splitlines()[0] == "file,reason"


def test_too_many_refused_files_stop_with_counts(tmp_path: Path) -> None:
    folders(tmp_path)
    (tmp_path / "a/p0_bad.png").write_text("text")
    (tmp_path / "a/p1_empty.png").write_text("")
    with pytest.raises(InputError) as caught:
        load(tmp_path)
    message = str(caught.value)
    assert "2 of 10 images were refused, expected at most 10%: 1 × not an image, 1 × empty file" in message
    assert "\n  a/p0_bad.png: not an image: " in message
    assert len(load(tmp_path, max_refused_share=0.2).manifest) == 8


def test_a_class_that_is_refused_whole_stops(tmp_path: Path) -> None:
    folders(tmp_path, images=12)
    (tmp_path / "c").mkdir()
    (tmp_path / "c/p0_1.png").write_text("text")
    with pytest.raises(InputError, match="every image of class 'c' was refused"):
        load(tmp_path)


def test_limits_reach_the_decoder(tmp_path: Path) -> None:
    folders(tmp_path, images=12)
    save(tmp_path / "a/p3_big.png", 9, (50, 50))
    refused = load(tmp_path, max_pixels=1000).refused
    assert list(refused["reason"]) == ["too many pixels: 50 x 50, the limit is 1,000"]


def test_verify_unchanged(tmp_path: Path) -> None:
    manifest = load(folders(tmp_path)).manifest
    assert verify_unchanged(tmp_path, manifest) == []
    (tmp_path / "a/p0_0.png").unlink()
    (tmp_path / "b/p0_1.png").write_bytes(b"shorter")
    faults = verify_unchanged(tmp_path, manifest)
    assert faults[0] == "a/p0_0.png: missing"
    assert faults[1].startswith("b/p0_1.png: 7 bytes, expected ")
    assert verify_unchanged(tmp_path / "gone", manifest) == [
        f"data root {tmp_path / 'gone'}: expected a folder, found none"
    ]


def test_groups_are_asked_before_anything_is_decoded(tmp_path: Path) -> None:
    folders(tmp_path)
    with pytest.raises(InputError, match="no groups given"):
        load_dataset(tmp_path, DatasetOptions(), lambda *_: pytest.fail("an image was decoded"))


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared images are not here")
def test_real_tiles() -> None:
    dataset = load_dataset(DATA / "ana_iif_fields", DatasetOptions())
    assert (len(dataset.manifest), dataset.manifest["group"].nunique(), len(dataset.refused)) == (31, 31, 0)
    assert dataset.group_meaning == "column group of labels.csv"
