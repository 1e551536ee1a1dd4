"""A manifest that is not as it was written is found out; one of an earlier version, without a checksum, is read."""

from __future__ import annotations

import io

import pandas as pd
import pytest

from orchestrator.store.errors import DamagedRecordError
from trainables.data.manifest import made_manifest, manifest_bytes, read_manifest


@pytest.fixture
def manifest() -> pd.DataFrame:
    numbers = {"width": 3, "height": 4, "bytes": 5, "reading": ""}
    return made_manifest(
        [
            {"file": f"a/{n}ä.png", "label": "a", "group": "g", "split": "", "content": "0", "user_x": "", **numbers}
            for n in range(50)
        ]
    )


def test_what_is_written_is_read(manifest: pd.DataFrame) -> None:
    content = manifest_bytes(manifest)
    assert read_manifest(content).equals(manifest)
    assert manifest_bytes(read_manifest(content)) == content


def test_a_changed_value_is_found_out(manifest: pd.DataFrame) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(manifest_bytes(manifest)))
    labels = table.column("label").to_pylist()
    changed = table.set_column(1, "label", [["b", *labels[1:]]])
    target = io.BytesIO()
    pq.write_table(changed, target)
    with pytest.raises(DamagedRecordError, match="fails its checksum"):
        read_manifest(target.getvalue())


def test_one_without_a_checksum_is_taken_as_it_is(manifest: pd.DataFrame) -> None:
    target = io.BytesIO()
    manifest.to_parquet(target, index=False)
    assert read_manifest(target.getvalue()).equals(manifest)
