"""Sets up everything in `.venv` beside this folder, then runs what it was asked for. Standard library only.

    python3 .ci/bootstrap.py                        set up, nothing else
    python3 .ci/bootstrap.py orch ARGUMENTS…        set up, then orch
    python3 .ci/bootstrap.py test [ARGUMENTS…]      set up, then audit, ruff, biome, mypy, pytest (which takes these)
    python3 .ci/bootstrap.py pin [--upgrade]        write requirements.txt anew from pyproject.toml

What is already there is left as it is. Nothing outside the checkout is changed but uv's cache of packages.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = ROOT / "requirements.txt"
UV_REQUIREMENTS = ROOT / ".ci" / "uv.txt"
PROJECT = ROOT / "pyproject.toml"
STAMP = VENV / "bootstrap.stamp"
OLDEST = (3, 11)
NEEDED_GB = 6.0
"""Of the packages unpacked: torch's Linux wheels bring the CUDA libraries."""
SCRIPTS = sorted(
    str(path.relative_to(ROOT)) for folder in (".ci", "docs", "benchmarks") for path in ROOT.glob(f"{folder}/*.py")
)
CHECKS = (
    ("audit of packages", ("python", ".ci/audit.py")),
    ("ruff check", ("python", "-m", "ruff", "check")),
    ("ruff format", ("python", "-m", "ruff", "format", "--check")),
    ("biome", ("biome", "ci", "--error-on-warnings", "--colors=off")),
    ("mypy", ("python", "-m", "mypy")),
    ("mypy of scripts", ("python", "-m", "mypy", *SCRIPTS)),
    # Three processes, of which one often waits, take file after file in order: tests/conftest.py puts the longest first
    (
        "pytest",
        ("python", "-m", "pytest", "-n", "3", "--dist", "loadfile", "--no-loadscope-reorder", "--durations=25"),
    ),
)
"""Each as a program of the environment, and what it is given."""


def main(arguments: Sequence[str]) -> int:
    """Do what the first argument says; the exit status is that of what was run, 2 for wrong usage, 1 for no set-up."""
    act, *rest = arguments or ["set-up"]
    if act in ("-h", "--help"):
        print(__doc__)
        return 0
    if act not in ("set-up", "orch", "test", "pin"):
        return _fail(f"{act!r}: expected orch, test or pin.\n{__doc__}", 2)
    if sys.version_info < OLDEST:
        version = ".".join(map(str, sys.version_info[:3]))
        _stop(f"Python 3.11 or newer is needed, this is {version}. Give a newer one: python3.11 .ci/bootstrap.py …")
    if os.name != "posix":
        _stop("Linux is what this is made for; on Windows use WSL.")
    with _Lock():
        if act == "pin":
            _make_venv()
            return _pin(rest)
        _set_up()
    if act == "orch":
        sys.stdout.flush()
        os.execv(VENV / "bin" / "orch", ["orch", *rest])
    if act == "test":
        return _test(rest[1:] if rest[:1] == ["--"] else rest)
    print(f"Ready. Use it with: {VENV / 'bin' / 'orch'} --help")
    return 0


class _Lock:
    """One set-up of a checkout at a time; held on the checkout's folder itself, so that no file is left behind."""

    def __enter__(self) -> None:
        import fcntl

        self.folder = os.open(ROOT, os.O_RDONLY)
        try:
            fcntl.flock(self.folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("Another set-up of this checkout is under way; waiting for it.")
            fcntl.flock(self.folder, fcntl.LOCK_EX)
        except OSError:
            _say("This file system has no locks: do not start two set-ups at once.")

    def __exit__(self, *exception: object) -> None:
        os.close(self.folder)


def _set_up() -> None:
    """Bring `.venv` to what requirements.txt and pyproject.toml say; does nothing when the stamp says it is."""
    wanted = _fingerprint()
    if STAMP.is_file() and STAMP.read_text() == wanted and PYTHON.exists():
        return
    _make_venv()
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < NEEDED_GB:
        _say(f"Only {free:.1f} GB are free here; the packages take about {NEEDED_GB:.0f} GB.")
    _say(f"Installing the packages of requirements.txt (about {NEEDED_GB:.0f} GB the first time) …")
    # Compiled here once: where modules may not be written later, every process of every search would do it again
    _install("pip", "sync", "--require-hashes", "--compile-bytecode", str(REQUIREMENTS))
    _install("pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    STAMP.write_text(wanted)


def _fingerprint() -> str:
    """Of all that the environment follows from, its own place included: its scripts hold absolute paths."""
    digest = hashlib.sha256(f"{ROOT}\n{sys.version}\n".encode())
    for file in (REQUIREMENTS, UV_REQUIREMENTS, PROJECT):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _make_venv() -> None:
    """`.venv` with pip, then uv in the version and with the hashes of `.ci/uv.txt`."""
    if _has_uv():
        return
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        _stop(
            "This Python lacks the modules venv and ensurepip, which Debian and Ubuntu keep apart: "
            "apt install python3-venv"
        )
    _say(f"Making {VENV} …")
    try:
        venv.create(VENV, with_pip=True, clear=True, symlinks=True)
    except (OSError, subprocess.CalledProcessError) as error:
        _stop(f"{VENV} cannot be made: {error}")
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--no-user", "--disable-pip-version-check"]
    environment = {name: value for name, value in os.environ.items() if name not in ("PIP_TARGET", "PIP_PREFIX")}
    done = subprocess.run([*command, "--require-hashes", "-r", str(UV_REQUIREMENTS)], env=environment)
    if done.returncode:
        _stop("pip could not install uv (see above). The first set-up needs a network that reaches Python packages.")


def _has_uv() -> bool:
    """Whether the environment works, lies where it was made, is of this Python and has the uv that is wanted."""
    try:
        config = (VENV / "pyvenv.cfg").read_text()
        script = (VENV / "bin" / "pip").read_text()
        run = subprocess.run([_uv(), "--version"], capture_output=True, text=True)
    except (OSError, UnicodeDecodeError):
        return False
    version = ".".join(map(str, sys.version_info[:3]))
    wanted = UV_REQUIREMENTS.read_text().partition("==")[2].split()[0]
    return (
        f"version = {version}\n" in config
        and str(VENV) in script
        and PYTHON.exists()
        and run.stdout.split()[1:2] == [wanted]
    )


def _uv() -> str:
    return str(VENV / "bin" / "uv")


def _install(*command: str) -> None:
    done = subprocess.run([_uv(), *command, "--python", str(PYTHON)], cwd=ROOT)
    if done.returncode:
        cache = _cache()
        _stop(
            f"uv could not install the packages (see above). They need a network and about {NEEDED_GB:.0f} GB: "
            f"{_free(ROOT)} GB are free at {ROOT}, {_free(cache)} GB at uv's cache {cache} (UV_CACHE_DIR moves it). "
            "The same command goes on from here."
        )


def _cache() -> Path:
    run = subprocess.run([_uv(), "cache", "dir"], capture_output=True, text=True)
    return Path(run.stdout.strip() or ROOT)


def _free(place: Path) -> str:
    there = next((folder for folder in (place, *place.parents) if folder.exists()), ROOT)
    return f"{shutil.disk_usage(there).free / 1e9:.1f}"


def _pin(options: Sequence[str]) -> int:
    """Resolve pyproject.toml, its groups and its build backend for Python 3.11 and newer, with hashes."""
    import tomllib

    backend = tomllib.loads(PROJECT.read_text())["build-system"]["requires"]
    command = [_uv(), "pip", "compile", "--quiet", "--python-version", "3.11", "--universal", "--generate-hashes"]
    command += ["--no-annotate", "--custom-compile-command", "python3 .ci/bootstrap.py pin"]
    command += ["--group", "test", "--group", "docs", "pyproject.toml", "-", "-o", "requirements.txt", *options]
    return subprocess.run(command, cwd=ROOT, input="\n".join(backend), text=True).returncode


def _test(arguments: Sequence[str]) -> int:
    """Run every check, whatever the others found; pytest comes last, with the arguments. 0 when all passed."""
    failed = []
    for name, command in CHECKS:
        _say(f"{name} …")
        last = name == CHECKS[-1][0]
        program = VENV / "bin" / command[0]
        if not program.exists():
            _say(f"{command[0]} is left out: no package of it for this kind of machine.")
        elif _status([str(program), *command[1:], *(arguments if last else ())]):
            failed.append(name)
    if failed:
        return _fail(f"Failed: {', '.join(failed)}.")
    _say("All checks passed.")
    return 0


def _status(command: Sequence[str]) -> int:
    """Exit status of a command; a SIGTERM of ours is handed on to it, and after SIGTERM or SIGINT we end with it."""
    child = subprocess.Popen(command, cwd=ROOT)
    caught: list[int] = []

    def hand_on(number: int, frame: FrameType | None) -> None:
        # no waiting here: the wait below, which this interrupts, holds the lock that a second one would need
        caught.append(number)
        if number == signal.SIGTERM:
            child.send_signal(number)

    before = {number: signal.signal(number, hand_on) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        status = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if caught:
        sys.exit(128 + caught[-1])
    return status


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _fail(message: str, status: int = 1) -> int:
    _say(message)
    return status


def _stop(message: str) -> NoReturn:
    sys.exit(_fail(f"Set-up stopped: {message}"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
