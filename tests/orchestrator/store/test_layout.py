"""Names that become paths."""

from __future__ import annotations

import pytest

from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.store.layout import BundleKey
from orchestrator.store.schema import RepeatState


@pytest.mark.parametrize("name", ["a", "neuroblastoma", "Study-2.1_b", "9", "x" * 64])
def test_names_that_may_become_folders(name: str) -> None:
    assert layout.checked_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "-option", "a/b", "a\\b", "a b", "a\n", "ends.", "é", "x" * 65, "a\x00"]
)
def test_names_that_may_not(name: str) -> None:
    with pytest.raises(InputError, match="expected at most 64 letters") as raised:
        layout.checked_name(name, "partition")
    assert raised.value.message.startswith("partition ")
    assert raised.value.advice
    assert raised.value.exit_status == 2


def test_keys() -> None:
    key = BundleKey.of_repeat("p", "c", 27)
    assert (key.index, list(key.repeats)) == (2, list(range(20, 30)))
    assert BundleKey.parse(str(key)) == key
    assert key.folder == "bundles/p/c/2"
    assert key.final(27, 50) == "bundles/p/c/2/final/27.e50"
    assert key.final(27, 50, RepeatState.DIVERGED) == "bundles/p/c/2/final/27.e50.diverged"
    assert [BundleKey.of_repeat("p", "c", n).index for n in (0, 9, 10, 19)] == [0, 0, 1, 1]


def test_parsing_undoes_naming_and_nothing_else() -> None:
    key = BundleKey("p", "c", 0)
    for state in (RepeatState.FINISHED, RepeatState.STOPPED, RepeatState.DIVERGED):
        name = key.final(7, 100, state).rpartition("/")[2]
        assert layout.parse_final(name) == (7, 100, state)
        assert layout.parse_final(layout.damaged(name)) is None
    assert layout.parse_lease(layout.lease("segments/a", 3).rpartition("/")[2]) == 3
    for name in ("7.e", "7.e1.tmp", ".tmp-7.e1", "a.e1", "7e1", "-7.e1", "7.e1\n", "7.e1.div", "7.diverged", ""):
        assert layout.parse_final(name) is None
    assert layout.parse_attempt("attempt-") is None
    assert layout.parse_attempt("attempt-1.bak") is None
    assert layout.parse_lease("lease-1.jsonx") is None
    assert layout.parse_lease("lease-one.json") is None
