"""Which bundles are trained as one trial: those that were begun together, and fresh ones that may be stacked.

Fresh bundles are stacked when their configurations differ only in lr, momentum and weight decay: such lanes read the
same rows in the same order under the same masks. Stacks are no wider than the recipe's rule allows, nor than leaves
every worker one; narrower they need not be, for a stack takes the time of its steps, hardly that of its width.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence

from orchestrator.store.record import canonical_json
from search_spaces.configuration import Configuration
from trainables.bundles.recipe import most_bundles
from trainables.bundles.stored_recipes import stored_recipe
from trainables.bundles.work import Work
from trainables.bundles.workbench import Workbench
from trainables.learning.heads.head import layers_of
from trainables.learning.heads.layer import parameter_count

Stack = tuple[Work, ...]


def form_stacks(bench: Workbench, asked: Sequence[Work], owed: Sequence[Work], workers: int) -> list[Stack]:
    """The works of `owed` as trials, the first repeats first and, among them, the longest first.

    asked: all that the search asked for, finished or not. Fresh bundles are stacked as if none of it had been begun, so
    that a search that was interrupted forms the stacks of an unbroken one.
    """
    recipes = {work: stored_recipe(bench.storage, work.key) for work in owed}
    begun = {
        (name, work.epochs): recipe
        for work, recipe in recipes.items()
        if recipe is not None
        for name in recipe.with_bundles
    }
    parts = _parts(bench, list(dict.fromkeys([*asked, *owed])), workers)
    together: dict[Hashable, list[Work]] = defaultdict(list)
    for work in owed:
        # A kill may have come before the recipe of every bundle of a stack was written
        recipe = recipes[work] or begun.get((str(work.key), work.epochs))
        if recipe is not None and recipe.with_bundles:
            together[recipe, work.epochs].append(work)
        elif recipe is not None:
            together[work].append(work)
        else:
            together[parts[work]].append(work)
    return sorted((tuple(found) for found in together.values()), key=lambda stack: _order(bench, stack))


def _parts(bench: Workbench, works: Sequence[Work], workers: int) -> dict[Work, tuple[Hashable, int]]:
    """Which stack each of the works belongs to, of even widths: 11 bundles at 10 a stack are 6 and 5."""
    kinds: dict[Hashable, list[Work]] = defaultdict(list)
    for work in works:
        kinds[_kind(bench.configuration(work.key.configuration), work)].append(work)
    widest = -(-len(works) // max(1, workers))
    found: dict[Work, tuple[Hashable, int]] = {}
    for kind, alike in kinds.items():
        count = -(-len(alike) // max(1, min(widest, _most(bench, alike[0]))))
        for part in range(count):
            for work in alike[part * len(alike) // count : (part + 1) * len(alike) // count]:
                found[work] = kind, part
    return found


def _kind(configuration: Configuration, work: Work) -> Hashable:
    """Equal for bundles that may be stacked."""
    return canonical_json(configuration.stack_key()), work.key.partition, work.key.index, work.repeats, work.epochs


def _most(bench: Workbench, work: Work) -> int:
    configuration = bench.configuration(work.key.configuration)
    return most_bundles(configuration, bench.facts(configuration).feature_width, bench.device)


def _order(bench: Workbench, stack: Stack) -> tuple[int, ...]:
    c = bench.configuration(stack[0].key.configuration)
    head = parameter_count(layers_of(c, bench.facts(c).feature_width))
    return stack[0].key.index, -c.live.from_pixels, -c.live.unfrozen, -head, c.optimiser.batch_size
