"""A setting is its declaration: with nothing else it is in files, options, identities, keys and tables."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from search_spaces.settings.declaration import Touch
from tests.support.checkout import ROOT
from tests.support.configurations import configured

PATHS = [f"head.{touch}" for touch in Touch]


@pytest.fixture(scope="module")
def observed() -> dict[str, Any]:
    """What a program says that has one more setting per `Touch`."""
    command = [sys.executable, "-m", "tests.support.declared_settings"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_at_its_neutral_value_it_changes_no_identity(observed: dict[str, Any]) -> None:
    assert observed["id"] == configured(non_linearities=1).id
    assert observed["id without"] == configured().id


@pytest.mark.parametrize("touch", Touch)
def test_it_is_in_the_identity_and_in_exactly_the_keys_that_it_touches(observed: dict[str, Any], touch: Touch) -> None:
    own = {touch.value} & {"pixels", "samples", "network", "features"}
    own |= {"features"} if touch is Touch.PIXELS else set()
    stack = set() if touch is Touch.STEP else {"stack"}
    assert set(observed["moves"][f"head.{touch}"]) == own | stack | {"id"}
    assert observed["kept"]


def test_a_file_gives_it_one_value_or_several(observed: dict[str, Any]) -> None:
    given = [[1.5, samples, 0.0, 0.0, 0.0, loudness] for samples in (0.5, 2.5) for loudness in (1.0, 3.0)]
    assert observed["file"] == given


def test_a_file_that_is_wrong_about_it_is_told_its_range(observed: dict[str, Any]) -> None:
    head, *lines = observed["faults"]
    assert head == "mine.toml: 5 faults"
    wanted = "expected a number from 0 to 4, found"
    assert [line.removeprefix("  - ") for line in lines if "networc" not in line] == [
        f"grid.loudness: {wanted} 4.5",
        f"head.pixels: {wanted} 5",
        f"head.samples[1]: {wanted} -1.0",
        f'head.samples[2]: {wanted} "x"',
    ]
    assert [line for line in lines if line.endswith("found an unknown key; did you mean 'network'?")]


def test_the_command_line_gives_it(observed: dict[str, Any]) -> None:
    assert observed["set"] == {path: [0.5, 4.0] for path in PATHS}
    names = ["--loudness" if path == "head.selection" else f"--set {path}" for path in PATHS]
    assert observed["option"]
    assert observed["set wrong"] == [
        "command line: 6 faults",
        *(f"  - --set {path}: expected a number from 0 to 4, found 9" for path in PATHS),
    ]
    assert observed["listed"] == [
        {
            "setting": path,
            "option": name,
            "expected": "a number from 0 to 4",
            "default": 0.0,
            "matters_with": "head.non_linearities above 0",
            "help": f"Touches {touch}.",
        }
        for path, name, touch in zip(PATHS, names, Touch, strict=True)
    ]


def test_it_is_a_column_of_tables_and_among_what_differs(observed: dict[str, Any]) -> None:
    assert observed["columns"] == {path: 1.5 if path == "head.pixels" else 0.0 for path in PATHS[:-1]}
    assert observed["names"] == [*PATHS[:-1], "loudness"]
    assert observed["differing"] == PATHS
