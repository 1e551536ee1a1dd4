"""Learning curves of a surrogate of LCBench (Zimmer et al. 2021; Pfisterer et al. 2022), which answers at once."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

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


def curves(task: str, count: int, seed: int, folder: Path = FOLDER) -> Floats:
    """float64 [count, EPOCHS]: the best validation accuracy up to each epoch of configurations drawn from the space,
    as a repeat's selected epoch has it."""
    session, space = _opened(folder)
    draw = np.random.default_rng([seed, int(task)])
    drawn = {one["name"]: _drawn(one, draw, count) for one in space if one["name"] not in ("OpenML_task_id", "epoch")}
    encoding = json.loads((folder / "encoding.json").read_text())["OpenML_task_id"]
    rows = np.stack(
        [
            np.tile(np.arange(1, EPOCHS + 1), count) if name == "epoch" else np.repeat(drawn[name], EPOCHS)
            for name in _INPUTS
        ],
        axis=1,
    )
    given = {
        one.name: np.full((len(rows), 1), encoding[task], dtype=np.int32)
        if "int" in one.type
        else rows.astype(np.float32)
        for one in session.get_inputs()
    }
    (found,) = session.run([session.get_outputs()[0].name], given)
    accuracy = np.asarray(found, dtype=np.float64)[:, _ACCURACY].reshape(count, EPOCHS)
    return np.maximum.accumulate(accuracy, axis=1)


@cache
def _opened(folder: Path) -> tuple[Any, list[dict[str, Any]]]:
    import onnxruntime

    space = json.loads((folder / "config_space.json").read_text())["hyperparameters"]
    return onnxruntime.InferenceSession(folder / "model.onnx"), space


def _drawn(one: dict[str, Any], draw: np.random.Generator, count: int) -> Floats:
    low, high = float(one["lower"]), float(one["upper"])
    values = np.exp(draw.uniform(np.log(low), np.log(high), count)) if one["log"] else draw.uniform(low, high, count)
    return np.rint(values) if "int" in one["type"] else values
