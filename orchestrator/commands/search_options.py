"""Options of `orch search`, `orch resume` and `orch plan`, and what they say put together."""

from __future__ import annotations

import re
import socket
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.commands.data_options import data_to_search, dataset_options
from orchestrator.commands.options import (
    CommaList,
    Command,
    NumberOr,
    complete_backbone,
    complete_strategy,
    complete_study,
    local_path,
    studies_option,
    within,
)

if TYPE_CHECKING:
    from orchestrator.search import SearchOptions
    from orchestrator.train import RunOptions
    from search_spaces.changes import Typed
    from search_spaces.limits import Limits
    from search_spaces.settings.declaration import Declared, Setting


class RayAddress(click.ParamType[str]):
    """HOST:PORT where something answers: Ray itself would ask a silent address for more than ten minutes."""

    name = "HOST:PORT"
    within_s = 5.0

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        host, _, port = str(value).rpartition(":")
        if not host or "/" in host or not port.isdecimal():
            self.fail(f"expected HOST:PORT, such as 10.0.0.1:6379, found {value!r}", param, ctx)
        try:
            socket.create_connection((host.strip("[]"), int(port)), self.within_s).close()
        except (OSError, OverflowError, UnicodeError) as error:
            self.fail(
                f"nothing answers at {value} ({error}). Start Ray there (ray start --head --port={port}), correct the "
                "address, or leave --address out to run on this machine alone.",
                param,
                ctx,
            )
        return str(value)


class Budget(click.ParamType["Limits"]):
    """`60` or `2gpuh`."""

    name = "N|HOURSgpuh"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Limits:
        from search_spaces.limits import read_limits

        try:
            return read_limits(value)
        except ValueError as error:
            self.fail(f"expected {error}, found {value}", param, ctx)


class Duration(click.ParamType[float]):
    """`2h`, `90min`, `1h30min` → seconds."""

    name = "2h|90min"
    _FORM = re.compile(r"(?=.)(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?:in)?)?(?:(\d+(?:\.\d+)?)s)?")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = self._FORM.fullmatch(str(value))
        parts = zip(match.groups(), (3600, 60, 1), strict=True) if match else ()
        seconds = sum(float(part or 0) * unit for part, unit in parts)
        if not seconds > 0:
            self.fail(f"expected a time such as 2h, 90min or 1h30min, found {value}", param, ctx)
        return seconds


keep_gb_option = click.option(
    "--keep-gb",
    metavar="N",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="Space in the study for the final states of repeats, from which they can be trained further, in GB.",
)


def while_it_runs(command: Command) -> Command:
    """Options of what trains: `search` and `resume` share them."""
    decorators = [
        click.option("--address", metavar="HOST:PORT", type=RayAddress(), help="A running Ray cluster to join."),
        click.option(
            "--grace",
            metavar="SECONDS",
            type=click.FloatRange(min=1),
            default=30,
            show_default=True,
            help="End within this time after SIGTERM or SIGINT.",
        ),
        click.option(
            "--cache-gb",
            metavar="N",
            type=click.FloatRange(min=0, min_open=True),
            help="Space for images and features in the cache, in GB; what no search uses is deleted, the oldest first.",
        ),
        keep_gb_option,
        click.option(
            "--time",
            "time_s",
            metavar="2h|90min",
            type=Duration(),
            help="Train for this long, by the clock, then keep everything and stop; the same command continues.",
        ),
        click.option(
            "--nice",
            metavar="N",
            type=click.IntRange(0, 19),
            default=0,
            help="Lower the priority of the workers by this much, on a machine that others use (0 to 19).",
        ),
    ]
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


def what_to_search(command: Command) -> Command:
    """Arguments and options that say what is asked; `search` and `plan` share them."""
    decorators = [
        click.argument("study", shell_complete=complete_study),
        click.argument("backbones", nargs=-1, shell_complete=complete_backbone),
        click.option("--all", "every_backbone", is_flag=True, help="Search all backbones of the study's file."),
        *data_to_search(),
        _strategy_option(),
        _stages_option(),
        _sampler_option(),
        click.option(
            "--budget",
            metavar="N|HOURSgpuh",
            type=Budget(),
            help="At most this many sampled configurations (60), or hours of training (2gpuh) on GPUs, or on cores if "
            "there are no GPUs. A larger budget continues the same search.",
        ),
        click.option(
            "--start",
            metavar="FILE",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="Configurations that the sampler tries first: a TOML file, with a table [[start]] for each.",
        ),
        click.option(
            "--goal",
            metavar="hours|parameters|METRIC",
            help="Second objective of the sampler, beside the selection metric; orch best lists the Pareto front.",
        ),
        _proposer_option(),
        *_short_options(),
        click.option(
            "--set",
            "settings",
            metavar="PATH=VALUES",
            multiple=True,
            help="Values of any setting: optimiser.weight_decay=0,1e-4 (orch spaces settings lists all settings).",
        ),
        click.option(
            "--epochs",
            metavar="N|adaptive",
            type=NumberOr("adaptive"),
            help="Epochs of every repeat; adaptive: all configurations begin, and the better half goes on at each rung "
            "(successive halving).",
        ),
        click.option(
            "--repeats",
            metavar="N|screen|race",
            type=NumberOr("screen", "race"),
            help="Repeats of every configuration; screen: the best quarter goes on after five repeats; race: "
            "configurations that are shown to be worse than another stop after 8, 12 or 20.",
        ),
        click.option(
            "--margin",
            type=click.FloatRange(min=0, min_open=True),
            help="With --repeats race, in units of the ranking metric: a configuration that trails by less is not "
            "stopped, and the race ends once all that are left are shown to differ by less.",
        ),
        click.option(
            "--partitions",
            type=click.IntRange(1, 100),
            help="Number of divisions into train and valid to search on; the test split stays the same (default: every "
            "fold of the data, else 1).",
        ),
        click.option("--full", is_flag=True, help="Search the whole grid on synthetic data too."),
        click.option(
            "--seed", type=click.IntRange(min=0), help="Seed of the study (default: its own; 0 for a new study)."
        ),
        click.option(
            "--weights",
            metavar="hub|none|FILE",
            help="Pretrained weights: from the hub (default), none (random weights), or from a file.",
        ),
        click.option(
            "--weights-key",
            metavar="KEY",
            help="Which weights to take from a file that holds several (default: the averaged ones, EMA).",
        ),
        click.option(
            "--mean",
            type=CommaList(float),
            help="Image mean that the weights were trained with: one number or R,G,B, on a 0–1 scale.",
        ),
        click.option(
            "--std",
            type=CommaList(float),
            help="Image standard deviation that the weights were trained with: one number or R,G,B.",
        ),
        click.option(
            "--precision",
            type=click.Choice(["fp32", "bf16"]),
            help="Precision of the frozen layers (default: the study's own; fp32 for a new study).",
        ),
        click.option(
            "--cache",
            metavar="DIR",
            type=local_path(),
            help="Folder for cached features (default: ~/.cache/orch).",
        ),
        studies_option,
    ]
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


def _strategy_option() -> Callable[[Command], Command]:
    from search_spaces.presets import PRESETS

    told = ", ".join(f"{name} ({preset.help})" for name, preset in PRESETS.items())
    return click.option(
        "--strategy", type=CommaList(str), shell_complete=complete_strategy, help=f"What is trained: {told}."
    )


def _stages_option() -> Callable[[Command], Command]:
    from search_spaces.stages import HELP

    told = "; ".join(f"{name}: {words}" for name, words in HELP.items())
    return click.option(
        "--stages", metavar="NAME", help=f"Train in stages, each from what the one before selected. {told}."
    )


def _sampler_option() -> Callable[[Command], Command]:
    from search_spaces.proposers import SAMPLERS

    told = "; ".join(f"{name}: {within(one.help)}" for name, one in SAMPLERS.variants.items())
    return click.option(
        "--sampler", type=click.Choice(SAMPLERS.names), help=f"How configurations are chosen (default: grid). {told}."
    )


def _proposer_option() -> Callable[[Command], Command]:
    from search_spaces.proposers import PROPOSERS

    told = "; ".join(f"{name}: {within(one.help)}" for name, one in PROPOSERS.variants.items())
    return click.option(
        "--proposer", type=click.Choice(PROPOSERS.names), help=f"How the search decides what to train next. {told}."
    )


def _short_options() -> list[Callable[[Command], Command]]:
    """An option for each setting that has a short name; what it takes and its range follow from the declaration."""
    from search_spaces.changes import option_of

    return [
        click.option(option_of(one), one.column, metavar="VALUES", help=setting_help(one.setting))
        for one in with_short_names()
    ]


def setting_help(setting: Setting) -> str:
    """Its label and its help, or the help alone where that begins with the label."""
    if setting.help.casefold().startswith(setting.label.casefold()):
        return setting.help
    return f"{setting.label[:1].upper()}{setting.label[1:]}: {within(setting.help)}."


def with_short_names() -> list[Declared]:
    """The settings that have an option of their own; the backbone is an argument."""
    from search_spaces.tables import from_file

    return [one for one in from_file() if one.setting.short]


def _typed(given: Mapping[str, Any]) -> list[Typed]:
    """Settings as they were typed, by short name and by path."""
    from search_spaces.changes import Typed, option_of

    by_name = [
        Typed(option_of(one), one.path, given[one.column])
        for one in with_short_names()
        if given[one.column] is not None
    ]
    return [*by_name, *set_by_path(given["settings"])]


def set_by_path(settings: Iterable[str]) -> list[Typed]:
    """What --set gave: "optimiser.weight_decay=0,1e-4"."""
    from search_spaces.changes import Typed

    typed = []
    for text in settings:
        path, equals, values = text.partition("=")
        typed.append(Typed(f"--set {path.strip()}", path.strip(), values if equals else None))
    return typed


def run_options(
    address: str | None, grace: float, cache_gb: float | None, keep_gb: float, time_s: float | None, nice: int
) -> RunOptions:
    """What `while_it_runs` parsed; raises click.UsageError where options contradict."""
    from orchestrator.train import RunOptions

    if address and nice:
        raise click.UsageError("--nice: expected no --address beside it: a running cluster has its own priority")
    return RunOptions(address, grace, None if cache_gb is None else cache_gb * 1e9, keep_gb * 1e9, time_s, nice)


def search_options(command: str, **given: Any) -> SearchOptions:
    """`SearchOptions` from what `what_to_search` parsed; raises click.UsageError where options contradict."""
    from orchestrator.search import SearchOptions
    from orchestrator.study.asked import Given
    from orchestrator.study.preparation import DataRequest
    from orchestrator.study.studies import studies_place
    from search_spaces.changes import changes_of
    from trainables.machine.places import default_cache

    if not given["backbones"] and not given["every_backbone"]:
        raise click.UsageError("expected a BACKBONE or --all. Example: orch search neuroblastoma resnet18")
    for name in ("mean", "std"):
        if given[name] is not None and len(given[name]) == 1:
            given[name] *= 3
        if given[name] is not None and len(given[name]) != 3:
            raise click.UsageError(f"--{name}: expected one number or three, R,G,B, found {len(given[name])}")
    if given["std"] is not None and not min(given["std"]) > 0:
        raise click.UsageError(f"--std: expected numbers above 0, found {min(given['std']):g}")
    if given["stages"] and given["strategy"]:
        raise click.UsageError("--stages: expected no --strategy beside it, because each stage has its own; found both")
    rules = _rules(given)
    changes = changes_of(_typed(given), given["strategy"], _number(given["epochs"]), _most_repeats(given["repeats"]))
    return SearchOptions(
        study=given["study"],
        backbones=given["backbones"],
        studies=studies_place(given["studies"]),
        cache=given["cache"] or default_cache(),
        data=DataRequest(given["data"], dataset_options(given), given["partitions"]),
        changes=changes,
        every_backbone=given["every_backbone"],
        full=given["full"],
        seed=given["seed"],
        given=Given(given["weights"], given["mean"], given["std"], given["precision"], given["weights_key"]),
        proposer="adaptive" if {*rules} - {"sampler"} or rules.get("sampler", "grid") != "grid" else given["proposer"],
        rules=rules,
        budget=given["budget"],
        command=command,
        stages=given["stages"],
    )


def _rules(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the adaptive proposer that options stand for."""
    rules: dict[str, Any] = {"epochs": "halving"} if given["epochs"] == "adaptive" else {}
    if given["sampler"]:
        rules["sampler"] = given["sampler"]
    if given["goal"]:
        rules["goal"] = given["goal"]
    if given["start"]:
        rules["start"] = _start(given["start"])
    if isinstance(given["repeats"], str):
        rules["repeats"] = given["repeats"]
    if given["margin"] is not None:
        rules["margin"] = given["margin"]
    if rules and given["proposer"] not in (None, "adaptive"):
        raise click.UsageError(
            f"--proposer {given['proposer']}: expected adaptive, which --sampler, --goal, --start, --margin, --epochs "
            "adaptive and --repeats screen or race need"
        )
    return rules


def _start(path: Path) -> list[dict[str, Any]]:
    """Points that a file gives; which settings there are the proposer knows."""
    from orchestrator.store.errors import InputError
    from search_spaces.loader import text_of

    advice = "Write a table for each point: [[start]], then lr = 0.01 and so on."
    try:
        tables = tomllib.loads(text_of(path, "a file of points", advice))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{path}: expected TOML, found {str(error) or 'tables nested too deep'}", advice) from error
    points = tables.get("start")
    if tables.keys() != {"start"} or not isinstance(points, list) or not all(isinstance(one, dict) for one in points):
        raise InputError(f"{path}: expected tables [[start]] alone, found {', '.join(tables) or 'nothing'}", advice)
    return points


def _number(value: int | str | None) -> int | None:
    return value if isinstance(value, int) else None


def _most_repeats(value: int | str | None) -> int | None:
    """A race may use as many as its last look has."""
    from orchestrator.statistics.looks import LOOKS

    return LOOKS[-1].repeats if value == "race" else _number(value)
