"""Records come back as they went in, and no damage passes for a record."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.record import canonical_json, pack, short_hash, unpack

ARRAYS = {
    "weights": np.arange(12, dtype=np.float32).reshape(3, 4),
    "no axis": np.array(3.5),
    "flag": np.array(True),
    "none": np.zeros((0,), dtype=np.int64),
    "none of many": np.zeros((0, 3, 2), dtype=np.float16),
    "columns first": np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)),
    "every other": np.arange(10, dtype=np.int64)[::2],
    "other byte order": np.array([1.0, -2.5, 3e38], dtype=">f4"),
    "special": np.array([np.nan, np.inf, -np.inf, -0.0], dtype=np.float64),
}


def test_round_trip() -> None:
    meta = {"text": 'Zürich \u2028 "quoted"', "none": None, "list": [1, 2.5, {"deep": True}]}
    found, arrays = unpack(pack(meta, ARRAYS))
    assert found == meta
    assert sorted(arrays) == sorted(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].shape == array.shape, name
        assert arrays[name].dtype == array.dtype.newbyteorder("<"), name
        assert arrays[name].tobytes() == array.astype(array.dtype.newbyteorder("<")).tobytes(), name


def test_nothing_at_all_is_a_record() -> None:
    assert unpack(pack({}, {})) == ({}, {})


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=6).filter(lambda name: name != "__metadata__"),
        hnp.arrays(
            st.sampled_from([np.dtype(name) for name in ("f2", "f4", "f8", "i1", "i4", "i8", "u1", "?")]),
            hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        ),
        max_size=4,
    ),
    st.dictionaries(st.text(max_size=5), st.one_of(st.none(), st.integers(), st.text(max_size=9)), max_size=3),
)
def test_any_arrays_round_trip(arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> None:
    found, back = unpack(pack(meta, arrays))
    assert found == meta
    assert {name: (a.shape, a.dtype, a.tobytes()) for name, a in back.items()} == {
        name: (a.shape, a.dtype, a.tobytes()) for name, a in arrays.items()
    }


def test_a_record_is_a_plain_safetensors_file() -> None:
    assert load_tensors(pack({}, ARRAYS))["weights"].tolist() == ARRAYS["weights"].tolist()


SMALL = pack({"epoch": 3, "name": "é"}, {"w": np.arange(5, dtype=np.float32), "n": np.array([7, 8])})


def test_every_flipped_bit_is_found() -> None:
    for position in range(len(SMALL)):
        for bit in range(8):
            damaged = bytearray(SMALL)
            damaged[position] ^= 1 << bit
            with pytest.raises(DamagedRecordError):
                unpack(bytes(damaged))


def test_every_truncation_is_found() -> None:
    for length in range(len(SMALL)):
        with pytest.raises(DamagedRecordError):
            unpack(SMALL[:length])


@pytest.mark.parametrize("extra", [b"\x00", b"more"])
def test_a_longer_file_is_found(extra: bytes) -> None:
    with pytest.raises(DamagedRecordError):
        unpack(SMALL + extra)


def test_overwritten_with_zeros() -> None:
    for start in range(0, len(SMALL), 16):
        damaged = SMALL[:start] + bytes(len(SMALL[start : start + 16])) + SMALL[start + 16 :]
        if damaged != SMALL:
            with pytest.raises(DamagedRecordError):
                unpack(damaged)


def test_arrays_of_another_record_are_found() -> None:
    text, checksum = '{"epoch":3}', short_hash("something else", 64)
    foreign = save_tensors({"w": np.zeros(3)}, metadata={"record": text, "sha256": checksum})
    with pytest.raises(DamagedRecordError, match="the checkpoint fails its checksum"):
        unpack(foreign, "the checkpoint")


class _Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (pytest.fail, ("something was unpickled",))


def test_nothing_is_unpickled() -> None:
    bomb = pickle.dumps(_Bomb())
    saved = io.BytesIO()
    np.save(saved, np.array([_Bomb()], dtype=object), allow_pickle=True)
    for content in (bomb, saved.getvalue(), len(bomb).to_bytes(8, "little") + bomb):
        with pytest.raises(DamagedRecordError):
            unpack(content)
    with pytest.raises(Exception, match=r"dtype|object|'O'|KeyError"):
        pack({}, {"a": np.array([_Bomb()], dtype=object)})


def test_canonical_json() -> None:
    assert canonical_json({"b": [1, 2.0], "a": "é"}) == '{"a":"\\u00e9","b":[1,2.0]}'
    assert short_hash({"a": 1, "b": 2}) == short_hash({"b": 2, "a": 1})
    assert short_hash({"a": 1}) != short_hash({"a": 1.5})
    assert len(short_hash(0, 20)) == 20
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="not JSON compliant"):
            canonical_json(value)
