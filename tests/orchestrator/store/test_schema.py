"""Records that come back as they were, and say so where they do not."""

from __future__ import annotations

import numpy as np
import pytest

from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.parsing import parsed_json
from orchestrator.store.record import pack, unpack
from orchestrator.store.schema import FinalRecord, History, RepeatState, parse_toml
from orchestrator.store.searches import Ask
from orchestrator.store.segments import Recipe


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
        parsed_json(content, "lease")


def test_toml_carries_a_checksum_that_a_hand_may_remove() -> None:
    ask = Ask(partition="p", configurations=("c",), repeats=(0, 1), epochs=2)
    content = ask.to_toml()
    assert parse_toml(Ask, content, "r") == ask
    first, _, rest = content.partition(b"\n")
    assert first.startswith(b"# sha256 ")
    assert parse_toml(Ask, rest, "r") == ask
    with pytest.raises(DamagedRecordError, match=r"r fails its checksum \(if it was changed on purpose, remove"):
        parse_toml(Ask, content.replace(b"epochs = 2", b"epochs = 3"), "r")
    for cut in range(1, len(content)):
        with pytest.raises(DamagedRecordError):
            parse_toml(Ask, content[:cut], "r")
