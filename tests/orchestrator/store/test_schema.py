"""Records that come back as they were, and requests that are known by what they ask."""

from __future__ import annotations

import numpy as np
import pytest

from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.record import pack, unpack
from orchestrator.store.schema import (
    FinalRecord,
    History,
    Recipe,
    RepeatState,
    Request,
    RequestItem,
    parse_json,
    parse_toml,
)


def test_a_request_is_known_by_what_it_asks() -> None:
    items = (RequestItem(configuration="c", repeats=5, epochs=10),)
    one = Request(partitions=("p",), items=items, who="A", created="monday")
    assert one.id == Request(partitions=("p",), items=items, who="B").id
    more = (RequestItem(configuration="c", repeats=6, epochs=10),)
    assert one.id != Request(partitions=("p",), items=more).id
    assert one.id != Request(partitions=("q",), items=items).id
    assert parse_toml(Request, one.to_toml(), "x") == one


def _final() -> FinalRecord:
    history = History(("train", "valid"), np.ones((2, 2)), np.ones((2, 2, 3, 3), np.int32))
    return FinalRecord({"state": "diverged", "repeat": 3}, history, np.zeros((4, 3), np.float16))


def test_a_final_record_comes_back() -> None:
    back = FinalRecord.from_bytes(_final().to_bytes(), "x")
    assert back.history.epochs == 1
    assert back.history.splits == ("train", "valid")
    assert back.history.statistics.dtype == np.int32
    assert back.logits.dtype == np.float16
    assert back.state is RepeatState.DIVERGED
    assert [state.ended_by_itself() for state in RepeatState] == [False, False, False, True, True, False]
    assert [state.has_result() for state in RepeatState] == [False, False, True, True, True, False]


@pytest.mark.parametrize("lost", ["loss", "statistics", "logits"])
def test_a_record_that_lacks_something_is_damaged(lost: str) -> None:
    meta, arrays = unpack(_final().to_bytes())
    del arrays[lost]
    with pytest.raises(DamagedRecordError, match=f"7.e3 lacks '{lost}'"):
        FinalRecord.from_bytes(pack(meta, arrays), "7.e3")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"device = ", b'device = "abacus"', b"[" * 9])
def test_torn_text_is_damaged(content: bytes) -> None:
    with pytest.raises(DamagedRecordError, match=r"recipe\.toml is not a valid Recipe"):
        parse_toml(Recipe, content, "recipe.toml")
    with pytest.raises(DamagedRecordError, match="lease is not valid JSON"):
        parse_json(content, "lease")


def test_toml_carries_a_checksum_that_a_hand_may_remove() -> None:
    request = Request(partitions=("p",), items=(RequestItem(configuration="c", repeats=1, epochs=2),))
    content = request.to_toml()
    assert parse_toml(Request, content, "r") == request
    first, _, rest = content.partition(b"\n")
    assert first.startswith(b"# sha256 ")
    assert parse_toml(Request, rest, "r") == request
    with pytest.raises(DamagedRecordError, match=r"r fails its checksum \(if it was changed on purpose, remove"):
        parse_toml(Request, content.replace(b"epochs = 2", b"epochs = 3"), "r")
    for cut in range(1, len(content)):
        with pytest.raises(DamagedRecordError):
            parse_toml(Request, content[:cut], "r")
