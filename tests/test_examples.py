"""The scripts in examples/ do what they say, with a search in their midst that only waits for a signal."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.command_line import main
from tests.support.checkout import ROOT
from tests.support.waiting import wait_until

EXAMPLES = ROOT / "examples"
NOTEBOOK = EXAMPLES / "colab" / "search.ipynb"
SCRIPTS = sorted(EXAMPLES.rglob("*.sh"))
ORCH = """#!/bin/bash
# answers as a search does: 143 after SIGTERM, once it has written its checkpoint
trap 'sleep 0.2; echo checkpoint >> "$FOLDER/calls"; exit 143' TERM
echo "$RAY_TMPDIR|$*" >> "$FOLDER/calls"
[ -f "$FOLDER/wait" ] && while :; do sleep 0.05; done
exit "$(cat "$FOLDER/status")"
"""
SCONTROL = '#!/bin/bash\necho "scontrol $*" >> "$FOLDER/calls"\n'
SQUEUE = '#!/bin/bash\n[[ " $* " == *" --job 70 "* ]] && cat "$FOLDER/state"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With commands in the place of orch and of SLURM's, and with what they were called with."""
    for name, content in {"orch": ORCH, "scontrol": SCONTROL, "squeue": SQUEUE}.items():
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "status").write_text("0")
    (tmp_path / "state").write_text("RUNNING")
    return tmp_path


def start(folder: Path, script: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["bash", str(EXAMPLES / script), *arguments],
        env={
            **os.environ,
            "PATH": f"{folder}:{os.environ['PATH']}",
            "FOLDER": str(folder),
            "USER": "me",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines() if (folder / "calls").exists() else []


SLURM = {"SLURM_JOB_ID": "70", "SLURM_ARRAY_JOB_ID": "64", "SLURM_ARRAY_TASK_ID": "3"}
CACHE = {"CACHE": "/tmp/cache"}
RESUME = ("resume", "slides", "--studies", "/shared/studies")


def test_a_task_that_is_told_to_end_writes_its_checkpoint_and_is_put_back(folder: Path) -> None:
    (folder / "wait").touch()
    task = start(folder, "slurm/array.sh", *RESUME, **SLURM, **CACHE)
    wait_until(lambda: calls(folder))
    task.send_signal(signal.SIGTERM)
    _, err = task.communicate()
    assert task.returncode == 143, err
    begun, checkpoint, back = calls(folder)
    temporary, _, command = begun.partition("|")
    assert command == "resume slides --studies /shared/studies --cache /tmp/cache"
    assert checkpoint == "checkpoint"
    assert back == "scontrol requeue 64_3"
    assert re.fullmatch(r"/tmp/ray\.\w{6}", temporary)
    assert not Path(temporary).exists()


def test_a_task_that_is_cancelled_or_preempted_is_not_put_back_by_itself(folder: Path) -> None:
    (folder / "wait").touch()
    (folder / "state").write_text("COMPLETING")
    task = start(folder, "slurm/array.sh", *RESUME, **SLURM, **CACHE)
    wait_until(lambda: calls(folder))
    task.send_signal(signal.SIGTERM)
    task.communicate()
    assert task.returncode == 143
    assert calls(folder)[1:] == ["checkpoint"]


@pytest.mark.parametrize("status", [0, 1, 2])
def test_a_task_that_ends_by_itself_is_not_put_back(folder: Path, status: int) -> None:
    (folder / "status").write_text(str(status))
    task = start(folder, "slurm/array.sh", *RESUME, **SLURM, **CACHE)
    task.communicate()
    assert task.returncode == status
    assert len(calls(folder)) == 1


def test_two_tasks_on_one_machine_have_folders_of_their_own(folder: Path) -> None:
    for _ in range(2):
        start(folder, "slurm/array.sh", *RESUME, **SLURM, **CACHE).communicate()
    assert len({call.partition("|")[0] for call in calls(folder)}) == 2


@pytest.mark.parametrize("script", ["slurm/array.sh", "spot/until_done.sh"])
@pytest.mark.parametrize("arguments", [(), ("resume",)], ids=["nothing", "no study"])
def test_a_script_without_a_command_says_what_it_needs(folder: Path, script: str, arguments: tuple[str, ...]) -> None:
    _, err = start(folder, script, *arguments, **SLURM).communicate()
    assert "give the command of orch: search NAME BACKBONE" in err
    assert calls(folder) == []


def test_a_spot_machine_tries_again_until_nothing_is_owed(folder: Path) -> None:
    (folder / "status").write_text("1")
    script = start(folder, "spot/until_done.sh", *RESUME, PAUSE_S="0.05")
    wait_until(lambda: len(calls(folder)) >= 3)
    (folder / "next").write_text("0")
    (folder / "next").replace(folder / "status")  # in one piece: the script may be reading it
    script.communicate()
    assert script.returncode == 0
    assert set(calls(folder)) == {f"|{' '.join(RESUME)}"} or len(calls(folder)) > 3


def test_a_spot_machine_that_is_taken_away_ends_with_a_checkpoint(folder: Path) -> None:
    (folder / "wait").touch()
    script = start(folder, "spot/until_done.sh", *RESUME)
    wait_until(lambda: calls(folder))
    script.send_signal(signal.SIGTERM)
    script.communicate()
    assert script.returncode == 143
    assert calls(folder)[-1] == "checkpoint"


SEARCH = f"""#!{sys.executable}
# the real command, which decides what is to be trained, trains nothing and fetches no weights
import sys
from orchestrator.command_line import main
from orchestrator.proposing.deciding import Deciding, Machine
from orchestrator.results.news import NewsReader
from orchestrator import train
from tests.support.handing_out import as_wanted

def decided(found, *_):
    for name in found.searches:
        reader = NewsReader(found.study.storage)
        Deciding(found.study.storage, found.decided, name, reader, Machine(1, "cpu", as_wanted)).decide()
    return 0

train.run = decided
if sys.argv[1] == "search":
    sys.argv += ["--weights", "none"]
main()
"""
SBATCH = """#!/bin/bash
# two tasks of the array at once, on this machine
for task in 1 2; do SLURM_JOB_ID=70 SLURM_ARRAY_TASK_ID=$task bash "$@" & tasks="$tasks $!"; done
for task in $tasks; do wait "$task" || exit; done
"""


def lines_to_type(place: Path) -> list[str]:
    """What a script's head, or a notebook, has people type."""
    text = place.read_text()
    if place.suffix == ".ipynb":
        cells = [cell["source"] for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        return [line[1:].strip() for source in cells for line in source if line.startswith("!")]
    return [
        line.removeprefix("#").strip() for line in text.splitlines() if re.match(r"#   (orch|sbatch|examples/)", line)
    ]


TYPED = [
    pytest.param(place, id=place.name, marks=[pytest.mark.slow] if place in SCRIPTS else [])
    for place in (*SCRIPTS, NOTEBOOK)
]
"""Scripts plan, train and resume: half a minute."""


@pytest.mark.parametrize("place", TYPED)
def test_what_an_example_has_people_type_makes_a_study(folder: Path, place: Path) -> None:
    for name, content in {"orch": SEARCH, "sbatch": SBATCH}.items():
        (folder / name).write_text(content)
        (folder / name).chmod(0o755)
    drive = folder / "mnt" / ("drive/MyDrive" if place == NOTEBOOK else "")
    for number, (label, group) in enumerate(product("ab", range(6))):
        pixels = np.random.default_rng(number).integers(0, 255, (64, 64, 3), dtype=np.uint8)
        image = drive / "images" / label / f"p{group}" / "1.png"
        image.parent.mkdir(parents=True)
        Image.fromarray(pixels).save(image)
    lines = lines_to_type(place)
    assert lines
    for line in lines:
        typed = re.sub(r"/(shared|mnt|content)\b", f"{folder}/mnt", line)
        environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        environment |= {"CACHE": f"{folder}/cache", "USER": "me", "HOME": str(folder)}
        ran = subprocess.run(["bash", "-c", typed], env=environment, cwd=ROOT, capture_output=True, text=True)
        assert ran.returncode == 0, (line, ran.stderr)
        is_made = (drive / "studies" / "slides" / "study.toml").exists()
        assert is_made or "--plan" in line or line.startswith("cp "), line
    assert list((drive / "studies" / "slides" / "searches").glob("*/1.toml"))


def test_the_page_has_people_type_the_same_as_the_script() -> None:
    page = (ROOT / "docs" / "running-elsewhere.md").read_text()
    for line in lines_to_type(EXAMPLES / "slurm" / "array.sh")[:2]:
        assert f"\n{line}\n" in page


def test_scripts_are_sound_and_name_options_that_exist() -> None:
    notebook = json.loads(NOTEBOOK.read_text())
    lines = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for script in SCRIPTS:
        assert subprocess.run(["bash", "-n", str(script)], capture_output=True).returncode == 0
        assert script.stat().st_mode & stat.S_IXUSR
        lines += script.read_text().splitlines()
    found = 0
    for command, rest in re.findall(r"\borch (\w+) ([^\n|&]*)", "\n".join(lines)):
        options = {option for parameter in main.commands[command].params for option in parameter.opts}
        used = set(re.findall(r"(?<!\S)--[\w-]+", rest))
        assert used <= options, (command, used - options)
        found += len(used)
    assert found > 10
