"""Trains one bundle of a tiny study without a cluster; `test_kill_bundle` runs it and kills it.

Arguments: the study as JSON, a configuration's id, repeats, epochs, seconds to sleep after every step.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import torch  # noqa: E402
from tiny_study import TinyStudy  # noqa: E402

from trainables import bundle  # noqa: E402
from trainables.learners import DeepLearner, HeadLearner  # noqa: E402


def main() -> None:
    described, configuration_id, repeats, epochs, pause = sys.argv[1:]
    given = json.loads(described)
    study = TinyStudy(
        Path(given["folder"]),
        Path(given["data"]),
        Path(given["cache"]),
        tuple(given["classes"]),
        given["partition"],
        given["fingerprint"],
    )
    torch.set_num_threads(1)
    bundle.WRITING_SHARE = 1.0
    _slow_down(float(pause))
    bench = study.bench()
    run = study.start(bench.configuration(configuration_id), tuple(json.loads(repeats)), int(epochs), bench)
    print("training", flush=True)
    while not run.advance(0.0):
        pass


def _slow_down(seconds: float) -> None:
    """Makes a step take long enough to be killed in; what it computes stays the same."""
    for learner in (HeadLearner, DeepLearner):

        def train(self: object, rows: torch.Tensor, epoch: int, first: int, step: object = learner.train) -> None:
            time.sleep(seconds)
            step(self, rows, epoch, first)  # type: ignore[operator]

        learner.train = train  # type: ignore[assignment, method-assign]


main()
