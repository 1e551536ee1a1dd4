"""The scripts in examples/ do what they say, with a search in their midst that only waits for a signal."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from orchestrator.command_line import main
from tests.support.checkout import ROOT
from tests.support.waiting import wait_until

EXAMPLES = ROOT / "examples"
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
STUDY = {"STUDY": "slides", "STUDIES": "/shared/studies", "CACHE": "/tmp/cache"}


def test_a_task_that_is_told_to_end_writes_its_checkpoint_and_is_put_back(folder: Path) -> None:
    (folder / "wait").touch()
    task = start(folder, "slurm/array.sh", **SLURM, **STUDY)
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
    task = start(folder, "slurm/array.sh", **SLURM, **STUDY)
    wait_until(lambda: calls(folder))
    task.send_signal(signal.SIGTERM)
    task.communicate()
    assert task.returncode == 143
    assert calls(folder)[1:] == ["checkpoint"]


@pytest.mark.parametrize("status", [0, 1, 2])
def test_a_task_that_ends_by_itself_is_not_put_back(folder: Path, status: int) -> None:
    (folder / "status").write_text(str(status))
    task = start(folder, "slurm/array.sh", **SLURM, **STUDY)
    task.communicate()
    assert task.returncode == status
    assert len(calls(folder)) == 1


def test_two_tasks_on_one_machine_have_folders_of_their_own(folder: Path) -> None:
    for _ in range(2):
        start(folder, "slurm/array.sh", **SLURM, **STUDY).communicate()
    assert len({call.partition("|")[0] for call in calls(folder)}) == 2


def test_a_task_without_a_study_says_what_it_needs(folder: Path) -> None:
    _, err = start(folder, "slurm/array.sh", **SLURM).communicate()
    assert "give the name of the study" in err
    assert calls(folder) == []


def test_a_spot_machine_tries_again_until_nothing_is_owed(folder: Path) -> None:
    (folder / "status").write_text("1")
    script = start(folder, "spot/until_done.sh", "slides", "/shared", PAUSE_S="0.05")
    wait_until(lambda: len(calls(folder)) >= 3)
    (folder / "next").write_text("0")
    (folder / "next").replace(folder / "status")  # in one piece: the script may be reading it
    script.communicate()
    assert script.returncode == 0
    assert set(calls(folder)) == {"|resume slides --studies /shared"} or len(calls(folder)) > 3


def test_a_spot_machine_that_is_taken_away_ends_with_a_checkpoint(folder: Path) -> None:
    (folder / "wait").touch()
    script = start(folder, "spot/until_done.sh", "slides", "/shared")
    wait_until(lambda: calls(folder))
    script.send_signal(signal.SIGTERM)
    script.communicate()
    assert script.returncode == 143
    assert calls(folder)[-1] == "checkpoint"


def test_scripts_are_sound_and_name_options_that_exist() -> None:
    notebook = json.loads((EXAMPLES / "colab" / "search.ipynb").read_text())
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
