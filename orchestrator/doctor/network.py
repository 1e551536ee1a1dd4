"""Checks of the network: loopback, proxies, and the hubs that weights come from."""

from __future__ import annotations

import os
import socket
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from orchestrator.doctor.told import Asked, Told, fault, ok, warning
from orchestrator.store.answers import answer_within
from orchestrator.store.errors import first_line

PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
PROBE_S = 4.0
TORCHVISION = "https://download.pytorch.org/models/"


def loopback(_: Asked) -> Told:
    """What a private Ray talks by."""
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection(server.getsockname(), timeout=PROBE_S),
        ):
            return ok("127.0.0.1 answers")
    except OSError as error:
        return fault(
            f"127.0.0.1 does not answer ({error.strerror or error})",
            "Allow processes on this machine to connect to each other.",
        )


def proxies(_: Asked) -> Told:
    given = {name: value for name in PROXIES if (value := os.environ.get(name) or os.environ.get(name.lower()))}
    for name in CERTIFICATES:
        if (file := os.environ.get(name)) and not Path(file).exists():
            return warning(f"{name}={file}, which does not exist", f"Name a file of certificates, or unset {name}.")
    wrong = [name for name, value in given.items() if not urlsplit(value).hostname]
    if wrong:
        return warning(f"{', '.join(wrong)}: no host found in it", "Write it in full: HTTPS_PROXY=http://HOST:PORT")
    shown = [
        f"{name} {urlsplit(value).hostname}:{urlsplit(value).port or ''}".rstrip(":") for name, value in given.items()
    ]
    return ok(", ".join(shown) or "none")


def hub(_: Asked) -> Told:
    """Hugging Face's, that timm's weights come from."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return ok("not tried: HF_HUB_OFFLINE is set")
    return _reached(constants.ENDPOINT)


def hub_of_torchvision(_: Asked) -> Told:
    return _reached(TORCHVISION)


def _reached(address: str) -> Told:
    try:
        request = urllib.request.Request(address, method="HEAD", headers={"User-Agent": "orch"})
        answer_within(PROBE_S, lambda: urllib.request.urlopen(request, timeout=PROBE_S * 0.9).close())
    except urllib.error.HTTPError as error:
        error.close()
        return ok(f"{address} answers")  # that it has nothing to say at this place is an answer
    except Exception as error:  # whatever the network does, the answer to the user is the same
        return warning(
            f"{address} gave no answer ({first_line(error)})",
            "Weights already on this machine still work; download others elsewhere and give them: --weights FILE. "
            "Behind a proxy: export HTTPS_PROXY=http://HOST:PORT",
        )
    return ok(f"{address} answers")
