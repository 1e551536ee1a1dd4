"""A configuration: one fully resolved point of a search space for one backbone, composed of frozen parts.

Identity, keys, what one pass serves and what one stack holds follow from the declarations of the settings; nothing here
names one.
"""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Annotated, Any, NamedTuple, Self

from pydantic import Field

from orchestrator.store.record import short_hash
from orchestrator.store.schema import ENGINE, Record
from search_spaces.form import Form, form_of
from search_spaces.live import Live
from search_spaces.presets import Strategy, strategy_of
from search_spaces.settings.adaptation import Adaptation
from search_spaces.settings.augmentation import Augmentation
from search_spaces.settings.balance import Balance
from search_spaces.settings.data import TASKS, Data
from search_spaces.settings.declaration import Declared, Part, Touch, When, declared
from search_spaces.settings.ending import Ending
from search_spaces.settings.head import Head
from search_spaces.settings.image import Image
from search_spaces.settings.loss import Loss
from search_spaces.settings.network import Network
from search_spaces.settings.optimiser import Optimiser
from search_spaces.settings.schedule import Schedule
from search_spaces.settings.selection import Selection

BACKBONE = "network.backbone"
PARENT = r"^[0-9a-f]{12}:[1-9][0-9]{0,5}$"
FROZEN_PART = (Touch.PIXELS, Touch.SAMPLES, Touch.NETWORK, Touch.FEATURES)
"""What configurations agree in that one pass over the images serves, at any depth."""


class Parent(NamedTuple):
    """A configuration that another one begins from, repeat by repeat, at the epoch selected among so many."""

    configuration: str
    epochs: int

    def __str__(self) -> str:
        return f"{self.configuration}:{self.epochs}"


class Configuration(Record):
    """Values that cannot matter are at their idle ones (`made` sees to it), so that equal trainings have one id."""

    engine: int = ENGINE
    data: Data
    network: Network
    adaptation: Adaptation
    image: Image
    balance: Balance
    augmentation: Augmentation = Augmentation()
    head: Head
    loss: Loss = Loss()
    optimiser: Optimiser
    schedule: Schedule = Schedule()
    ending: Ending = Ending()
    selection: Selection
    parent: Annotated[str, Field(pattern=PARENT)] | None = None
    """A trained configuration whose selected weights this one begins with, and the epochs asked of it: "<id>:<n>"."""

    @classmethod
    def made(cls, values: Mapping[str, Any]) -> Self:
        """Of values by path (`optimiser.lr`); those left out are the declared defaults. Raises ValidationError."""
        parts: dict[str, dict[str, Any]] = {name: {} for name in parts_of(cls)}
        rest = {name: value for name, value in values.items() if "." not in name}
        for path, value in values.items():
            part, dot, name = path.partition(".")
            if dot:
                parts[part][name] = value
        configuration = cls.model_validate({**parts, **rest})
        idle = {one.path: one.setting.idle for one in settings_of(cls) if not configuration.matters(one)}
        return configuration._changed(idle)

    def with_values(self, changes: Mapping[str, Any]) -> Self:
        """The same with other values by path; what no longer matters is at its idle value."""
        values = {one.path: self.value(one.path) for one in settings_of(type(self))}
        return self.made({"engine": self.engine, "parent": self.parent, **values, **changes})

    def value(self, path: str) -> Any:
        part, _, name = path.partition(".")
        return getattr(getattr(self, part), name)

    def matters(self, one: Declared) -> bool:
        """Whether a setting can change anything here."""
        return matters(one, self.value)

    def batch_size(self, rows: int) -> int:
        """Images of a step, of so many that are trained on; a head that is fitted takes them all."""
        return rows if self.head.is_fitted else self.optimiser.batch_size

    @functools.cached_property
    def id(self) -> str:
        """Twelve hex digits over all that says something; a value that is neutral does not."""
        values = {
            one.path: value for one in settings_of(type(self)) if (value := self.value(one.path)) != one.setting.neutral
        }
        return short_hash({"engine": self.engine, "parent": self.parent, **values})

    def key(self, *touches: Touch) -> dict[str, Any]:
        """The values, by path, of every setting that changes one of these: equal where the outcome is."""
        return {
            one.path: self.value(one.path) for one in settings_of(type(self)) if set(one.setting.touches) & set(touches)
        }

    def stack_key(self) -> dict[str, Any]:
        """The values in which lanes of one product agree."""
        agreed = {one.path: self.value(one.path) for one in settings_of(type(self)) if not one.setting.stackable}
        return {"engine": self.engine, "parent": self.parent, **agreed}

    def columns(self) -> dict[str, Any]:
        """What tables and names show of it: strategy, parent, then every setting but those of the data, tuples as
        text."""
        return dict(self._columns)

    def column(self, name: str) -> Any:
        """One of `columns`."""
        return self._columns[name]

    @functools.cached_property
    def _columns(self) -> dict[str, Any]:
        values = {one.column: plain(self.value(one.path)) for one in shown_settings()}
        return {"strategy": self.strategy, "parent": self.parent, **values}

    @property
    def begins_from(self) -> Parent | None:
        """What it goes on from, where it is a later stage."""
        name, _, epochs = (self.parent or "").partition(":")
        return Parent(name, int(epochs)) if name else None

    @property
    def outputs(self) -> int:
        """Width of the last layer."""
        return TASKS.variants[self.data.task].outputs(len(self.data.classes))

    @property
    def form(self) -> Form:
        """How its network is built; decided here alone."""
        return form_of(self.network.backbone, self.value)

    @property
    def live(self) -> Live:
        """What of the network changes in training; decided here alone."""
        return Live(self.adaptation.scope, self.augmentation.from_pixels)

    @property
    def selects_by_valid_alone(self) -> bool:
        """Whether the selected epoch looks at the validation split alone, else at the worse of train and valid."""
        return self.selection.rule == "valid"

    @functools.cached_property
    def strategy(self) -> Strategy:
        """The label that users see; it is derived and enters no identity."""
        return strategy_of(self.value)

    def _changed(self, values: Mapping[str, Any]) -> Self:
        parts: dict[str, Part] = {}
        for path, value in values.items():
            part, _, name = path.partition(".")
            parts[part] = parts.get(part, getattr(self, part)).model_copy(update={name: value})
        return self.model_copy(update=parts) if parts else self


@functools.cache
def parts_of(configuration: type[Configuration]) -> dict[str, type[Part]]:
    """The parts of a configuration by name, in order."""
    annotations = {name: field.annotation for name, field in configuration.model_fields.items()}
    return {name: kind for name, kind in annotations.items() if isinstance(kind, type) and issubclass(kind, Part)}


@functools.cache
def settings_of(configuration: type[Configuration]) -> tuple[Declared, ...]:
    """Every declared setting, in order."""
    return tuple(one for name, part in parts_of(configuration).items() for one in declared(name, part))


@functools.cache
def shown_settings() -> tuple[Declared, ...]:
    """The settings that can differ within a study, in order: all but those of the data."""
    return tuple(one for one in settings_of(Configuration) if one.part != "data")


def column_names() -> tuple[str, ...]:
    """Names of `Configuration.columns`."""
    return ("strategy", "parent", *(one.column for one in shown_settings()))


@functools.cache
def by_column() -> dict[str, Declared]:
    """The settings of `shown_settings` by the name of their column."""
    return {one.column: one for one in shown_settings()}


def plain(value: Any) -> Any:
    """A value as a cell of a table holds it."""
    if not isinstance(value, tuple):
        return value
    return ", ".join(part if isinstance(part, str) else f"{part:.12g}" for part in value)


@functools.cache
def by_path() -> dict[str, Declared]:
    """The declared settings by path."""
    return {one.path: one for one in settings_of(Configuration)}


def matters(one: Declared, value: Callable[[str], Any]) -> bool:
    """Whether a setting can change anything beside these values of others, by path."""
    holding = [
        condition.holds(value(condition.path)) and matters(by_path()[condition.path], value)
        for condition in one.setting.conditions
    ]
    return (not holding or any(holding)) and all(
        need.holds(value(need.path)) or not matters(by_path()[need.path], value) for need in one.setting.needs
    )


def unmet(one: Declared, given: Mapping[str, Collection[Any]]) -> tuple[When, ...]:
    """The conditions by which what is given of other settings, by path, rules one out; none where it may matter.

    A setting that is not given rules out nothing. Of its needs none is unmet by a setting that is given as it is where
    they do not hold.
    """
    failing = [
        (condition,)
        if condition.path in given and not any(map(condition.holds, given[condition.path]))
        else unmet(by_path()[condition.path], given)
        for condition in one.setting.conditions
    ]
    if failing and all(failing):
        return tuple(dict.fromkeys(itertools.chain(*failing)))
    if set(given.get(one.path, ())) == {one.setting.idle}:
        return ()
    return tuple(
        need
        for need in one.setting.needs
        if need.path in given and not any(map(need.holds, given[need.path])) and not unmet(by_path()[need.path], given)
    )


def differing(configurations: Iterable[Configuration]) -> tuple[Declared, ...]:
    """The settings that tell these apart, in order: no two agree in all of them.

    One that matters in some alone counts where those disagree, one that follows from the network where that happens
    within one network.
    """
    several = list(configurations)
    return tuple(one for one in shown_settings() if _tells_apart(one, several))


def _tells_apart(one: Declared, several: Iterable[Configuration]) -> bool:
    values: dict[str, set[Any]] = defaultdict(set)
    for c in several:
        if c.matters(one):
            follows = (one.setting.follows or not one.setting.from_file) and one.path != BACKBONE
            values[c.network.backbone if follows else ""].add(c.value(one.path))
    return any(len(different) > 1 for different in values.values())
