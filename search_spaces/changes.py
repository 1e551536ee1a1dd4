"""What the command line changes of a study's file: any setting, by its path or its short name."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from orchestrator.store.errors import Faults
from search_spaces.axes import BATCH_SIZE, LR, Axes, product
from search_spaces.configuration import Configuration, by_path, matters, unmet
from search_spaces.faults import did_you_mean, expected_of, nearest, shown, untagged
from search_spaces.presets import PRESETS, Strategy
from search_spaces.settings.declaration import Declared, When
from search_spaces.tables import Values, by_name, from_file, is_tuple, parsed

_WORD, _QUOTED = re.compile(r"[A-Za-z_][\w.]*"), r'"\g<0>"'
_BETWEEN = re.compile(r"\s*([^\s.,]+(?:\.\d[^\s.,]*)?)\.\.([^\s,]+)\s*")
"""`1e-5..0.1`"""
_ROOM = {
    "image.store_size": "at least",
    "image.crops": "with it an image.store_size above",
}
"""How a stored square and the number of crops from it have to be beside the input size."""
_OPTIONS = "See the options: orch search --help; the settings: orch spaces settings"


@dataclass(frozen=True)
class Typed:
    """One option as the user typed it: `--lr`, `1e-3,1e-2`."""

    option: str
    name: str
    """Path or short name of the setting."""
    text: str | None
    """None: nothing after the name, not even an equals sign."""


@dataclass(frozen=True)
class Changes:
    """None and {}: as in the space. Given lr or batch sizes are tried in every combination, also where it lists pairs.

    values: by path. Those of a setting that is the axis of one strategy asked for, such as n, are for that one; others
    that leave the setting open take them where it is not asked for.
    """

    strategies: tuple[Strategy, ...] | None = None
    values: Mapping[str, Values] = field(default_factory=dict)
    epochs: int | None = None
    repeats: int | None = None

    def check(self, chosen: Sequence[Strategy]) -> None:
        """Raise InputError where a value is given that none of the strategies that will run takes."""
        faults = Faults("command line")
        faults.extend(self.crossed(chosen))
        faults.raise_if_any(_OPTIONS)

    def check_matters(self, several: Iterable[Mapping[str, Any]]) -> None:
        """Raise InputError where a value is given that matters at none of these points."""
        faults, several = Faults("command line"), list(several)
        for one in map(by_path().__getitem__, self.values):
            if not any(matters(one, values.__getitem__) for values in several):
                given = {path: dict.fromkeys(values[path] for values in several) for path in several[0]}
                if conditions := unmet(one, {**given, one.path: self.values[one.path]}):
                    faults.add(_needs(one, conditions, given))
        faults.raise_if_any(_OPTIONS)

    def check_room(self, several: Iterable[Configuration]) -> None:
        """Raise InputError where a stored square or crops are given, and no input of these is small enough for any."""
        faults, several = Faults("command line"), list(several)
        sizes = ", ".join(map(str, sorted({c.value("image.size") for c in several})))
        for path, wanted in _ROOM.items():
            kept = {c.value(path) for c in several}
            for value in self.values.get(path, ()):
                if value not in kept:
                    faults.add(
                        f"{option_of(by_path()[path])}: expected {wanted} the input size, {sizes}, found {value}"
                    )
        faults.raise_if_any(_OPTIONS)

    def crossed(self, chosen: Sequence[Strategy]) -> Iterator[str]:
        """Faults that show when several options are read together."""
        for path, values in self.values.items():
            takers = [strategy for strategy in PRESETS if PRESETS[strategy].takes(path, values)]
            if not set(takers) & set(chosen):
                matter = [strategy for strategy in takers if not unmet(by_path()[path], _held_by(strategy))]
                axis = next((strategy for strategy in takers if PRESETS[strategy].axis == path), (matter or takers)[0])
                option = option_of(by_path()[path])
                yield f"{option}: expected --strategy {axis} with it, found {', '.join(chosen)}"
            if conditions := unmet(by_path()[path], self.values):
                yield _needs(by_path()[path], conditions, self.values)

    def applied_to(self, axes: Axes, chosen: Sequence[Strategy]) -> Axes:
        """The axes of one strategy with these values in the place of the space's."""
        rest = {path: values for path, values in self.values.items() if self._is_for(path, axes.strategy, chosen)}
        lr, batch_size = rest.pop(LR, None), rest.pop(BATCH_SIZE, None)
        pairs = axes.pairs
        if lr or batch_size:
            pairs = product(lr or axes.lr, batch_size or axes.batch_size)
        order = {one.path: place for place, one in enumerate(from_file())}
        values = dict(sorted({**axes.values, **rest}.items(), key=lambda item: order[item[0]]))
        return dataclasses.replace(
            axes,
            pairs=pairs,
            epochs=self.epochs or axes.epochs,
            repeats=self.repeats or axes.repeats,
            values=values,
        )

    def _is_for(self, path: str, strategy: Strategy, chosen: Sequence[Strategy]) -> bool:
        preset, values = PRESETS[strategy], self.values[path]
        if not preset.takes(path, values):
            return False
        owners = [one for one in chosen if PRESETS[one].axis == path and PRESETS[one].takes(path, values)]
        return path not in preset.also or not owners


def _held_by(strategy: Strategy) -> dict[str, Values]:
    preset = PRESETS[strategy]
    return {**preset.among, **{path: (value,) for path, value in preset.fixed.items()}}


def changes_of(
    typed: Sequence[Typed],
    strategies: Sequence[str] | None = None,
    epochs: int | None = None,
    repeats: int | None = None,
) -> Changes:
    """Read all that was typed; raises InputError with all faults of it."""
    faults = Faults("command line")
    for strategy in strategies or ():
        if strategy not in PRESETS:
            hint = did_you_mean(nearest(strategy, PRESETS))
            faults.add(f"--strategy: expected some of {', '.join(PRESETS)}, found {strategy!r}{hint}")
    for option, number in (("--epochs", epochs), ("--repeats", repeats)):
        if number is not None and number < 1:
            faults.add(f"{option}: expected 1 or more, found {number}")
    values: dict[str, Values] = {}
    for one in typed:
        setting = _setting(one, faults)
        if setting is None:
            continue
        if setting.path in values:
            faults.add(f"{one.option}: expected {setting.path} once, found it again")
        if one.text is None:
            faults.add(f"{one.option}: expected PATH=VALUES, such as optimiser.weight_decay=0,1e-4, found no =")
            continue
        try:
            values[setting.path] = parsed(setting, _read(setting, one.text))
        except ValidationError as error:
            faults.extend(_faults(one, error))
    known = tuple(strategy for strategy in PRESETS if strategies and strategy in strategies)
    changes = Changes(known or None, values, epochs, repeats)
    faults.extend(changes.crossed(known or tuple(PRESETS)))
    faults.raise_if_any(_OPTIONS)
    return changes


def _needs(one: Declared, conditions: Collection[When], given: Mapping[str, Iterable[Any]]) -> str:
    """conditions: those that values given by path do not meet."""
    wanted = []
    for condition in conditions:
        option = option_of(by_path()[condition.path])
        sign = "=" if condition.among and option.startswith("--set ") else " "
        wanted.append(f"{option}{sign}{condition.words(str)}")
    actual = {condition.path: ", ".join(map(_words, given[condition.path])) for condition in conditions}
    joined = (" and " if {*conditions} <= {*one.setting.needs} else " or ").join(wanted)
    return f"{option_of(one)}: expected {joined} with it, found {' and '.join(actual.values())}"


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def option_of(one: Declared) -> str:
    """`--batch-size`, or `--set head.negative_slope` for a setting without a short name."""
    short = one.setting.short
    return f"--{short.replace('_', '-')}" if short else f"--set {one.path}"


def _setting(typed: Typed, faults: Faults) -> Declared | None:
    known = by_name()
    if typed.name in known:
        return known[typed.name]
    meant = nearest(typed.name, known) or nearest(typed.name.rpartition(".")[2], known)
    faults.add(f"{typed.option}: expected the name of a setting, found {typed.name!r}{did_you_mean(meant)}")
    return None


def _read(one: Declared, text: str) -> Any:
    """`1e-4,1e-3` → [1e-4, 1e-3]; `1e-5..0.1` is a distribution; words stand without quotes, of a list too; a value
    that is a list stands in brackets where there are several: `[0.9,0.99],[0.9,0.999]`."""
    if between := _BETWEEN.fullmatch(text):
        return {"low": _scalar(between[1]), "high": _scalar(between[2])}
    try:
        values = tomllib.loads(f"values = [{text}]")["values"]
    except tomllib.TOMLDecodeError:
        values = _lists(text) or [_scalar(part.strip()) for part in text.split(",") if part.strip()]
    if is_tuple(one) and len(values) == 1 and not isinstance(values[0], list):
        return values[0]
    return values


def _lists(text: str) -> list[Any] | None:
    """`none, [flips, contrast]`: words without quotes, where some stand in brackets."""
    if "[" not in text:
        return None
    try:
        values: list[Any] = tomllib.loads(f"values = [{_WORD.sub(_QUOTED, text)}]")["values"]
    except tomllib.TOMLDecodeError:
        return None
    return values


def _scalar(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        pass
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _faults(typed: Typed, error: ValidationError) -> list[str]:
    faults = []
    for each in untagged(error):
        place = [part for part in each["loc"] if isinstance(part, int)]
        which = f" (value {place[0] + 1})" if place and "," in (typed.text or "") else ""
        told = "nothing" if each["type"] == "empty" else each.get("ctx", {}).get("found") or shown(each["input"])
        faults.append(f"{typed.option}{which}: expected {expected_of(each)}, found {told}")
    return faults
