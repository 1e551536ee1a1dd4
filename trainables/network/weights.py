"""Where a backbone's weights come from, and what they are called for ever after.

The identity of weights is the SHA-256 of the file's bytes, wherever it lies, and of a file that holds several networks
the key of the one that is taken: `sha256:…#state_dict_ema`. Freshly initialised weights are named by their seed.
"""

from __future__ import annotations

import functools
import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import urlparse

import torch

from orchestrator.store.answers import answer_within
from orchestrator.store.errors import InputError, first_line
from trainables.machine.places import FilePart
from trainables.network.tensors import read_set
from trainables.network.weight_sets import is_averaged

WeightsChoice = Literal["hub", "none"] | Path | FilePart
"""The hub or its cache; none, that is freshly initialised; or a file, or one key of it."""

PROBE_S = 4.0
"""How long the hub may take for its first answer; asked once, so that a machine without a network knows at once."""

HUB_FILES = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True)
class WeightsFile:
    """A file with weights on this machine."""

    path: Path
    origin: str
    """Where it came from: repository, file and revision; address; or the file's name."""
    key: str = ""
    """Of the set of tensors that is taken; "" where it holds one alone, or before `settled`."""

    @property
    def digest(self) -> str:
        """`sha256:` and the hex digest of the file's bytes."""
        return f"sha256:{_digest(*self._version)}"

    @property
    def identity(self) -> str:
        return f"{self.digest}#{self.key}" if self.key else self.digest

    @property
    def _version(self) -> tuple[Path, int, int]:
        status = self.path.stat()
        return self.path, status.st_size, status.st_mtime_ns

    def settled(self) -> WeightsFile:
        """With the key that is taken, which is read from the file. Raises InputError as `read_set` does."""
        key, _ = _keys(*self._version, self.key)
        return replace(self, key=key, origin=f"{self.origin}, {key}" if key else self.origin)

    def note(self) -> str:
        """Which of several networks in the file is taken and how to take another, in words; "" where there is one."""
        key, keys = _keys(*self._version, self.key)
        if not key:
            return ""
        others = [one for one in keys if one and one != key]
        told = f"{key} is used{' (averaged weights)' if is_averaged(key) else ''}"
        listed = f"; it also holds {', '.join(others)} (--weights-key {others[0]})" if others else ""
        return f"weights {self.path.name}: {told}{listed}."


@dataclass(frozen=True)
class Pretrained:
    """Where a backbone's pretrained weights lie, as its library has it: in a repository of Hugging Face, under a file
    name ("": the usual one that is there), or at an address; all "" where there are none."""

    repository: str = ""
    filename: str = ""
    address: str = ""

    def file(self, backbone: str) -> WeightsFile:
        """Here, fetched where it must be; InputError where there is none, or none can be had."""
        if self.repository:
            return from_hub(backbone, self.repository, self.filename or None)
        if self.address:
            return from_address(backbone, self.address)
        raise no_weights(backbone)


def file_of(choice: Path | FilePart) -> WeightsFile:
    """A user's own file; InputError when there is none."""
    path, key = (choice.path, choice.key) if isinstance(choice, FilePart) else (choice, "")
    if not path.is_file():
        raise InputError(
            f"weights {str(path)!r}: expected a file, found {'a folder' if path.is_dir() else 'nothing'}",
            "Give the path of a .safetensors or .pth file: --weights FILE",
        )
    return WeightsFile(path, f"file {path.name}", key)


def from_hub(backbone: str, repository: str, filename: str | None = None) -> WeightsFile:
    """The file of a Hugging Face repository: from the cache, else asked for once with a short time-out.

    Raises InputError within 10 s when it is neither cached nor reachable.
    """
    import huggingface_hub
    from huggingface_hub import constants

    names = (filename,) if filename else HUB_FILES
    for name in names:
        cached = huggingface_hub.try_to_load_from_cache(repository, name)
        if isinstance(cached, str):
            return _hub_file(repository, name, cached)
    reason = "no such file in the repository"
    for name in names:
        try:
            address = huggingface_hub.hf_hub_url(repository, name)
            answer_within(
                PROBE_S, functools.partial(huggingface_hub.get_hf_file_metadata, address, timeout=PROBE_S * 0.9)
            )
            return _hub_file(repository, name, huggingface_hub.hf_hub_download(repository, name))
        except huggingface_hub.errors.EntryNotFoundError:
            continue
        except Exception as error:  # whatever the network does, the answer to the user is the same
            reason = f"{type(error).__name__}: {first_line(error)}"
            break
    raise _not_found(
        backbone,
        f"not in the cache {constants.HF_HUB_CACHE}, and {constants.ENDPOINT} could not be reached or has no file "
        f"({reason})",
        f"{names[0]} of https://huggingface.co/{repository}",
    )


def from_address(backbone: str, address: str) -> WeightsFile:
    """A file that torch.hub would download: from its cache folder, else asked for once with a short time-out.

    A hash prefix in the file's name (`resnet18-f37072fd.pth`) is verified. Raises InputError within 10 s when the file
    is neither cached nor reachable.
    """
    import urllib.request

    name = Path(urlparse(address).path).name
    target = Path(torch.hub.get_dir()) / "checkpoints" / name
    if not target.is_file():
        try:
            request = urllib.request.Request(address, method="HEAD")
            answer_within(PROBE_S, lambda: urllib.request.urlopen(request, timeout=PROBE_S * 0.9).close())
            target.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(address, str(target), _hash_prefix(name), progress=False)
        except Exception as error:  # whatever the network does, the answer to the user is the same
            reason = f"{type(error).__name__}: {first_line(error)}"
            raise _not_found(
                backbone, f"not at {target}, and {address} could not be reached or has no file ({reason})", address
            ) from error
    file = WeightsFile(target, address)
    prefix = _hash_prefix(name)
    if prefix and not file.identity.removeprefix("sha256:").startswith(prefix):
        raise InputError(
            f"weights {target}: expected a SHA-256 that begins with {prefix}, found {file.identity}",
            f"Delete {target} and run the same command again.",
        )
    return file


def no_weights(backbone: str) -> InputError:
    """The error for an architecture whose library names no weights at all."""
    return InputError(
        f"{backbone}: expected pretrained weights, found none in its library",
        "Give a file with --weights FILE, or start from random weights with --weights none",
    )


def _not_found(backbone: str, where: str, fetch: str) -> InputError:
    return InputError(
        f"weights of {backbone}: {where}",
        f"Download {fetch} on a machine with a network and give it with --weights FILE, "
        "or start from random weights with --weights none",
    )


def _hub_file(repository: str, name: str, path: str) -> WeightsFile:
    revision = Path(path).relative_to(Path(path).parents[name.count("/") + 1]).parts[0]
    return WeightsFile(Path(path), f"https://huggingface.co/{repository} {name} at {revision}")


def _hash_prefix(name: str) -> str | None:
    match = re.search(r"-([0-9a-f]{8,})\.", name)
    return match[1] if match else None


@functools.lru_cache(maxsize=64)
def _digest(path: Path, size: int, changed_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@functools.lru_cache(maxsize=64)
def _keys(path: Path, size: int, changed_ns: int, key: str) -> tuple[str, tuple[str, ...]]:
    """The key that is taken where this one is asked for, and all that there are."""
    chosen = read_set(path, key)
    return chosen.key, chosen.keys
