"""Networks that are declared as data: `own:NAME` is the file NAME.toml of `search_spaces/networks/`.

A file holds the input size that it is made for and either a list of layers, each by its name or as a table with its
arguments, or the sizes of a vision transformer. What a layer takes in follows from what is before it. The whole name of
such a network ends in a short hash of what is declared, as other networks' names do in the tag of their weights.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.store.errors import Faults, InputError
from orchestrator.store.record import short_hash
from search_spaces.faults import alternatives, did_you_mean, nearest, shown

OWN = "own:"
_NETWORKS = Path(__file__).parent / "networks"
_SIZE, _LAYERS, _TRANSFORMER = "image_size", "layers", "transformer"
_MOST, _MOST_LAYERS = 16_384, 1_000
_NEEDED = None
_POOL = {"window": _NEEDED, "stride": 0, "padding": 0}
KINDS: Mapping[str, Mapping[str, int | float | None]] = {
    "conv": {"width": _NEEDED, "window": _NEEDED, "stride": 1, "padding": 0},
    "batch_norm": {},
    "relu": {},
    "leaky_relu": {"slope": 0.01},
    "gelu": {},
    "max_pool": _POOL,
    "avg_pool": _POOL,
    "adaptive_pool": {"size": 1},
    "flatten": {},
    "linear": {"width": _NEEDED},
}
"""Arguments of each kind of layer and what they are where they are left out; a stride of 0 is that of the window."""
_OF_TRANSFORMER: Mapping[str, int | float | None] = {
    **dict.fromkeys(("patch", "depth", "width", "heads"), _NEEDED),
    "ratio": 4,
}
"""ratio: how much wider a block is between its two linear layers."""


@dataclass(frozen=True)
class Layer:
    """One layer, its arguments complete."""

    kind: str
    arguments: Mapping[str, int | float]


@dataclass(frozen=True)
class OwnNetwork:
    """What a file declares: layers in order, or a transformer by patch, depth, width, heads and ratio."""

    image_size: int
    layers: tuple[Layer, ...]
    transformer: Mapping[str, int | float] | None

    def declared(self) -> dict[str, Any]:
        """As a file says it, every argument written out."""
        if self.transformer is not None:
            return {_SIZE: self.image_size, _TRANSFORMER: dict(self.transformer)}
        return {_SIZE: self.image_size, _LAYERS: [{"layer": one.kind, **one.arguments} for one in self.layers]}

    @property
    def digest(self) -> str:
        """Of what is built, whatever its own size."""
        return short_hash({key: value for key, value in self.declared().items() if key != _SIZE}, 8)


def own_names() -> list[str]:
    """`own:lenet5`, …, sorted."""
    return sorted(OWN + file.stem for file in _NETWORKS.glob("*.toml"))


def is_own(backbone: str) -> bool:
    return backbone.startswith(OWN)


def whole_own_name(name: str) -> str:
    """`own:lenet5.HASH` for `own:lenet5`, and for itself. Raises InputError for an unknown name, and for the hash of
    something else than what the file declares today."""
    short, _, digest = name.partition(".")
    whole = f"{short}.{own_network(short).digest}"
    if digest and name != whole:
        raise InputError(
            f"backbone {name[:80]!r}: expected {whole}, as {_where(short)} declares it now, found another hash",
            f"Use {short} for the network that it declares now; results of {name[:80]} need the file as it was then",
        )
    return whole


@functools.cache
def own_network(name: str) -> OwnNetwork:
    """What the file of `own:NAME`, with a hash or without, declares. Raises InputError with all its faults."""
    short = name.partition(".")[0]
    if short not in own_names():
        meant = nearest(short, own_names())
        raise InputError(
            f"backbone {name[:80]!r}: expected the name of a network in search_spaces/networks/, found none such",
            f"Nearest names: {', '.join(meant)}" if meant else f"Known networks: {', '.join(own_names())}",
        )
    where = _where(short)
    try:
        return read_network(tomllib.loads((_NETWORKS / Path(where).name).read_text(encoding="utf-8")), where)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{where}: expected TOML, found {error}") from error


def read_network(declared: Mapping[str, Any], where: str) -> OwnNetwork:
    """`where` names the file in messages. Raises InputError with all faults of it."""
    faults = Faults(where)
    for key in declared.keys() - {_SIZE, _LAYERS, _TRANSFORMER}:
        hint = did_you_mean(nearest(key, (_SIZE, _LAYERS, _TRANSFORMER)))
        faults.add(f"{key}: expected {alternatives((_SIZE, _LAYERS, _TRANSFORMER))}, found an unknown key{hint}")
    size = _number(faults, _SIZE, declared.get(_SIZE), 8, 4096)
    layers, sizes = declared.get(_LAYERS), declared.get(_TRANSFORMER)
    if (layers is None) is (sizes is None):
        faults.add(f"{_LAYERS}: expected either {_LAYERS} or {_TRANSFORMER}, found {'both' if layers else 'neither'}")
    parsed, transformer = [], None
    if layers is not None:
        if not isinstance(layers, list) or not 1 <= len(layers) <= _MOST_LAYERS:
            faults.add(f"{_LAYERS}: expected a list of 1 to {_MOST_LAYERS:,} layers")
        else:
            parsed = [_layer(faults, f"{_LAYERS}[{place}]", one) for place, one in enumerate(layers)]
    if sizes is not None:
        transformer = _arguments(faults, _TRANSFORMER, _OF_TRANSFORMER, sizes)
        if not faults.found and transformer["width"] % transformer["heads"]:
            faults.add(f"{_TRANSFORMER}.width: expected a multiple of its heads, found {shown(transformer['width'])}")
    faults.raise_if_any("How a network is declared: docs/extending.md")
    return OwnNetwork(int(size), tuple(parsed), transformer)


def _layer(faults: Faults, key: str, given: Any) -> Layer:
    """A name alone, or a table with the name under `layer`."""
    told = given if isinstance(given, Mapping) else {"layer": given}
    kind = told.get("layer")
    if not isinstance(kind, str) or kind not in KINDS:
        hint = did_you_mean(nearest(kind, KINDS)) if isinstance(kind, str) else ""
        faults.add(f"{key}: expected {alternatives(tuple(KINDS))}, found {shown(kind)}{hint}")
        return Layer("", {})
    arguments = {name: value for name, value in told.items() if name != "layer"}
    return Layer(kind, _arguments(faults, f"{key} ({kind})", KINDS[kind], arguments))


def _arguments(faults: Faults, key: str, known: Mapping[str, int | float | None], given: Any) -> dict[str, int | float]:
    if not isinstance(given, Mapping):
        faults.add(f"{key}: expected a table of {', '.join(known)}, found {shown(given)}")
        return dict.fromkeys(known, 1)
    for name in given.keys() - known.keys():
        takes = alternatives(tuple(known)) if known else "nothing"
        faults.add(f"{key}.{name}: expected {takes}, found an unknown key{did_you_mean(nearest(name, known))}")
    arguments: dict[str, int | float] = {}
    for name, usual in known.items():
        value = given.get(name, usual)
        if isinstance(usual, float):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
                faults.add(f"{key}.{name}: expected a number of 0 or more, below 1, found {shown(value)}")
            else:
                arguments[name] = float(value)
        else:
            least = 0 if name == "padding" or (name, usual) == ("stride", 0) else 1
            arguments[name] = _number(faults, f"{key}.{name}", value, least, _MOST)
    return arguments


def _number(faults: Faults, key: str, value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        told = "nothing" if value is None else shown(value)
        faults.add(f"{key}: expected a whole number from {least} to {most:,}, found {told}")
        return max(least, 1)
    return value


def _where(short: str) -> str:
    return f"search_spaces/networks/{short.removeprefix(OWN)}.toml"
