"""What of a network is trained, by the name of its adaptation; see `search_spaces.settings.adaptation.ADAPTATIONS`.

Where the frozen part ends follows from the parameters that these name, whichever they are.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Protocol

from torch import nn

from orchestrator.store.errors import InputError
from search_spaces.faults import did_you_mean, nearest
from search_spaces.live import Scope
from search_spaces.settings.adaptation import ADAPTATIONS
from trainables.network.weight_layers import Layers

MAY_LACK = ("bias", "lora")
"""Adaptations that some networks have nothing for."""


class Adaptation(Protocol):
    """One way of training a network. What it chooses from are parameters that the network reads."""

    def __init__(self, scope: Scope) -> None: ...

    def put_into(self, network: nn.Module) -> None:
        """Add what is trained in the place of the network's own parameters, so that at first it computes what it did.

        InputError where it has no place for it.
        """
        ...

    def live(self, layers: Layers) -> tuple[str, ...]:
        """Names of the parameters that are trained, in the network's order. InputError where it cannot be."""
        ...


def adaptation_of(scope: Scope) -> Adaptation:
    adaptation: Adaptation = ADAPTATIONS.load(scope.name)(scope)
    return adaptation


def adapted(network: nn.Module, scope: Scope) -> nn.Module:
    """The network as it is trained: itself, or a copy with adapters that shares its tensors."""
    if not has_adapters(scope):
        return network
    shared: dict[int, Any] = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    copied = copy.deepcopy(network, shared)
    adaptation_of(scope).put_into(copied)
    return copied


def has_adapters(scope: Scope) -> bool:
    """Whether something is added to the network, in the place of training its own parameters."""
    return not isinstance(adaptation_of(scope), OwnParameters)


class OwnParameters:
    """Base of adaptations that train what the network has."""

    def put_into(self, network: nn.Module) -> None:
        """Nothing is added."""


class Last(OwnParameters):
    """The last weight layers."""

    def __init__(self, scope: Scope) -> None:
        self.unfrozen = scope.unfrozen

    def live(self, layers: Layers) -> tuple[str, ...]:
        return layers.last(self.unfrozen)


class Whole(OwnParameters):
    """Every parameter."""

    def __init__(self, scope: Scope) -> None:
        """Nothing of it is left open."""

    def live(self, layers: Layers) -> tuple[str, ...]:
        return layers.last(len(layers.names))


class Named(OwnParameters):
    """All parameters of the modules of some names, and of the modules in them."""

    def __init__(self, scope: Scope) -> None:
        self.names = scope.layers

    def live(self, layers: Layers) -> tuple[str, ...]:
        known = holders(layers)
        for name in self.names:
            if name not in known:
                raise InputError(
                    f"trained layers: expected names of layers or blocks of this network, found {name!r}"
                    f"{did_you_mean(nearest(name, known))}",
                    "Choose others: --set adaptation.layers=NAME,NAME",
                )
        return tuple(name for name in layers.owner if any(f"{name}.".startswith(f"{own}.") for own in self.names))


class Biases(OwnParameters):
    """All biases (Ben Zaken, Ravfogel and Goldberg 2022, BitFit): of weight layers and the shifts of norms."""

    def __init__(self, scope: Scope) -> None:
        """Nothing of it is left open."""

    def live(self, layers: Layers) -> tuple[str, ...]:
        biases = tuple(name for name in layers.owner if name.rpartition(".")[2].endswith("bias"))
        if not biases:
            raise InputError('adaptation "bias": this network has no biases', "Choose another --adaptation.")
        return biases


def holders(layers: Layers) -> tuple[str, ...]:
    """Names by which parameters can be meant: their own and those of the modules that they are in, outermost first."""
    names: dict[str, None] = {}
    for name in layers.owner:
        parts = name.split(".")
        names |= dict.fromkeys(".".join(parts[:count]) for count in range(1, len(parts) + 1))
    return tuple(names)


def refusals(network: nn.Module, layers_of: Callable[[nn.Module], Layers]) -> dict[str, str]:
    """Why a network cannot be trained in some ways, by the name of the adaptation."""
    reasons = {}
    for name in MAY_LACK:
        try:
            adaptation_of(Scope(name)).live(layers_of(adapted(network, Scope(name))))
        except InputError as error:
            reasons[name] = error.message
    return reasons
