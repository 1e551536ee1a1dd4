"""The first signal asks for an orderly end within a time of grace, the second ends at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from orchestrator.running.interruption import Interruption
from tests.support.checkout import ROOT

BUSY = """
import sys, time
from orchestrator.running.interruption import Interruption
with Interruption(grace_s={grace}) as interruption:
    print("ready", flush=True)
    while not interruption.is_raised:
        time.sleep(0.01)
    print("raised", flush=True)
    while not {leaves}:
        time.sleep(0.01)
print("left", flush=True)
time.sleep({after})
sys.exit(interruption.exit_status)
"""


def busy(grace: float, leaves: bool, after: float = 0.0) -> subprocess.Popen[str]:
    """A process that has begun; it leaves its loop after a signal, or never does."""
    code = BUSY.format(grace=grace, leaves=leaves, after=after)
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_who_does_not_end_is_ended_and_says_what_is_kept(number: signal.Signals, status: int) -> None:
    process, started = busy(0.3, leaves=False), time.monotonic()
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == status
    assert time.monotonic() - started >= 0.3
    assert err.startswith("Ended 0.3 s after the signal")
    assert "Kept: all that was finished and the checkpoints up to then" in err


def test_the_grace_covers_what_follows_too() -> None:
    """A page that takes a minute to write must not outlive it."""
    process = busy(0.3, leaves=True, after=3600.0)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate()
    assert process.returncode == 143
    assert out == "raised\nleft\n"
    assert "Kept:" in err


def test_who_ends_in_time_hears_nothing() -> None:
    process = busy(600.0, leaves=True)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate()
    assert process.returncode == 143
    assert err == ""


def test_the_second_signal_ends_at_once() -> None:
    process = busy(3600.0, leaves=False)
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    assert process.stdout.readline() == "raised\n"
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130


def test_an_echo_of_sigterm_is_no_second_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batch systems send it to every process of a job, and the job's script passes it on."""
    ended: list[int] = []
    now = [100.0]
    monkeypatch.setattr("orchestrator.running.interruption.time.monotonic", lambda: now[0])
    with Interruption(60.0, end=ended.append):
        os.kill(os.getpid(), signal.SIGTERM)
        now[0] += 0.9
        os.kill(os.getpid(), signal.SIGTERM)
        assert ended == []
        now[0] += 0.2
        os.kill(os.getpid(), signal.SIGTERM)
        assert ended == [143]


def test_former_handlers_are_back_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interruption(60.0, end=lambda _: None) as interruption:
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.is_raised
        assert interruption.exit_status == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_time_that_is_up_is_no_failure() -> None:
    with Interruption(time_s=1e-9) as interruption:
        assert (interruption.is_raised, interruption.is_time_up, interruption.exit_status) == (True, True, 0)
        interruption.signal = signal.SIGINT
        assert interruption.exit_status == 130
    with Interruption(time_s=3600.0) as interruption:
        assert not interruption.is_raised
