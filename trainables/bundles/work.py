"""What is asked of a bundle, and what of it is still owed. No torch: the command line asks this too."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.store.layout import BundleKey, FinalName, parse_final
from orchestrator.store.storage import Storage


@dataclass(frozen=True)
class Work:
    """These repeats of the bundle, each with at least `epochs` epochs."""

    key: BundleKey
    repeats: tuple[int, ...]
    epochs: int


def owed_repeats(storage: Storage, work: Work) -> list[int]:
    """Repeat numbers whose final record neither has enough epochs nor ended by itself: more would end there again.

    Of several records of a repeat the one with most epochs counts, as in the histories; of two with the same number,
    which only processes that computed differently can leave, the first in the listing: the one with all its epochs.
    """
    longest: dict[int, FinalName] = {}
    for name in storage.list(work.key.finals):
        found = parse_final(name)
        if found is not None and (found.repeat not in longest or found.epochs > longest[found.repeat].epochs):
            longest[found.repeat] = found
    done = {repeat for repeat, final in longest.items() if final.state.ended_by_itself() or final.epochs >= work.epochs}
    return [repeat for repeat in work.repeats if repeat not in done]
