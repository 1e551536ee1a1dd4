"""A corpus of bad inputs: those of `bad_data` and `bad_archives`, study files, weights, names, arguments, folders."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

import tests.support.bad_archives  # noqa: F401  (its cases)
from tests.support.bad_data import CASES, GROUPS, Make, case, search
from tests.support.configurations import asked

POISONED = "poisoned"
"""Name of the file that a poisoned input would make."""

# --- study files -----------------------------------------------------------------------------------------------------

SPACES: dict[str, bytes] = {
    "TOML without an end": b'name = "mine\n',
    "TOML with a key twice": b'name = "mine"\nname = "yours"\n',
    "TOML with unknown keys": b'name = "mine"\nlearning_rat = 3\n',
    "TOML with words for numbers": b'name = "mine"\nepochs = "many"\nlr = ["fast"]\n',
    "TOML with impossible numbers": b'name = "mine"\nepochs = -3\nlr = [nan, -1.0]\n',
    "TOML without a name": b"epochs = 3\n",
    "TOML with a name that climbs out": b'name = "../../etc"\n',
    "TOML with a name of markup": b'name = "<script>alert(1)</script>"\n',
    "TOML in Latin-1": 'name = "mine"\n# für alle\n'.encode("latin-1"),
    "TOML of two megabytes": b"# " + b"x" * 2_000_000 + b"\n",
    "TOML nested a thousand deep": b"a = " + b"[" * 3000 + b"]" * 3000,
    "a picture called TOML": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "an empty TOML": b"",
    "TOML with an unknown proposer": b'name = "mine"\n[search]\nproposer = "oracle"\nrungs = 3\n',
}


def _space_case(content: bytes) -> Make:
    def make(desk: Path) -> list[str]:
        (desk / "mine.toml").write_bytes(content)
        return ["search", str(desk / "mine.toml"), "resnet18"]

    return make


for _name, _content in SPACES.items():
    CASES[_name] = _space_case(_content)


@case("TOML with settings for a proposer that takes none")
def _(desk: Path) -> list[str]:
    (desk / "mine.toml").write_text('name = "mine"\n[search]\nproposer = "grid"\nrungs = 3\neta = 2\n')
    found = search(desk, *GROUPS)
    return ["search", str(desk / "mine.toml"), *found[2:]]


@case("TOML to be checked, with settings for a proposer that takes none")
def _(desk: Path) -> list[str]:
    (desk / "mine.toml").write_text('name = "mine"\nsearch = { proposer = "grid", rungs = 3 }\n')
    return ["spaces", "check", str(desk / "mine.toml")]


@case("a folder called TOML")
def _(desk: Path) -> list[str]:
    (desk / "mine.toml").mkdir()
    return ["search", str(desk / "mine.toml"), "resnet18"]


# --- weights ---------------------------------------------------------------------------------------------------------


class _Poison:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return os.system, (f"touch {self.target}",)  # type: ignore[return-value]


def _weights(desk: Path, name: str, content: bytes | None) -> list[str]:
    if content is not None:
        (desk / name).write_bytes(content)
    found = search(desk)
    found[found.index("none")] = str(desk / name)
    return found


@case("weights that are not there")
def _(desk: Path) -> list[str]:
    return _weights(desk, "w.pth", None)


@case("a folder for weights")
def _(desk: Path) -> list[str]:
    (desk / "w.pth").mkdir()
    return _weights(desk, "w.pth", None)


@case("empty weights")
def _(desk: Path) -> list[str]:
    return _weights(desk, "w.pth", b"")


@case("text for weights")
def _(desk: Path) -> list[str]:
    return _weights(desk, "w.pth", b"not weights")


@case("weights of an unknown kind")
def _(desk: Path) -> list[str]:
    return _weights(desk, "w.h5", b"\x89HDF\r\n\x1a\n")


@case("a poisoned pickle")
def _(desk: Path) -> list[str]:
    return _weights(desk, "w.pth", pickle.dumps({"weight": _Poison(desk / POISONED)}, protocol=2))


@case("a poisoned archive")
def _(desk: Path) -> list[str]:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("w/data.pkl", pickle.dumps(_Poison(desk / POISONED), protocol=2))
        archive.writestr("w/version", "3\n")
        archive.writestr("../../climbs.out", "x")
    return _weights(desk, "w.pth", target.getvalue())


@case("half a safetensors file")
def _(desk: Path) -> list[str]:
    content = save({"conv.weight": np.ones((20, 20), np.float32)})
    return _weights(desk, "w.safetensors", content[: len(content) // 2])


@case("a safetensors header of many gigabytes")
def _(desk: Path) -> list[str]:
    return _weights(desk, "w.safetensors", struct.pack("<Q", 1 << 40) + b"{}")


@case("another network's safetensors")
def _(desk: Path) -> list[str]:
    return _weights(desk, "w.safetensors", save({"conv.weight": np.ones((20, 20), np.float32)}))


# --- names and arguments ---------------------------------------------------------------------------------------------

NAMES = {
    "a name of markup": "<script>",
    "a name with quotes": "a'b\"c",
    "a name of look-alikes": "ｓｌｉｄｅｓ",
    "a name that climbs out": "..",
    "a name of 300 characters": "a" * 300,
    "a name with a control character": "a\x1b]0;b",
    "a name that begins like an option": "_x",
}
BACKBONES = {
    "a backbone with markup": "<b>resnet18</b>",
    "a backbone by its address": "https://example.org/resnet18.pth",
    "a backbone that climbs out": "../../resnet18",
    "a backbone with a control character": "resnet\x1b[31m18",
    "a backbone of another library": "keras:resnet18",
    "an empty backbone": "",
}


def _named(study: str, backbone: str) -> Make:
    def make(desk: Path) -> list[str]:
        place = ("--data", str(desk / "data"), *GROUPS, "--weights", "none")
        return ["search", study, backbone, *place]

    return make


for _name, _study in NAMES.items():
    CASES[_name] = _named(_study, "squeezenet1_1")
for _name, _backbone in BACKBONES.items():
    CASES[_name] = _named("mine", _backbone)

ARGUMENTS = {
    "a learning rate of infinity": ["--lr", "inf"],
    "a batch below nothing": ["--batch-size", "-4"],
    "an unknown metric": ["--selection", "auc"],
    "a seed that is no number": ["--seed", "pi"],
    "a mean of words": ["--mean", "a,b,c"],
    "an option that is none": ["--learning-rate", "0.1"],
    "no such optimiser": ["--optimiser", "rmsprop"],
    "no such proposer": ["--proposer", "oracle"],
}
for _name, _arguments in ARGUMENTS.items():
    CASES[_name] = lambda desk, arguments=_arguments: search(desk, *GROUPS, *arguments)


# --- study folders ---------------------------------------------------------------------------------------------------

STUDIES: dict[str, bytes] = {
    "an empty study file": b"",
    "a study file cut short": b'schema_version = 8\nname = "mine"\ntask = "bin',
    "a study file of bytes": bytes(range(256)),
    "a study of version 0.1": b'schema_version = 1\nname = "mine"\n',
    "a study file of a later version": b'schema_version = 99\nname = "mine"\n',
    "a study file without what it needs": b'schema_version = 8\nname = "mine"\n',
    "a study file that fails its checksum": b"# sha256 " + b"0" * 64 + b'\nschema_version = 8\nname = "mine"\n',
}


def _study_case(content: bytes, command: str) -> Make:
    def make(desk: Path) -> list[str]:
        (desk / "studies" / "mine").mkdir(parents=True)
        (desk / "studies" / "mine" / "study.toml").write_bytes(content)
        return [command, "mine", "--studies", str(desk / "studies")]

    return make


for _number, (_name, _content) in enumerate(STUDIES.items()):
    CASES[_name] = _study_case(_content, ("status", "table", "dashboard", "resume")[_number % 4])


@case("a folder for the study file")
def _(desk: Path) -> list[str]:
    (desk / "studies" / "mine" / "study.toml").mkdir(parents=True)
    return ["status", "mine", "--studies", str(desk / "studies")]


def made_study(desk: Path) -> Path:
    """A study of the desk's images with one search, nothing of it trained."""
    from orchestrator.running.progress import Display
    from orchestrator.search import SearchOptions, resolve_search
    from orchestrator.study.asked import Given
    from orchestrator.study.preparation import DataRequest
    from trainables.data.options import DatasetOptions

    data = DataRequest(desk / "data", DatasetOptions(group_by=r"(g\d)"))
    changes = asked(strategies=("straightforward",), lr=(0.1,), batch_size=(4,), repeats=1, epochs=1)
    places = desk / "studies", desk / "cache"
    options = SearchOptions("mine", ("squeezenet1_1",), *places, data, changes, given=Given("none"))
    return resolve_search(options, Display()).study.place.path


def _hurt_study(pattern: str, hurt: Callable[[Path], None], command: str) -> Make:
    def make(desk: Path) -> list[str]:
        for path in made_study(desk).glob(pattern):
            hurt(path)
        return [command, "mine", "--studies", str(desk / "studies")]

    return make


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


for _name, _pattern in {
    "the images": "dataset/manifest.parquet",
    "the partition": "partitions/*.parquet",
    "a configuration": "configurations/*.toml",
}.items():
    CASES[f"a study without {_name}"] = _hurt_study(_pattern, Path.unlink, "resume")
    CASES[f"a study with half of {_name}"] = _hurt_study(_pattern, _cut, "resume")
    CASES[f"a study with nothing of {_name}"] = _hurt_study(_pattern, _emptied, "resume")


@case("a study searched by a proposer of a later version")
def _(desk: Path) -> list[str]:
    from orchestrator.store.schema import parse_toml
    from orchestrator.store.searches import SearchRecord

    (path,) = made_study(desk).glob("searches/*/search.toml")
    search = parse_toml(SearchRecord, path.read_bytes(), str(path)).model_copy(update={"proposer": "oracle"})
    path.write_bytes(search.to_toml())
    path.parent.rename(path.parent.with_name(search.id))
    return ["resume", "mine", "--studies", str(desk / "studies")]


@case("a study whose images changed")
def _(desk: Path) -> list[str]:
    made_study(desk)
    (desk / "data" / "a" / "g0_0.png").write_bytes(b"")
    return ["resume", "mine", "--studies", str(desk / "studies")]


@case("a study that is not there")
def _(desk: Path) -> list[str]:
    return ["resume", "mine", "--studies", str(desk / "studies")]


@case("a file for the studies")
def _(desk: Path) -> list[str]:
    (desk / "studies").write_text("x")
    return ["status", "mine", "--studies", str(desk / "studies")]
