"""Everything that version 1 learned is learned again: the same ids, histories and selections."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.golden_study import RECORDED, record

NEAR = 1e-4
"""Nats. On other kernels last bits differ, and three epochs do not carry them further than this."""


def test_what_version_1_learned_comes_out_again(tmp_path: Path) -> None:
    expected = json.loads(RECORDED.read_text())
    found = record(tmp_path)
    found.pop("ids")
    for name in ("data", "partition"):
        assert found[name] == expected[name], name
    if found["arithmetic"] == expected["arithmetic"]:
        assert found == expected
        return
    assert found["repeats"].keys() == expected["repeats"].keys()
    for id_, repeats in expected["repeats"].items():
        for one, other in zip(found["repeats"][id_], repeats, strict=True):
            assert one["state"] == other["state"]
            assert one["recipe"] == other["recipe"]
            for split, losses in other["loss"].items():
                np.testing.assert_allclose(floats(one["loss"][split]), floats(losses), rtol=0, atol=NEAR)


def floats(hexadecimal: Any) -> list[float]:
    return [float.fromhex(value) for value in hexadecimal]
