"""What the study says: its configurations, and who is trained on and scored on which partition. Each read once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.store.schema import ENGINE
from orchestrator.store.storage import Storage
from search_spaces.configuration import Configuration
from search_spaces.stored import read_configuration
from trainables.data.dataset import read_manifest
from trainables.data.partition import Partition, splits
from trainables.features.samples import Samples, collect, samples_key


class StudyFiles:
    """Reads the study at `storage`; nothing of it changes while a process lives."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._configurations: dict[str, Configuration] = {}
        self._manifest: pd.DataFrame | None = None
        self._partitions: dict[str, Partition] = {}
        self._samples: dict[str, Samples] = {}

    def configuration(self, configuration_id: str) -> Configuration:
        """To train with; raises InputError for one of another engine, which would learn otherwise here."""
        if configuration_id not in self._configurations:
            configuration = read_configuration(self.storage, configuration_id)
            if configuration.engine != ENGINE:
                raise InputError(
                    f"configuration {configuration_id}: expected engine {ENGINE}, which this version of orch trains "
                    f"with, found engine {configuration.engine}",
                    "Open the study with the version of orch that made it, or start a new study under another name.",
                )
            self._configurations[configuration_id] = configuration
        return self._configurations[configuration_id]

    def remember(self, configurations: Iterable[Configuration], partitions: Mapping[str, bytes] | None = None) -> None:
        """Take configurations, and files of partitions by id, as stored that a plan describes before they are."""
        self._configurations |= {configuration.id: configuration for configuration in configurations}
        for name, content in (partitions or {}).items():
            self._partitions[name] = Partition.from_bytes(content, layout.partition(name))

    def samples(self, configuration: Configuration, partition_id: str) -> Samples:
        """Laid out once per setting that changes them."""
        key = samples_key(configuration, partition_id)
        if key not in self._samples:
            split = splits(self._read_manifest(), self._partition(partition_id))
            self._samples[key] = collect(self._read_manifest(), split, configuration)
        return self._samples[key]

    def _read_manifest(self) -> pd.DataFrame:
        if self._manifest is None:
            self._manifest = read_manifest(self.storage.read(layout.MANIFEST))
        return self._manifest

    def _partition(self, partition_id: str) -> Partition:
        if partition_id not in self._partitions:
            self._partitions[partition_id] = Partition.from_bytes(
                self.storage.read(layout.partition(partition_id)), layout.partition(partition_id)
            )
        return self._partitions[partition_id]
