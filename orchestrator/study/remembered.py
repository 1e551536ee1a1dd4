"""How a study was searched before: what a later search takes up where nobody says otherwise, and in what it differs."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.results.decided import Decided
from orchestrator.store.storage import Storage
from search_spaces.configuration import Configuration, plain, shown_settings
from search_spaces.stored import read_configuration
from trainables.machine.places import key_of

_IMAGE = "image."


@dataclass(frozen=True)
class Remembered:
    """What a study's configurations of one backbone have in common."""

    weights: str
    """Identity: `sha256:…` or `init:SEED`; "" where every network began from nothing."""
    place: str = ""
    """Where they lay when they were last asked for: "hub" or a path; "" where nobody said."""
    image: Mapping[str, Any] = field(default_factory=dict)
    """Image settings by path, of those that all have alike, mean and std among them."""

    @property
    def key(self) -> str | None:
        """As --weights-key would say it."""
        return key_of(self.weights) or None

    @property
    def choice(self) -> str | None:
        """As --weights would say it; None: nobody said."""
        if not self.weights:
            return None
        return "none" if self.weights.startswith("init:") else self.place or "hub"

    def image_beside(self, given: Container[str]) -> dict[str, Any]:
        """The image settings that nobody gave this time; mean and std come with the network, and the stored size went
        with the input size that it stood beside."""
        other = {one.path for one in shown_settings() if not one.setting.from_file}
        if "image.size" in given:
            other.add("image.store_size")
        return {path: value for path, value in self.image.items() if path not in given and path not in other}


class EarlierSearches:
    """The searches of a study and the configurations that they may try; read once."""

    def __init__(self, storage: Storage, decided: Decided) -> None:
        self.searches = tuple(decided.searches.values())
        self._budgets = {name: budget.of_each() for name in decided.searches if (budget := decided.budget(name))}
        every = decided.bases(*decided.searches)
        self.configurations = {name: read_configuration(storage, name) for name in every}

    def of(self, backbone: str) -> Remembered | None:
        """By the resolved name; None where it was not searched, or with several kinds of weights. Those that training
        from nothing is named by say nothing of others."""
        mine = [c for c in self.configurations.values() if c.network.backbone == backbone]
        drawn = {c.id for c in mine if c.adaptation.start == "drawn" and c.network.weights.startswith("init:")}
        identities = {c.network.weights for c in mine if c.id not in drawn}
        if not mine or len(identities) > 1:
            return None
        identity = next(iter(identities), "")
        places = {name: place for search in self.searches for name, place in search.weights_places.items()}
        alike = {
            one.path: next(iter(values))
            for one in shown_settings()
            if one.path.startswith(_IMAGE) and len(values := {c.value(one.path) for c in mine}) == 1
        }
        return Remembered(identity, places.get(identity, ""), alike)

    def raised(
        self, backbones: Iterable[str], epochs: int | None, repeats: int | None
    ) -> dict[str, dict[str, tuple[int, int]]]:
        """By search what it may train of these backbones, (repeats, epochs) of each, raised to so many."""
        wanted = set(backbones)
        budgets: dict[str, dict[str, tuple[int, int]]] = {}
        for search, budget in self._budgets.items():
            mine = {
                name: (max(r, repeats or 0), max(e, epochs or 0))
                for name, (r, e) in budget.items()
                if self.configurations[name].network.backbone in wanted
            }
            if mine:
                budgets[search] = mine
        return budgets

    def every(self) -> Collection[Configuration]:
        return self.configurations.values()

    def backbones(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(c.network.backbone for c in self.configurations.values()))

    def differences(self, asked: Iterable[Configuration]) -> list[str]:
        """Per setting the values that these configurations have and none of the same backbone had so far, in words."""
        changed: dict[str, dict[str, set[str]]] = {}
        earlier = list(self.configurations.values())
        new = [c for c in asked if c.id not in self.configurations]
        known = {c.network.backbone for c in earlier}
        for one in shown_settings():
            for c in new:
                if c.network.backbone not in known:
                    continue
                mine = [e for e in earlier if e.network.backbone == c.network.backbone and e.matters(one)]
                before = {e.value(one.path) for e in mine}
                if c.matters(one) and before and c.value(one.path) not in before:
                    told = changed.setdefault(one.setting.label, {"now": set(), "so far": set()})
                    told["now"].add(str(plain(c.value(one.path))))
                    told["so far"] |= {str(plain(value)) for value in before}
        return [
            f"{label} {', '.join(sorted(told['now']))} (so far {', '.join(sorted(told['so far']))})"
            for label, told in changed.items()
        ]
