"""Weights of the best configurations kept in the study, so that an evaluation or an export need not train again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from orchestrator.evaluation.again import AGAIN, telling
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.names import describe_configuration
from orchestrator.results.summary import Summary, summarise
from orchestrator.study.asked import find_weights
from orchestrator.study.data_root import root_of
from orchestrator.study.preparation import reopen
from orchestrator.study.studies import Study
from trainables.bundles.kept_weights import DEFAULT_BUDGET_BYTES, in_partition, retain
from trainables.bundles.trained import keep_trained, results, trained
from trainables.bundles.workbench import Workbench, open_bench
from trainables.machine.places import Places

Show = Callable[[str], None]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Kept:
    """configurations: ids whose weights the study holds now, of those that were wanted, best first. bytes: of them."""

    configurations: tuple[str, ...]
    bytes: int


def keep_best(
    study: Study,
    count: int,
    cache: Path,
    show: Show,
    progress: Progress,
    data_root: Path | None = None,
    weights: str | None = None,
    budget_bytes: int = DEFAULT_BUDGET_BYTES,
) -> Kept:
    """Keep the selected epoch's weights of every repeat of the `count` best configurations, within the budget.

    The best are those of the study's own partition by the mean over all repeats asked. What is kept already is not
    trained again; a configuration that no longer fits, and everything after it, is not kept, and `show` hears of it.
    progress(act, done, total) counts epochs that are trained again. Raises InputError where images, features or weights
    of the backbone that this needs are not here.
    """
    summary = summarise(study.storage)
    partition = summary.study.partition
    ranked = [e for e in summary.configurations if e.partition == partition and e.rank is not None]
    wanted = ranked[:count]
    if not wanted:
        show("No configuration has finished all its repeats yet, so no weights are kept.")
        return Kept((), 0)
    root = reopen(study, root_of(study, data_root, cache, show), cache).data_root
    known = find_weights([entry.configuration for entry in wanted], summary.searches, weights)
    bench = open_bench(study.storage, Places.here(root, cache, known))
    order = list(dict.fromkeys([*parents_needed(summary), *(entry.id for entry in ranked)]))
    for entry in wanted:
        _keep(bench, entry, show, progress)
        dropped = retain(study.storage, partition, order, budget_bytes)
        if any(kept.key.configuration == entry.id for kept in dropped):
            show(
                f"The weights of {describe_configuration(entry.configuration)} ({entry.id}) do not fit in "
                f"{budget_bytes / 1e9:g} GB beside those of better configurations. They and those of worse "
                "configurations are not kept."
            )
            break
    ids = {entry.id for entry in wanted}
    there = [kept for kept in in_partition(study.storage, partition) if kept.key.configuration in ids]
    held = {kept.key.configuration for kept in there}
    best = Kept(tuple(name for name in order if name in held), sum(kept.bytes for kept in there))
    number = len(best.configurations)
    which = "best configuration" if number == 1 else f"{number} best configurations"
    show(f"Kept in the study: weights of the {which}, {best.bytes / 1e6:.1f} MB.")
    return best


def parents_needed(summary: Summary) -> list[str]:
    """Ids of what stages begin from that lack repeats: their weights are wanted first, though a stage can do without
    (`trainables.bundles.trained.starts_of`)."""
    lacking = [one.configuration.begins_from for one in summary.configurations if not one.is_whole]
    return list(dict.fromkeys(parent.configuration for parent in lacking if parent))


def _keep(bench: Workbench, entry: ConfigurationSummary, show: Show, progress: Progress) -> None:
    finals = results(bench.storage, entry.partition, entry.id, entry.with_result)
    models = trained(
        bench,
        entry.partition,
        entry.id,
        entry.with_result,
        None,
        partial(progress, AGAIN),
        telling(show, bench.device),
    )
    for repeat, model in models.items():
        keep_trained(bench, entry.partition, entry.id, [model], int(finals[repeat].meta["epochs"]))
