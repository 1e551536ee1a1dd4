"""Where a backbone's weights come from, what they are called for ever after, and how they get into the network.

Nothing is unpickled: safetensors, or torch files with `weights_only=True`. The identity of weights is the SHA-256 of
the file's bytes, wherever it lies; freshly initialised weights are named by their seed.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import urlparse

import safetensors.torch
import torch
from safetensors import safe_open
from torch import nn

from orchestrator.store.errors import InputError

WeightsChoice = Literal["hub", "none"] | Path
"""The hub or its cache; none, that is freshly initialised; or a file."""

PROBE_S = 4.0
"""How long the hub may take for its first answer; asked once, so that a machine without a network knows at once."""

_TORCH_SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".tar")
_NESTS = ("state_dict", "model_state_dict", "model", "network", "net")
_PREFIXES = ("module.", "_orig_mod.", "model.", "network.", "backbone.", "encoder.", "net.")
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class WeightsFile:
    """A file with weights on this machine."""

    path: Path
    origin: str
    """Where it came from: repository, file and revision; address; or the file's name."""

    @property
    def identity(self) -> str:
        """`sha256:` and the hex digest of the file's bytes."""
        status = self.path.stat()
        return f"sha256:{_digest(self.path, status.st_size, status.st_mtime_ns)}"


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


def file_of(path: Path) -> WeightsFile:
    """A user's own file; InputError when there is none."""
    if not path.is_file():
        raise InputError(
            f"weights {str(path)!r}: expected a file, found {'a folder' if path.is_dir() else 'nothing'}",
            "Give the path of a .safetensors or .pth file: --weights FILE",
        )
    return WeightsFile(path, f"file {path.name}")


def from_hub(backbone: str, repository: str, filename: str | None = None) -> WeightsFile:
    """The file of a Hugging Face repository: from the cache, else asked for once with a short time-out.

    Raises InputError within 10 s when it is neither cached nor reachable.
    """
    import huggingface_hub
    from huggingface_hub import constants

    names = (filename,) if filename else _HUB_FILES
    for name in names:
        cached = huggingface_hub.try_to_load_from_cache(repository, name)
        if isinstance(cached, str):
            return _hub_file(repository, name, cached)
    reason = "no such file in the repository"
    for name in names:
        try:
            address = huggingface_hub.hf_hub_url(repository, name)
            _answer_within(
                PROBE_S, functools.partial(huggingface_hub.get_hf_file_metadata, address, timeout=PROBE_S * 0.9)
            )
            return _hub_file(repository, name, huggingface_hub.hf_hub_download(repository, name))
        except huggingface_hub.errors.EntryNotFoundError:
            continue
        except Exception as error:  # whatever the network does, the answer to the user is the same
            reason = f"{type(error).__name__}: {_first_line(error)}"
            break
    raise _not_found(
        backbone,
        f"not in the cache {constants.HF_HUB_CACHE}, and {constants.ENDPOINT} gave no file ({reason})",
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
            _answer_within(PROBE_S, lambda: urllib.request.urlopen(request, timeout=PROBE_S * 0.9).close())
            target.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(address, str(target), _hash_prefix(name), progress=False)
        except Exception as error:  # whatever the network does, the answer to the user is the same
            reason = f"{type(error).__name__}: {_first_line(error)}"
            raise _not_found(backbone, f"not at {target}, and {address} gave no file ({reason})", address) from error
    found = WeightsFile(target, address)
    prefix = _hash_prefix(name)
    if prefix and not found.identity.removeprefix("sha256:").startswith(prefix):
        raise InputError(
            f"weights {target}: expected a SHA-256 that begins with {prefix}, found {found.identity}",
            f"Delete {target} and run the same command again.",
        )
    return found


def no_weights(backbone: str) -> InputError:
    """The error for an architecture whose library names no weights at all."""
    return InputError(
        f"{backbone}: expected pretrained weights, its library has none",
        "Give a file with --weights FILE, or start from fresh weights with --weights none",
    )


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a weights file on the CPU, by name; nesting as in `{"state_dict": …}` is undone.

    Raises InputError for a file that is damaged, of another format, or holds anything but plain data.
    """
    if path.suffix == ".safetensors":
        try:
            return safetensors.torch.load_file(path)
        except Exception as error:  # the parser's errors have no common base
            raise InputError(
                f"weights {str(path)!r}: expected a safetensors file, found {_first_line(error)}", _FETCH_AGAIN
            ) from error
    if path.suffix not in _TORCH_SUFFIXES:
        raise InputError(
            f"weights {str(path)!r}: expected .safetensors or {', '.join(_TORCH_SUFFIXES)}, found {path.suffix!r}",
            "Save the weights with safetensors.torch.save_file or torch.save(network.state_dict(), FILE)",
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a poisoned, a torn and a foreign file raise different errors
        raise InputError(
            f"weights {str(path)!r}: expected tensors only; it was not loaded, because {_torch_reason(error)}",
            _FETCH_AGAIN,
        ) from error
    while isinstance(content, Mapping):
        inner = next((content[nest] for nest in _NESTS if isinstance(content.get(nest), Mapping)), None)
        if inner is None:
            break
        content = inner
    tensors = content.items() if isinstance(content, Mapping) else ()
    found = {str(name): value for name, value in tensors if isinstance(value, torch.Tensor)}
    if not found:
        raise InputError(
            f"weights {str(path)!r}: expected tensors by name, found {type(content).__name__} without any",
            "Save the weights with torch.save(network.state_dict(), FILE)",
        )
    return found


def standardisation_in(path: Path) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """(mean, std) per channel as a safetensors file's metadata may state them in JSON; none where it does not."""
    if path.suffix != ".safetensors":
        return None, None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        mean, std = (json.loads(metadata[key]) if key in metadata else None for key in ("mean", "std"))
    except Exception as error:
        raise InputError(
            f"weights {str(path)!r}: expected a safetensors file, found {_first_line(error)}", _FETCH_AGAIN
        ) from error
    return (tuple(map(float, mean)) if mean else None), (tuple(map(float, std)) if std else None)


def load_into(network: nn.Module, tensors: Mapping[str, torch.Tensor], backbone: str, source: str) -> None:
    """Load every parameter and buffer of `network`, which has no classifier, from a file's tensors.

    Prefixes of wrappers and older spellings of names are undone; a classifier or auxiliary outputs in the file are
    ignored. Raises InputError that counts and shows what does not fit; the network is then unchanged.
    """
    wanted = {name: value.shape for name, value in network.state_dict().items()}
    best: dict[str, torch.Tensor] = {}
    for candidate in _spellings(network, tensors, wanted.keys()):
        if not best or len(_fitting(candidate, wanted)) > len(_fitting(best, wanted)):
            best = candidate
    fitting = _fitting(best, wanted)
    needed = [name for name in wanted if not name.endswith("num_batches_tracked")]
    missing = [name for name in needed if name not in best]
    misshapen = [
        f"{name} {list(best[name].shape)} instead of {list(wanted[name])}"
        for name in needed
        if name in best and name not in fitting
    ]
    if missing or misshapen:
        faults = [f"{sum(name in fitting for name in needed)} of {len(needed)} tensors match"]
        faults += [f"{len(missing)} are missing ({_few(missing)})"] if missing else []
        faults += [f"{len(misshapen)} have another shape ({_few(misshapen)})"] if misshapen else []
        raise InputError(
            f"weights {source}: expected those of {backbone}, found another network's: {'; '.join(faults)}",
            "Name the backbone that the file was saved from, or give another --weights FILE",
        )
    network.load_state_dict({name: best[name] for name in fitting}, strict=False)


def calibrate(network: nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Give the norm layers of a freshly initialised network statistics, in place, in one pass over some images.

    Frozen layers run on stored statistics, and those of a fresh network (mean 0, variance 1) let its features vanish
    or explode. Call it once after `open_backbone(…, "none", seed)` and before the network is divided, with standardised
    float32 batches [N ≥ 2, 3, S, S] of view 0 of training images, always the same images in the same order (a hundred
    or so are enough); the statistics are the plain average over the batches, each computed behind layers that normalise
    by that same batch. Dropout stays off. A network without batch norm is left as it is, and no batch is taken.
    """
    norms = [part for part in network.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    network.eval()
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
        with torch.no_grad():
            for batch in batches:
                network(batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        network.eval()


_FETCH_AGAIN = "Fetch the file again, or save its tensors with safetensors.torch.save_file"


def _spellings(
    network: nn.Module, tensors: Mapping[str, torch.Tensor], wanted: Iterable[str]
) -> Iterable[dict[str, torch.Tensor]]:
    """The file's tensors under the names that they may have in the network."""
    plain = dict(tensors)
    yield plain
    for _ in range(3):
        prefix = next((p for p in _PREFIXES if 2 * sum(name.startswith(p) for name in plain) > len(plain)), None)
        if prefix is None or any(name.startswith(prefix) for name in wanted):
            break
        plain = {name.removeprefix(prefix): value for name, value in plain.items() if name.startswith(prefix)}
        yield plain
    # older torchvision files of DenseNet write `norm.1` for what has long been `norm1`
    yield {re.sub(r"\b(norm|conv)\.([12])\.", r"\1\2.", name): value for name, value in plain.items()}
    module = sys.modules.get(type(network).__module__)
    convert = getattr(module, "checkpoint_filter_fn", None) or getattr(module, "_filter_fn", None)
    if convert is not None:
        try:
            converted = convert(dict(plain), network)
        except Exception:  # timm's converters assume their own network; another's tensors may break them
            return
        yield {name: value for name, value in converted.items() if isinstance(value, torch.Tensor)}


def _fitting(tensors: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Size]) -> set[str]:
    return {name for name, shape in wanted.items() if name in tensors and tensors[name].shape == shape}


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _torch_reason(error: Exception) -> str:
    unsafe = re.search(r"Unsupported (?:global|class).{0,80}|GLOBAL [\w.]+", str(error))
    if unsafe:
        return f"it asks to run code ({unsafe[0].strip()})"
    if type(error).__name__ in ("EOFError", "UnpicklingError"):
        return "it is empty, cut short or no file of torch"
    return f"{type(error).__name__}: {_first_line(error)}"


def _not_found(backbone: str, where: str, fetch: str) -> InputError:
    return InputError(
        f"weights of {backbone}: {where}",
        f"Fetch {fetch} on a machine with a network and give it with --weights FILE, "
        "or start from fresh weights with --weights none",
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


def _answer_within(seconds: float, ask: Callable[[], _Answer]) -> _Answer:
    """Call `ask` and wait that long at most: name resolution ignores the time-outs of connections."""
    answers: list[_Answer] = []
    errors: list[BaseException] = []

    def call() -> None:
        try:
            answers.append(ask())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not answers:
        raise TimeoutError(f"no answer within {seconds:.0f} s")
    return answers[0]
