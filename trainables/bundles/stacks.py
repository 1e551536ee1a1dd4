"""How what is wanted is divided into stacks; a decision writes it down, and nobody divides again what fits.

Configurations are stacked that differ only in lr, momentum and weight decay and go from the same epoch to the same one:
such lanes read the same rows in the same order under the same masks. Stacks are no wider than the recipe's rule allows,
nor than leaves every worker one; narrower they need not be, for a stack takes the time of its steps, hardly that of its
width.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

from orchestrator.store.record import canonical_json
from orchestrator.store.schema import BUNDLE_SIZE
from orchestrator.store.searches import Stack
from orchestrator.store.segments import Segment
from search_spaces.configuration import Configuration
from trainables.bundles.recipe import most_bundles
from trainables.bundles.workbench import Workbench
from trainables.learning.heads.head import layers_of
from trainables.learning.heads.layer import parameter_count

_PLACES = 20
"""Binary digits of the number of a stack among those that cost alike."""
_DEEPEST = 1001
"""Of what trains something else than the last layers: it reaches at least as far into the network as they do."""


def divide_into_stacks(bench: Workbench, wanted: Sequence[Segment], workers: int) -> list[Stack]:
    """Stacks of even widths (11 configurations at 10 a stack are 6 and 5), the first repeats first and, among them, the
    cheap ones first, so that a ranking is there early and grows; those that cost alike are spread over the grid.

    wanted: each of one configuration, repeats within one bundle. Nothing else enters but the study's configurations and
    the kind of device.
    """
    kinds: dict[Hashable, list[Segment]] = defaultdict(list)
    for one in wanted:
        kinds[_kind(_configuration(bench, one), one)].append(one)
    widest = -(-len(wanted) // max(1, workers))
    stacks = []
    for alike in kinds.values():
        most = _most(bench, alike[0])
        count = -(-len(alike) // max(1, min(widest, most)))
        for part in range(count):
            together = alike[part * len(alike) // count : (part + 1) * len(alike) // count]
            stacks.append(_stack(together, in_turn=most == 0))
    before = Counter[tuple[int, ...]]()
    places = []
    for stack in stacks:
        cost = _cost(bench, stack)
        places.append((cost, _reversed_bits(before[cost])))
        before[cost] += 1
    return [stacks[place] for place in sorted(range(len(stacks)), key=places.__getitem__)]


def _stack(together: Sequence[Segment], *, in_turn: bool) -> Stack:
    first = together[0]
    return Stack(
        partition=first.partition,
        configurations=tuple(one.configurations[0] for one in together),
        repeats=first.repeats,
        start=first.start,
        epochs=first.epochs,
        in_turn=in_turn,
    )


def _kind(configuration: Configuration, one: Segment) -> Hashable:
    """Equal for those that may be stacked."""
    return canonical_json(configuration.stack_key()), one.partition, one.repeats, one.start, one.epochs


def _configuration(bench: Workbench, one: Segment) -> Configuration:
    return bench.configuration(one.configurations[0])


def _most(bench: Workbench, one: Segment) -> int:
    configuration = _configuration(bench, one)
    return most_bundles(configuration, bench.facts(configuration).feature_width, bench.device)


def _cost(bench: Workbench, stack: Stack) -> tuple[int, ...]:
    """What a step of it takes, as far as that orders stacks: small is cheap."""
    c = bench.configuration(stack.configurations[0])
    head = parameter_count(layers_of(c, bench.facts(c).feature_width))
    depth = c.live.scope.unfrozen or _DEEPEST * c.live.trains_body
    return stack.repeats[0] // BUNDLE_SIZE, c.live.from_pixels, depth, head


def _reversed_bits(place: int) -> int:
    """Places of a van der Corput sequence: in this order any beginning of a grid's stacks is spread over all of it."""
    return int(f"{place:0{_PLACES}b}"[::-1], 2)
