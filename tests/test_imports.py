"""The rooms see one another in one direction only, and asking for help loads nothing heavy."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from docs.rooms import FLOORS, PAGE, circles, file_arrows, files, imports_of, module_of, page, room_of
from tests.support.checkout import ROOT
from tests.support.generated_study import GeneratedStudy, UnsyncedStorage

FLOOR_OF = {room: number for number, floor in enumerate(FLOORS) for room in floor}
FOR_DASHBOARDS = (
    "orchestrator.store",
    "search_spaces",
    "orchestrator.results",
    "orchestrator.statistics",
    "orchestrator.checking.finding",
    "orchestrator.evaluation.record",
    "orchestrator.evaluation.looks",
    "orchestrator.evaluation.nested_record",
    "orchestrator.evaluation.ensemble_record",
    "orchestrator.ensembles.record",
    "orchestrator.ensembles.report",
    "orchestrator.maps.record",
    "orchestrator.mistakes.record",
    "orchestrator.energy.cost",
    "orchestrator.energy.coverage",
    "orchestrator.energy.grid",
    "orchestrator.energy.hours",
    "orchestrator.energy.meters",
    "orchestrator.energy.ratings",
    "trainables.learning.tasks.confusion",
)
"""All that the dashboards may see of the floors below: what can be read without torch."""
SEES_DASHBOARDS = ("orchestrator/command_line.py", "orchestrator/commands/", "orchestrator/notebook.py")
LOOSE_FILES = 10
"""Most files that lie directly in a top folder, so that the flow can be read from the folders."""

MAY_IMPORT = {
    "ray": ("trainables/chunks.py", "trainables/trial.py", "orchestrator/running/"),
    "optuna": ("orchestrator/proposing/",),
    "click": ("orchestrator/command_line.py", "orchestrator/commands/"),
    "plotly": ("dashboards/",),
    "pytest": (),
}
WITHOUT_RAY = (
    *("counting", "decider", "gpus", "interruption", "monitor", "pace", "progress", "retries", "tally", "time_left"),
    "work_queue",
)
"""Files of orchestrator/running/ that know no Ray."""
NEVER_IN = {
    "orchestrator/store/": ("torch", "pandas", "ray", "optuna", "plotly", "click", "timm", "torchvision"),
    "search_spaces/": ("torch", "ray", "timm", "torchvision"),
    "trainables/learning/metrics.py": ("torch", "ray", "timm", "torchvision"),
    "trainables/learning/tasks/confusion.py": ("torch", "ray", "timm", "torchvision"),
    "trainables/learning/tasks/class_metrics.py": ("torch", "ray", "timm", "torchvision"),
    "orchestrator/results/": ("torch", "ray", "timm", "torchvision"),
    "orchestrator/statistics/": ("torch", "ray", "timm", "torchvision"),
    "orchestrator/energy/": ("torch", "ray", "timm", "torchvision"),
    "orchestrator/proposing/": ("torch", "ray", "timm", "torchvision", "click"),
    **{f"orchestrator/running/{name}.py": ("ray",) for name in WITHOUT_RAY},
}


def is_in(path: Path, places: tuple[str, ...]) -> bool:
    return path.relative_to(ROOT).as_posix().startswith(places)


def within(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


def test_there_is_something_to_look_at() -> None:
    assert len(files()) > 60
    assert set(FLOOR_OF) == {room for path in files() if (room := room_of(module_of(path)))}


@pytest.mark.parametrize("room", sorted(FLOOR_OF))
def test_a_room_sees_only_floors_below_its_own(room: str) -> None:
    faults = [
        f"{one.file.relative_to(ROOT)}:{one.line} imports {one.module}"
        for path in files()
        if room_of(module_of(path)) == room
        for one in imports_of(path)
        if (other := room_of(one.module)) not in (None, room) and FLOOR_OF[other] >= FLOOR_OF[room]
    ]
    assert not faults, "\n".join(faults)


def test_dashboards_see_what_can_be_read_without_torch() -> None:
    faults = [
        f"{one.file.relative_to(ROOT)}:{one.line} imports {one.module}"
        for path in files()
        if is_in(path, ("dashboards/",))
        for one in imports_of(path)
        if within(one.module, ("trainables", "search_spaces", "orchestrator"))
        and not within(one.module, FOR_DASHBOARDS)
    ]
    assert not faults, "\n".join(faults)


def test_commands_and_notebooks_alone_see_dashboards() -> None:
    faults = [
        f"{one.file.relative_to(ROOT)}:{one.line} imports {one.module}"
        for path in files()
        if not is_in(path, ("dashboards/", *SEES_DASHBOARDS))
        for one in imports_of(path)
        if within(one.module, ("dashboards",))
    ]
    assert not faults, "\n".join(faults)


def test_there_are_no_circles() -> None:
    assert circles(file_arrows()) == []
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == [["a", "b", "c", "a"]], "it would find one"


def test_imports_name_the_whole_path() -> None:
    faults = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in files()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("top", ["orchestrator", "trainables", "dashboards"])
def test_few_files_lie_beside_the_rooms(top: str) -> None:
    assert len(list((ROOT / top).glob("*.py"))) <= LOOSE_FILES


def test_the_picture_of_the_rooms_is_true() -> None:
    """docs/architecture.md shows the arrows that there are: `python docs/rooms.py` writes it."""
    assert PAGE.read_text() == page()


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_packages_are_kept_to_their_places(package: str) -> None:
    faults = [
        f"{one.file.relative_to(ROOT)}:{one.line} imports {one.module}"
        for path in files()
        if not is_in(path, MAY_IMPORT[package])
        for one in imports_of(path)
        if within(one.module, (package,))
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("place", sorted(NEVER_IN))
def test_light_places_import_nothing_heavy(place: str) -> None:
    there = [path for path in files() if is_in(path, (place,))]
    assert there, "there is such a place"
    faults = [
        f"{one.file.relative_to(ROOT)}:{one.line} imports {one.module}"
        for path in there
        for one in imports_of(path)
        if within(one.module, NEVER_IN[place])
    ]
    assert not faults, "\n".join(faults)


def test_nothing_is_unpickled_anywhere() -> None:
    banned = ("pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal")
    faults = [
        f"{one.file.relative_to(ROOT)}:{one.line} imports {one.module}"
        for path in files()
        for one in imports_of(path)
        if within(one.module, banned)
    ]
    for path in files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                safe = any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords)
                if not safe:
                    faults.append(f"{path.relative_to(ROOT)}:{node.lineno} torch.load without weights_only=True")
    assert not faults, "\n".join(faults)


def test_package_markers_say_what_a_room_is_for() -> None:
    for path in files():
        if path.name == "__init__.py":
            assert ast.get_docstring(ast.parse(path.read_text())), path
            assert len(path.read_text().splitlines()) <= 14, path


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
        (["decisions", "--help"], {"torch", "ray", "pandas", "plotly", "timm", "optuna", "scipy"}),
        (["plan", "--help"], {"torch", "ray", "pandas", "plotly", "timm", "optuna", "scipy"}),
        (["search", "--help"], {"torch", "ray", "pandas", "plotly", "timm", "optuna", "scipy"}),
        (["dashboard", "--help"], {"torch", "ray", "pandas", "plotly", "timm", "optuna", "scipy"}),
        (["data", "patches", "--help"], {"torch", "ray", "pandas", "plotly", "timm", "optuna", "scipy"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_help_loads_nothing_heavy(arguments: list[str], banned: set[str]) -> None:
    run = subprocess.run([sys.executable, "-c", PROBE, json.dumps(arguments)], cwd=ROOT, capture_output=True, text=True)
    assert "LOADED" in run.stdout, run.stdout + run.stderr
    status, loaded = json.loads(run.stdout.rpartition("LOADED ")[2])
    assert status == 0, run.stdout + run.stderr
    assert "Usage" in run.stdout
    assert not set(loaded) & banned


@pytest.mark.parametrize("more", [[], ["--check"], ["--json"]], ids=str)
def test_decisions_are_read_without_torch_and_ray(tmp_path: Path, more: list[str]) -> None:
    GeneratedStudy(depths=((0, 0),), lrs=(1e-3,), repeats=1, epochs=2).write(UnsyncedStorage(tmp_path / "made"))
    arguments = ["decisions", "made", "--studies", str(tmp_path), *more]
    run = subprocess.run([sys.executable, "-c", PROBE, json.dumps(arguments)], cwd=ROOT, capture_output=True, text=True)
    assert "whole grid" in run.stdout, run.stdout + run.stderr
    _, loaded = json.loads(run.stdout.rpartition("LOADED ")[2])
    assert not set(loaded) & {"torch", "ray", "timm", "plotly", "optuna"}


def test_proposers_load_nothing_heavy() -> None:
    """Nor does anything that they import: a driver asks them while it has other things to do."""
    modules = [module_of(path) for path in files() if is_in(path, ("orchestrator/proposing/",))]
    assert "orchestrator.proposing.deciding" in modules
    probe = (
        f"import sys, {', '.join(modules)}; print([n for n in ('torch', 'ray', 'timm', 'click') if n in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout == "[]\n", run.stderr


@pytest.mark.parametrize(
    ("loads", "never"),
    [
        ("trainables.trial, orchestrator.running.cluster", ["torch"]),
        ("trainables.chunks", ["torch", "ray.tune"]),
        ("trainables.bundles.segment_run", ["networkx", "timm", "torchvision"]),
    ],
    ids=["a trial before its first segment", "a worker before its first features", "a head on features"],
)
def test_a_worker_loads_what_it_needs(loads: str, never: list[str]) -> None:
    probe = f"import sys, {loads}; print([name for name in {never} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout == "[]\n", run.stderr
