"""Puts what pydantic finds wrong in a study's file into sentences: key, what was expected, what was found."""

from __future__ import annotations

import copy
import difflib
import json
import typing
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

Location = tuple[int | str, ...]
ONE, SEVERAL, DRAWN = "one value", "several values", "a distribution"
"""Tags of the forms in which a setting is given; pydantic puts them into locations."""

_OTHER_WORDS = {
    "learning_rate": "lr",
    "lrs": "lr",
    "learning_rates": "lr",
    "bs": "batch_size",
    "normalisation": "standardisation",
    "normalization": "standardisation",
    "metric": "selection",
    "models": "backbones",
}
_AFTER_EFFECTS = frozenset({"empty", "missing", "too_short"})
_KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text in quotes",
    "bool_type": "true or false",
    "tuple_type": "a list in brackets",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "missing": "a value",
}


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """At most three of the known names that `name` may have meant, the likeliest first."""
    known = list(known)
    other_words = {word: meant for word, meant in _OTHER_WORDS.items() if meant in known}
    for word in difflib.get_close_matches(name.lower(), other_words, n=1, cutoff=0.85):
        return [other_words[word]]
    lower = {other.lower(): other for other in reversed(known)}
    return [lower[match] for match in difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.6)]


def did_you_mean(meant: Sequence[str]) -> str:
    """`; did you mean 'lr'?`, or nothing where no known name is near."""
    return f"; did you mean {' or '.join(repr(one) for one in meant)}?" if meant else ""


def alternatives(values: Sequence[str]) -> str:
    """`"sgd", "adam" or "adamw"`"""
    quoted = [f'"{value}"' for value in values]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]]) if len(quoted) > 1 else quoted[0]


def untagged(error: ValidationError, raw: Any = None) -> list[ErrorDetails]:
    """All that pydantic found, each with its place in the file, without the forms in which a setting can be given.

    raw: what was read, for places as it words them.
    """
    details = error.errors(include_url=False)
    for one in details:
        one["loc"] = tuple(part for part in one["loc"] if part not in (ONE, SEVERAL, DRAWN))
        if raw is not None:
            one["loc"] = as_written(raw, one["loc"])
    return details


def as_written(raw: Any, location: Location) -> Location:
    """A location in the words of the file, where `selection = "auc"` stands for `selection.metric = "auc"`."""
    written: list[int | str] = []
    value = raw
    for part in location:
        if isinstance(part, str) and not isinstance(value, dict):
            continue
        written.append(part)
        there = part in value if isinstance(part, str) else isinstance(value, list) and part < len(value)
        value = value[part] if there else {}
    return tuple(written)


def sentence(error: ErrorDetails, model: type[BaseModel]) -> str:
    """One fault: "key: expected …, found …"; its location is untagged."""
    location = tuple(error["loc"])
    key = key_of(location)
    if error["type"] == "extra_forbidden":
        table = _table_at(model, location[:-1])
        known = list(table.model_fields)
        name = str(location[-1])
        hint = did_you_mean(nearest(name, known) or _in_tables(table, name))
        return f"{key}: expected one of {', '.join(known)}; found an unknown key{hint}"
    actual = "nothing" if error["type"] == "missing" else shown(error["input"])
    return f"{key}: expected {expected_of(error)}, found {error.get('ctx', {}).get('found', actual)}"


def first_causes(errors: Iterable[ErrorDetails], *, first_reading: bool) -> list[ErrorDetails]:
    """The faults that no other brings about: a list is too short when faulty values do not count or were taken out."""
    errors = list(errors)
    places = [error["loc"] for error in errors]

    def is_cause(error: ErrorDetails) -> bool:
        place = error["loc"]
        has_inner = any(len(other) > len(place) and other[: len(place)] == place for other in places)
        return error["type"] not in _AFTER_EFFECTS or (first_reading and not has_inner)

    return [error for error in errors if is_cause(error)]


def key_of(location: Location) -> str:
    """`extension.lr[2]`, positions counted from 0."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.lstrip(".") or "the file"


def shown(value: Any) -> str:
    """A value as TOML would write it, at most 80 characters."""
    if isinstance(value, float):
        return repr(value)
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except ValueError:
        text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def without_faults(raw: dict[str, Any], errors: Iterable[ErrorDetails]) -> dict[str, Any]:
    """The file's content less every faulty value, so that what remains can be checked in the same run."""
    sound = copy.deepcopy(raw)
    targets = {_removable(sound, tuple(error["loc"])) for error in errors}
    for target in sorted(targets, key=_order, reverse=True):
        if not target:
            continue
        holder: Any = sound
        for part in target[:-1]:
            holder = holder[part]
        del holder[target[-1]]
    return sound


def _removable(raw: Any, location: Location) -> Location:
    """The longest part of a location that is in the file; a list inside a list goes as a whole."""
    depth, value, parent = 0, raw, None
    for part in location:
        if isinstance(value, dict):
            inside = part in value
        else:
            inside = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if not inside or (isinstance(value, list) and isinstance(parent, list)):
            break
        parent, value, depth = value, value[part], depth + 1
    target = location[:depth]
    while target and isinstance(target[-1], int) and len(_at(raw, target[:-1])) == 1:
        target = target[:-1]
    return target


def _at(raw: Any, location: Location) -> Any:
    for part in location:
        raw = raw[part]
    return raw


def _order(location: Location) -> list[tuple[int, str]]:
    return [(part, "") if isinstance(part, int) else (-1, part) for part in location]


def expected_of(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in _KINDS:
        return _KINDS[kind]
    bounds = {
        "greater_than": ("gt", "a number above {}"),
        "greater_than_equal": ("ge", "{} or more"),
        "less_than": ("lt", "a number below {}"),
        "less_than_equal": ("le", "{} or less"),
        "too_short": ("min_length", "at least {} values"),
        "too_long": ("max_length", "at most {} values"),
        "string_too_short": ("min_length", "at least {} character"),
        "string_too_long": ("max_length", "at most {} characters"),
    }
    if kind in bounds:
        name, text = bounds[kind]
        bound = context[name]
        return text.format(f"{bound:g}" if isinstance(bound, float) else bound)
    if kind == "string_pattern_mismatch":
        return "letters, digits, '.', '_' and '-'" + (
            ", after 'timm:' or 'torchvision:' or nothing" if "timm" in context["pattern"] else " (64 at most)"
        )
    return str(context.get("expected", error["msg"])).replace("'", '"')


def _table_at(model: type[BaseModel], location: Location) -> type[BaseModel]:
    """The model of the table at a location."""
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation) or model
    return model


def _in_tables(table: type[BaseModel], name: str) -> list[str]:
    """Where a key may belong that stands one table too high: the first fit, as `grid.lr`."""
    for key, field in table.model_fields.items():
        inner = _model_in(field.annotation)
        meant = nearest(name, inner.model_fields) if inner else []
        if meant:
            return [f"{key}.{meant[0]}"]
    return []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for inner in typing.get_args(annotation) if (model := _model_in(inner))), None)
