"""A group of lanes trained in lockstep up to its last epoch: the loop, its histories, its state to go on from."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.schema import History, RepeatState
from search_spaces.settings.selection import METRICS
from trainables.features.samples import Samples
from trainables.learning.draws import epoch_order
from trainables.learning.endings.ending import Ending, ending_of
from trainables.learning.endings.one_epoch import OneEpoch
from trainables.learning.group_state import GroupState, LaneState
from trainables.learning.learner import Lane, Learner
from trainables.learning.metrics import selection_scores
from trainables.learning.optimisers.rates import Seat
from trainables.learning.schedules.schedule import schedule_of
from trainables.learning.tasks.measured import Outputs, measured_by
from trainables.learning.tasks.task import task_of

_FLOAT16_MAX = 65504.0
RUNAWAY, IN_A_ROW = 100.0, 3
"""A lane diverges where its training loss is above so many times the untrained one at so many scorings in a row,"""
EXPLODED = 10_000.0
"""or above so many times at one, or an output of a train or valid image is beyond what float16, in which outputs are
kept, holds: where weights have exploded, the loss of separable images is as often 0 as it is enormous."""


class Group:
    """Trains `lanes` together: a stack's, see `lanes_of`. Their configurations differ in lr, momentum and weight decay.

    From their beginning, unless `go_on_from` or `load` says otherwise, up to so many epochs.
    """

    def __init__(
        self,
        lanes: list[Lane],
        learner: Learner,
        samples: Samples,
        epochs: int,
        scoring_batch: int,
        device: torch.device,
    ) -> None:
        first = lanes[0].configuration
        self.lanes = lanes
        self.repeats = list(dict.fromkeys(lane.repeat for lane in lanes))
        self.learner = learner
        self.samples = samples
        self.epochs = epochs
        self.scoring_batch = scoring_batch
        self.device = device
        self.batch_size = first.batch_size(len(samples.training))
        self.schedule = schedule_of(first.schedule)
        self.batches_of_epoch = batches(len(samples.training), self.batch_size, joins_one=bool(learner.buffers))
        self.steps_per_epoch = len(self.batches_of_epoch)
        self.steps_of_schedule = first.schedule.length * self.steps_per_epoch
        self.selection = first.selection.metric
        self.measures = METRICS.variants[self.selection].is_measured
        self.valid_alone = first.selects_by_valid_alone
        self.task = task_of(first.data)
        self.splits = tuple(samples.scoring)
        self.epoch = 0
        self.position = 0
        self.seconds = np.zeros(len(lanes))
        """Of training, each lane's share of what the group took."""
        self.batches = 0
        """Trained or scored by this process: grows as long as it gets on."""
        lane_count, valid = len(lanes), len(samples.scoring["valid"])
        self._loss: list[np.ndarray] = []
        self._statistics: list[np.ndarray] = []
        self._measured: list[np.ndarray] = []
        """Empty where the metric that selects follows from those two (`measures`)."""
        self.logits = np.zeros((lane_count, valid, first.outputs), dtype=np.float16)
        self.untrained_logits = self.logits
        self.best = np.full(lane_count, -np.inf)
        self.best_epoch = np.zeros(lane_count, dtype=np.int64)
        self.ending: Ending = OneEpoch(first.ending) if learner.fitted else ending_of(first.ending)
        self.diverged = np.full(lane_count, -1, dtype=np.int64)
        self.stopped = np.full(lane_count, -1, dtype=np.int64)
        """Epoch at which a lane did so, -1 for none."""
        self.absent = np.zeros(lane_count, dtype=np.bool_)
        """Lanes that ended before this group began: their places are filled, they have no results."""
        self._labels = {name: samples.labels[rows] for name, rows in samples.scoring.items()}
        self._order: torch.Tensor | None = None

    @property
    def is_done(self) -> bool:
        """Whether every epoch is trained and scored, or all lanes have ended; epoch 0 is scored anyway."""
        return len(self._loss) > self.epochs or (bool(self._loss) and bool(self._have_ended().all()))

    @property
    def is_scored(self) -> bool:
        """Whether the epoch that ended last has its row in the histories."""
        return len(self._loss) > self.epoch

    def advance(self, seconds: float) -> None:
        """Train and score for about this long; stops between steps, wherever in the epoch that is."""
        started = time.monotonic()
        while not self.is_done:
            if self.is_scored:
                self._step()
            else:
                self._score()
            if time.monotonic() - started >= seconds:
                break
        self.seconds += (time.monotonic() - started) / len(self.lanes)

    def _step(self) -> None:
        """One batch. The epoch ends with its scoring, in the next call."""
        order = self._epoch_order()
        last = self.batches_of_epoch[self.position // self.batch_size]
        if not self.schedule.is_constant:
            step = self.epoch * self.steps_per_epoch + self.position // self.batch_size
            self.learner.scale_learning_rates(self.schedule.factor(step, self.steps_of_schedule))
        self.learner.train(order[:, self.position : last], self.epoch + 1, self.position)
        self.batches += 1
        self.position = last
        if last == order.shape[1]:
            self.epoch, self.position, self._order = self.epoch + 1, 0, None

    def _epoch_order(self) -> torch.Tensor:
        """Rows int64 [repeats, training rows] of the epoch under way."""
        if self._order is None:
            seed, rows = self.lanes[0].configuration.data.seed, self.samples.training
            orders = [rows[epoch_order(seed, repeat, self.epoch + 1, len(rows))] for repeat in self.repeats]
            self._order = torch.from_numpy(np.stack(orders)).to(self.device)
        return self._order

    def _score(self) -> None:
        lane_count, split_count = len(self.lanes), len(self.splits)
        loss = np.empty((split_count, lane_count))
        statistics = np.empty((split_count, lane_count, *self.task.shape), dtype=np.int32)
        values: list[np.ndarray] = []
        valid_logits, largest = self.logits, np.zeros(lane_count)
        for index, name in enumerate(self.splits):
            logits = self._logits(self.samples.scoring[name])
            truth = self._labels[name]
            each = self.task.losses(logits, torch.from_numpy(truth).to(logits.device))
            loss[index] = each.mean(dim=1, dtype=torch.float64).cpu().numpy()
            statistics[index] = self.task.statistics(truth, self.task.predictions(logits).cpu().numpy())
            measured = measured_by(Outputs(self.lanes[0].configuration, logits, truth, statistics[index]))
            values += [] if measured is None else [measured]
            if index < 2:
                largest = np.maximum(largest, logits.abs().amax(dim=(1, 2)).float().cpu().numpy())
            if name == "valid":
                valid_logits = logits.clamp(-_FLOAT16_MAX, _FLOAT16_MAX).to(torch.float16).cpu().numpy()
        self._loss.append(loss)
        self._statistics.append(statistics)
        self._measured += [np.stack(values)] if values else []
        if self.epoch == 0:
            self.untrained_logits = valid_logits
        lost = self._diverges() | (largest > _FLOAT16_MAX) & (self.epoch > 0)
        self.diverged[lost & ~self._have_ended()] = self.epoch
        self._select(valid_logits)
        self._stop()

    def _logits(self, rows: np.ndarray) -> torch.Tensor:
        """Logits [lanes, N, outputs]; every batch but the last has the same size."""
        parts = []
        for start in range(0, len(rows), self.scoring_batch):
            batch = torch.from_numpy(rows[start : start + self.scoring_batch]).to(self.device)
            parts.append(self.learner.score(batch))
            self.batches += 1
        return torch.cat(parts, dim=1)

    def _select(self, valid_logits: np.ndarray) -> None:
        """Keep the logits of the epoch selected so far; a tie keeps the earlier epoch."""
        measured = self._measured[-1].swapaxes(0, 1) if self._measured else None
        lanes = History(self.splits, self._loss[-1].swapaxes(0, 1), self._statistics[-1].swapaxes(0, 1), measured)
        values = selection_scores(self.selection, lanes, self.valid_alone)  # lanes in the place of epochs
        better = (values > self.best) & (self.stopped < 0) | (self.epoch == 0)
        self.best[better], self.best_epoch[better] = values[better], self.epoch
        self.logits[better] = valid_logits[better]

    def _have_ended(self) -> np.ndarray:
        """bool [lanes]: by themselves. They keep their places in the stack until that ends."""
        return self.absent | (self.diverged >= 0) | (self.stopped >= 0)

    def _diverges(self) -> np.ndarray:
        """bool [lanes]: the loss of train or valid is no number, or that of train was beyond a limit for long enough.

        Chance gives the loss of epoch 0; RUNAWAY times of it is no state that learning comes back from.
        """
        lost: np.ndarray = ~np.isfinite(self._loss[-1][:2]).all(axis=0)
        for times, in_a_row in ((EXPLODED, 1), (RUNAWAY, IN_A_ROW)):
            if len(self._loss) > in_a_row:
                limit = times * self._loss[0][0]
                lost |= np.all([loss[0] > limit for loss in self._loss[-in_a_row:]], axis=0)
        return lost

    def _stop(self) -> None:
        """Ask the ending of every lane that goes on: it looks at what selection looks at, up to now."""
        if self.ending.is_complete:
            return
        for lane in np.flatnonzero(~self._have_ended()):
            if self.ending.is_over(selection_scores(self.selection, self.history(int(lane)), self.valid_alone)):
                self.stopped[lane] = self.epoch

    def state(self, lane: int) -> RepeatState:
        """How the lane ended, of a group that is done."""
        if self.diverged[lane] >= 0:
            return RepeatState.DIVERGED
        return RepeatState.STOPPED if 0 <= self.stopped[lane] < self.epochs else RepeatState.FINISHED

    def history(self, lane: int) -> History:
        """A lane's history so far; of a lane that stopped up to that epoch, of a diverged one up to the one before
        (epoch 0 at least)."""
        rows = len(self._loss)
        if self.diverged[lane] >= 0:
            rows = max(1, min(rows, int(self.diverged[lane])))
        elif self.stopped[lane] >= 0:
            rows = min(rows, int(self.stopped[lane]) + 1)
        loss = np.stack([row[:, lane] for row in self._loss[:rows]])
        statistics = np.stack([row[:, lane] for row in self._statistics[:rows]])
        measured = np.stack([row[:, lane] for row in self._measured[:rows]]) if self._measured else None
        return History(self.splits, loss, statistics, measured)

    def selected(self, lane: int) -> tuple[int, np.ndarray]:
        """A lane's selected epoch and its valid logits float16 [N, outputs]; a diverged lane counts as untrained."""
        if self.diverged[lane] >= 0:
            return 0, self.untrained_logits[lane]
        return int(self.best_epoch[lane]), self.logits[lane]

    def snapshot(self, meta: Mapping[str, Any]) -> GroupState:
        """The whole state; `meta` is kept beside it."""
        about = {
            "repeats": [lane.repeat for lane in self.lanes],
            "configurations": [lane.configuration.id for lane in self.lanes],
            "epoch": self.epoch,
            "position": self.position,
            "seconds": self.seconds.tolist(),
        }
        arrays = {
            **self.learner.state(),
            "history.loss": np.stack(self._loss) if self._loss else np.zeros((0,)),
            "history.statistics": np.stack(self._statistics) if self._statistics else np.zeros((0,), np.int32),
            "selected.logits": self.logits,
            "untrained.logits": self.untrained_logits,
            "selected.score": self.best,
            "selected.epoch": self.best_epoch,
            "diverged": self.diverged,
            "stopped": self.stopped,
            "absent": self.absent,
        }
        if self.measures:
            arrays["history.measured"] = np.stack(self._measured) if self._measured else np.zeros((0,))
        return GroupState({**meta, "group": about}, arrays)

    def load(self, state: GroupState) -> None:
        """Take over a state of the same lanes. Raises DamagedRecordError."""
        arrays, about = state.arrays, state.about
        try:
            if state.lanes != [(lane.configuration.id, lane.repeat) for lane in self.lanes]:
                raise DamagedRecordError(f"{state.name} holds other repeats than expected")
            self.learner.load(arrays)
            self._loss = list(arrays["history.loss"])
            self._statistics = list(arrays["history.statistics"])
            self._measured = list(arrays["history.measured"]) if self.measures else []
            self.logits = arrays["selected.logits"].copy()
            self.untrained_logits = arrays["untrained.logits"]
            self.best = arrays["selected.score"].copy()
            self.best_epoch = arrays["selected.epoch"].copy()
            self.diverged = arrays["diverged"].copy()
            self.stopped = arrays["stopped"].copy()
            self.absent = arrays["absent"].copy()
            self.epoch, self.position = int(about["epoch"]), int(about["position"])
            self.seconds = np.array(about["seconds"], dtype=np.float64)
        except (IndexError, KeyError, OverflowError, TypeError, ValueError, RuntimeError) as error:
            raise DamagedRecordError(f"{state.name} does not fit these repeats: {error}") from error
        self._order = None

    def go_on_from(self, start: int, states: Sequence[LaneState | None]) -> None:
        """Have each lane begin at this epoch, from its state in whatever group it was in; all their steps are equal.

        None: it had ended before, and its place is filled with an untrained lane. Raises DamagedRecordError.
        """
        lane_count, split_count = len(self.lanes), len(self.splits)
        loss = np.zeros((start + 1, split_count, lane_count))
        statistics = np.zeros((start + 1, split_count, lane_count, *self.task.shape), dtype=np.int32)
        measured = np.zeros_like(loss)
        self.untrained_logits = self.logits.copy()
        for lane, lane_state in enumerate(states):
            if lane_state is None:
                self.absent[lane] = True
                continue
            (state, place), arrays = lane_state, lane_state.of.arrays
            try:
                seat = Seat(place, len(state.lanes), len(set(state.about["configurations"])))
                self.learner.take_lane(lane, arrays, seat)
                loss[:, :, lane] = _as_long(arrays["history.loss"], start + 1)[:, :, place]
                statistics[:, :, lane] = _as_long(arrays["history.statistics"], start + 1)[:, :, place]
                if self.measures:
                    measured[:, :, lane] = _as_long(arrays["history.measured"], start + 1)[:, :, place]
                self.logits[lane] = arrays["selected.logits"][place]
                self.untrained_logits[lane] = arrays["untrained.logits"][place]
                self.best[lane], self.best_epoch[lane] = (
                    arrays["selected.score"][place],
                    arrays["selected.epoch"][place],
                )
                self.diverged[lane], self.stopped[lane] = arrays["diverged"][place], arrays["stopped"][place]
                self.seconds[lane] = state.about["seconds"][place]
            except (IndexError, KeyError, OverflowError, TypeError, ValueError, RuntimeError) as error:
                raise DamagedRecordError(
                    f"{state.name} does not fit repeat {self.lanes[lane].repeat}: {error}"
                ) from error
        self._loss, self._statistics = list(loss), list(statistics)
        self._measured = list(measured) if self.measures else []
        self.epoch = start


def _as_long(history: np.ndarray, rows: int) -> np.ndarray:
    if len(history) != rows:
        raise ValueError(f"expected {rows - 1} epochs, found {len(history) - 1}")
    return history


def batches(rows: int, size: int, *, joins_one: bool) -> list[int]:
    """Where each batch of an epoch ends; the last, smaller one is used too.

    joins_one: whether a last one of a single row joins the one before, for there is no variance in it.
    """
    ends = [*range(size, rows, size), rows]
    if joins_one and len(ends) > 1 and ends[-1] - ends[-2] == 1:
        del ends[-2]
    return ends
