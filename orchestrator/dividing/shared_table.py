"""A partition as a table that colleagues share: file, label, group, split and the hash of each image's pixels."""

from __future__ import annotations

import csv
import io
import shlex
import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd

from orchestrator.results.names import thousands
from orchestrator.store.errors import InputError
from orchestrator.store.storage import LocalStorage
from orchestrator.study.rule_of_reading import typed_reading
from trainables.data.contents import COLUMN
from trainables.data.dataset import Dataset
from trainables.data.groups import INDEPENDENT, with_groups
from trainables.data.manifest import reading_of
from trainables.data.options import DatasetOptions
from trainables.data.partition import Partition, splits
from trainables.data.source import list_source


def shared_table(dataset: Dataset, partition: Partition) -> bytes:
    """CSV, one row per image in the order of the manifest; files relative to the data root.

    Without a group column where every image is its own group: who reads it has to say that again (--group-by none), and
    it stands on every output. Raises InputError where a name in it would be read otherwise than it is meant.
    """
    manifest = dataset.manifest
    frame = pd.DataFrame({"file": manifest["file"], "label": manifest["label"]})
    if dataset.group_meaning != INDEPENDENT:
        frame["group"] = manifest["group"]
    frame["split"] = splits(manifest, partition).to_numpy()
    frame[COLUMN] = manifest["content"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(frame.columns)
    writer.writerows(frame.to_numpy().tolist())
    content = text.getvalue().encode()
    _check_read_back(dataset, partition, content)
    return content


def write_shared(path: Path, content: bytes, option: str = "--output") -> None:
    """Write the table; a file of other content is not written over. option: by which it was named."""
    storage = LocalStorage(path.parent)
    if not storage.create(path.name, content) and storage.read(path.name) != content:
        raise InputError(
            f"{path} already exists and holds something else", f"Give another {option}, or remove the file yourself."
        )


def how_to_search(path: Path, dataset: Dataset, given: DatasetOptions, packed: Path | None) -> str:
    """The command that searches on it here. packed: what the images were unpacked from."""
    typed = ["orch search NAME BACKBONE --data", shlex.quote(str(path))]
    if packed is not None or path.parent.resolve() != dataset.root.resolve():
        typed += ["--data-root", shlex.quote(str(packed or dataset.root))]
    if dataset.group_meaning == INDEPENDENT:
        typed.append("--group-by none")
    reading = given.reading
    if given.percentiles is not None:  # of this partition: the range itself is what others need
        reading = replace(reading, intensity=reading_of(dataset.manifest).intensity)
    for option, value in typed_reading(reading).items():
        typed += [option, shlex.quote(value)] if value is not None else []
    return " ".join(typed)


def _check_read_back(dataset: Dataset, partition: Partition, content: bytes) -> None:
    """What a search would read of the table is what was meant."""
    by_itself = dataset.group_meaning == INDEPENDENT
    options = DatasetOptions(data_root=dataset.root, group_by="none" if by_itself else None)
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "shared.csv"
        table.write_bytes(content)
        try:
            entries = with_groups(list_source(table, options), options.group_by).entries
        except InputError as error:
            why = error.message.replace(f"dataset {table}: ", "")
            raise InputError(f"the partition cannot be written as a table: {why}", _RENAME) from error
    read = [(entry.file, entry.label, entry.group, entry.split) for entry in entries]
    manifest = dataset.manifest
    meant = list(zip(manifest["file"], manifest["label"], manifest["group"], splits(manifest, partition), strict=True))
    other = [one[0] for one, two in zip(meant, read, strict=True) if one != two]
    if other:
        raise InputError(
            f"the partition cannot be written as a table: {thousands(len(other), 'row')} would be read differently, "
            f"for instance that of {other[0]!r}",
            _RENAME,
        )


_RENAME = "Rename these files, classes or groups, so that a table can hold their names."
