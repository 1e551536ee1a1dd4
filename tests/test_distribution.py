"""What is installed: a wheel holds the four packages with all of their files, and a namesake's package is noticed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from email.parser import Parser
from pathlib import Path

import pytest
import yaml

from orchestrator.store.packages import DISTRIBUTION, PACKAGES
from orchestrator.study import studies
from tests.support.checkout import ROOT

START = "from orchestrator.start import main; main()"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"


def run(code: str, *arguments: str, cwd: Path, path: Iterable[Path] = ()) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", "-c", code, *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def files_of_the_tree() -> set[str]:
    """Every file of the four packages but compiled ones, as paths below the checkout."""
    every = {path.relative_to(ROOT) for name in PACKAGES for path in (ROOT / name).rglob("*") if path.is_file()}
    return {path.as_posix() for path in every if "__pycache__" not in path.parts}


@pytest.mark.parametrize("name", PACKAGES[1:])
def test_a_namesake_is_noticed_before_anything_is_loaded(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong one was loaded')\n")
    done = run(START, "--help", cwd=tmp_path, path=(tmp_path, ROOT))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"Error: The package {name} is taken from {tmp_path / name}, expected {ROOT / name}: another package of that "
        f"name hides it; install {DISTRIBUTION} in an environment of its own (uv tool install {DISTRIBUTION}), or "
        f"remove {tmp_path} from PYTHONPATH.\n"
    )


def test_a_folder_of_the_same_name_without_code_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "dashboards").mkdir()
    done = run("from orchestrator.store.packages import all_ours; all_ours()", cwd=tmp_path, path=(tmp_path, ROOT))
    assert done.returncode == 0, done.stderr


def test_an_installed_program_does_not_take_the_revision_of_a_repository_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studies, "__file__", str(tmp_path / "site-packages" / "orchestrator" / "study" / "studies.py"))
    (tmp_path / "site-packages" / "orchestrator" / "study").mkdir(parents=True)
    git = ("git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.example")
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "Somebody's notes"], check=True)
    assert studies.revision() == ""
    (tmp_path / ".git").rename(tmp_path / "site-packages" / ".git")
    assert len(studies.revision()) == 12


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the tree, so that the checkout gets no build folder."""
    copy, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheels")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    done = run(BUILD, str(out), cwd=copy)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.iterdir()
    return built


@pytest.mark.slow
def test_a_wheel_holds_every_file_of_the_tree_and_no_other(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        about = {Path(name).name: name for name in archive.namelist() if ".dist-info/" in name}
        metadata = Parser().parsestr(archive.read(about["METADATA"]).decode())
        entries = archive.read(about["entry_points.txt"]).decode()
    assert names == files_of_the_tree()
    assert {Path(name).suffix for name in names} >= {".py", ".toml", ".js", ".css", ".typed"}
    assert {name.partition("/")[0] for name in names if name.endswith("py.typed")} == set(PACKAGES)
    assert "LICENSE" in about
    assert (metadata["Name"], metadata["License-Expression"]) == (DISTRIBUTION, "MIT")
    assert metadata["Requires-Python"] == ">=3.11"
    assert "orch = orchestrator.start:main" in entries


@pytest.mark.slow
def test_what_a_wheel_unpacks_runs_in_another_folder(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    done = run(START, "spaces", "show", "neuroblastoma", cwd=tmp_path, path=(tmp_path / "site",))
    assert done.returncode == 0, done.stderr
    assert "inception_v3" in done.stdout
    assert run(START, "--version", cwd=tmp_path, path=(tmp_path / "site",)).stdout.startswith("orch, version ")


def test_what_is_to_be_cited_is_what_is_installed() -> None:
    said = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(said)
    assert (said["version"], said["license"]) == (PROJECT["version"], PROJECT["license"])
    assert said["abstract"] == f"{PROJECT['description']}."


def test_the_container_is_pinned_needs_no_root_and_copies_what_there_is() -> None:
    steps = re.sub(r"\\\n", "", (ROOT / "Containerfile").read_text(encoding="utf-8")).splitlines()
    words = [step.split() for step in steps if step and not step.startswith("#")]
    images = {step[1] for step in words if step[0] == "FROM"}
    assert len(images) == 1
    assert re.fullmatch(r"python:3\.1[1-3]\.\d+-slim-\w+", images.pop()), "a version, and no host"
    copied = [name for step in words if step[0] == "COPY" and "--from" not in step[1] for name in step[1:-1]]
    assert set(PACKAGES) < set(copied)
    assert [name for name in copied if not (ROOT / name).exists()] == []
    let_in = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert sorted(line[1:] for line in let_in if line.startswith("!")) == sorted(copied)
    last = [step for step in words if step[0] in ("USER", "ENTRYPOINT", "CMD")]
    assert last == [["USER", "orch"], ["ENTRYPOINT", '["orch"]'], ["CMD", '["--help"]']]
