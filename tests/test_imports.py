"""The rooms see one another in one direction only, and asking for help loads nothing heavy."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

ROOMS = ("search_spaces", "trainables", "orchestrator", "dashboards")
GROUND = "orchestrator.store"
MAY_SEE = {
    GROUND: (),
    "search_spaces": (GROUND,),
    "trainables": ("search_spaces", GROUND),
    "dashboards": (
        GROUND,
        "search_spaces",
        "orchestrator.results.names",
        "orchestrator.results.summary",
        "orchestrator.statistics",
        "orchestrator.results.near_duplicates",
        "orchestrator.results.partition_maps",
        "orchestrator.evaluation.record",
        "orchestrator.evaluation.looks",
        "orchestrator.evaluation.nested_record",
        "orchestrator.energy.cost",
        "orchestrator.energy.grid",
        "orchestrator.energy.hours",
        "orchestrator.energy.meters",
        "orchestrator.energy.ratings",
    ),
    "orchestrator": ("search_spaces", "trainables", GROUND),
}
"""What a room may import beside itself. The command line and notebooks alone import the dashboards."""

MAY_IMPORT = {
    "ray": (
        "trainables/trial.py",
        "orchestrator/running/cluster.py",
        "orchestrator/running/launch.py",
        "orchestrator/running/nodes.py",
        "orchestrator/running/stages.py",
        "orchestrator/running/stop_flag.py",
    ),
    "optuna": ("orchestrator/sampler", "orchestrator/samplers"),
    "click": ("orchestrator/command_line.py", "orchestrator/commands/"),
    "plotly": ("dashboards/",),
}
NOT_ON_THE_GROUND = ("torch", "pandas", "ray", "optuna", "plotly", "click", "timm", "torchvision")
NOT_IN_THE_SPACES = ("torch", "ray", "timm", "torchvision")
SEES_DASHBOARDS = ("orchestrator/command_line.py", "orchestrator/commands/", "orchestrator/notebook.py")


def files() -> list[Path]:
    return sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> str:
    return GROUND if module == GROUND or module.startswith(f"{GROUND}.") else module.partition(".")[0]


def imported(path: Path, *, at_load: bool = False) -> Iterator[tuple[str, int]]:
    """Names of the modules that a file imports, with the line; at_load leaves out functions and TYPE_CHECKING."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(), str(path))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports name the whole path"
            module = node.module or ""
            for alias in node.names:
                yield f"{module}.{alias.name}", node.lineno
        elif at_load and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        elif at_load and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting.extend(node.orelse)
            continue
        waiting.extend(ast.iter_child_nodes(node))


def is_in(path: Path, places: tuple[str, ...]) -> bool:
    return path.relative_to(ROOT).as_posix().startswith(places)


def within(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


def test_there_is_something_to_look_at() -> None:
    assert len(files()) > 60
    assert {room_of(module_of(path)) for path in files()} == {*ROOMS, GROUND}


@pytest.mark.parametrize("room", sorted(MAY_SEE))
def test_rooms_see_what_is_below_them(room: str) -> None:
    faults = []
    for path in files():
        if room_of(module_of(path)) != room:
            continue
        for module, line in imported(path):
            if module.partition(".")[0] not in ROOMS or room_of(module) == room or within(module, MAY_SEE[room]):
                continue
            if within(module, ("dashboards",)) and is_in(path, SEES_DASHBOARDS):
                continue
            faults.append(f"{path.relative_to(ROOT)}:{line} imports {module}")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_packages_are_kept_to_their_places(package: str) -> None:
    faults = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in files()
        if not is_in(path, MAY_IMPORT[package])
        for module, line in imported(path)
        if within(module, (package,))
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("rooms", "packages"), [((GROUND,), NOT_ON_THE_GROUND), (("search_spaces",), NOT_IN_THE_SPACES)]
)
def test_light_rooms_import_nothing_heavy(rooms: tuple[str, ...], packages: tuple[str, ...]) -> None:
    faults = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in files()
        if room_of(module_of(path)) in rooms
        for module, line in imported(path)
        if within(module, packages)
    ]
    assert not faults, "\n".join(faults)


def test_nothing_is_unpickled_anywhere() -> None:
    banned = ("pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal")
    faults = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in files()
        for module, line in imported(path)
        if within(module, banned)
    ]
    for path in files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                safe = any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords)
                if not safe:
                    faults.append(f"{path.relative_to(ROOT)}:{node.lineno} torch.load without weights_only=True")
    assert not faults, "\n".join(faults)


def test_package_markers_are_empty() -> None:
    for room in ROOMS:
        for path in (ROOT / room).rglob("__init__.py"):
            assert len(path.read_text().splitlines()) <= 12, path


PROBE = """
import json, sys
from orchestrator.command_line import main
status = 0
try:
    main(json.loads(sys.argv[1]))
except SystemExit as end:
    status = end.code or 0
heavy = [name for name in ("torch", "ray", "pandas", "plotly", "timm", "optuna", "scipy") if name in sys.modules]
print("\\nLOADED " + json.dumps([status, heavy]))
"""


@pytest.mark.parametrize(
    ("arguments", "banned"),
    [
        (["--help"], {"torch", "ray", "pandas", "plotly", "timm", "optuna", "scipy"}),
        (["status", "--help"], {"torch", "ray", "pandas", "plotly", "timm", "optuna", "scipy"}),
        (["plan", "--help"], {"torch", "ray", "pandas", "plotly", "timm", "optuna", "scipy"}),
        (["search", "--help"], {"torch", "ray", "pandas", "plotly", "timm", "optuna", "scipy"}),
        (["dashboard", "--help"], {"torch", "ray", "pandas", "plotly", "timm", "optuna", "scipy"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_help_loads_nothing_heavy(arguments: list[str], banned: set[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(arguments)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert "LOADED" in run.stdout, run.stdout + run.stderr
    status, loaded = json.loads(run.stdout.rpartition("LOADED ")[2])
    assert status == 0, run.stdout + run.stderr
    assert "Usage" in run.stdout
    assert not set(loaded) & banned


def test_a_worker_loads_torch_with_its_first_bundle() -> None:
    probe = "import sys, trainables.trial, orchestrator.running.cluster; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert run.stdout == "False\n", run.stderr
