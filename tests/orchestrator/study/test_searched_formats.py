"""From a folder of DICOM, or of OME-TIFF, to a finished search, an exported model and its predictions elsewhere."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from orchestrator.store import layout
from orchestrator.store.storage import LocalStorage
from tests.support.dicom_files import SECRETS, dicom
from tests.support.page_files import ome_xml, tiff_pages
from trainables.data.manifest import read_manifest, reading_of

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(3600)]
ORCH = (sys.executable, "-c", "from orchestrator.command_line import main; main()")
WINDOW = {"WindowCenter": 2048, "WindowWidth": 4096}


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Sockets lie in it, so its name is short."""
    with tempfile.TemporaryDirectory(prefix="o") as folder:
        yield Path(folder)


def values(*seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4096, (32, 32)).astype(np.uint16)


def orch(folder: Path, temporary: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    run = subprocess.run(
        [*ORCH, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "RAY_TMPDIR": str(temporary), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run


def searched(folder: Path, temporary: Path, *options: str) -> str:
    """Search, export, evaluate elsewhere and predict; returns all that was said."""
    places = ["--studies", folder / "studies", "--cache", folder / "cache"]
    grid = ["--lr", "0.01", "--batch-size", "4", "--repeats", "2", "--epochs", "2", "--weights", "none"]
    asked = ["mine", "timm:test_resnet.r160_in1k", "--data", folder / "data", "--group-by", r"(p\d)_", *options, *grid]
    said = [orch(folder, temporary, "search", *asked, *places)]
    said.append(orch(folder, temporary, "export", "mine", "--output", folder / "model", *places))
    elsewhere = ["--data", folder / "elsewhere", "--group-by", "none"]
    said.append(orch(folder, temporary, "evaluate", "mine", *elsewhere, *places))
    said.append(orch(folder, temporary, "predict", folder / "model", folder / "elsewhere", "--json"))
    files = sorted(path for path in (folder / "elsewhere").rglob("*") if path.is_file())
    script = subprocess.run(
        [sys.executable, "-I", str(folder / "model" / "predict.py"), *map(str, files)], capture_output=True, text=True
    )
    assert script.returncode == 0, script.stderr
    rows = {row[0]: [float(cell) for cell in row[2:]] for row in csv.reader(io.StringIO(script.stdout), delimiter="\t")}
    ours = json.loads(said[-1].stdout)["predictions"]
    assert len(ours) == len(rows) == len(files)
    for one in ours:
        assert rows[one["file"]] == pytest.approx(list(one["probabilities"].values()), abs=1e-5)
        assert all(f"{one['file']}: {remark}" in script.stderr for remark in one["remarks"])
    return "".join(run.stdout + run.stderr for run in said) + script.stdout + script.stderr


def read_by(folder: Path) -> str:
    storage = LocalStorage(folder / "studies" / "mine")
    return str(reading_of(read_manifest(storage.read(layout.MANIFEST))))


def test_dicom(tmp_path: Path, temporary: Path) -> None:
    """And nothing of the patient is in anything that was written or said."""
    for index, label in enumerate("ab"):
        for number in range(6):
            dicom(tmp_path / "data" / label / f"p{number}_{index}.dcm", values(index, number), 12, **WINDOW)
            dicom(
                tmp_path / "elsewhere" / label / f"{number}",
                values(index, number, 1),
                12,
                WindowCenter=9,
                WindowWidth=9,
            )
    said = searched(tmp_path, temporary)
    assert "values 0:4095 are scaled to 0:255, the window that the files state" in " ".join(said.split())
    assert "the file states another window than 0:4095" in said
    assert read_by(tmp_path) == "0:4095"
    written = [
        path for folder in ("studies", "cache", "model") for path in (tmp_path / folder).rglob("*") if path.is_file()
    ]
    assert len(written) > 20
    for secret in SECRETS:
        assert secret not in said
        assert not [path for path in written if secret.encode() in path.read_bytes()], secret


def test_ome_tiff(tmp_path: Path, temporary: Path) -> None:
    for place, seed in (("data", 0), ("elsewhere", 1)):
        for index, label in enumerate("ab"):
            for number in range(6):
                planes = [values(seed, index, number, page) for page in range(6)]
                description = ome_xml((3, 2, 1), ["DAPI", "GFP", "Cy5"])
                tiff_pages(tmp_path / place / label / f"p{number}_{index}.ome.tif", planes, description)
    searched(tmp_path, temporary, "--channels", "DAPI=blue,GFP=green", "--page", "max")
    assert read_by(tmp_path) == "0:4095 page=max of=3 channels=DAPI=blue,GFP=green"
