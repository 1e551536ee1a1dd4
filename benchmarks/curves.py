"""Learning curves of a surrogate of LCBench (Zimmer et al. 2021; Pfisterer et al. 2022), which answers at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from table import SHARED

FOLDER = SHARED / "data" / "lcbench_surrogate"
EPOCHS = 52
TASKS = ("167168", "189873", "189906", "3945", "7593", "126026", "168908", "146212")
"""The other tasks stay unseen: nothing was tuned on them."""
_ACCURACY = 1
"""Column of the validation accuracy, in per cent."""

_INPUTS = (
    *("epoch", "batch_size", "learning_rate", "momentum", "weight_decay", "num_layers", "max_units", "max_dropout"),
)
"""In the order in which the surrogate takes them."""

Floats = NDArray[np.float64]
Points = Mapping[str, Floats]
"""Setting → its values, one for each configuration."""


class Dimension(NamedTuple):
    """One setting of the space: from low to high, both included, on a logarithmic scale or not, whole or not."""

    name: str
    low: float
    high: float
    log: bool
    whole: bool

    def drawn(self, draw: np.random.Generator, count: int) -> Floats:
        low, high = self.low, self.high
        values = np.exp(draw.uniform(np.log(low), np.log(high), count)) if self.log else draw.uniform(low, high, count)
        return np.rint(values) if self.whole else values


def drawn(task: str, count: int, seed: int, folder: Path = FOLDER) -> Points:
    """Configurations of the space, at random."""
    draw = np.random.default_rng([seed, int(task)])
    return {one.name: one.drawn(draw, count) for one in dimensions(folder)}


def curves(task: str, points: Points, folder: Path = FOLDER) -> Floats:
    """float64 [configurations, EPOCHS]: the best validation accuracy up to each epoch, as a repeat's selected epoch has
    it."""
    count = len(points["learning_rate"])
    rows = np.stack(
        [
            np.tile(np.arange(1, EPOCHS + 1), count) if name == "epoch" else np.repeat(points[name], EPOCHS)
            for name in _INPUTS
        ],
        axis=1,
    )
    session = _opened(folder)
    given = {
        one.name: np.full((len(rows), 1), _encoding(folder)[task], dtype=np.int32)
        if "int" in one.type
        else rows.astype(np.float32)
        for one in session.get_inputs()
    }
    (outputs,) = session.run([session.get_outputs()[0].name], given)
    accuracy = np.asarray(outputs, dtype=np.float64)[:, _ACCURACY].reshape(count, EPOCHS)
    return np.maximum.accumulate(accuracy, axis=1)


@cache
def dimensions(folder: Path = FOLDER) -> tuple[Dimension, ...]:
    """What may be drawn, without the task and the epoch."""
    space = json.loads((folder / "config_space.json").read_text())["hyperparameters"]
    return tuple(
        Dimension(one["name"], float(one["lower"]), float(one["upper"]), one["log"], "int" in one["type"])
        for one in space
        if one["name"] not in ("OpenML_task_id", "epoch")
    )


@cache
def _opened(folder: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(folder / "model.onnx", options)


@cache
def _encoding(folder: Path) -> dict[str, int]:
    encoding: dict[str, int] = json.loads((folder / "encoding.json").read_text())["OpenML_task_id"]
    return encoding
