"""Tables of a study's file, made from the declarations: any setting takes one value, or a list that is tried."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Tag,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    create_model,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from search_spaces.configuration import Configuration, by_path, parts_of, settings_of
from search_spaces.faults import DRAWN, ONE, SEVERAL, alternatives, did_you_mean, nearest, shown
from search_spaces.ranges import MOST_WHOLE, Range, whole_numbers
from search_spaces.settings.choice import REGISTRIES
from search_spaces.settings.declaration import Declared, Setting, Touch

Values = tuple[Any, ...]


def fault(expected: str, actual: str, kind: Literal["fault", "empty"] = "fault") -> PydanticCustomError:
    """A fault of one value, in the words that the user reads."""
    context: dict[str, Any] = {"expected": expected, "found": actual}
    return PydanticCustomError(kind, "expected {expected}, found {found}", context)


def different(values: Values) -> Values:
    """Refuse an empty list and one that says the same thing twice; keep the file's order."""
    if not values:
        raise fault("at least one value", "an empty list", "empty")
    twice = [value for index, value in enumerate(values) if value in values[:index]]
    if twice:
        raise fault("different values", f"{shown(twice[0])} more than once")
    return values


class Table(BaseModel):
    """Base of every table of a study's file: immutable, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def is_tuple(one: Declared) -> bool:
    """Whether one value of the setting is itself a list: `betas = [0.9, 0.999]`."""
    return any(get_origin(kind) is tuple for kind in _kinds(one))


def _kinds(one: Declared) -> list[Any]:
    """The type of a value, and the alternatives where it is a choice of types."""
    return [one.field.annotation, *get_args(one.field.annotation)]


def value_type(one: Declared) -> Any:
    """The type of one value with its range, without what belongs to the declaration."""
    limits = [limit for limit in one.field.metadata if not isinstance(limit, Setting)]

    def told(given: Any, reading: ValidatorFunctionWrapHandler) -> Any:
        try:
            return reading(given)
        except ValidationError as error:
            for each in error.errors():
                if each["type"] == "together":
                    raise fault(each["ctx"]["expected"], each["ctx"]["found"]) from error
            raise fault(_wanted(one, given), f"{shown(given)}{_meant(one, given)}") from error

    return Annotated[one.field.annotation, *limits, WrapValidator(told)]


def axis_type(one: Declared) -> Any:
    """One value, a list of different ones, or a distribution of numbers."""
    value = value_type(one)
    inner = is_tuple(one)

    def form(given: Any) -> str:
        if isinstance(given, dict | Range) and may_be_drawn(one):
            return DRAWN
        if not isinstance(given, list | tuple):
            return ONE
        return SEVERAL if not inner or any(isinstance(part, list | tuple) for part in given) else ONE

    several = Annotated[tuple[value, ...], AfterValidator(different), Tag(SEVERAL)]  # type: ignore[valid-type]
    drawn = Annotated[Any, WrapValidator(lambda given, _: _range_of(one, given)), Tag(DRAWN)]
    return Annotated[Annotated[value, Tag(ONE)] | several | drawn, Discriminator(form)]


def may_be_drawn(one: Declared) -> bool:
    """Whether a distribution may stand for the setting: a whole number, or a number that only steps depend on."""
    is_of_steps = one.field.annotation is float and set(one.setting.touches) == {Touch.STEP}
    return is_of_steps or one.field.annotation is int


def _range_of(one: Declared, given: Any) -> Range | Values:
    """Raises a fault that names the key of the distribution that is wrong."""
    if not isinstance(given, dict):
        return given  # type: ignore[no-any-return]
    keys, is_whole = ("low", "high", "log", "step"), one.field.annotation is int
    if unknown := [key for key in given if key not in keys]:
        hint = did_you_mean(nearest(str(unknown[0]), keys))
        raise fault(f"a distribution with the keys {', '.join(keys)}", f"the key {unknown[0]}{hint}")
    if missing := [key for key in keys[:2] if key not in given]:
        raise fault("a distribution from low to high", f"no {' and no '.join(missing)}")
    limits = TypeAdapter(value_type(one))
    try:
        low, high = limits.validate_python(given["low"]), limits.validate_python(given["high"])
    except ValidationError as error:
        each = error.errors()[0]
        raise fault(f"{each['ctx']['expected']} for low and high", each["ctx"]["found"]) from error
    if not low < high:
        raise fault("a low below high", f"{low:g} and {high:g}")
    log, step = given.get("log", one.setting.scale == "log" and low > 0 and "step" not in given), given.get("step")
    if not isinstance(log, bool):
        raise fault("true or false for log", shown(log))
    if log and not low > 0:
        raise fault("a low above 0 for a logarithmic scale", f"{low:g}")
    if step is not None and (not isinstance(step, int if is_whole else int | float) or isinstance(step, bool)):
        raise fault(f"a {'whole ' if is_whole else ''}number for step", shown(step))
    if step is not None and not 0 < step <= high - low:
        raise fault(f"a step above 0, up to {high - low:g}", shown(step))
    if step is not None and log:
        raise fault("either step or log", "both")
    if not is_whole:
        return Range(low, high, log, step)
    values = whole_numbers(low, high, log, step)
    if len(values) > MOST_WHOLE:
        raise fault(f"at most {MOST_WHOLE} whole numbers", f"{len(values):,}; give a step")
    return values


def expected_words(one: Declared) -> str:
    """What one value may be, in words: `a number of 0 or more, below 1`."""
    choices = choices_of(one)
    if choices:
        return f"{'some of ' if is_tuple(one) else ''}{alternatives(choices)}"
    if is_tuple(one):
        (inner,) = [get_args(kind) for kind in _kinds(one) if get_origin(kind) is tuple]
        kind, *limits = get_args(inner[0])
        count = "" if inner[-1] is Ellipsis else f"{len(inner)} "
        if kind is str:
            return f"a list of {count}names"
        return f"a list of {count}{'whole ' if kind is int else ''}numbers{_range(limits)}"
    kinds = {bool: "true or false", str: "text", int: "a whole number", float: "a number"}
    return kinds[one.field.annotation] + _range(one.field.metadata)  # type: ignore[index]


def _range(metadata: Sequence[Any]) -> str:
    """` above 0`, ` from 1 to 64`, ` of 0 or more, below 1`; empty where there is none."""
    parts = [part for limit in metadata for part in (limit.metadata if isinstance(limit, FieldInfo) else [limit])]
    bounds = ("gt", "ge", "lt", "le")
    limits = {name: f"{getattr(part, name):,.9g}" for part in parts for name in bounds if hasattr(part, name)}
    if limits.keys() == {"ge", "le"}:
        return f" from {limits['ge']} to {limits['le']}"
    said = {"gt": "above {}", "ge": "of {} or more", "lt": "below {}", "le": "of {} or less"}
    words = ", ".join(said[name].format(value) for name, value in limits.items())
    return f" {words}" if words else ""


def _wanted(one: Declared, given: Any) -> str:
    """Infinity is above 0, but no number to learn with."""
    parts = given if isinstance(given, list | tuple) else [given]
    endless = any(isinstance(part, float) and not math.isfinite(part) for part in parts)
    return expected_words(one).replace("number", "finite number", 1) if endless else expected_words(one)


def _meant(one: Declared, given: Any) -> str:
    known = choices_of(one)
    wrong = [part for part in (given if isinstance(given, list) else [given]) if part not in known]
    return did_you_mean(nearest(wrong[0], known)) if wrong and isinstance(wrong[0], str) else ""


def choices_of(one: Declared) -> tuple[str, ...]:
    """The values of a setting that takes one of a few."""
    if get_origin(one.field.annotation) is Literal:
        return tuple(str(value) for value in get_args(one.field.annotation))
    registry = REGISTRIES.get(one.path)
    return registry.names if registry else ()


def as_values(one: Declared, given: Any) -> Values:
    """What went through `axis_type`, as a tuple of values."""
    is_list = isinstance(given, tuple) and not (is_tuple(one) and given and not isinstance(given[0], tuple))
    return given if is_list else (given,)


def part_table(name: str) -> type[Table]:
    """The table of a part: every setting that a file gives, none required."""
    fields: dict[str, Any] = {one.name: (axis_type(one) | None, None) for one in _of(name)}
    return create_model(f"{name.capitalize()}Table", __base__=Table, **fields)


def part_fields() -> dict[str, Any]:
    """A field for the table of each part that has something to give."""
    fields: dict[str, Any] = {}
    for name, part in parts_of(Configuration).items():
        if _of(name):
            fields[name] = (Annotated[part_table(name) | None, BeforeValidator(_by_main(part.main))], None)
    return fields


def short_fields() -> dict[str, Any]:
    """A field for each setting that has a short name of its own, for the tables of grids: `lr = [0.01, 0.1]`."""
    return {name: (axis_type(one) | None, None) for one in from_file() if (name := _short(one))}


def from_file() -> Iterator[Declared]:
    """The settings that a study's file or the command line may give."""
    return (one for one in settings_of(Configuration) if one.setting.from_file)


def by_name() -> dict[str, Declared]:
    """The same by path and by short name."""
    return {name: one for one in from_file() for name in (one.path, one.setting.short) if name}


def written_as(table: BaseModel, one: Declared) -> str:
    """The key by which a table gives a setting: its short name, or its path."""
    name = _short(one)
    return name if name and getattr(table, name, None) is not None else one.path


def twice_given(table: BaseModel) -> list[Declared]:
    """The settings that a table gives by their short name and in the table of their part too."""
    return [
        one
        for one in from_file()
        if written_as(table, one) != one.path and getattr(getattr(table, one.part), one.name, None) is not None
    ]


def values_of(table: BaseModel) -> dict[str, Values]:
    """What a table gives, by path: its parts' settings, and those that it has by their short names."""
    values: dict[str, Values] = {}
    for one in from_file():
        given = getattr(getattr(table, one.part, None), one.name, None)
        if given is None and (name := _short(one)):
            given = getattr(table, name, None)
        if given is not None:
            values[one.path] = as_values(one, given)
    return values


def first_of(table: BaseModel, path: str) -> Any:
    """The first value that a table gives of a setting, or the declared default."""
    one = by_path()[path]
    return values_of(table).get(path, (one.field.default,))[0]


def parsed(one: Declared, raw: Any) -> Values:
    """Values as the command line gives them; raises ValidationError."""
    return as_values(one, TypeAdapter(axis_type(one)).validate_python(raw))


def _short(one: Declared) -> str:
    """The short name by which grids give a setting; "" where there is none, or the table of its part is called so."""
    return "" if one.setting.short in parts_of(Configuration) else one.setting.short


def _of(part: str) -> list[Declared]:
    return [one for one in from_file() if one.part == part]


def _by_main(main: str) -> Any:
    def whole(given: Any) -> Any:
        return {main: given} if main and not isinstance(given, dict) else given

    return whole
