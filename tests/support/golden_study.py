"""A small study of every kind of training that version 1 knew, and what came out of it, to the bit.

Recorded by `python -m tests.support.golden_study > tests/support/version_1.json`.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from orchestrator.choosing.selection import Selection, select
from orchestrator.results.summary import summarise
from orchestrator.statistics.paired import oriented
from orchestrator.statistics.sign_flips import sign_flip_p
from orchestrator.store.layout import BundleKey
from orchestrator.store.schema import FinalRecord
from orchestrator.store.segments import Recipe, Segment
from search_spaces.configuration import Configuration
from tests.support.tiny_study import TinyStudy
from tests.support.trained_study import make_trained_study

RECORDED = Path(__file__).with_name("version_1.json")
CLASSES = ("few", "many", "some")
REPEATS, EPOCHS = 3, 3
SETTINGS: tuple[dict[str, Any], ...] = (
    {},
    {"lr": 0.001, "batch_size": 16},
    {"lr": 1e38, "momentum": 0.99},
    {"non_linearities": 2, "dropout": 0.3, "optimiser": "adam", "betas": (0.9, 0.999)},
    {"non_linearities": 1, "dropout": 0.5, "balance": "class_weights", "selection": "macro_f1"},
    {"balance": "ngca", "score_augmented": True},
    {"balance": "subsample", "views": 4},
    {"unfrozen": 1, "lr": 0.01},
    {
        "unfrozen": 3,
        "non_linearities": 1,
        "dropout": 0.2,
        "lr": 0.001,
        "optimiser": "adamw",
        "betas": (0.9, 0.999),
        "weight_decay": 0.01,
    },
    {"precision": "bf16", "image_size": 24},
)
STACKED: tuple[dict[str, Any], ...] = ({"lr": 0.02}, {"lr": 0.1, "momentum": 0.5}, {"lr": 0.3, "weight_decay": 0.01})
RULE = "worse_of_both"
"""The one that version 1 selected by, but with class weights."""


def record(root: Path) -> dict[str, Any]:
    """Train all of it below `root` and say what came out: floats as hexadecimal, arrays by their SHA-256."""
    settings, several = (tuple({"rule": RULE, **one} for one in found) for found in (SETTINGS, STACKED))
    study, tiny, configurations = make_trained_study(root, CLASSES, REPEATS, EPOCHS, settings)
    stacked = [tiny.configuration(**one) for one in several]
    _train_stacked(tiny, stacked)
    summary = summarise(study.storage, "2026-03-01T12:00:00+00:00")
    ranked = sorted((entry for entry in summary.configurations if entry.rank is not None), key=lambda e: e.rank or 0)
    ids = [c.id for c in (*configurations, *stacked)]
    found = {
        "arithmetic": arithmetic(),
        "data": tiny.fingerprint,
        "partition": tiny.partition,
        "repeats": {c.id: _finals(tiny, c) for c in (*configurations, *stacked)},
        "ranking": [[entry.id, _exact(entry.selection.mean), _exact(entry.selection.std)] for entry in ranked],
        "scores": [
            [entry.id, _exact(score.mean), _exact(score.std)]
            for entry in summary.configurations
            if (score := entry.score("loss", "valid")) is not None
        ],
        "selection": _selection(select(study.storage, summary, tiny.partition, "loss", rounds=200)),
    }
    return {**_numbered(found, ids), "ids": ids}


def _numbered(found: dict[str, Any], ids: list[str]) -> dict[str, Any]:
    """With the number of a configuration in the place of its id, which later versions may derive otherwise."""
    text = json.dumps(found)
    for number, name in enumerate(ids):
        text = text.replace(name, f"#{number}")
    numbered: dict[str, Any] = json.loads(text)
    return numbered


def arithmetic() -> str:
    """What this machine's kernels make of a few products: equal where all histories are to be equal to the bit."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(4, 8, 16, 16, generator=generator)
    kernel = torch.rand(8, 8, 3, 3, generator=generator) - 0.5
    features = torch.nn.functional.conv2d(image, kernel).relu().mean((2, 3))
    weights = torch.rand(10, 8, 3, generator=generator) - 0.5
    logits = torch.matmul(features.expand(10, 4, 8), weights)
    low = torch.nn.functional.conv2d(image.bfloat16(), kernel.bfloat16()).float()
    digest = hashlib.sha256(torch.__version__.encode())
    for values in (features, logits, logits.log_softmax(-1), logits.exp().sqrt(), low):
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()[:16]


def _train_stacked(tiny: TinyStudy, configurations: list[Configuration]) -> None:
    names = tuple(configuration.id for configuration in configurations)
    tiny.train_segment(Segment(tiny.partition, names, tuple(range(REPEATS)), 0, EPOCHS))


def _finals(tiny: TinyStudy, configuration: Configuration) -> list[dict[str, Any]]:
    finals = tiny.finals(configuration, EPOCHS)
    return [_final(finals[repeat]) for repeat in sorted(finals)]


def _final(final: FinalRecord) -> dict[str, Any]:
    history = final.history
    return {
        "state": final.meta["state"],
        "selected_epoch": final.meta["selected_epoch"],
        "recipe": _recipe(Recipe.model_validate(final.meta["recipe"])),
        "loss": {
            split: [_exact(value) for value in history.loss[:, place]] for place, split in enumerate(history.splits)
        },
        "confusion": hashlib.sha256(np.ascontiguousarray(history.statistics).tobytes()).hexdigest(),
        "logits": hashlib.sha256(np.ascontiguousarray(final.logits).tobytes()).hexdigest(),
    }


def _recipe(recipe: Recipe) -> dict[str, Any]:
    """In the words of version 1, whose recipes were those of bundles."""
    segment = recipe.segment
    several = segment.configurations if len(segment.configurations) > 1 else ()
    return {
        **recipe.model_dump(mode="json", exclude={"segment", "device_name"}),
        "stacked": len(segment.lanes) > 1,
        "with_bundles": [str(BundleKey(segment.partition, name, 0)) for name in several],
    }


def _exact(value: float) -> str:
    return float(value).hex()


def _selection(found: Selection | None) -> dict[str, Any]:
    assert found is not None
    values = oriented(found.table.scores, found.table.higher_is_better)
    return {
        "winner": found.winner.id,
        "may_be_best": [found.table.members[place].id for place in found.best_set.members],
        "p": [_exact(value) for value in sign_flip_p(values, np.arange(len(values)))],
        "bias_corrected": {name: _exact(value) for name, value in (found.bias.corrected if found.bias else {}).items()},
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        json.dump(record(Path(folder)), sys.stdout, indent=1)
