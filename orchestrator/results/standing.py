"""Where every repeat that was asked for stands: from what was asked, final records, and segments at work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.results.at_work import AtWork, SegmentsAtWork
from orchestrator.store.layout import ConfigurationKey, FinalName
from orchestrator.store.schema import RepeatState
from orchestrator.store.segments import LaneKey
from trainables.bundles.work import is_enough


@dataclass(frozen=True)
class Standing:
    """One repeat: its state, the epochs it was asked for and those it has."""

    repeat: int
    state: RepeatState
    epochs_asked: int
    epochs_done: int
    cause: str = ""
    """Of a failure, one line."""
    kind: str = ""
    """Of a failure: memory, exception, hang, worker, features."""
    record: str = ""
    """Of a failure: its file in the study, which has the traceback too."""


def owed_lanes(
    asked: Mapping[ConfigurationKey, Mapping[int, int]], results: Mapping[ConfigurationKey, Mapping[int, FinalName]]
) -> dict[LaneKey, int]:
    """Of every repeat that is owed the epochs that it has."""
    owed: dict[LaneKey, int] = {}
    for key, epochs in asked.items():
        has = results.get(key, {})
        for repeat, wanted in epochs.items():
            if not is_enough(has.get(repeat), wanted):
                owed[LaneKey(*key, repeat)] = has[repeat].epochs if repeat in has else 0
    return owed


def standings(
    key: ConfigurationKey, asked: Mapping[int, int], results: Mapping[int, FinalName], at_work: SegmentsAtWork
) -> tuple[Standing, ...]:
    """Where each repeat of one configuration stands, in order; repeats with a result that nobody asked for included.

    results: the longest of each repeat.
    A failure counts until somebody tries again, see `AtWork`.
    """
    listed = []
    for number in sorted({*asked, *results}):
        final, wanted = results.get(number), asked.get(number, 0)
        if final is not None and is_enough(final, wanted):
            done = max(final.epochs, wanted)  # of one that ended by itself: nothing more of them is owed
            listed.append(Standing(number, final.state, wanted or done, done))
        else:
            here = at_work.of_lane.get(LaneKey(*key, number), ())
            listed.append(_owed(number, wanted, final.epochs if final else 0, here))
    return tuple(listed)


def _owed(number: int, wanted: int, has: int, here: Sequence[AtWork]) -> Standing:
    epochs = max((has, *(one.epoch for one in here)))
    if any(one.is_live for one in here):
        return Standing(number, RepeatState.RUNNING, wanted, epochs)
    failure = next((one.failure for one in here if one.failure is not None), None)
    if failure is None:
        return Standing(number, RepeatState.WAITING, wanted, epochs)
    return Standing(number, RepeatState.FAILED, wanted, epochs, failure.cause, failure.kind, failure.path)
