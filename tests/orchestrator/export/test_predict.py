"""`orch predict`: which files, what for those that are no images, the same reading as in training."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from orchestrator.command_line import main
from orchestrator.commands.export import predict
from orchestrator.export.model import Preprocessing, load
from orchestrator.export.predict import image_files, prepared
from orchestrator.store.errors import InputError
from tests.support.finished_study import FinishedStudy, exported, valid_files
from tests.support.tiny_study import SIZE, make_tiny_study
from trainables.data.decode import RefusedImageError, read_rgb


@pytest.fixture(scope="module")
def model(binary: FinishedStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(binary, tmp_path_factory.mktemp("predict") / "model", "extension").folder


def test_rows_are_in_order_and_add_up(model: Path, binary: FinishedStudy) -> None:
    files = [str(path) for path in valid_files(binary)]
    run = CliRunner().invoke(predict, [str(model), *files, "--batch-size", "5"])
    assert run.exit_code == 0, run.output
    rows = list(csv.DictReader(io.StringIO(run.stdout)))
    assert [row["file"] for row in rows] == files
    for row in rows:
        chances = {name: float(row[f"p_{name}"]) for name in ("few", "many")}
        assert sum(chances.values()) == pytest.approx(1, abs=2e-6)
        assert row["predicted"] == max(chances, key=lambda name: chances[name])


@pytest.mark.parametrize(
    ("asked", "axes"),
    [(("flips",), ((), (2,), (1,), (1, 2))), (("flips", "--views", "2"), ((), (2,))), (("dihedral",), None)],
)
def test_test_time_views_are_the_mean_of_probabilities(
    model: Path, binary: FinishedStudy, asked: tuple[str, ...], axes: tuple[tuple[int, ...], ...] | None
) -> None:
    files = valid_files(binary)[:5]
    run = CliRunner().invoke(predict, [str(model), *map(str, files), "--tta", *asked])
    assert run.exit_code == 0, run.output
    description, network = load(model)
    for row, file in zip(csv.DictReader(io.StringIO(run.stdout)), files, strict=True):
        image = prepared(file, description.preprocessing)
        seen = [np.flip(image, one) for one in axes or ()] or [
            np.rot90(one, turn, (1, 2)) for one in (image, image[:, :, ::-1]) for turn in range(4)
        ]
        with torch.no_grad():
            logits = [float(network(torch.from_numpy(one.copy())[None])[0, 0].double()) for one in seen]
        many = float(np.mean(1 / (1 + np.exp(-np.array(logits)))))
        assert float(row["p_many"]) == pytest.approx(many, abs=2e-6)
        assert row["predicted"] == ("many" if many > 0.5 else "few")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("--tta", "noise"), "--tta noise: expected flips or dihedral alone, since its views are not random"),
        (
            ("--tta", "dihedrall"),
            "alone, since its views are not random; did you mean 'dihedral'?",
        ),
        (("--views", "4"), "--views 4: expected --tta as well, found none orch predict MODEL IMAGES --tta dihedral"),
        (("--tta", "flips", "--views", "8"), "--views 8: expected 2 to 4"),
    ],
)
def test_views_that_cannot_be_had_are_told(
    model: Path, binary: FinishedStudy, asked: tuple[str, ...], told: str
) -> None:
    run = CliRunner().invoke(main, ["predict", str(model), str(valid_files(binary)[0]), *asked])
    assert run.exit_code == 2
    assert run.stdout == ""
    assert told in " ".join(run.stderr.split())


def test_a_file_that_is_no_image_gets_its_reason(model: Path, binary: FinishedStudy, tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(valid_files(binary)[0].read_bytes()[:200])
    good = valid_files(binary)[1]
    run = CliRunner().invoke(predict, [str(model), str(tmp_path / "torn.png"), str(good)])
    assert run.exit_code == 1
    torn, whole = csv.DictReader(io.StringIO(run.stdout))
    assert torn["predicted"] == ""
    assert torn["error"]
    assert whole["predicted"]
    assert "1 of 2 files could not be used" in run.stderr


def test_folders_are_searched_and_hidden_files_left(tmp_path: Path) -> None:
    left = ("b/.d.png", "b/._c.JPG", "@eaDir/a.png", "__MACOSX/a.png", ".thumbnails/a.png", "Thumbs.db")
    for name in ("a.png", "b/c.JPG", "notes.txt", *left):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in image_files([tmp_path])] == ["a.png", "c.JPG"]
    assert [path.name for path in image_files([tmp_path / "notes.txt"])] == ["notes.txt"]


def test_pictures_of_unread_formats_and_links_are_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for name in ("in/a.svs", "in/b.heic", "in/c.webp", "in/notes.txt", "out/d.png"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "in/far").symlink_to(tmp_path / "out")
    (tmp_path / "in/gone.png").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "in/pipe.png")
    found = image_files([tmp_path / "in"])
    assert [path.name for path in found] == ["a.svs", "b.heic", "c.webp", "far", "gone.png"]
    with pytest.raises(RefusedImageError, match="a whole-slide image: cut it into tiles"):
        read_rgb(found[0], 100)
    for path in found[3:]:
        with pytest.raises(RefusedImageError, match="cannot be read"):
            read_rgb(path, 100)


def test_archives_and_arrays_in_a_folder_are_told(model: Path, binary: FinishedStudy, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(valid_files(binary)[0].read_bytes())
    for name in ("more.zip", "stack.npy", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    run = CliRunner().invoke(predict, [str(model), str(tmp_path)])
    assert run.exit_code == 1
    errors = {Path(row["file"]).name: row["error"] for row in csv.DictReader(io.StringIO(run.stdout))}
    assert errors.pop("a.png") == ""
    assert errors.pop("more.zip").startswith("not read: an archive within the data")
    assert errors.pop("stack.npy").startswith("not read: a NumPy array")
    assert not errors


def test_paths_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="do not exist"):
        image_files([tmp_path / "a", tmp_path / "b"])
    with pytest.raises(InputError, match="found none"):
        image_files([tmp_path])


def test_centre_and_scale(tmp_path: Path) -> None:
    pixels = np.zeros((5, 9, 3), dtype=np.uint8)
    pixels[:, 2:7] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    steps = Preprocessing(5, 2, "bilinear", (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), "crop")
    found = prepared(tmp_path / "wide.png", steps)
    assert found.shape == (3, 2, 2)
    assert found.dtype == np.float32
    assert np.array_equal(found, np.full((3, 2, 2), 2.0, dtype=np.float32))


def test_black_borders_are_cut_off_as_in_the_study(tmp_path: Path) -> None:
    tiny = make_tiny_study(tmp_path, border=6)
    c = tiny.configuration(borders="cropped", fit="pad")
    frozen = tiny.bench().frozen_ready(c, tiny.partition)
    image = frozen.samples.images["file"].iloc[3]
    steps = Preprocessing(SIZE, SIZE, "bilinear", frozen.mean, frozen.std, "pad", "cropped")
    batch = frozen.reader(torch.device("cpu")).batch(np.array([3]))[0].numpy()
    np.testing.assert_allclose(prepared(tiny.data / image, steps), batch, rtol=0, atol=1e-6)
    whole = prepared(tiny.data / image, replace(steps, borders="kept"))
    assert np.abs(whole - batch).max() > 0.1
