"""Files of weights in the layouts that people have: which network of them is taken, and how it is named."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from orchestrator.store.errors import InputError
from trainables.machine.places import FilePart, Places
from trainables.network.tensors import load_into, read_set, read_tensors
from trainables.network.weights import file_of

Tensors = dict[str, torch.Tensor]


def network(value: float = 1.0) -> nn.Module:
    """All of its values are this one."""
    parts = nn.ModuleDict({"stem": nn.Conv2d(3, 4, 3), "layer1": nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))})
    for tensor in parts.state_dict().values():
        tensor.fill_(value)
    return parts.eval()


def tensors(value: float = 1.0, prefix: str = "") -> Tensors:
    return {prefix + name: tensor for name, tensor in network(value).state_dict().items()}


def taken(path: Path, key: str = "") -> float:
    """Of the network that is loaded from the file; every tensor is."""
    target = network(0.0)
    load_into(target, read_tensors(path, key), "timm:net", f"file {path.name}")
    (value,) = {float(one) for tensor in target.state_dict().values() for one in tensor.flatten()}
    return value


NESTS = ["state_dict", "model", "model_state_dict", "network", "net", "teacher", "student", "ema", "model_ema"]
NESTS += ["ema_state_dict", "state_dict_ema", "ema_model", "weights", "my_best_one"]
PREFIXES = ["", "module.", "backbone.", "encoder.", "encoder_q.", "base_encoder.", "feature_extractor.", "timm_model."]
PREFIXES += ["model.", "student.", "teacher.", "module.encoder_q.", "_orig_mod.model.backbone.", "my.own.wrapper."]


@pytest.mark.parametrize("nest", ["", *NESTS])
def test_nesting_and_prefixes_do_not_matter(tmp_path: Path, nest: str) -> None:
    for prefix in PREFIXES:
        inside = tensors(2.0, prefix) | {f"{prefix}fc.weight": torch.zeros(7, 4), "queue": torch.zeros(3)}
        about = {"epoch": 3, "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 0.1}]}}
        torch.save({nest: inside, **about} if nest else inside, tmp_path / "w.pth.tar")
        assert taken(tmp_path / "w.pth.tar") == 2.0, prefix
        assert read_set(tmp_path / "w.pth.tar").key == "", "there is no other"


@pytest.mark.parametrize("suffix", [".safetensors", ".bin", ".ckpt", ".pt", ".pth", ".pth.tar"])
def test_all_kinds_of_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(tensors(3.0, "module."), path)
    assert taken(path) == 3.0


SEVERAL: list[tuple[Any, str, str]] = [
    ({"state_dict": tensors(1.0), "state_dict_ema": tensors(2.0)}, "state_dict_ema", "state_dict"),
    ({"model": tensors(1.0, "module."), "model_ema": tensors(2.0)}, "model_ema", "model"),
    ({"model": tensors(1.0), "ema": {"decay": 0.9, "module": tensors(2.0)}}, "ema.module", "model"),
    ({"model": tensors(1.0), "ema": {"shadow": tensors(2.0)}}, "ema.shadow", "model"),
    ({"student": tensors(1.0, "module.backbone."), "teacher": tensors(2.0, "backbone.")}, "teacher", "student"),
    (
        {"state_dict": tensors(1.0, "student.backbone.") | tensors(2.0, "teacher.backbone.")},
        "state_dict.teacher",
        "state_dict.student",
    ),
    (
        {"state_dict": tensors(2.0, "module.encoder_q.") | tensors(1.0, "module.encoder_k.")},
        "state_dict.module.encoder_q",
        "state_dict.module.encoder_k",
    ),
    (
        tensors(1.0, "momentum_encoder.") | tensors(2.0, "base_encoder.") | {"predictor.weight": torch.zeros(2, 2)},
        "base_encoder",
        "momentum_encoder",
    ),
    ({"state_dict": tensors(1.0, "model.") | tensors(2.0, "ema_model.")}, "state_dict.ema_model", "state_dict.model"),
    (
        {"state_dict": tensors(1.0), "callbacks": {"EMA": {"ema_state_dict": tensors(2.0)}}},
        "callbacks.EMA.ema_state_dict",
        "state_dict",
    ),
]


@pytest.mark.parametrize(("content", "first", "other"), SEVERAL)
def test_of_several_averaged_weights_are_taken_and_a_key_takes_another(
    tmp_path: Path, content: Any, first: str, other: str
) -> None:
    path = tmp_path / "last.pth.tar"
    torch.save(content, path)
    assert (taken(path), taken(path, other), taken(path, other.rpartition(".")[2])) == (2.0, 1.0, 1.0)
    found, asked = file_of(path).settled(), file_of(FilePart(path, other)).settled()
    assert (found.identity, asked.identity) == (f"{found.digest}#{first}", f"{found.digest}#{other}")
    assert found.origin == f"file last.pth.tar, {first}"
    assert file_of(FilePart(path, first)).settled() == found, "said or not, it is the same"
    averaged = " (averaged weights)" if "ema" in first or "teacher" in first else ""
    also = f"; it also holds {other} (--weights-key {other})."
    assert file_of(path).note() == f"weights last.pth.tar: {first} is used{averaged}{also}"
    places = Places(tmp_path, tmp_path, "hub", ((asked.identity, str(path)),))
    assert places.weights_of(asked.identity) == FilePart(path, other), "whoever goes on need not be told"


def test_a_file_with_one_network_is_named_by_its_bytes_alone(tmp_path: Path) -> None:
    torch.save({"state_dict": tensors()}, tmp_path / "w.pth")
    for choice in (tmp_path / "w.pth", FilePart(tmp_path / "w.pth", "state_dict")):
        file = file_of(choice).settled()
        assert (file.identity, file.note()) == (file.digest, "")


def test_a_key_that_is_not_there(tmp_path: Path) -> None:
    torch.save({"state_dict": tensors(), "model_ema": tensors()}, tmp_path / "w.pth")
    with pytest.raises(InputError) as raised:
        read_tensors(tmp_path / "w.pth", "teacher")
    assert raised.value.message.endswith("w.pth': expected a key that it has, found 'teacher'")
    assert raised.value.advice == "It holds model_ema, state_dict: --weights-key KEY"
    torch.save(tensors(), tmp_path / "w.pth")
    with pytest.raises(InputError, match="Leave --weights-key out: it holds only one set"):
        read_tensors(tmp_path / "w.pth", "teacher")


def test_networks_under_words_that_say_nothing_are_asked_for(tmp_path: Path) -> None:
    torch.save({"state_dict": tensors(1.0, "left.") | tensors(2.0, "right.")}, tmp_path / "w.pth")
    with pytest.raises(InputError) as raised:
        taken(tmp_path / "w.pth")
    assert "expected one network, found 2 that fit timm:net: left, right" in raised.value.message
    assert raised.value.advice == "Say which: --weights-key left"
    assert taken(tmp_path / "w.pth", "right") == 2.0
    assert file_of(FilePart(tmp_path / "w.pth", "right")).settled().identity.endswith("#state_dict.right")


def test_arguments_and_scores_of_training_scripts_lie_beside_the_tensors(tmp_path: Path) -> None:
    about = {"args": argparse.Namespace(lr=0.1, output=Path("/x")), "best_acc1": np.float64(81.2), "n": np.int64(3)}
    torch.save({"model": tensors(2.0), **about}, tmp_path / "w.pth")
    assert taken(tmp_path / "w.pth") == 2.0


def broken(change: Callable[[Tensors], object]) -> InputError:
    found, target = tensors(), network(0.5)
    before = tensors(0.5)
    change(found)
    with pytest.raises(InputError) as raised:
        load_into(target, found, "timm:net", "file w.pth")
    assert all(torch.equal(tensor, before[name]) for name, tensor in target.state_dict().items()), "nothing is loaded"
    return raised.value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_values_that_are_no_numbers_are_refused(value: float) -> None:
    def spoil(found: Tensors) -> None:
        found["stem.weight"] = found["stem.weight"].double().index_fill(0, torch.tensor([1]), value)

    assert broken(spoil).message == (
        "weights file w.pth: expected finite numbers, found NaN or infinite ones in 1 of 8 tensors "
        "(stem.weight: 27 of 108 values)"
    )


@pytest.mark.parametrize("only", ["layer1.0.weight", ""])
def test_layers_of_zeros_are_refused(only: str) -> None:
    message = broken(lambda found: [tensor.zero_() for name, tensor in found.items() if only in name]).message
    told = "1 of 2" if only else "2 of 2"
    assert message.startswith(f"weights file w.pth: expected trained layers, found {told} with zeros only (")
    assert "layer1.0.weight [4, 4, 3, 3]" in message


def test_a_part_of_a_backbone_is_refused() -> None:
    message = broken(lambda found: found.pop("layer1.0.weight")).message
    assert message == (
        "weights file w.pth: expected those of timm:net, found only part of them: 7 of 8 tensors match; "
        "1 are missing (layer1.0.weight [4, 4, 3, 3])"
    )


def test_what_the_file_holds_is_shown_beside_what_is_wanted() -> None:
    message = broken(lambda found: found.update({"conv.w": found.pop("stem.weight")})).message
    assert "1 are missing (stem.weight [4, 3, 3, 3])" in message
    assert "the file has 1 that the backbone does not have (conv.w [4, 3, 3, 3])" in message


def test_a_deeper_network_of_the_same_family_is_refused() -> None:
    """ResNet 101 has all tensors of ResNet 50, of the same shapes."""
    message = broken(lambda found: found.update({"layer1.2.weight": torch.ones(4, 4, 3, 3)})).message
    assert "found another network's: 8 of 8 tensors match; the file has 1 that the backbone does not have" in message
    assert "layer1.2.weight [4, 4, 3, 3]" in message
