"""Options that several commands share, and the parsing of lists."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from orchestrator.store.errors import OrchError
from orchestrator.store.place import is_address

if TYPE_CHECKING:
    from orchestrator.search import RunOptions, SearchOptions
    from search_spaces.changes import Typed
    from search_spaces.settings.declaration import Declared

Command = TypeVar("Command", bound=Callable[..., Any])


class CommaList(click.ParamType[tuple[Any, ...]]):
    """`1e-3,1e-2` → (0.001, 0.01); every value that cannot be read is named."""

    name = "LIST"

    def __init__(self, kind: type[float] | type[int] | type[str]) -> None:
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in str(value).split(",") if part.strip()]
        wrong = [part for part in parts if not self._is_right(part)]
        if wrong or not parts:
            expected = {float: "numbers", int: "whole numbers", str: "names"}[self.kind]
            self.fail(f"expected {expected} separated by commas, found {', '.join(wrong) or 'nothing'}", param, ctx)
        return tuple(self.kind(part) for part in parts)

    def _is_right(self, part: str) -> bool:
        try:
            self.kind(part)
        except ValueError:
            return False
        return True


class SplitWords(click.ParamType[tuple[tuple[str, str], ...]]):
    """`train=tr,valid=va,test=te` → (("tr", "train"), …); a split may have several words: train=tr,train=tr2."""

    name = "WORDS"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[tuple[str, str], ...]:
        if isinstance(value, tuple):
            return value
        found: dict[str, str] = {}
        for part in str(value).split(","):
            split, _, word = (text.strip() for text in part.partition("="))
            word = word.casefold()
            if split not in ("train", "valid", "test") or not word or found.get(word, split) != split:
                self.fail(f"expected train=WORD,valid=WORD,test=WORD with different words, found {part!r}", param, ctx)
            found[word] = split
        return tuple(found.items())


class LocalPath(click.Path):
    """A path of this machine; an address is refused, which would otherwise become a folder of a strange name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, str) and is_address(value):
            self.fail("expected a path on this machine, found an address; only --studies takes one", param, ctx)
        return super().convert(value, param, ctx)


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


class Range(click.ParamType[Any]):
    """`0:4095`, two numbers, the smaller first."""

    name = "LOW:HIGH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from trainables.data.decode import Intensity

        try:
            found = value if isinstance(value, Intensity) else Intensity.parse(value)
        except ValueError:
            found = None
        if found is None:
            self.fail(f"expected LOW:HIGH, such as 0:4095, two numbers, the smaller first, found {value!r}", param, ctx)
        return found


def local_path(*, file_okay: bool = True, dir_okay: bool = True) -> LocalPath:
    """Type of options that name files or folders here: images, weights, cache, output."""
    return LocalPath(file_okay=file_okay, dir_okay=dir_okay, path_type=Path)


studies_option = click.option(
    "--studies",
    metavar="DIR|ADDRESS",
    help="Where all studies lie: a folder or s3://BUCKET/PREFIX (default: $ORCH_STUDIES, else ./studies).",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON to stdout.")


keep_gb_option = click.option(
    "--keep-gb",
    metavar="N",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="What states of repeats, from which they can be given more epochs, may take in the study.",
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
            help="The process ends within this time after SIGTERM or SIGINT.",
        ),
        click.option(
            "--cache-gb",
            metavar="N",
            type=click.FloatRange(min=0, min_open=True),
            help="What images and features in the cache may take; what no search uses is deleted, the oldest first.",
        ),
        keep_gb_option,
    ]
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


def complete_study(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Names of bundled studies and of those that are stored; of a store that does not answer there are none."""
    from orchestrator.study.studies import studies_in, studies_place
    from search_spaces.loader import bundled

    names = {*bundled()} - {"default"}
    with contextlib.suppress(OrchError):
        names.update(studies_in(studies_place(ctx.params.get("studies"))))
    return sorted(name for name in names if name.startswith(incomplete))


def complete_backbone(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Backbones of the study's file; any timm or torchvision name is accepted beside them."""
    from search_spaces.loader import bundled, load_space

    study = ctx.params.get("study") or ""
    if study not in bundled():
        return []
    names = [entry.name.partition(":")[2].partition(".")[0] for entry in load_space(study).backbones]
    return [name for name in names if name.startswith(incomplete)]


def complete_strategy(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Names of strategies, for the last of a list."""
    from search_spaces.presets import PRESETS

    before, comma, begun = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in PRESETS if name.startswith(begun)]


split_column_option = click.option(
    "--split-column", metavar="NAME|none", help="Column with a given partition; none: there is none."
)
split_words_option = click.option(
    "--split-words",
    metavar="SPLIT=WORD,…",
    type=SplitWords(),
    help="Words for the splits in cells or names of folders: train=train_set,valid=val_set,test=test_set.",
)
intensity_option = click.option(
    "--intensity",
    metavar="LOW:HIGH",
    type=Range(),
    help="Values that are black and white in images of more than 8 bits (default: by their bit depth).",
)


def how_to_read(data_root: str, of: str = "") -> list[Callable[[Command], Command]]:
    """Options that say how the images of --data are read.

    data_root: what is said of --data-root. of: stands before what is said of the others.
    """
    return [
        click.option("--group-by", metavar="RULE", help=f"{of}What a group is: parent, none, or a REGEX on the path."),
        click.option(
            "--join-groups",
            is_flag=True,
            help=f"{of}Groups that differ only in how they are written (P01, p1, 'P 1') are one.",
        ),
        click.option("--file-column", metavar="NAME", help=f"{of}Column of the table with the files."),
        click.option(
            "--label-column", metavar="NAME", help=f"{of}Column with the labels; A,B,C: a column of 0 and 1 each."
        ),
        click.option("--group-column", metavar="NAME", help=f"{of}Column with the groups (patients, slides)."),
        click.option(
            "--layout",
            metavar="LEVELS",
            help=f"{of}What the levels of folders mean: class, group/class, split/class, fold/class; - for nothing.",
        ),
        click.option("--data-root", metavar="DIR", type=local_path(), help=data_root),
    ]


def what_to_search(command: Command) -> Command:
    """Arguments and options that say what is asked; `search` and `plan` share them."""
    decorators = [
        click.argument("study", shell_complete=complete_study),
        click.argument("backbones", nargs=-1, shell_complete=complete_backbone),
        click.option("--all", "every_backbone", is_flag=True, help="All backbones of the study's file."),
        click.option(
            "--data",
            metavar="DIR|TABLE",
            type=local_path(),
            help="Class folders, or a CSV, TSV or Parquet table with file, label and group columns.",
        ),
        *how_to_read("Root of the table's paths."),
        split_column_option,
        split_words_option,
        click.option("--fold-column", metavar="NAME", help="Column with folds: they are the partitions, in turn."),
        click.option("--test-fold", metavar="NAME|none", help="The fold that is the test split."),
        intensity_option,
        click.option(
            "--max-refused",
            metavar="SHARE",
            type=click.FloatRange(0, 1),
            default=0.1,
            show_default=True,
            help="Share of images that may be refused before the search stops.",
        ),
        _strategy_option(),
        _proposer_option(),
        *_short_options(),
        click.option(
            "--set",
            "settings",
            metavar="PATH=VALUES",
            multiple=True,
            help="Any setting: optimiser.weight_decay=0,1e-4 (all of them: orch spaces settings).",
        ),
        click.option("--epochs", type=int, help="Epochs of every repeat."),
        click.option("--repeats", type=int, help="Repeats of every configuration."),
        click.option(
            "--partitions",
            type=click.IntRange(1, 100),
            help="Search on so many divisions into train and valid; the test split stays the same (default: every fold "
            "of the data, else 1).",
        ),
        click.option("--full", is_flag=True, help="The whole grid on synthetic data too."),
        click.option(
            "--seed", type=click.IntRange(min=0), help="Study seed (default: the study's own, 0 for a new one)."
        ),
        click.option("--weights", metavar="hub|none|FILE", help="Where the weights come from (default: hub)."),
        click.option(
            "--weights-key", metavar="KEY", help="Which network of a file of weights (default: averaged ones, EMA)."
        ),
        click.option(
            "--mean", type=CommaList(float), help="Mean that the weights expect, one number or R,G,B, on a 0–1 scale."
        ),
        click.option(
            "--std", type=CommaList(float), help="Standard deviation that the weights expect, one number or R,G,B."
        ),
        click.option(
            "--precision",
            type=click.Choice(["fp32", "bf16"]),
            help="Of the frozen part (default: the study's own, fp32 for a new one).",
        ),
        click.option(
            "--cache",
            metavar="DIR",
            type=local_path(),
            help="Folder of features (default: ~/.cache/orch).",
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
        "--strategy", type=CommaList(str), shell_complete=complete_strategy, help=f"What trains: {told}."
    )


def _proposer_option() -> Callable[[Command], Command]:
    from search_spaces.proposers import PROPOSERS

    told = ", ".join(f"{name} ({one.help})" for name, one in PROPOSERS.variants.items())
    return click.option(
        "--proposer", type=click.Choice(PROPOSERS.names), help=f"Who says what of the space to train next: {told}."
    )


def _short_options() -> list[Callable[[Command], Command]]:
    """An option for each setting that has a short name; what it takes and its range follow from the declaration."""
    from search_spaces.changes import option_of

    return [
        click.option(
            option_of(one), one.column, metavar="VALUES", help=f"{one.setting.label.capitalize()}: {one.setting.help}"
        )
        for one in with_short_names()
    ]


def with_short_names() -> list[Declared]:
    """The settings that have an option of their own; the backbone is an argument."""
    from search_spaces.tables import from_file

    return [one for one in from_file() if one.setting.short]


def _typed(given: Mapping[str, Any]) -> list[Typed]:
    """Settings as they were typed, by short name and by path."""
    from search_spaces.changes import Typed, option_of

    found = [
        Typed(option_of(one), one.path, given[one.column])
        for one in with_short_names()
        if given[one.column] is not None
    ]
    for text in given["settings"]:
        path, equals, values = text.partition("=")
        found.append(Typed(f"--set {path.strip()}", path.strip(), values if equals else None))
    return found


def run_options(address: str | None, grace: float, cache_gb: float | None, keep_gb: float) -> RunOptions:
    """What `while_it_runs` parsed."""
    from orchestrator.search import RunOptions

    return RunOptions(address, grace, None if cache_gb is None else cache_gb * 1e9, keep_gb * 1e9)


def search_options(command: str, **given: Any) -> SearchOptions:
    """`SearchOptions` from what `what_to_search` parsed; raises click.UsageError where options contradict."""
    from orchestrator.search import SearchOptions
    from orchestrator.study.asked import Given
    from orchestrator.study.preparation import DataRequest
    from orchestrator.study.studies import studies_place
    from search_spaces.changes import changes_of
    from trainables.data.options import DatasetOptions
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
    columns = (
        *("group_by", "join_groups", "file_column", "label_column", "group_column", "split_column", "fold_column"),
        *("layout", "test_fold", "data_root", "intensity"),
    )
    if given["data"] is None and any(given[name] not in (None, False) for name in (*columns, "split_words")):
        raise click.UsageError(
            "options about groups, splits, folders, columns, roots and values go with --data DIR or --data TABLE"
        )
    data = DatasetOptions(
        **{name: given[name] for name in columns},
        split_words=given["split_words"] or (),
        max_refused_share=given["max_refused"],
    )
    changes = changes_of(_typed(given), given["strategy"], given["epochs"], given["repeats"])
    return SearchOptions(
        study=given["study"],
        backbones=given["backbones"],
        studies=studies_place(given["studies"]),
        cache=given["cache"] or default_cache(),
        data=DataRequest(given["data"], data, given["partitions"]),
        changes=changes,
        every_backbone=given["every_backbone"],
        full=given["full"],
        seed=given["seed"],
        given=Given(given["weights"], given["mean"], given["std"], given["precision"], given["weights_key"]),
        proposer=given["proposer"],
        command=command,
    )
