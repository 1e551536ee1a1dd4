"""What is asked of a bundle, and what of it is still owed. No torch: the command line asks this too."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.store.layout import BundleKey, parse_final
from orchestrator.store.storage import Storage


@dataclass(frozen=True)
class Work:
    """These repeats of the bundle, each with at least `epochs` epochs."""

    key: BundleKey
    repeats: tuple[int, ...]
    epochs: int


def owed_repeats(storage: Storage, work: Work) -> list[int]:
    """Repeat numbers that have no final record with enough epochs."""
    finals = [found for name in storage.list(work.key.finals) if (found := parse_final(name))]
    finished = {repeat for repeat, epochs in finals if epochs >= work.epochs}
    return [repeat for repeat in work.repeats if repeat not in finished]
