"""Two searches on one machine do not take the same GPU; the GPUs are made up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.running import gpus
from orchestrator.running.gpus import own_gpus, runtime_folder, visible_gpus
from tests.support.checkout import ROOT

TWO = {"0": "GPU-aaaa-1", "1": "GPU-bbbb-2"}
HOLD = """
import sys, time
from orchestrator.running.gpus import own_gpus
with own_gpus(lambda said: None, lambda: False, lambda: {gpus!r}):
    print("held", flush=True)
    time.sleep(3600)
"""


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    return tmp_path


@contextmanager
def another_search(held: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(gpus=held)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def shown() -> str | None:
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def test_alone_it_takes_all_and_changes_nothing(runtime: Path) -> None:
    said: list[str] = []
    with own_gpus(said.append, lambda: False, lambda: TWO):
        assert shown() is None
        assert sorted(path.name for path in (runtime / "orch").iterdir()) == [
            "gpu-GPU-aaaa-1.lock",
            "gpu-GPU-bbbb-2.lock",
        ]
    assert said == []


def test_it_takes_those_that_are_free() -> None:
    said: list[str] = []
    with another_search({"0": "GPU-aaaa-1"}), own_gpus(said.append, lambda: False, lambda: TWO):
        assert shown() == "1"
        assert os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID", "numbers are those of that order"
    assert said == ["Other searches use 1 of 2 GPUs; this one uses the rest."]
    assert shown() is None
    assert "CUDA_DEVICE_ORDER" not in os.environ


def test_when_none_is_free_it_says_so_and_waits_until_one_is() -> None:
    said: list[str] = []
    with another_search(TWO) as process:

        def listen(message: str) -> None:
            said.append(message)
            process.send_signal(signal.SIGKILL)  # a lock ends with its process, however that ends
            process.wait()

        with own_gpus(listen, lambda: False, lambda: TWO, wait_s=0.01):
            assert shown() is None
    assert len(said) == 1
    assert said[0].startswith("Other searches use all GPUs")


def test_an_interruption_ends_the_waiting() -> None:
    said: list[str] = []
    with another_search(TWO), own_gpus(said.append, lambda: bool(said), lambda: TWO, wait_s=0.01):
        assert shown() == "", "it holds none"


def test_the_same_number_in_two_jobs_is_not_the_same_gpu() -> None:
    said: list[str] = []
    with another_search({"0": "GPU-aaaa-1"}), own_gpus(said.append, lambda: False, lambda: {"0": "GPU-bbbb-2"}):
        assert shown() is None
    assert said == []


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("1", {"1": "GPU-bbbb-2"}),
        ("1,0", {"1": "GPU-bbbb-2", "0": "GPU-aaaa-1"}),
        ("GPU-bb", {"GPU-bb": "GPU-bbbb-2"}),
        ("MIG-7", {"MIG-7": "MIG-7"}),
        ("0,-1,1", {"0": "GPU-aaaa-1"}),
        ("", {}),
        ("NoDevFiles", {}),
    ],
)
def test_what_the_environment_leaves(told: str, found: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", told)
    assert visible_gpus(TWO) == found
    assert list(visible_gpus(TWO)) == list(found)


def test_of_those_that_were_given_the_free_ones_in_the_words_they_were_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-bb,0")
    with another_search({"0": "GPU-bbbb-2"}), own_gpus(lambda _: None, lambda: False, lambda: TWO):
        assert shown() == "0"
        assert "CUDA_DEVICE_ORDER" not in os.environ
    assert shown() == "GPU-bb,0"


def test_without_a_gpu_nothing_happens(runtime: Path) -> None:
    with own_gpus(pytest.fail, lambda: False, dict):
        assert shown() is None
    assert not (runtime / "orch").exists()


def test_without_nvidias_tool_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert gpus.gpus_here() == {}


def test_what_nvidias_tool_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho '0, GPU-aaaa-1'\necho '1, GPU-bbbb-2'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert gpus.gpus_here() == TWO


def test_where_nothing_can_be_locked_it_goes_on_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setattr(gpus, "runtime_folder", lambda: file / "orch")
    said: list[str] = []
    with own_gpus(said.append, lambda: False, lambda: TWO):
        assert shown() is None
    assert said[0].startswith("Note: GPUs are not locked")


def test_the_runtime_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert runtime_folder() == tmp_path / "orch"
    for elsewhere in (None, str(tmp_path / "missing")):
        if elsewhere is None:
            monkeypatch.delenv("XDG_RUNTIME_DIR")
        else:
            monkeypatch.setenv("XDG_RUNTIME_DIR", elsewhere)
        assert runtime_folder() == Path.home() / ".cache" / "orch" / "run"
