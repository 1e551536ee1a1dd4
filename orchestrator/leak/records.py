"""What the leak experiment left in results/leak of a study, and what it says. No torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.leak.difference import Difference, contributions, paired_difference
from orchestrator.leak.partitions import EXPERIMENTS, HELD_BACK, KIND, NAMES, SPLITS, TRAIN, VALID, LeakPartition
from orchestrator.results.names import counted
from orchestrator.results.report import finite
from orchestrator.store.damage import passed_over
from orchestrator.store.errors import DamagedRecordError, first_line
from orchestrator.store.layout import RESULTS
from orchestrator.store.record import pack, unpack
from orchestrator.store.schema import History
from orchestrator.store.storage import Storage
from search_spaces.configuration import Configuration
from trainables.learning import metrics
from trainables.learning.tasks import confusion

Floats = NDArray[np.float64]

FOLDER = f"{RESULTS}/{KIND}"
LITTLE = 0.02
"""A difference of balanced accuracy whose whole interval is within this is called little."""
MEMORISED = 0.99
_RECORD = re.compile(r"(\d)-(\d{1,6})\.record")


@dataclass(frozen=True)
class LeakRun:
    """One training: an experiment, a repeat, its partition, its history over SPLITS and the epoch selected."""

    partition: LeakPartition
    history: History
    selected: int


@dataclass(frozen=True)
class ExperimentResult:
    """Of one experiment over n repeats.

    loss: float64 [epochs + 1, splits], mean over repeats; spread: their standard deviation (n − 1). balanced: per
    split the balanced accuracy at the selected epochs, from the counts of all repeats together, because a repeat need
    not have every class in every split. each: float64 [n, splits], repeat by repeat over the classes that occur. parts:
    float64 [n, splits], what each repeat contributes to `balanced`, whose mean they have (`difference`).
    """

    experiment: int
    n: int
    loss: Floats
    spread: Floats
    balanced: tuple[float, ...]
    each: Floats
    parts: Floats
    trained: float
    """Mean accuracy on the training images after the last epoch."""

    @property
    def final_loss(self) -> tuple[float, ...]:
        return tuple(float(value) for value in self.loss[-1])


@dataclass(frozen=True)
class LeakAnswer:
    """All three experiments, and the sentence."""

    results: tuple[ExperimentResult, ...]
    settings: Mapping[str, Any]

    @property
    def shown(self) -> float:
        """Balanced accuracy on valid images after a random split."""
        return self.results[2].balanced[VALID]

    @property
    def real(self) -> float:
        """Of the same models on groups that they never saw."""
        return self.results[2].balanced[HELD_BACK]

    @property
    def difference(self) -> Difference:
        """How much better the random split looks, paired by repeat: the same networks on both."""
        return paired_difference(self.results[2].parts[:, VALID], self.results[2].parts[:, HELD_BACK])

    def sentence(self) -> str:
        away = self.difference
        mean, low, high = (away.mean, away.low, away.high) if away.high >= 0 else (-away.mean, -away.high, -away.low)
        said = f"{mean:.2f} {{}} [{low:.2f}, {high:.2f}], over {away.n} repeats"
        both = (
            f"a random split would have shown {self.shown:.2f}, and unseen groups score {self.real:.2f} (balanced "
            "accuracy)"
        )
        if away.n < 2:
            return f"No difference shown by one repeat: {both}. An interval takes two repeats or more."
        if away.low > 0:
            told = (
                f"A random split would have shown {self.shown:.2f} instead of {self.real:.2f} (balanced accuracy): "
                f"{said.format('better')}."
            )
        elif away.high < 0:
            told = f"{both[0].upper()}{both[1:]}: {said.format('worse')}."
        else:
            told = f"No difference shown: {both}; {said.format('apart')}."
        return told + (" Groups hardly matter here." if max(-away.low, away.high) <= LITTLE else "")


def run_path(key: str, experiment: int, repeat: int) -> str:
    return f"{FOLDER}/{key}/{experiment}-{repeat}.record"


def pack_run(run: LeakRun, settings: Mapping[str, Any]) -> bytes:
    """One training as bytes; the partition lies inside and nowhere else."""
    meta = {
        "kind": KIND,
        "experiment": run.partition.experiment,
        "repeat": run.partition.repeat,
        "selected": run.selected,
        "settings": dict(settings),
    }
    arrays = {
        "split": run.partition.split.astype(np.int8),
        "loss": run.history.loss,
        "statistics": run.history.statistics,
    }
    return pack(meta, arrays)


def read_runs(storage: Storage, key: str) -> tuple[LeakRun, ...]:
    """Whole records under a key, by experiment and repeat; damaged ones are passed over, which is noted."""
    runs = []
    for name in storage.list(f"{FOLDER}/{key}"):
        match = _RECORD.fullmatch(name)
        if match is None:
            continue
        path = f"{FOLDER}/{key}/{name}"
        with passed_over(storage, path):
            runs.append(_run(storage.read(path), path, int(match[1]), int(match[2])))
    return tuple(sorted(runs, key=lambda run: (run.partition.experiment, run.partition.repeat)))


def _run(content: bytes, path: str, experiment: int, repeat: int) -> LeakRun:
    meta, arrays = unpack(content, path)
    try:
        loss, statistics, selected = arrays["loss"], arrays["statistics"], int(meta["selected"])
        is_whole = (
            loss.dtype.kind == "f"
            and statistics.dtype.kind == "i"
            and loss.shape == statistics.shape[:2] == (len(loss), len(SPLITS))
            and statistics.ndim == 4
            and statistics.shape[2] == statistics.shape[3] > 0
            and 0 <= selected < len(loss)
        )
        run = LeakRun(
            LeakPartition(experiment, repeat, arrays["split"].astype(np.int64)),
            History(SPLITS, loss, statistics),
            selected,
        )
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise DamagedRecordError(f"{path} is not a complete training: {first_line(error)}") from error
    if not is_whole:
        raise DamagedRecordError(f"{path} is not a complete training")
    return run


def answer(runs: Sequence[LeakRun], settings: Mapping[str, Any]) -> LeakAnswer:
    """Runs of all three experiments, each with at least one repeat."""
    results = [_result(e, [run for run in runs if run.partition.experiment == e]) for e in EXPERIMENTS]
    return LeakAnswer(tuple(results), settings)


def leak_sentence(storage: Storage) -> str:
    """What the leak experiment with the most repeats says; "" where none is whole."""
    under_keys = [read_runs(storage, key) for key in storage.list(FOLDER)]
    whole = [runs for runs in under_keys if {run.partition.experiment for run in runs} == set(EXPERIMENTS)]
    return answer(max(whole, key=len), {}).sentence() if whole else ""


def selected_epoch(configuration: Configuration, history: History) -> int:
    """By the rule of the configuration, held back groups unseen: a search would have taken this epoch."""
    return metrics.selected_epoch(configuration.selection.metric, history, configuration.selects_by_valid_alone)


def answer_lines(name: str, answered: LeakAnswer) -> list[str]:
    """Text for a reader: the sentence first, then a row per experiment."""
    s, n = answered.settings, answered.results[0].n
    lines = [
        f"{name}: {answered.sentence()}",
        "",
        f"{counted(n, 'repeat')} of each experiment: {s['backbone']}, frozen, with a head that can memorise "
        f"({counted(s['epochs'], 'epoch')}). Some groups ({s['group_meaning']}) were held back from train and valid; "
        "the test split was not opened.",
        f"{'train and valid':<36}{'loss after the last epoch':^30}{'balanced accuracy at the selected epoch':^42}",
        f"{'':<36}{'train':>10}{'valid':>10}{'held back':>10}{'train':>14}{'valid':>14}{'held back':>14}",
    ]
    for result in answered.results:
        losses = "".join(f"{value:>10.3f}" for value in result.final_loss)
        scores = "".join(
            f"{value:>7.3f}{_std(result.each[:, column]):>7}" for column, value in enumerate(result.balanced)
        )
        lines.append(f"{result.experiment}  {NAMES[result.experiment]:<33}{losses}{scores}")
    start = answered.results[0].loss[0]
    lines.append(
        f"Loss before training: train {start[TRAIN]:.3f}, valid {start[VALID]:.3f}, held back {start[HELD_BACK]:.3f}."
    )
    lines.append("Scores are from the pooled counts of all repeats; ± is the standard deviation over repeats (n − 1).")
    trained = min(result.trained for result in answered.results)
    if trained < MEMORISED:
        lines.append(
            f"The network did not memorise its training images ({trained:.1%} of them are right): try more --epochs."
        )
    return lines


def answer_data(answered: LeakAnswer) -> dict[str, Any]:
    """The same as JSON values, with the mean curves."""
    return {
        "sentence": answered.sentence(),
        "random_split_shows": answered.shown,
        "unseen_groups_score": answered.real,
        "difference": {
            "mean": answered.difference.mean,
            "low": finite(answered.difference.low),
            "high": finite(answered.difference.high),
            "repeats": answered.difference.n,
        },
        "settings": dict(answered.settings),
        "experiments": [
            {
                "experiment": result.experiment,
                "name": NAMES[result.experiment],
                "repeats": result.n,
                "balanced_accuracy": dict(zip(SPLITS, result.balanced, strict=True)),
                "mean_loss": {split: result.loss[:, c].tolist() for c, split in enumerate(SPLITS)},
                "std_loss": {split: [finite(value) for value in result.spread[:, c]] for c, split in enumerate(SPLITS)},
            }
            for result in answered.results
        ],
    }


def _result(experiment: int, runs: Sequence[LeakRun]) -> ExperimentResult:
    longest = max(len(run.history.loss) for run in runs)  # one that diverged is carried on as it last was
    losses = np.stack([run.history.loss[np.minimum(np.arange(longest), run.history.epochs)] for run in runs])
    chosen = np.stack([run.history.statistics[run.selected] for run in runs])
    last = np.stack([run.history.statistics[-1, TRAIN] for run in runs])
    spread = losses.std(axis=0, ddof=1) if len(runs) > 1 else np.full(losses.shape[1:], np.nan)
    return ExperimentResult(
        experiment=experiment,
        n=len(runs),
        loss=losses.mean(axis=0),
        spread=spread,
        balanced=tuple(float(value) for value in confusion.balanced_accuracy(chosen.sum(axis=0))),
        each=confusion.balanced_accuracy(chosen),
        parts=contributions(chosen),
        trained=float(confusion.accuracy(last).mean()),
    )


def _std(values: Floats) -> str:
    return f" ±{values.std(ddof=1):.3f}" if len(values) > 1 else ""
