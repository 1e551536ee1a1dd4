"""The last stacks of a decision, shared out among workers that would have none."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from orchestrator.store.searches import Stack


def shared_out(stacks: Sequence[Stack], workers: int) -> list[Stack]:
    """The same, but where at the end fewer stacks are left than workers, the last ones in parts, by repeats.

    A part takes longer than its share of the whole, but no core waits meanwhile; where other work is there, stacks stay
    as they are. What is trained in turn is shared out anyway, lane by lane.
    """
    tail = len(list(itertools.takewhile(lambda one: not one.in_turn, reversed(stacks))))
    left = tail % workers
    if not left:
        return list(stacks)
    return [*stacks[:-left], *(part for one in stacks[-left:] for part in _parts(one, workers // left))]


def _parts(stack: Stack, count: int) -> list[Stack]:
    """Even numbers of repeats, the first ones first."""
    repeats, count = stack.repeats, min(count, len(stack.repeats))
    edges = [len(repeats) * part // count for part in range(count + 1)]
    return [stack.model_copy(update={"repeats": repeats[one:two]}) for one, two in itertools.pairwise(edges)]
