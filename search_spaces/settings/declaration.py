"""What is said once of every setting; identity, keys, options, columns and axes all follow from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo

Scale = Literal["linear", "log", "ordinal", "categorical"]


class Touch(StrEnum):
    """What a setting changes: it is part of the key of each of these."""

    PIXELS = "pixels"
    """The stored squares."""
    SAMPLES = "samples"
    """Which images, in which views, are trained on and scored."""
    NETWORK = "network"
    """Which network is opened, with which weights and input."""
    FEATURES = "features"
    """What the frozen part gives."""
    STEP = "step"
    """How lanes learn."""
    SELECTION = "selection"
    """Which epoch is picked."""


ALWAYS = "always"
"""Of a setting without a neutral value: it is part of every identity."""


@dataclass(frozen=True)
class When:
    """A condition on another setting: its value is one of `among`, none of `but`, or above `above`.

    Of a setting whose value is several at once, one of them is among `among`, and none is of `but`. It does not hold
    either where the other setting itself cannot matter.
    """

    path: str
    among: tuple[object, ...] = ()
    above: float | None = None
    but: tuple[object, ...] = ()

    def holds(self, value: Any) -> bool:
        if self.above is not None:
            return bool(value > self.above)
        several = value if isinstance(value, tuple) else (value,)
        is_named = any(one in (self.but or self.among) for one in several)
        return not is_named if self.but else is_named

    def words(self, shown: Callable[[object], str] = '"{}"'.format) -> str:
        """What it wants of a value: `"sgd" or "adam"`, `above 0`, `other than "logistic"`."""
        if self.above is not None:
            return f"above {self.above:g}"
        return ("other than " if self.but else "") + " or ".join(map(shown, self.but or self.among))


@dataclass(frozen=True)
class Setting:
    """The declaration of one setting, kept in the annotation of the field that holds its value.

    label: as a reader meets it. help: one line. touches: see `Touch`. stackable: whether lanes that differ in it can be
    trained in one product. scale: of an axis. short: name of its option and column; its path where there is none.
    matters_when: where it does not hold (of several: where none does), the value is `idle`, so that equal trainings
    are equal. needs: what must hold as well, each wherever its own setting matters. neutral: the value that means what
    was done before the setting existed; it is no part of an identity. idle: the neutral value, unless there is none.
    from_file: whether a study's file and the command line give it; else it follows from the data and the network.
    follows: whether it does so where neither gives it.
    """

    label: str
    help: str
    touches: tuple[Touch, ...]
    stackable: bool = False
    scale: Scale = "categorical"
    unit: str = ""
    short: str = ""
    matters_when: When | tuple[When, ...] = ()
    needs: tuple[When, ...] = ()
    neutral: object = ALWAYS
    idle: Any = None
    from_file: bool = True
    follows: bool = False

    def __post_init__(self) -> None:
        if self.idle is None:
            object.__setattr__(self, "idle", self.neutral)

    @property
    def conditions(self) -> tuple[When, ...]:
        """Of which one must hold; none of a setting that always matters."""
        return (self.matters_when,) if isinstance(self.matters_when, When) else self.matters_when


class Part(BaseModel):
    """Base of the frozen parts that a configuration is composed of: no unknown keys, every field a declared setting."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    main: ClassVar[str] = ""
    """The field that is meant where the part is given by one value alone: `balance = "ngca"`."""


@dataclass(frozen=True)
class Declared:
    """One setting where it stands."""

    part: str
    name: str
    setting: Setting
    field: FieldInfo

    @cached_property
    def path(self) -> str:
        """`optimiser.lr`"""
        return f"{self.part}.{self.name}"

    @cached_property
    def column(self) -> str:
        """Its name in tables and options."""
        return self.setting.short or self.path


def declared(part: str, model: type[Part]) -> Iterator[Declared]:
    """The settings of a part in their order. Raises TypeError where a field is none."""
    for name, field in model.model_fields.items():
        settings = [one for one in field.metadata if isinstance(one, Setting)]
        if len(settings) != 1:
            raise TypeError(f"{model.__name__}.{name}: expected one Setting in its annotation, found {len(settings)}")
        yield Declared(part, name, settings[0], field)
