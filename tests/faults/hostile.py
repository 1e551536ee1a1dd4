"""Every kind of file of a study, harmed in every way, read by every command, in one process with little memory.

`python -m tests.faults.hostile STUDIES CACHE [--every KIND]` works on the study "study" of that folder and prints what
went wrong, one line each. A command may refuse or leave something out; it must not wait, show a traceback or take
memory.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import resource
import shutil
import signal
import tomllib
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tomli_w
from click.testing import CliRunner

from orchestrator import train
from orchestrator.command_line import main
from orchestrator.store.record import pack, unpack

MARGIN = 384 << 20
"""Bytes that the process may take beyond what it had after every command had run on the whole study."""
HUGE = 10 << 30
DEEP = 100_000
PATIENCE_S = 60

SUBJECTS = {
    "study file": "study.toml",
    "manifest": "dataset/manifest.parquet",
    "refused files": "dataset/refused.csv",
    "near-duplicates": "dataset/near_duplicates.csv",
    "partition": "partitions/*.parquet",
    "configuration": "configurations/*.toml",
    "search": "searches/*/search.toml",
    "budget": "searches/*/budget-*.toml",
    "decision": "searches/*/[0-9]*.toml",
    "final record": "bundles/*/*/*/final/*",
    "kept weights": "bundles/*/*/*/weights/*",
    "state": "segments/*/state-*",
    "recipe": "segments/*/recipe.toml",
    "note of an attempt": "segments/*/attempt-*/started.json",
    "lease": "segments/*/lease-*.json",
    "compacted histories": "histories/*.epochs.parquet",
    "evaluation": "results/evaluation-*.json",
    "predictions": "results/predictions-*.parquet",
    "look": "results/looks/*.json",
    "ensemble": "results/ensembles/*.json",
    "energy reading": "results/energy/*",
}
"""By kind of file where it lies in a study."""
NEEDED = ("study file", "manifest", "partition", "configuration", "final record")
"""Whatever is asked of a study, damage to these is told; of DATA alone to the first three."""
DATA = ("candidates", "duplicates")
CHEAP: tuple[tuple[str, ...], ...] = (
    ("status", "study"),
    ("table", "study"),
    ("best", "study", "--rounds", "20"),
    ("cost", "study", "--country", "DE"),
    ("ensemble", "study", "--rounds", "5"),
    ("decisions", "study"),
    ("compare", "--study", "study", "straightforward", "straightforward"),
    ("data", "candidates", "study"),
    ("data", "duplicates", "study"),
)
DEAR: tuple[tuple[str, ...], ...] = (
    ("dashboard", "study"),
    ("export", "study", "--tables", "OUT"),
    ("figures", "study", "--format", "svg", "--only", "confusion", "--output", "OUT"),
    ("evaluate", "study", "--tta", "none", "--weights", "none", "--cache", "CACHE"),
    ("resume", "study", "--weights", "none", "--cache", "CACHE"),
)
UNCONCERNED = ("decisions", "cost", "resume")
"""They need not all of it, or have it trained again."""
Harm = Callable[[Path, bytes], None]


def _made(content: Callable[[bytes], bytes]) -> Harm:
    return lambda path, before: path.write_bytes(content(before)) and None  # type: ignore[func-returns-value]


def _huge(path: Path, _: bytes) -> None:
    path.touch()
    os.truncate(path, HUGE)


ANY: dict[str, Harm] = {
    "pipe": lambda path, _: os.mkfifo(path),
    "folder": lambda path, _: path.mkdir(),
    "device": lambda path, _: path.symlink_to("/dev/zero"),
    "link to itself": lambda path, _: path.symlink_to(path),
    "huge": _huge,
    "empty": _made(lambda _: b""),
    "garbage": _made(lambda _: bytes(range(256)) * 40),
}


def _toml_of_others(before: bytes) -> bytes:
    return tomli_w.dumps({name: [[name]] for name in tomllib.loads(before.decode())}).encode()


def _table(columns: dict[str, Any], like: bytes) -> bytes:
    metadata = pq.read_schema(io.BytesIO(like)).metadata
    sink = io.BytesIO()
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), sink, compression="zstd")
    return sink.getvalue()


def _bomb(like: bytes) -> bytes:
    """Texts of 20 GB in some hundred kilobytes."""
    if not _BOMB:
        codes = pa.array(np.zeros(20_000_000, dtype=np.int8))
        _BOMB.append(_table({"group": pa.DictionaryArray.from_arrays(codes, ["t" * 1000])}, like))
    return _BOMB[0]


_BOMB: list[bytes] = []


def _many_rows(like: bytes) -> bytes:
    """Its footer claims 2^60 rows: every number of rows there is replaced, in Thrift's way of writing it."""
    rows = pq.read_metadata(io.BytesIO(like)).num_rows
    return like[:-8].replace(_varint(2 * rows), _varint(2 << 60)) + like[-8:]


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _record_of_others(before: bytes) -> bytes:
    meta, arrays = unpack(before)
    return pack({key: [1] for key in meta}, {name: np.zeros((2, 3), np.int8) for name in arrays})


def _json_of_others(before: bytes) -> bytes:
    return json.dumps({key: [[1]] for key in json.loads(before)}).encode()


BY_SUFFIX: dict[str, dict[str, Harm]] = {
    ".toml": {
        "deep": _made(lambda _: b"a = " + b"[" * DEEP + b"]" * DEEP),
        "deep keys": _made(lambda _: b"a." * DEEP + b"a = 1"),
        "others": _made(lambda _: b"other = 1\n"),
        "other types": _made(_toml_of_others),
    },
    ".json": {
        "deep": _made(lambda _: b"[" * DEEP + b"]" * DEEP),
        "others": _made(lambda _: b"{}"),
        "no object": _made(lambda _: b"[1]"),
        "other types": _made(_json_of_others),
    },
    ".parquet": {
        "others": _made(lambda before: _table({"other": [1, 2]}, before)),
        "other types": _made(lambda b: _table({n: [1.5, None] for n in pq.read_schema(io.BytesIO(b)).names}, b)),
        "bomb": _made(_bomb),
        "2^60 rows": _made(_many_rows),
    },
    ".csv": {
        "others": _made(lambda _: b"other\n1\n"),
        "long cell": _made(lambda _: b"file,reason\n" + b"a" * 1_000_000 + b",\x00\n"),
    },
    "": {
        "10 GB header": _made(lambda before: HUGE.to_bytes(8, "little") + before[8:]),
        "others": _made(lambda _: pack({}, {})),
        "other types": _made(_record_of_others),
    },
}


def harms_of(path: Path) -> dict[str, Harm]:
    suffix = path.suffix if path.suffix in BY_SUFFIX else ""
    return {**ANY, **BY_SUFFIX[suffix]}


class Hostile:
    """One study, harmed again and again."""

    def __init__(self, studies: Path, cache: Path) -> None:
        self.studies, self.cache, self.study = studies, cache, studies / "study"
        self.whole, self.out = studies / ".whole", studies / ".out"
        if self.whole.exists():  # an earlier run left the study harmed
            self.put_back()
        else:
            shutil.copytree(self.study, self.whole)

    def put_back(self) -> None:
        shutil.rmtree(self.study)
        shutil.rmtree(self.out, ignore_errors=True)
        shutil.copytree(self.whole, self.study)

    def run(self, command: tuple[str, ...]) -> tuple[int, str, str]:
        """(status, what was printed, what is wrong with how it ended)"""
        places = {"OUT": str(self.out), "CACHE": str(self.cache)}
        arguments = [*(places.get(word, word) for word in command), "--studies", str(self.studies)]
        signal.alarm(PATIENCE_S)
        result = CliRunner().invoke(main, arguments)
        signal.alarm(0)
        wrong = ""
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            wrong = f"{type(result.exception).__name__}: {result.exception}"[:300]
        elif "Traceback" in result.output or "not enough memory" in result.output:
            wrong = result.output[-300:]
        elif result.exit_code not in (0, 1, 2):
            wrong = f"status {result.exit_code}"
        return result.exit_code, result.output, wrong

    def harmed(self, name: str, harm: str) -> str:
        """Harm the first file of a kind; returns its path in the study."""
        path = sorted(self.study.glob(SUBJECTS[name]))[0]
        if name == "final record":
            shutil.rmtree(self.study / "histories")  # which hold the same
        before = path.read_bytes()
        path.unlink()
        harms_of(path)[harm](path, before)
        return str(path.relative_to(self.study))

    def cases(self, every: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """Kind, harm and command: all of one kind, or each kind with each harm, and the commands in turn."""
        cheap, dear = count(), count()
        for name, pattern in {every: SUBJECTS[every]}.items() if every else SUBJECTS.items():
            for number, harm in enumerate(harms_of(sorted(self.study.glob(pattern))[0])):
                if every:
                    yield from ((name, harm, command) for command in (*CHEAP, *DEAR))
                    continue
                yield name, harm, CHEAP[next(cheap) % len(CHEAP)]
                if number % 3 == 0:
                    yield name, harm, DEAR[next(dear) % len(DEAR)]

    def wrongs(self, every: str) -> Iterator[str]:
        for name, harm, command in self.cases(every):
            self.put_back()
            path = self.harmed(name, harm)
            status, printed, wrong = self.run(command)
            if not wrong and name in (NEEDED[:3] if command[1] in DATA else NEEDED) and command[0] not in UNCONCERNED:
                if status == 0:
                    wrong = "is not told"
                elif status and Path(path).name not in printed:
                    wrong = f"is not named: {printed[-300:]}"
            if wrong:
                yield f"{name}, {harm}, {' '.join(command)}: {wrong}"


def hung(*_: object) -> None:
    raise RuntimeError("hung")


def limit_memory() -> None:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmPeak"):
            most = int(line.split()[1]) * 1024 + MARGIN
            resource.setrlimit(resource.RLIMIT_AS, (most, most))


def run(studies: Path, cache: Path, every: str) -> None:
    """Print what is wrong; nothing where all is well. every: see `Hostile.cases`."""
    signal.signal(signal.SIGALRM, hung)
    train.run = lambda *_: 0  # type: ignore[assignment]  # what is owed is not trained here
    hostile = Hostile(studies, cache)
    with contextlib.suppress(OSError):
        _bomb((hostile.study / "dataset/manifest.parquet").read_bytes())
    for command in (*CHEAP, *DEAR):
        status, printed, wrong = hostile.run(command)
        if status or wrong:
            print(f"whole, {' '.join(command)}: {status} {wrong or printed[-300:]}")
    limit_memory()
    for wrong in hostile.wrongs(every):
        print(wrong.replace("\n", " "), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--every", choices=SUBJECTS, default="", help="this kind with every harm and every command")
    given = parser.parse_args()
    run(given.studies, given.cache, given.every)
