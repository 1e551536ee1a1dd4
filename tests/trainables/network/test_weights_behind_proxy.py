"""Weights are fetched through HTTPS_PROXY, and from a hub whose certificate only the institution's file vouches for."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

pytest.importorskip("cryptography", reason="makes the certificate")

from tests.support.fake_hub import FakeHub, fake_hub

HUB, LIBRARY = "hub.example", "library.example"
CONTENT = b"weights " * 40_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
FILE = f"net-{DIGEST[:8]}.pth"
FETCH = f"""
from orchestrator.store.errors import InputError
from trainables.network.weights import from_address, from_hub
for fetch in (
    lambda: from_hub("timm:net", "somebody/net"),
    lambda: from_address("torchvision:net", "https://{LIBRARY}/models/{FILE}"),
):
    try:
        print(fetch().identity)
    except InputError as error:
        print("refused", " ".join(str(error).split()))
"""


def fetched(folder: Path, hub: FakeHub, **environment: str) -> list[str]:
    """What the hub's file and the library's file were found to be by a fresh process."""
    ours = ("proxy", "cert", "ca_bundle", "hf_", "torch_home")
    clean = {name: value for name, value in os.environ.items() if not any(part in name.lower() for part in ours)}
    clean |= {"HF_HOME": str(folder / "hf"), "TORCH_HOME": str(folder / "torch"), "HF_ENDPOINT": f"https://{HUB}"}
    done = subprocess.run(
        [sys.executable, "-c", FETCH],
        env={**clean, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_proxy_and_certificates_are_those_of_the_environment(tmp_path: Path) -> None:
    files = {"model.safetensors": CONTENT, FILE: CONTENT}
    with fake_hub(tmp_path / "hub", files, HUB, LIBRARY) as hub:
        told = fetched(tmp_path, hub, HTTPS_PROXY=hub.proxy)
        assert [line.partition(" ")[0] for line in told] == ["refused", "refused"]
        assert all("CERTIFICATE_VERIFY_FAILED" in line for line in told), told
        assert hub.requests == []

        told = fetched(tmp_path, hub, HTTPS_PROXY=hub.proxy, SSL_CERT_FILE=str(hub.certificates))
        assert told == [f"sha256:{DIGEST}"] * 2
        assert set(hub.tunnels) == {f"{HUB}:443", f"{LIBRARY}:443"}
        assert "GET /somebody/net/resolve/main/model.safetensors" in "\n".join(hub.requests)
