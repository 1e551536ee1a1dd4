"""Draws the rooms of the project and their arrows, as they are, into docs/architecture.md.

    python docs/rooms.py            write it
    python docs/rooms.py --check    exit with 1 where it is not up to date

A room is a folder, or a file that stands beside folders. An arrow A → B: some file of A imports one of B. What a room
is for is the first line of its `__init__.py` or of the file.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- rooms: written by docs/rooms.py -->", "<!-- end of rooms -->"

FLOORS: tuple[tuple[str, ...], ...] = (
    ("orchestrator.store",),
    ("search_spaces",),
    ("trainables.machine",),
    ("trainables.data", "trainables.network"),
    ("trainables.features",),
    ("trainables.learning",),
    ("trainables.bundles",),
    ("trainables.chunks",),
    ("trainables.trial",),
    ("orchestrator.results", "orchestrator.patches"),
    ("orchestrator.statistics", "orchestrator.study"),
    ("orchestrator.proposing",),
    ("orchestrator.running", "orchestrator.energy", "orchestrator.choosing", "orchestrator.forgetting"),
    ("orchestrator.resolved", "orchestrator.ensembles"),
    ("orchestrator.planning",),
    ("orchestrator.search", "orchestrator.train", "orchestrator.doctor"),
    ("orchestrator.stages",),
    (
        "orchestrator.evaluation",
        "orchestrator.leak",
        "orchestrator.watch",
        "orchestrator.contact_sheet",
    ),
    ("orchestrator.beginning", "orchestrator.checking", "orchestrator.dividing"),
    ("orchestrator.report", "orchestrator.mistakes"),
    ("orchestrator.export",),
    ("orchestrator.maps",),
    ("dashboards.figures",),
    ("dashboards.page",),
    ("dashboards.live", "dashboards.export"),
    ("dashboards.patches", "dashboards.check"),
    ("orchestrator.notebook", "orchestrator.commands"),
    ("orchestrator.command_line",),
    ("orchestrator.start",),
)
"""The rooms from the ground up. A room imports from floors below its own, and never from beside it."""


class Import(NamedTuple):
    """One import of ours: where it stands, and the module that it names."""

    file: Path
    line: int
    module: str


def files() -> list[Path]:
    """Every file of the product, sorted."""
    tops = {room.partition(".")[0] for floor in FLOORS for room in floor}
    return sorted(path for top in tops for path in (ROOT / top).rglob("*.py"))


def module_of(path: Path) -> str:
    """`orchestrator.store.layout` of orchestrator/store/layout.py."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def imports_of(path: Path) -> tuple[Import, ...]:
    """All that a file imports, also within functions and for type checkers: `module.name` where a name is taken."""
    imports: list[Import] = []
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            imports += (Import(path, node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imports += (Import(path, node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
    return tuple(imports)


def room_of(module: str) -> str | None:
    """The room that a module, or a name in it, belongs to; None for what is not ours and for bare top levels."""
    rooms = [room for floor in FLOORS for room in floor if module == room or module.startswith(f"{room}.")]
    return rooms[0] if rooms else None


def arrows() -> dict[str, set[str]]:
    """Room → rooms that it imports from, itself left out; every room is a key."""
    imported: dict[str, set[str]] = {room: set() for floor in FLOORS for room in floor}
    for path in files():
        own = room_of(module_of(path))
        if own is not None:
            imported[own] |= {room for one in imports_of(path) if (room := room_of(one.module)) not in (None, own)}
    return imported


def file_arrows() -> dict[str, set[str]]:
    """Module → modules of ours that it imports."""
    ours = {module_of(path): path for path in files()}
    imported: dict[str, set[str]] = defaultdict(set)
    for module, path in ours.items():
        for one in imports_of(path):
            name = one.module
            while name and name not in ours:
                name = name.rpartition(".")[0]
            if name and name != module:
                imported[module].add(name)
    return imported


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Loops of a graph, each as its members in order; a node that is in several is told once."""
    done: set[str] = set()
    loops: list[list[str]] = []

    def follow(node: str, way: list[str]) -> None:
        if node in way:
            loops.append([*way[way.index(node) :], node])
            return
        if node in done:
            return
        for beyond in sorted(graph.get(node, ())):
            follow(beyond, [*way, node])
        done.add(node)

    for start in sorted(graph):
        follow(start, [])
    return loops


def purpose(room: str) -> str:
    """First line of what the room says of itself."""
    place = ROOT.joinpath(*room.split("."))
    text = (place / "__init__.py" if place.is_dir() else place.with_suffix(".py")).read_text()
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n\n")[0].replace("\n", " ")


def drawn() -> str:
    """The table of rooms, top floor first, and a Mermaid diagram of the arrows that no longer way stands for."""
    graph = arrows()
    lines = ["| room | what it does | imports from |", "| --- | --- | --- |"]
    for floor in reversed(FLOORS):
        for room in floor:
            below = ", ".join(_short(one) for one in _ordered(graph[room])) or "nothing of ours"
            lines.append(f"| `{_path(room)}` | {purpose(room)} | {below} |")
    lines += ["", "<details>", "<summary>Diagram</summary>", "", "```mermaid", "flowchart TD"]
    for room in _ordered(set(graph)):
        lines.append(f'  {room.replace(".", "_")}["{_path(room)}"]')
    for room in reversed(_ordered(set(graph))):
        behind = {far for near in graph[room] for far in _reached(graph, near)}
        lines += [f"  {room.replace('.', '_')} --> {one.replace('.', '_')}" for one in _ordered(graph[room] - behind)]
    return "\n".join([*lines, "```", "", "</details>"])


def _reached(graph: Mapping[str, set[str]], start: str) -> set[str]:
    reached, waiting = set[str](), [start]
    while waiting:
        for beyond in graph[waiting.pop()] - reached:
            reached.add(beyond)
            waiting.append(beyond)
    return reached


def _ordered(rooms: set[str]) -> list[str]:
    """From the ground up."""
    return [room for floor in FLOORS for room in floor if room in rooms]


def _path(room: str) -> str:
    place = ROOT.joinpath(*room.split("."))
    return f"{room.replace('.', '/')}{'/' if place.is_dir() else '.py'}"


def _short(room: str) -> str:
    return room.rpartition(".")[2]


def page() -> str:
    """docs/architecture.md with its rooms as they are now."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{drawn()}\n\n{END}{after}"


if __name__ == "__main__":
    wanted = page()
    if "--check" in sys.argv[1:]:
        sys.exit(wanted != PAGE.read_text() and "docs/architecture.md is behind the code: python docs/rooms.py")
    PAGE.write_text(wanted)
