"""`orch predict`, the exported predict.py and ONNX read every kind of file alike, to the bit, or refuse it alike."""

from __future__ import annotations

import ast
import csv
import io
import itertools
import json
import subprocess
import sys
import types
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from click.testing import CliRunner

from orchestrator.commands.export import predict
from orchestrator.export.model import Model
from orchestrator.export.script import PARTS, predict_script
from orchestrator.store.errors import InputError
from tests.support.finished_study import FinishedStudy, exported
from tests.support.odd_images import odd_images
from trainables.data.borders import Borders
from trainables.data.decode import MAX_PIXELS, Fit, decode, to_square
from trainables.data.reading import Reading

READINGS = (
    "",
    "0:4095",
    "0:65535",
    "100:1000.5",
    "-1024:5118.5",
    "0:4095 page=2",
    "0:4095 page=max",
    "page=mean",
    "0:4095 page=max of=3 channels=DAPI=blue,GFP=green",
    "0:4095 page=min channels=1=red,2=blue",
    "0:4095 channels=gfp",
)
USUAL = "0:4095 page=max channels=DAPI=blue,GFP=green"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return odd_images(tmp_path_factory.mktemp("odd"))


def read(decoder: Any, file: Path, text: str) -> Any:
    """(pixels, remarks), or the reason of a refusal; decoder: a module."""
    try:
        found = decoder.decode(file, decoder.MAX_PIXELS, decoder.Reading.parse(text))
    except decoder.RefusedImageError as error:
        return error.reason
    return found.pixels, found.remarks


def test_the_script_reads_every_file_to_the_same_bits(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from trainables.data import decode as ours

    script = types.ModuleType("exported_predict")
    monkeypatch.setitem(sys.modules, "exported_predict", script)
    monkeypatch.setitem(sys.modules, "onnxruntime", types.ModuleType("onnxruntime"))
    exec(predict_script(), script.__dict__)
    assert len(files) >= 80
    usable = set()
    for file in files:
        for text in READINGS:
            own, other = read(ours, file, text), read(script, file, text)
            if isinstance(own, str):
                assert other == own
                continue
            usable.add(file.name)
            assert np.array_equal(own[0], other[0])
            assert own[1] == other[1]
            for fit, borders in itertools.product(get_args(Fit), get_args(Borders)):
                ways = to_square, script.to_square  # type: ignore[attr-defined]
                assert np.array_equal(*(to(own[0], 24, "bicubic", fit, borders) for to in ways))
    refused = {file.stem for file in files if file.name not in usable}
    assert refused == {"clear", "empty", "grey_not_a_number", "lab", "pages", "scan", "slide", "text", "torn"}
    assert {file.name for file in files if file.stem == "pages"} - usable == {"pages.gif", "pages.png", "pages.webp"}


def test_the_script_imports_what_it_says(files: list[Path]) -> None:
    tree = ast.parse(predict_script())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    foreign = {str(name).partition(".")[0] for name in imported} - set(sys.stdlib_module_names)
    at_once = {name for node in tree.body for name in imported_by(node)} - set(sys.stdlib_module_names)
    assert at_once == {"numpy", "onnxruntime", "PIL"}
    assert foreign - at_once == {"pydicom"}, "imported where a file is DICOM"
    said = str(ast.get_docstring(tree))
    assert "pip install numpy onnxruntime pillow" in said
    assert "pydicom for DICOM images" in said


def imported_by(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.ImportFrom):
        return {str(node.module).partition(".")[0]}
    return {alias.name.partition(".")[0] for alias in node.names} if isinstance(node, ast.Import) else set()


def test_no_name_of_one_part_is_that_of_another() -> None:
    """They lie in one file: the last would be taken for all."""
    names = [(part.__name__, name) for part in PARTS for name in own_names(part)]
    assert len({name for _, name in names}) == len(names), names


def own_names(part: types.ModuleType) -> set[str]:
    found = set[str]()
    for node in ast.parse(Path(str(part.__file__)).read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        found |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return found


def test_the_script_needs_pydicom_for_dicom_alone(binary: FinishedStudy, files: list[Path], tmp_path: Path) -> None:
    """A stand-in that cannot be imported lies before the real one."""
    folder = exported(binary, tmp_path / "model", "probe", with_onnx=True).folder
    with_reading(folder, "0:4095")
    (folder / "pydicom.py").write_text("raise ImportError('none here')")
    given = [str(file) for file in files if file.name in ("dicom_12.dcm", "grey_12.png")]
    run = subprocess.run(
        [sys.executable, str(folder / "predict.py"), *given], cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode == 1
    assert [line.partition("\t")[0] for line in run.stdout.splitlines()] == given[1:]
    assert f"{given[0]}: not read: a DICOM file, which needs pydicom: pip install pydicom" in run.stderr


def test_the_range_is_in_the_description(binary: FinishedStudy, tmp_path: Path) -> None:
    folder = exported(binary, tmp_path / "model", "probe").folder
    described = json.loads((folder / "model.json").read_text())
    assert described["preprocessing"]["reading"] == "", "the study has 8 bits, and one page in a file"
    described["preprocessing"]["reading"] = USUAL
    model = Model.from_json(json.dumps(described).encode(), "model.json")
    assert model.preprocessing.reading == Reading.parse(USUAL)
    described["preprocessing"]["reading"] = "0:4095 page=top"
    with pytest.raises(InputError, match="does not describe a model"):
        Model.from_json(json.dumps(described).encode(), "model.json")
    described["preprocessing"]["reading"] = USUAL
    assert json.loads(model.to_json()) == described


def test_predictions_say_what_is_odd(binary: FinishedStudy, files: list[Path], tmp_path: Path) -> None:
    folder = exported(binary, tmp_path / "model", "probe").folder
    given = [str(file) for file in files if file.stem in ("grey_16", "grey_12", "rgb")]
    run = CliRunner().invoke(predict, [str(folder), *given])
    assert run.exit_code == 1
    errors = {Path(row["file"]).name: row["error"] for row in csv.DictReader(io.StringIO(run.stdout)) if row["error"]}
    assert set(errors) == {"grey_12.png", "grey_12.tif", "grey_16.png", "grey_16.tif"}
    assert errors["grey_16.png"].startswith("range unknown: more than 8 bits, values from 0 to 65535")
    with_reading(folder, "0:4095")
    run = CliRunner().invoke(predict, [str(folder), *given])
    assert run.exit_code == 0
    assert f"2 of {len(given)} images: values outside 0:4095 are clipped, for instance " in run.stderr
    with_reading(folder, "0:65535")
    run = CliRunner().invoke(predict, [str(folder), *given, "--json"])
    assert run.exit_code == 1, "one file says that its values end at 4095"
    found = {Path(row["file"]).name: row for row in json.loads(run.stdout)["predictions"]}
    assert found["grey_12.png"]["remarks"] == ["nearly black"]
    assert found["grey_12.tif"]["error"].startswith("another range: ")


def with_reading(folder: Path, text: str) -> None:
    described = json.loads((folder / "model.json").read_text())
    described["preprocessing"]["reading"] = text
    (folder / "model.json").write_text(json.dumps(described))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["extension", "padded", "squashed", "within"])
def test_three_ways_to_predict_give_equal_numbers(
    binary: FinishedStudy, files: list[Path], tmp_path: Path, name: str
) -> None:
    import onnxruntime

    folder = exported(binary, tmp_path / "model", name, with_onnx=True).folder
    steps = Model.from_json((folder / "model.json").read_bytes(), "model.json").preprocessing
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    for text in ("", "0:4095 page=max", USUAL):
        with_reading(folder, text)
        ours = CliRunner().invoke(predict, [str(folder), *map(str, files), "--json"])
        command = [sys.executable, "-I", str(folder / "predict.py"), *map(str, files)]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert run.returncode == ours.exit_code == 1, run.stderr
        rows = {row[0]: row[1:] for row in (line.split("\t") for line in run.stdout.splitlines())}
        for own in json.loads(ours.stdout)["predictions"]:
            if own["error"]:
                assert own["file"] not in rows
                assert f"{own['file']}: {own['error']}" in run.stderr
                continue
            chances = list(own["probabilities"].values())
            predicted, *others = rows[own["file"]]
            assert predicted == own["predicted"]
            assert [float(value) for value in others] == pytest.approx(chances, abs=1e-5)
            pixels = decode(Path(own["file"]), MAX_PIXELS, Reading.parse(text)).pixels
            square = to_square(pixels, steps.store_size, steps.interpolation, steps.fit, steps.borders)
            (direct,) = session.run(["probabilities"], {"pixels": square[None]})[0]
            assert list(direct) == pytest.approx(chances, abs=1e-5)
            assert all(f"{own['file']}: {remark}" in run.stderr for remark in own["remarks"])
