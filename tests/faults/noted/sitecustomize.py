"""Python imports this at its start wherever this folder is on its path: Ray's processes note their training steps too.

NOTED_LOG: the folder of the notes; NOTED_PAUSE: seconds that every step takes longer.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any


def note_steps(learner: ModuleType) -> None:
    _noting().note_steps(learner.Learner, Path(os.environ["NOTED_LOG"]), float(os.environ["NOTED_PAUSE"]))


def write_every_epoch(checkpoints: ModuleType) -> None:
    """A checkpoint after every epoch, as in the rounds without Ray, so that what was lost is known in epochs."""
    checkpoints.WRITING_SHARE = 1.0  # type: ignore[attr-defined]


WHEN_IMPORTED = {"trainables.learning.learner": note_steps, "trainables.bundles.checkpoints": write_every_epoch}


class _AfterImport(MetaPathFinder):
    """Changes these modules once they are imported."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        change = WHEN_IMPORTED.pop(name, None)
        if change is None:
            return None
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_change(module: ModuleType) -> None:
            execute(module)
            change(module)

        spec.loader.exec_module = execute_and_change  # type: ignore[method-assign]
        return spec


def _noting() -> ModuleType:
    """The module beside this folder; its other neighbours stay off the path of what is tested."""
    spec = importlib.util.spec_from_file_location("noting", Path(__file__).resolve().parents[1] / "noting.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if "NOTED_LOG" in os.environ:
    sys.meta_path.insert(0, _AfterImport())
