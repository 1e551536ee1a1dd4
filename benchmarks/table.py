"""One benchmark, one table: printed as Markdown with the machine it was made on, kept as JSON."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import shlex
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared"
"""Images and weights that may lie beside the checkout: `data/…`, `weights/…`."""

Cell = str | int | float | bool | None


@dataclass
class Table:
    """Rows of numbers and words under named columns; units belong into the columns' names."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What a reader must know: what was extrapolated and how, which parity was checked, what limits a row."""

    def add(self, *cells: Cell) -> None:
        """Append a row; raises ValueError when it is not as long as the header."""
        if len(cells) != len(self.columns):
            raise ValueError(f"{self.title}: expected {len(self.columns)} cells {self.columns}, found {len(cells)}")
        self.rows.append(cells)

    def markdown(self) -> str:
        """The table in GitHub's Markdown: numbers to the right, then the notes, then the machine."""
        cells = [[_text(cell) for cell in row] for row in self.rows]
        numeric = [
            all(isinstance(row[index], int | float | None) for row in self.rows) for index in range(len(self.columns))
        ]
        widths = [
            max(3, len(_text(name)), *(len(row[index]) for row in cells)) for index, name in enumerate(self.columns)
        ]

        def line(values: Iterable[str]) -> str:
            padded = [
                value.rjust(width) if right else value.ljust(width)
                for value, width, right in zip(values, widths, numeric, strict=True)
            ]
            return "| " + " | ".join(padded) + " |"

        ruler = [
            "-" * (width - 1) + ":" if right else "-" * width for width, right in zip(widths, numeric, strict=True)
        ]
        lines = [f"### {self.title}", "", line(map(_text, self.columns)), "| " + " | ".join(ruler) + " |"]
        lines += [line(row) for row in cells]
        if self.notes:
            lines += ["", *(f"* {note}" for note in self.notes)]
        about = ", ".join(f"{name} {value}" for name, value in machine().items())
        return "\n".join([*lines, "", f"`{command_line()}`", "", about, ""])

    def show(self) -> None:
        """Print the Markdown on stdout."""
        print(self.markdown(), flush=True)

    def write_json(self, path: Path | None) -> None:
        """The table with the machine and the command, one object per row; nothing without a path."""
        if path is None:
            return
        content = {
            "title": self.title,
            "rows": [dict(zip(self.columns, row, strict=True)) for row in self.rows],
            "notes": self.notes,
            "machine": machine(),
            "command": command_line(),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def arguments(description: str, rounds: int) -> argparse.ArgumentParser:
    """A parser with what all benchmarks have in common: `--rounds`, `--quick`, `--json`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help="times each side is measured (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it works, not how fast it is")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the table there")
    return parser


def progress(message: str) -> None:
    """One line on stderr, with the time of day."""
    print(f"{datetime.now():%H:%M:%S} {message}", file=sys.stderr, flush=True)


def alternately(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What each side returns (seconds, say), `rounds` times; every second round begins with the other end.

    Sides measured in turn share whatever else the machine does; the changing order keeps a drift from favouring one.
    """
    measured: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        names = list(sides)[:: 1 if number % 2 == 0 else -1]
        for name in names:
            value = sides[name]()
            measured[name].append(value)
            progress(f"round {number + 1} of {rounds}, {name}: {value:.4g}")
    return measured


def median_ratio(pairs: Iterable[tuple[float, float]]) -> float:
    """Median over the rounds of first ÷ second; NaN where there is no pair."""
    ratios = [first / second for first, second in pairs]
    return statistics.median(ratios) if ratios else float("nan")


def machine() -> dict[str, str]:
    """What a row's seconds depend on: processor, cores and memory of this process, GPU, versions, date."""
    properties = {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "GPU": _gpu(),
        "python": platform.python_version(),
    }
    return properties | {name: _version(name) for name in ("torch", "ray")} | {"date": f"{datetime.now(UTC):%Y-%m-%d}"}


def command_line() -> str:
    """How this process was called, to be typed in the repository."""
    script = Path(sys.argv[0]).resolve()
    named = script.relative_to(REPOSITORY) if script.is_relative_to(REPOSITORY) else Path(script.name)
    return shlex.join(["python", str(named), *sys.argv[1:]])


def _text(cell: Cell) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.3g}"
    return cell.replace("|", "\\|")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _gpu() -> str:
    try:
        import torch
    except ImportError:
        return "none"
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return f"{len(names)} × {names[0]}" if names else "none"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
