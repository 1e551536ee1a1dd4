"""What identifies a configuration, and records that come back as they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.record import pack, unpack
from orchestrator.store.schema import (
    Configuration,
    FinalRecord,
    History,
    Recipe,
    RepeatState,
    Request,
    RequestItem,
    parse_json,
    parse_toml,
)

BASE: dict[str, Any] = {
    "study_seed": 0,
    "task": "binary",
    "classes": ("no", "yes"),
    "data": "d" * 64,
    "backbone": "timm:resnet18.tv_in1k",
    "weights": "sha256:" + "1" * 64,
    "image_size": 224,
    "store_size": 256,
    "crops": 3,
    "interpolation": "bilinear",
    "standardisation": "weights",
    "mean": (0.5, 0.5, 0.5),
    "std": (0.25, 0.25, 0.25),
    "precision": "fp32",
    "balance": "none",
    "views": 2,
    "score_augmented": False,
    "non_linearities": 1,
    "unfrozen": 0,
    "negative_slope": 0.1,
    "dropout": 0.5,
    "lr": 1e-3,
    "batch_size": 16,
    "optimiser": "sgd",
    "momentum": 0.9,
    "beta1": 0.0,
    "beta2": 0.0,
    "weight_decay": 0.0,
    "selection": "loss",
    "parent": None,
    "engine": 1,
}
OTHER: dict[str, Any] = {
    "study_seed": 1,
    "task": "multiclass",
    "classes": ("yes", "no"),
    "data": "e" * 64,
    "backbone": "timm:resnet18.a1_in1k",
    "weights": "init:0",
    "image_size": 192,
    "store_size": 257,
    "crops": 4,
    "interpolation": "bicubic",
    "standardisation": "train",
    "mean": (0.5, 0.5, 0.4),
    "std": None,
    "precision": "bf16",
    "balance": "ngca",
    "views": 3,
    "score_augmented": True,
    "non_linearities": 2,
    "unfrozen": 1,
    "negative_slope": 0.2,
    "dropout": 0.4,
    "lr": 1.0000001e-3,
    "batch_size": 17,
    "optimiser": "adam",
    "momentum": 0.8,
    "beta1": 0.9,
    "beta2": 0.9,
    "weight_decay": 1e-9,
    "selection": "accuracy",
    "parent": "abc",
    "engine": 2,
}


def test_every_field_is_tried() -> None:
    assert set(BASE) == set(OTHER) == set(Configuration.model_fields)


@pytest.mark.parametrize("name", sorted(OTHER))
def test_every_field_enters_the_identity(name: str) -> None:
    base = Configuration.model_validate(BASE)
    assert Configuration.model_validate({**BASE, name: OTHER[name]}).id != base.id
    assert Configuration.model_validate(dict(reversed(BASE.items()))).id == base.id


def test_a_default_written_out_changes_no_identity() -> None:
    short = {k: v for k, v in BASE.items() if k not in ("beta1", "beta2", "weight_decay", "parent", "engine")}
    assert Configuration.model_validate(short).id == Configuration.model_validate(BASE).id


@pytest.mark.parametrize("changes", [{}, OTHER, {"mean": None, "std": None}])
def test_a_configuration_keeps_its_identity_on_disk(changes: dict[str, Any]) -> None:
    one = Configuration.model_validate({**BASE, **changes})
    back = parse_toml(Configuration, one.to_toml(), "x")
    assert back == one
    assert back.id == one.id


def test_the_strategy_is_a_label() -> None:
    def strategy(n: int, u: int) -> str:
        return Configuration.model_validate({**BASE, "non_linearities": n, "unfrozen": u}).strategy

    assert [strategy(0, 0), strategy(2, 0), strategy(0, 1), strategy(2, 1)] == [
        "straightforward",
        "extension",
        "unfreezing",
        "unfreezing",
    ]


@pytest.mark.parametrize(
    ("name", "value"), [("lr", 0.0), ("dropout", 1.0), ("views", 9), ("batch_size", 0), ("unknown", 1), ("crops", 0)]
)
def test_impossible_settings_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        Configuration.model_validate({**BASE, name: value})


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
    assert back.history.confusion.dtype == np.int32
    assert back.logits.dtype == np.float16
    assert back.state is RepeatState.DIVERGED
    assert [state.has_result() for state in RepeatState] == [False, False, True, True, False]


@pytest.mark.parametrize("lost", ["loss", "confusion", "logits"])
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
