"""Several files at once: most of a durable write is waiting for the disk, which takes many as fast as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

AT_ONCE = 8

Item = TypeVar("Item")
Result = TypeVar("Result")


def concurrently(act: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """`act` of every item, in their order; all are tried before the first error is raised."""
    if len(items) < 2:
        return [act(item) for item in items]
    with ThreadPoolExecutor(min(AT_ONCE, len(items))) as pool:
        tries = [pool.submit(act, item) for item in items]
    return [done.result() for done in tries]
