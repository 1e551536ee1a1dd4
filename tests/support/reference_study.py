"""A study like the reference study in size: 125 configurations of each backbone, with times of attempts and energy."""

from __future__ import annotations

import json
from pathlib import Path

from orchestrator.energy.meters import READINGS
from orchestrator.results.histories import compact
from tests.support.generated_study import GeneratedStudy, UnsyncedStorage

NAME = "reference"
BACKBONES = (
    "inception_v3",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet152",
    "vgg11",
    "vgg19",
    "densenet121",
    "densenet201",
    "mobilenetv2_100",
)
DEPTHS = ((0, 0), (1, 0), (2, 0), (0, 2), (0, 4))
EPOCHS = 74
REPEATS = 10


def write_reference_study(studies: Path, backbones: int = len(BACKBONES), depths: int = len(DEPTHS)) -> int:
    """Write the study NAME into a folder of studies; 250 repeats for each of its backbones and depths, their number.

    Histories are compacted, as a search leaves them.
    """
    study = GeneratedStudy(
        name=NAME,
        backbones=tuple(f"timm:{name}.tv_in1k" for name in BACKBONES[:backbones]),
        depths=DEPTHS[:depths],
        lrs=(1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
        batch_sizes=(8, 16, 32, 64, 128),
        repeats=REPEATS,
        epochs=EPOCHS,
        frontier="global_pool",
    )
    storage = UnsyncedStorage(studies / NAME)
    study.write(storage)
    compact(storage)
    host = {"started": "2026-03-01T11:00:00+00:00", "host": "worker-0"}
    for configuration in study.configurations():
        recipe = study.recipe(configuration, 0, EPOCHS)
        attempt = recipe.segment.attempt(1)
        storage.create(f"{attempt}/started.json", json.dumps(host | {"device": "a processor"}).encode())
        storage.create(f"{attempt}/ended.json", b'{"ended": "2026-03-01T11:05:00+00:00"}')
        storage.create(recipe.segment.recipe, recipe.to_toml())
    reading = host | {"seconds": 3600, "joules": {"cpu": 1e6}, "sources": ["RAPL package-0"]}
    storage.create(f"{READINGS}/0.json", json.dumps(reading).encode())
    return len(study.configurations()) * REPEATS
