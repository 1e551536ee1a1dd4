"""A user's folder for tests of the command line: a small data set, commands run in it, and how a refusal must look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result
from PIL import Image

from orchestrator.command_line import main


def write_images(folder: Path, suffix: str = ".png") -> Path:
    """Classes a and b, six groups each (g0 … g5) with one image; noise, so that no two are equal."""
    for index, label in enumerate("ab"):
        (folder / label).mkdir(parents=True)
        for group in range(6):
            pixels = np.random.default_rng(10 * index + group).integers(0, 255, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / label / f"g{group}_{index}{suffix}")
    return folder


@dataclass(frozen=True)
class Desk:
    """A user's folder with a data set of two classes in six groups each."""

    place: Path
    data: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", self.place / "data")

    @property
    def studies(self) -> Path:
        return self.place / "studies"

    def run(self, *arguments: str | Path) -> Result:
        everything = [str(argument) for argument in arguments]
        if everything[0] in ("search", "plan"):
            everything += ["--studies", str(self.studies), "--cache", str(self.place / "cache")]
        return CliRunner().invoke(main, everything)

    def own(self, *arguments: str | Path) -> Result:
        """A search of a study of the user's own, that must fail before it starts."""
        return self.run("search", "mine", "squeezenet1_1", "--weights", "none", *arguments)


def table(desk: Desk, header: str, row: Callable[[int, Path], str]) -> list[str]:
    """Options for a table with a row for each image, of its number and path."""
    files = sorted(desk.data.rglob("*.png"))
    lines = [header, *(row(number, path.relative_to(desk.data)) for number, path in enumerate(files))]
    (desk.data / "labels.csv").write_text("\n".join(lines))
    return ["--data", str(desk.data / "labels.csv")]


def refused(result: Result, *parts: str) -> str:
    """The message of a command that must have ended with status 2 and without a traceback; holds all `parts`."""
    assert result.exit_code == 2, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    assert result.stdout == ""
    told = " ".join(result.stderr.split())
    for part in parts:
        assert part in told, told
    return told
