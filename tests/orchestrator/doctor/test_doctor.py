"""`orch doctor`: each check says what it finds, and none keeps the others waiting."""

from __future__ import annotations

import json
import resource
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from orchestrator.command_line import main
from orchestrator.doctor import folders, machine, network, registry, versions
from orchestrator.doctor.examination import examine, report
from orchestrator.doctor.registry import CHECKS, Check
from orchestrator.doctor.told import Asked, State, Told, fault, ok, warning
from orchestrator.running import ray_folder
from orchestrator.store.place import Place


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    return Asked(Place.of(tmp_path / "studies"), tmp_path / "cache")


def disk(free: float) -> Callable[[object], Any]:
    return lambda _: SimpleNamespace(free=int(free))


def test_a_check_that_hangs_or_raises_is_a_fault_and_the_others_answer(asked: Asked) -> None:
    def raises(_: Asked) -> Told:
        raise OSError("the disk is gone")

    end = threading.Event()

    def hangs(_: Asked) -> Told:
        end.wait()
        return ok("late")

    checks = (Check("one", lambda _: ok("good")), Check("two", raises), Check("three", hangs))
    told = examine(asked, checks, most_s=0.5)
    end.set()
    assert told["one"] == ok("good")
    assert told["two"].state is told["three"].state is State.FAULT
    assert told["two"].found == "cannot be checked (OSError: the disk is gone)"
    assert told["three"].found == "gave no answer in time"


@pytest.mark.parametrize(
    ("told", "status", "last"),
    [
        ((ok("a"), warning("b", "do this")), 0, "1 warning."),
        ((fault("a", "do that"), fault("b", "do this"), warning("c", "or this")), 1, "2 faults and 1 warning."),
        ((ok("a"),), 0, "No problems found."),
    ],
)
def test_the_command_ends_with_1_on_faults(
    monkeypatch: pytest.MonkeyPatch, told: tuple[Told, ...], status: int, last: str
) -> None:
    checks = tuple(Check(f"check {n}", lambda _, one=one: one) for n, one in enumerate(told))
    monkeypatch.setattr(registry, "CHECKS", checks)
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == status
    assert result.stdout.splitlines()[-1] == last
    assert all(one.mend in result.stdout for one in told)
    data = json.loads(CliRunner().invoke(main, ["doctor", "--json"]).stdout)
    assert [one["state"] for one in data["checks"]] == [one.state.value for one in told]


def test_every_check_answers_here(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """But those that ask the network, which may be none."""
    local = [check for check in CHECKS if not check.name.startswith("hub")]
    lines = report(examine(asked, local)).lines
    assert len(lines) > len(local)
    assert not any("cannot be checked" in line for line in lines)
    assert len({check.name for check in CHECKS}) == len(CHECKS)


@pytest.mark.parametrize(
    ("free", "state"), [(50e6, State.FAULT), (500e6, State.WARNING), (5e9, State.OK)], ids=["none", "little", "much"]
)
def test_disk_of_the_studies(asked: Asked, monkeypatch: pytest.MonkeyPatch, free: float, state: State) -> None:
    monkeypatch.setattr(folders.shutil, "disk_usage", disk(free))
    told = folders.studies(asked)
    assert told.state is state
    assert "studies, will be created" in told.found
    assert bool(told.mend) is (state is not State.OK)


def test_folders_that_cannot_be_written(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/proc/none")
    assert folders.home_folder(asked).state is State.WARNING
    told = folders.cache(Asked(asked.studies, Path("/proc/1/cache")))
    assert (told.state, told.found) == (State.FAULT, "/proc/1 is not writable")
    monkeypatch.setenv("RAY_TMPDIR", "/" + "x" * 130)
    told = folders.temporary(asked)
    assert told.state is State.WARNING
    assert told.found.startswith("RAY_TMPDIR is too long a path for Ray's sockets")
    monkeypatch.setattr(ray_folder, "_SHORT", ("/proc/none",))
    assert folders.temporary(asked).state is State.FAULT


def test_a_clock_that_is_not_that_of_the_files(asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folders.clock(asked).state is State.OK
    now = folders.time.time()
    monkeypatch.setattr(folders.time, "time", lambda: now + 90)
    told = folders.clock(asked)
    assert told.state is State.WARNING
    assert f"files in {tmp_path} are 9" in told.found
    assert told.found.endswith(" s behind")
    assert [*tmp_path.iterdir()] == [], "nothing is left there"


def test_memory_and_shared_memory(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "memory_bytes", lambda: 2 * 10**9)
    monkeypatch.setattr(machine.psutil, "virtual_memory", lambda: SimpleNamespace(available=8 * 10**8))
    assert machine.memory(asked) == fault("0.8 GB of 2.0 GB free", machine.memory(asked).mend)
    monkeypatch.setattr(machine, "shared_memory_bytes", lambda: 64_000_000)
    assert machine.shared_memory(asked).state is State.WARNING
    monkeypatch.setattr(machine.resource, "getrlimit", lambda _: (128, 128))
    assert machine.limits(asked).state is State.FAULT
    monkeypatch.setattr(machine.resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert machine.limits(asked).state is State.OK


def test_gpus_that_torch_cannot_use(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(machine, "gpus_here", lambda: {"0": "GPU-a"})
    told = machine.gpus(asked)
    assert told.state is State.WARNING
    assert "cannot use" in told.found
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "CUDA_VISIBLE_DEVICES" in machine.gpus(asked).found


def test_a_hub_that_takes_the_question_and_never_answers(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "PROBE_S", 0.3)
    for name in network.PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(network, "TORCHVISION", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        told = network.hub_of_torchvision(asked)
    assert told.state is State.WARNING
    assert "gave no answer" in told.found
    assert "--weights FILE" in told.mend


def test_a_hub_that_has_nothing_at_this_address_has_answered(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in network.PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with server.accept()[0] as asked_by:
                asked_by.recv(4096)
                asked_by.sendall(b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        monkeypatch.setattr(network, "TORCHVISION", f"http://127.0.0.1:{server.getsockname()[1]}/")
        assert network.hub_of_torchvision(asked).state is State.OK
        thread.join()


def test_proxies_are_told_without_their_passwords(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*network.PROXIES, *network.CERTIFICATES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    assert network.proxies(asked) == ok("none")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@proxy.example:3128")
    assert network.proxies(asked) == ok("HTTPS_PROXY proxy.example:3128")
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example")
    assert network.proxies(asked).state is State.WARNING
    monkeypatch.setenv("SSL_CERT_FILE", "/none.pem")
    assert "/none.pem, which does not exist" in network.proxies(asked).found


def test_a_library_that_cannot_be_loaded_is_named(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        if name == "PIL":
            raise ImportError("libjpeg.so.8: cannot open shared object file")

    monkeypatch.setattr(versions.importlib, "import_module", broken)
    told = versions.libraries(asked)
    assert told.state is State.FAULT
    assert told.found == "pillow: libjpeg.so.8: cannot open shared object file"
    monkeypatch.setattr(versions.sys, "version_info", (3, 9))
    assert versions.python(asked).state is State.FAULT


def test_nothing_of_a_look_stays_behind(asked: Asked, tmp_path: Path) -> None:
    for look in (folders.studies, folders.cache, folders.temporary, folders.home_folder, folders.clock):
        look(asked)
    assert [*tmp_path.iterdir()] == []
