"""Which bundles are trained as one trial: those that were begun together, and fresh ones that may be stacked.

Fresh bundles are stacked when their configurations differ only in lr, momentum and weight decay: such lanes read the
same rows in the same order under the same masks. Stacks are no wider than the recipe's rule allows, and narrow enough
that every worker has some.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence

from orchestrator.store.schema import Configuration
from trainables.bundle import stored_recipe
from trainables.recipe import most_bundles
from trainables.work import Work
from trainables.workbench import Workbench

Stack = tuple[Work, ...]


def divide(bench: Workbench, works: Sequence[Work], workers: int) -> list[Stack]:
    """All of `works` as trials, the first repeats first and, among them, the longest first."""
    recipes = {work: stored_recipe(bench.storage, work.key) for work in works}
    begun = {
        (name, work.epochs): recipe
        for work, recipe in recipes.items()
        if recipe is not None
        for name in recipe.with_bundles
    }
    fresh: dict[Hashable, list[Work]] = defaultdict(list)
    together: dict[Hashable, list[Work]] = defaultdict(list)
    for work in works:
        # A kill may have come before the recipe of every bundle of a stack was written
        recipe = recipes[work] or begun.get((str(work.key), work.epochs))
        if recipe is not None and recipe.with_bundles:
            together[recipe, work.epochs].append(work)
        elif recipe is not None:
            together[work].append(work)
        else:
            fresh[_kind(bench.configuration(work.key.configuration), work)].append(work)
    widest = -(-sum(map(len, fresh.values())) // max(1, workers))
    stacks = [tuple(found) for found in together.values()]
    for alike in fresh.values():
        # of even widths: 11 bundles at 10 a stack are 6 and 5
        count = -(-len(alike) // max(1, min(widest, _most(bench, alike[0]))))
        stacks += [tuple(alike[i * len(alike) // count : (i + 1) * len(alike) // count]) for i in range(count)]
    return sorted(stacks, key=lambda stack: _order(bench, stack))


def _kind(configuration: Configuration, work: Work) -> Hashable:
    """Equal for bundles that may be stacked."""
    same = configuration.model_copy(update={"lr": 1.0, "momentum": 0.0, "weight_decay": 0.0})
    return same, work.key.partition, work.key.index, work.repeats, work.epochs


def _most(bench: Workbench, work: Work) -> int:
    configuration = bench.configuration(work.key.configuration)
    return most_bundles(configuration, bench.facts(configuration).feature_width, bench.device)


def _order(bench: Workbench, stack: Stack) -> tuple[int, ...]:
    configuration = bench.configuration(stack[0].key.configuration)
    c = configuration
    return stack[0].key.index, -c.unfrozen, -c.non_linearities, c.batch_size
