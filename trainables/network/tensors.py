"""The tensors in a weights file, and how they get into a network.

Nothing is unpickled: safetensors, or torch files with `weights_only=True` and the few plain classes of `_PLAIN`.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import re
import sys
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import safe_open
from torch import nn

from orchestrator.store.errors import InputError, first_line
from trainables.network.weight_sets import Chosen, Tensors, choose, words_of

_TORCH_SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".tar")
_FETCH_AGAIN = "Download the file again, or save its tensors with safetensors.torch.save_file"
_PLAIN: list[Any] = [argparse.Namespace, pathlib.PosixPath, np.dtype, type(np.dtype("f8")), type(np.dtype("f4"))]
_PLAIN += [type(np.dtype("i8")), type(np.dtype("i4"))]
"""Classes that hold values and run nothing: arguments of training scripts and their scores, beside the tensors."""
_PLAIN += [np._core.multiarray.scalar, (np._core.multiarray.scalar, "numpy.core.multiarray.scalar")]  # type: ignore[attr-defined]
_ZEROS_OF = 10
"""One layer in so many with zeros only is more than training leaves; files that were cut short have them."""
_CLASSIFIER = ("classifier", "head", "heads", "fc")


def read_tensors(path: Path, key: str = "") -> Tensors:
    """The tensors of a weights file on the CPU, by name: those of the set of this key, see `weight_sets`.

    Raises InputError for a file that is damaged, of another format, or holds anything but plain data.
    """
    return read_set(path, key).tensors


def read_set(path: Path, key: str = "") -> Chosen:
    """The same, and which sets there are."""
    content = _content(path)
    chosen = choose(content, key, repr(str(path)))
    if not chosen.tensors:
        raise InputError(
            f"weights {str(path)!r}: expected named tensors, found {type(content).__name__} without any",
            "Save the weights with torch.save(network.state_dict(), FILE)",
        )
    return chosen


def _content(path: Path) -> Any:
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
        with torch.serialization.safe_globals(_PLAIN):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a poisoned, a torn and a foreign file raise different errors
        raise InputError(
            f"weights {str(path)!r}: expected tensors only; it was not loaded, because {_torch_reason(error)}",
            _FETCH_AGAIN,
        ) from error


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
    ignored. Raises InputError that counts and shows what does not fit, and for values that no training leaves; the
    network is then unchanged.
    """
    state = network.state_dict()
    wanted = {name: value.shape for name, value in state.items()}
    needed = [name for name in wanted if not name.endswith("num_batches_tracked")]
    whole = [root.rstrip(".") for root, count in _roots_by_names(tensors, set(needed)).items() if count == len(needed)]
    if len(whole) > 1:
        raise InputError(
            f"weights {source}: expected one network, found {len(whole)} that fit {backbone}: {_few(whole)}",
            f"Say which: --weights-key {whole[0]}",
        )
    best, most = dict(tensors), -1
    for candidate in _spellings(network, tensors, wanted):
        fitting = len(_fitting(candidate, wanted) & set(needed))
        if fitting > most:
            best, most = candidate, fitting
        if most == len(needed):
            break
    _check_names(best, wanted, needed, backbone, source)
    taken = {name: best[name].to(state[name].dtype) for name in _fitting(best, wanted)}
    _check_values({name: taken[name] for name in needed}, source)
    state.update(taken)
    network.load_state_dict(state)  # as a whole, for some networks look at the version that it carries


def _check_names(
    best: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Size], needed: list[str], backbone: str, source: str
) -> None:
    fitting = _fitting(best, wanted)
    missing = [f"{name} {list(wanted[name])}" for name in needed if name not in best]
    misshapen = [
        f"{name} {list(best[name].shape)} instead of {list(wanted[name])}"
        for name in needed
        if name in best and name not in fitting
    ]
    # the layers of a deeper network hold those of a shallower one, with the same names and shapes
    layers = {re.sub(r"\d+", "#", name) for name in wanted if re.search(r"\d", name)}
    left = [name for name in best if name not in wanted]
    deeper = [n for n in left if n.split(".")[0] not in _CLASSIFIER and re.sub(r"\d+", "#", n) in layers]
    if not missing and not misshapen and not deeper:
        return
    faults = [f"{sum(name in fitting for name in needed)} of {len(needed)} tensors match"]
    faults += [f"{len(missing)} are missing ({_few(missing)})"] if missing else []
    faults += [f"{len(misshapen)} have another shape ({_few(misshapen)})"] if misshapen else []
    shown = [f"{name} {list(best[name].shape)}" for name in (left if missing else deeper)]
    faults += [f"the file has {len(shown)} that the backbone does not have ({_few(shown)})"] if shown else []
    actual = "another network's" if misshapen or shown else "only part of them"
    raise InputError(
        f"weights {source}: expected those of {backbone}, found {actual}: {'; '.join(faults)}",
        "Name the backbone that the file was saved from, or give another --weights FILE",
    )


def _check_values(taken: Tensors, source: str) -> None:
    broken = [
        f"{name}: {count:,} of {value.numel():,} values"
        for name, value in taken.items()
        if value.is_floating_point() and (count := int((~torch.isfinite(value)).sum()))
    ]
    if broken:
        raise InputError(
            f"weights {source}: expected finite numbers, found NaN or infinite ones in {len(broken)} of {len(taken)} "
            f"tensors ({_few(broken)})",
            "The training that wrote the file had diverged, or the file is damaged: give another --weights FILE",
        )
    layers = {name: value for name, value in taken.items() if value.ndim > 1 and name.endswith("weight")}
    zero = [f"{name} {list(value.shape)}" for name, value in layers.items() if not value.any()]
    if zero and len(zero) * _ZEROS_OF >= len(layers):
        raise InputError(
            f"weights {source}: expected trained layers, found {len(zero)} of {len(layers)} with zeros only "
            f"({_few(zero)})",
            "The file was not written to its end, or its network was never initialised: give another --weights FILE",
        )


def _spellings(
    network: nn.Module, tensors: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Size]
) -> Iterator[Tensors]:
    """The file's tensors under the names that they may have in the network."""
    roots = list(_roots(tensors, wanted))
    below = [{n.removeprefix(root): v for n, v in tensors.items() if n.startswith(root)} for root in roots]
    yield from below
    # older torchvision files of DenseNet write `norm.1` for what has long been `norm1`
    for plain in below:
        yield {re.sub(r"\b(norm|conv)\.([12])\.", r"\1\2.", name): value for name, value in plain.items()}
    module = sys.modules.get(type(network).__module__)
    convert = getattr(module, "checkpoint_filter_fn", None) or getattr(module, "_filter_fn", None)
    if convert is None:
        return
    for plain in below:
        try:
            converted = convert(dict(plain), network)
        except Exception:  # timm's converters assume their own network; another's tensors may break them
            continue
        yield {name: value for name, value in converted.items() if isinstance(value, torch.Tensor)}


def _roots(tensors: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Size]) -> Iterable[str]:
    """Prefixes behind which the network's own names may begin: none, that which most of them have, and wrappers."""
    most = _roots_by_names(tensors, wanted).most_common(1)
    wrappers = {"": None}
    for name in tensors:
        head = ""
        for part in name.split(".")[:-1]:
            if not words_of(part):
                break
            head += f"{part}."
            wrappers[head] = None
    return dict.fromkeys([*(root for root, _ in most), *wrappers])


def _roots_by_names(tensors: Iterable[str], wanted: Container[str]) -> Counter[str]:
    """How many wanted names follow each prefix."""
    roots: Counter[str] = Counter()
    for name in tensors:
        parts = name.split(".")
        for depth in range(len(parts)):
            if ".".join(parts[depth:]) in wanted:
                roots["".join(f"{part}." for part in parts[:depth])] += 1
    return roots


def _fitting(tensors: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Size]) -> set[str]:
    return {name for name, shape in wanted.items() if name in tensors and tensors[name].shape == shape}


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _torch_reason(error: Exception) -> str:
    unsafe = re.search(r"Unsupported (?:global|class).{0,80}|GLOBAL [\w.]+", str(error))
    if unsafe:
        return f"it asks to run code ({unsafe[0].strip()})"
    if type(error).__name__ in ("EOFError", "UnpicklingError"):
        return "it is empty, cut short or not a torch file"
    return f"{type(error).__name__}: {first_line(error)}"
