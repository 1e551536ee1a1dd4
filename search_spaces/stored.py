"""Configurations as a study holds them."""

from __future__ import annotations

from functools import lru_cache

from orchestrator.store import layout
from orchestrator.store.schema import parse_toml
from orchestrator.store.storage import Storage
from search_spaces.configuration import Configuration

_KEPT = 20_000


def read_configuration(storage: Storage, identity: str) -> Configuration:
    """Raises FileNotFoundError or DamagedRecordError."""
    path = layout.configuration(identity)
    return _parsed(storage.read(path), path)


@lru_cache(_KEPT)
def _parsed(content: bytes, path: str) -> Configuration:
    """A search reads the same ones again and again, and reading TOML takes longer than reading files.

    Settings that are younger than the file are at their neutral values, so that its id stays.
    """
    return parse_toml(Configuration, content, path).with_values({})
