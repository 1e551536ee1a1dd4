"""Studies and configurations as files hold them."""

from __future__ import annotations

from functools import lru_cache

from orchestrator.store import layout
from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.schema import StudyRecord, parse_toml
from orchestrator.store.storage import Storage
from search_spaces.configuration import Configuration
from search_spaces.faults import alternatives
from search_spaces.settings.data import TASKS
from search_spaces.settings.selection import METRICS

_KEPT = 20_000


def parse_study(content: bytes, name: str) -> StudyRecord:
    """The record of a study whose task and metric there are; raises DamagedRecordError."""
    record = parse_toml(StudyRecord, content, name)
    for key, chosen, known in (("task", record.task, TASKS.names), ("selection", record.selection, METRICS.names)):
        if chosen not in known:
            told = f'{key}: expected {alternatives(known)}, found "{chosen}"'
            raise DamagedRecordError(f"{name} is not a valid StudyRecord: {told}")
    return record


def read_configuration(storage: Storage, identity: str) -> Configuration:
    """Raises FileNotFoundError, or DamagedRecordError where it is not the one that its name says."""
    path = layout.configuration(identity)
    configuration = _parsed(storage.read(path), path)
    if configuration.id != identity:
        raise DamagedRecordError(f"{path} holds another configuration, {configuration.id}")
    return configuration


@lru_cache(_KEPT)
def _parsed(content: bytes, path: str) -> Configuration:
    """A search reads the same ones again and again, and reading TOML takes longer than reading files.

    Settings that are younger than the file are at their neutral values, so that its id stays.
    """
    return parse_toml(Configuration, content, path).with_values({})
