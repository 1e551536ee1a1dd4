"""A figure that cannot be drawn costs a page that figure: in its place stands why, and the rest is written."""

from __future__ import annotations

from collections.abc import Callable

from dashboards.figures.failure import cause_of
from dashboards.page.controls import nothing
from dashboards.page.names import without_names_of
from orchestrator.store.storage import Storage


def drawn_or_why_not(title: str, draw: Callable[[], str], *storages: Storage) -> str:
    """What `draw` returns, or one line; it names no files and groups of the studies in `storages`."""
    try:
        return draw()
    except Exception as error:  # hours of training lie behind a page: no fault of one figure may cost the others
        cause = cause_of(error)
        for storage in storages:
            cause = without_names_of(storage, [cause])(cause)
        return nothing(f"The figure “{title}” could not be drawn. {cause}")
