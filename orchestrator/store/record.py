"""The one file format for checkpoints, final records and small arrays: safetensors with JSON and a checksum inside.

The file is a plain safetensors file that any reader of that format opens. Its metadata hold `record` (JSON) and
`sha256` (over the JSON and every tensor's name, type, shape and bytes), so that a torn or flipped byte is always found.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from orchestrator.store.errors import DamagedRecordError, first_line
from orchestrator.store.parsing import json_object

HEADER_MOST = 16 << 20
"""Bytes that a record's header may have; those of the largest stacks have some hundred thousand."""


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text, for hashing. NaN is refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def short_hash(value: Any, length: int = 12) -> str:
    """The first `length` hex digits of the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]


def pack(meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return the bytes of a record; arrays of any shape, also without axes or values, little-endian in C order."""
    ordered = {name: _plain(arrays[name]) for name in sorted(arrays)}
    text = json.dumps(meta, sort_keys=True, separators=(",", ":"))
    return bytes(save_tensors(ordered, metadata={"record": text, "sha256": _digest(text, ordered)}))


def unpack(content: bytes, name: str = "record") -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return (meta, arrays); raise DamagedRecordError when anything in the file is not what was written."""
    try:
        header_length = int.from_bytes(content[:8], "little")
        if len(content) < 8 + min(header_length, HEADER_MOST):
            raise ValueError("shorter than its header says")
        if header_length > HEADER_MOST:
            raise ValueError("its header is longer than one can be")
        metadata = json_object(content[8 : 8 + header_length], "its header")["__metadata__"]
        text, checksum = metadata["record"], metadata["sha256"]
        arrays = load_tensors(content)
        meta = json_object(text, "what it says")
    except MemoryError:
        raise
    except Exception as error:  # whatever the parser raises, the file is not a whole record
        cause = error.message if isinstance(error, DamagedRecordError) else first_line(error)
        raise DamagedRecordError(f"{name} is not a whole record: {cause}") from error
    if _digest(text, {key: arrays[key] for key in sorted(arrays)}) != checksum:
        raise DamagedRecordError(f"{name} fails its checksum")
    return meta, arrays


def _plain(array: np.ndarray) -> np.ndarray:
    ordered = np.asarray(array, order="C")
    return ordered.astype(ordered.dtype.newbyteorder("<"), copy=False)


def _digest(text: str, arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(text.encode())
    for name, array in arrays.items():
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
