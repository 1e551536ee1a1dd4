"""The networks that one file holds: one raw and averaged, a student and its teacher, an encoder and its momentum copy.

A set is the tensors of one network, named by where it lies: nesting and prefixes joined by dots, `state_dict_ema`,
`state_dict.teacher`. Averaged weights come first, for they are what is evaluated; momentum copies last, for of
contrastive learning the other encoder is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch

from orchestrator.store.errors import InputError

Tensors = dict[str, torch.Tensor]

_AVERAGED = frozenset({"ema", "teacher", "averaged", "swa"})
_COPIES = frozenset({"momentum", "target", "k"})
_NETWORK = frozenset(
    {"state", "dict", "model", "module", "network", "net", "backbone", "encoder", "feature", "extractor", "timm"}
    | {"base", "q", "query", "student", "online", "orig", "mod"}
)
_OF_TRAINING = ("optim", "sched", "scaler", "loss", "callback", "loop")


class Chosen(NamedTuple):
    """One set of a file, and the keys of all that it holds; `key` is "" where it holds this one alone."""

    key: str
    tensors: Tensors
    keys: tuple[str, ...]


def choose(content: Any, key: str, source: str) -> Chosen:
    """The set of this key, else the first; empty where there are no tensors by name.

    A key may leave out what comes before it, where that leaves one. InputError for a key that is not there.
    """
    sets = dict(sorted(_sets(content, ()), key=lambda one: _rank(one[0])))
    keys = tuple(sets)
    if not key:
        first = next(iter(sets.items()), ("", {}))
        return Chosen(first[0] if len(sets) > 1 else "", first[1], keys)
    near = (
        [key] if key in sets else [one for one in sets if f".{one}.".endswith(f".{key}.") or one.startswith(f"{key}.")]
    )
    if len(near) == 1:
        return Chosen(near[0] if len(sets) > 1 else "", sets[near[0]], keys)
    below = ((f"{one}.{key}".strip("."), _at(sets[one], key.split("."))) for one in sets)
    key, tensors = next(((name, part) for name, part in below if part), (key, _at(content, key.split("."))))
    if not tensors or near:
        told = ", ".join(near or [one for one in keys if one]) or "one set of tensors, without a key"
        raise InputError(
            f"weights {source}: expected {'one of several' if near else 'a key that it has'}, found {key[:80]!r}",
            f"It holds {told}: --weights-key KEY" if any(keys) else "Leave --weights-key out: it holds only one set",
        )
    return Chosen(key, tensors, keys)


def words_of(name: str) -> bool:
    """Whether a part of a name says that a network follows, as `module`, `encoder_q` and `ema_model` do."""
    return set(name.strip("_").lower().split("_")) <= _NETWORK | _AVERAGED | _COPIES


def is_averaged(key: str) -> bool:
    """Whether the set of this key holds means over training steps."""
    return any(_AVERAGED & set(part.lower().split("_")) for part in key.split("."))


def _rank(key: str) -> int:
    copies = any(_COPIES & set(part.lower().split("_")) for part in key.split("."))
    return 0 if is_averaged(key) else 2 if copies else 1


def _sets(content: Any, at: tuple[str, ...]) -> Iterator[tuple[str, Tensors]]:
    if not isinstance(content, Mapping):
        return
    inner = [name for name, value in content.items() if isinstance(name, str) and _holds_tensors(value)]
    tensors = _named(content)
    nests = [name for name in inner if words_of(name)]
    if not nests and not tensors:
        nests = [name for name in inner if not any(word in name.lower() for word in _OF_TRAINING)]
    for name in nests:
        yield from _sets(content[name], (*at, name))
    for name in (
        one for one in inner if one not in nests
    ):  # callbacks of training loops keep averages below names of their own
        yield from (one for one in _sets(content[name], (*at, name)) if is_averaged(one[0]))
    if not nests and tensors:
        yield from _divided(tensors, at)


def _divided(tensors: Tensors, at: tuple[str, ...]) -> Iterator[tuple[str, Tensors]]:
    """Versions of one network that lie beside each other under different prefixes; else all in one."""
    parts: dict[str, Tensors] = {}
    for name, value in tensors.items():
        head, dot, rest = name.partition(".")
        if dot and words_of(head):
            parts.setdefault(head, {})[rest] = value
    rivals = [one for one in parts if any(_alike(parts[one], parts[two]) for two in parts if two != one)]
    if rivals:
        for head in rivals:
            yield from _divided(parts[head], (*at, head))
        return
    largest = max(parts, key=lambda head: len(parts[head]), default=None)
    if largest is not None and 2 * len(parts[largest]) > len(tensors):
        below = list(_divided(parts[largest], (*at, largest)))
        if len(below) > 1:
            yield from below
            return
    yield ".".join(at), tensors


def _alike(one: Tensors, two: Tensors) -> bool:
    """Whether most names of the smaller one are in the other, wrappers left out."""
    names = [{_bare(name) for name in tensors} for tensors in (one, two)]
    return 2 * len(names[0] & names[1]) > min(map(len, names))


def _bare(name: str) -> str:
    parts = name.split(".")
    while len(parts) > 1 and words_of(parts[0]):
        parts = parts[1:]
    return ".".join(parts)


def _at(content: Any, path: list[str]) -> Tensors:
    """Whatever lies below this path of nests and prefixes; empty where nothing does."""
    for end in range(1, len(path) + 1):
        inner = content.get(".".join(path[:end])) if isinstance(content, Mapping) else None
        if isinstance(inner, Mapping):
            return _at(inner, path[end:]) if path[end:] else _named(inner)
    prefix = ".".join(path) + "."
    return {name.removeprefix(prefix): value for name, value in _named(content).items() if name.startswith(prefix)}


def _named(content: Any) -> Tensors:
    if not isinstance(content, Mapping):
        return {}
    return {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, torch.Tensor)}


def _holds_tensors(value: Any) -> bool:
    """Whether tensors lie in it by names, at any depth."""
    return isinstance(value, Mapping) and bool(_named(value) or any(map(_holds_tensors, value.values())))
