"""The tensors in a weights file, and how they get into a network.

Nothing is unpickled: safetensors, or torch files with `weights_only=True`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import safetensors.torch
import torch
from safetensors import safe_open
from torch import nn

from orchestrator.store.errors import InputError, first_line

_TORCH_SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".tar")
_NESTS = ("state_dict", "model_state_dict", "model", "network", "net")
_PREFIXES = ("module.", "_orig_mod.", "model.", "network.", "backbone.", "encoder.", "net.")
_FETCH_AGAIN = "Fetch the file again, or save its tensors with safetensors.torch.save_file"


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a weights file on the CPU, by name; nesting as in `{"state_dict": …}` is undone.

    Raises InputError for a file that is damaged, of another format, or holds anything but plain data.
    """
    if path.suffix == ".safetensors":
        try:
            return safetensors.torch.load_file(path)
        except Exception as error:  # the parser's errors have no common base
            raise InputError(
                f"weights {str(path)!r}: expected a safetensors file, found {first_line(error)}", _FETCH_AGAIN
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
            f"weights {str(path)!r}: expected a safetensors file, found {first_line(error)}", _FETCH_AGAIN
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


def _torch_reason(error: Exception) -> str:
    unsafe = re.search(r"Unsupported (?:global|class).{0,80}|GLOBAL [\w.]+", str(error))
    if unsafe:
        return f"it asks to run code ({unsafe[0].strip()})"
    if type(error).__name__ in ("EOFError", "UnpicklingError"):
        return "it is empty, cut short or no file of torch"
    return f"{type(error).__name__}: {first_line(error)}"
