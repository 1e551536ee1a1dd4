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
trap 'sleep 0.2; echo checkpoint >> "$DESK/calls"; exit 143' TERM
echo "$RAY_TMPDIR|$*" >> "$DESK/calls"
[ -f "$DESK/wait" ] && while :; do sleep 0.05; done
exit "$(cat "$DESK/status")"
"""
SCONTROL = '#!/bin/bash\necho "scontrol $*" >> "$DESK/calls"\n'
SQUEUE = '#!/bin/bash\n[[ " $* " == *" --job 70 "* ]] && cat "$DESK/state"\n'


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    for name, content in {"orch": ORCH, "scontrol": SCONTROL, "squeue": SQUEUE}.items():
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "status").write_text("0")
    (tmp_path / "state").write_text("RUNNING")
    return tmp_path


def start(desk: Path, script: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["bash", str(EXAMPLES / script), *arguments],
        env={**os.environ, "PATH": f"{desk}:{os.environ['PATH']}", "DESK": str(desk), "USER": "me", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def calls(desk: Path) -> list[str]:
    return (desk / "calls").read_text().splitlines() if (desk / "calls").exists() else []


SLURM = {"SLURM_JOB_ID": "70", "SLURM_ARRAY_JOB_ID": "64", "SLURM_ARRAY_TASK_ID": "3"}
STUDY = {"STUDY": "slides", "STUDIES": "/shared/studies", "CACHE": "/tmp/cache"}


def test_a_task_that_is_told_to_end_writes_its_checkpoint_and_is_put_back(desk: Path) -> None:
    (desk / "wait").touch()
    task = start(desk, "slurm/array.sh", **SLURM, **STUDY)
    wait_until(lambda: calls(desk))
    task.send_signal(signal.SIGTERM)
    _, err = task.communicate()
    assert task.returncode == 143, err
    begun, checkpoint, back = calls(desk)
    folder, _, command = begun.partition("|")
    assert command == "resume slides --studies /shared/studies --cache /tmp/cache"
    assert checkpoint == "checkpoint"
    assert back == "scontrol requeue 64_3"
    assert re.fullmatch(r"/tmp/ray\.\w{6}", folder)
    assert not Path(folder).exists()


def test_a_task_that_is_cancelled_or_preempted_is_not_put_back_by_itself(desk: Path) -> None:
    (desk / "wait").touch()
    (desk / "state").write_text("COMPLETING")
    task = start(desk, "slurm/array.sh", **SLURM, **STUDY)
    wait_until(lambda: calls(desk))
    task.send_signal(signal.SIGTERM)
    task.communicate()
    assert task.returncode == 143
    assert calls(desk)[1:] == ["checkpoint"]


@pytest.mark.parametrize("status", [0, 1, 2])
def test_a_task_that_ends_by_itself_is_not_put_back(desk: Path, status: int) -> None:
    (desk / "status").write_text(str(status))
    task = start(desk, "slurm/array.sh", **SLURM, **STUDY)
    task.communicate()
    assert task.returncode == status
    assert len(calls(desk)) == 1


def test_two_tasks_on_one_machine_have_folders_of_their_own(desk: Path) -> None:
    for _ in range(2):
        start(desk, "slurm/array.sh", **SLURM, **STUDY).communicate()
    assert len({call.partition("|")[0] for call in calls(desk)}) == 2


def test_a_task_without_a_study_says_what_it_needs(desk: Path) -> None:
    _, err = start(desk, "slurm/array.sh", **SLURM).communicate()
    assert "give the name of the study" in err
    assert calls(desk) == []


def test_a_spot_machine_tries_again_until_nothing_is_owed(desk: Path) -> None:
    (desk / "status").write_text("1")
    script = start(desk, "spot/until_done.sh", "slides", "/shared", PAUSE_S="0.05")
    wait_until(lambda: len(calls(desk)) >= 3)
    (desk / "next").write_text("0")
    (desk / "next").replace(desk / "status")  # in one piece: the script may be reading it
    script.communicate()
    assert script.returncode == 0
    assert set(calls(desk)) == {"|resume slides --studies /shared"} or len(calls(desk)) > 3


def test_a_spot_machine_that_is_taken_away_ends_with_a_checkpoint(desk: Path) -> None:
    (desk / "wait").touch()
    script = start(desk, "spot/until_done.sh", "slides", "/shared")
    wait_until(lambda: calls(desk))
    script.send_signal(signal.SIGTERM)
    script.communicate()
    assert script.returncode == 143
    assert calls(desk)[-1] == "checkpoint"


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
