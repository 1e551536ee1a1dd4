"""Weights are found, named, checked and loaded; what is not weights is refused."""

from __future__ import annotations

import contextlib
import hashlib
import json
import pickle
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from orchestrator.store.errors import InputError
from trainables.network.calibration import calibrate
from trainables.network.tensors import load_into, read_tensors, standardisation_in
from trainables.network.weights import file_of, from_address, from_hub


def _network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3)).eval()


def test_identity_is_the_hash_of_the_bytes_wherever_the_file_lies(tmp_path: Path) -> None:
    first, second = tmp_path / "a.pth", tmp_path / "b.pth"
    for path in (first, second):
        path.write_bytes(b"content")
    expected = f"sha256:{hashlib.sha256(b'content').hexdigest()}"
    assert file_of(first).identity == file_of(second).identity == expected
    second.write_bytes(b"changed")
    assert file_of(second).identity == f"sha256:{hashlib.sha256(b'changed').hexdigest()}"


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.pth.* found nothing"):
        file_of(tmp_path / "none.pth")
    with pytest.raises(InputError, match="found a folder"):
        file_of(tmp_path)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda tensors: tensors,
        lambda tensors: {"state_dict": tensors, "epoch": 3},
        lambda tensors: {"model": {f"module.{name}": value for name, value in tensors.items()}},
        lambda tensors: {f"module.model.{name}": value for name, value in tensors.items()},
        lambda tensors: {**tensors, "fc.weight": torch.zeros(7, 2), "fc.bias": torch.zeros(7)},
    ],
)
def test_wrappers_prefixes_and_classifiers_do_not_matter(tmp_path: Path, wrap: Any) -> None:
    source, target = _network(), _network()
    torch.save(wrap(source.state_dict()), tmp_path / "w.pth")
    load_into(target, read_tensors(tmp_path / "w.pth"), "net", "file w.pth")
    for name, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], value)


def test_safetensors_and_what_its_metadata_say(tmp_path: Path) -> None:
    source, target = _network(), _network()
    path = tmp_path / "w.safetensors"
    save_file(source.state_dict(), path, metadata={"mean": json.dumps([0.5, 0.4, 0.3]), "std": "[1, 1, 1]"})
    load_into(target, read_tensors(path), "net", "file")
    assert torch.equal(target.state_dict()["0.weight"], source.state_dict()["0.weight"])
    assert standardisation_in(path) == ((0.5, 0.4, 0.3), (1.0, 1.0, 1.0))
    save_file(source.state_dict(), path)
    assert standardisation_in(path) == (None, None)
    assert standardisation_in(tmp_path / "w.pth") == (None, None)


def test_weights_of_another_network_are_counted_and_shown() -> None:
    network = _network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    tensors = {name: value + 1 for name, value in network.state_dict().items() if not name.startswith("1.running")}
    tensors["3.weight"] = torch.zeros(5, 4, 3, 3)
    with pytest.raises(InputError) as raised:
        load_into(network, tensors, "timm:net", "file w.pth")
    message = raised.value.message
    assert "expected those of timm:net" in message
    assert "5 of 8 tensors match" in message
    assert "2 are missing (1.running_mean [4], 1.running_var [4])" in message
    assert "1 have another shape (3.weight [5, 4, 3, 3] instead of [2, 4, 3, 3])" in message
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


class _Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.target,)


def test_a_poisoned_file_is_not_unpickled(tmp_path: Path) -> None:
    torch.save({"weight": _Bomb(tmp_path / "exploded")}, tmp_path / "bad.pth")
    (tmp_path / "bad.bin").write_bytes(pickle.dumps(_Bomb(tmp_path / "exploded")))
    for name in ("bad.pth", "bad.bin"):
        with pytest.raises(InputError, match="expected tensors only; it was not loaded"):
            read_tensors(tmp_path / name)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("name", ["torn.pth", "torn.safetensors", "empty.pt", "text.txt"])
def test_damaged_and_foreign_files(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    torch.save(_network().state_dict(), path)
    path.write_bytes(b"" if name.startswith("empty") else path.read_bytes()[:300])
    with pytest.raises(InputError, match=name):
        read_tensors(path)


def test_a_file_without_tensors(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(InputError, match="found list without any"):
        read_tensors(tmp_path / "list.pt")


@dataclass(frozen=True)
class SilentHub:
    """An address that accepts connections and never answers."""

    address: str
    server: socket.socket

    def asked(self) -> int:
        """How often somebody connected."""
        count = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                self.server.accept()[0].close()
                count += 1
        return count


@pytest.fixture
def silent_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SilentHub]:
    server = socket.create_server(("127.0.0.1", 0))
    server.setblocking(False)
    monkeypatch.setattr("trainables.network.weights.PROBE_S", 0.4)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))
    address = f"http://127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path / "torch"))
    yield SilentHub(address, server)
    server.close()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_hub_that_does_not_answer_is_asked_once(silent_hub: SilentHub) -> None:
    with pytest.raises(InputError) as raised:
        from_hub("timm:resnet18.a1_in1k", "timm/resnet18.a1_in1k")
    assert silent_hub.asked() == 1
    assert "not in the cache" in raised.value.message
    assert silent_hub.address in raised.value.message
    assert "model.safetensors of https://huggingface.co/timm/resnet18.a1_in1k" in raised.value.advice
    assert "--weights FILE" in raised.value.advice
    assert "--weights none" in raised.value.advice


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_an_address_that_does_not_answer_is_asked_once(silent_hub: SilentHub) -> None:
    with pytest.raises(InputError, match="could not be reached or has no file") as raised:
        from_address("torchvision:net", f"{silent_hub.address}/net-0123abcd.pth")
    assert silent_hub.asked() == 1
    assert f"Download {silent_hub.address}/net-0123abcd.pth" in raised.value.advice


def test_a_cached_file_is_taken_without_asking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, silent_hub: str
) -> None:
    revision = "a" * 40
    repository = tmp_path / "hf" / "models--timm--net"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(revision)
    (repository / "snapshots" / revision).mkdir(parents=True)
    (repository / "snapshots" / revision / "model.safetensors").write_bytes(b"cached")
    found = from_hub("timm:net", "timm/net")
    assert found.path.read_bytes() == b"cached"
    assert found.origin.endswith(f"model.safetensors at {revision}")

    digest = hashlib.sha256(b"cached").hexdigest()
    checkpoints = tmp_path / "torch" / "checkpoints"
    checkpoints.mkdir(parents=True)
    for name in (f"net-{digest[:8]}.pth", "net-00000000.pth"):
        (checkpoints / name).write_bytes(b"cached")
    assert from_address("torchvision:net", f"{silent_hub}/net-{digest[:8]}.pth").identity == f"sha256:{digest}"
    with pytest.raises(InputError, match="begins with 00000000"):
        from_address("torchvision:net", f"{silent_hub}/net-00000000.pth")


def test_calibration_gives_fresh_features_a_scale() -> None:
    torch.manual_seed(0)
    blocks = [part for _ in range(12) for part in (nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())]
    network = nn.Sequential(nn.Conv2d(3, 8, 3), *blocks, nn.Dropout(0.9)).eval()
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            part.weight.data.mul_(0.1)
    images = [torch.randn(16, 3, 12, 12) for _ in range(4)]
    before = network(images[0]).std(dim=0).mean()
    calibrate(network, images)
    after = network(images[0]).std(dim=0).mean()
    assert before < 1e-4 < 0.1 < after < 3
    assert not any(part.training for part in network.modules())
    assert {part.momentum for part in network.modules() if isinstance(part, nn.BatchNorm2d)} == {0.1}
    again = {name: value.clone() for name, value in network.named_buffers()}
    calibrate(network, images)
    assert all(torch.equal(value, again[name]) for name, value in network.named_buffers())


def test_calibration_takes_no_batch_where_there_is_no_batch_norm() -> None:
    calibrate(nn.Linear(2, 2), (pytest.fail("took a batch") for _ in range(1)))
