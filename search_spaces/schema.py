"""What a study's file may say: the keys, their types and ranges. Tables of settings are made from their declarations.

Checks that need more than one key are in `checks`; how faults are worded is in `faults`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, create_model

from search_spaces.faults import alternatives, shown
from search_spaces.limits import Limits, read_limits
from search_spaces.presets import PRESETS, Strategy
from search_spaces.proposers import PROPOSERS
from search_spaces.settings.data import TASKS
from search_spaces.settings.image import Channel, Spread, for_each_channel
from search_spaces.settings.numbers import Count, Rate, Share
from search_spaces.synthetic import SYNTHETIC
from search_spaces.tables import Table, different, fault, part_fields, short_fields

Policy = Literal["stratified", "psp", "ifp", "ifpo"]

BACKBONE_PATTERN = r"^((timm|torchvision|own):)?[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$"


def _supported_task(value: Any) -> Any:
    if value not in TASKS.names:
        actual = f'"{value}", which is not supported' if isinstance(value, str) else shown(value)
        raise fault(f"{alternatives(TASKS.names)} (one label per image)", actual)
    return value


def _known_strategy(value: Any) -> Any:
    if value not in tuple(PRESETS):
        raise fault(alternatives(tuple(PRESETS)), shown(value))
    return value


def _known_proposer(value: Any) -> Any:
    if value not in PROPOSERS.names:
        raise fault(alternatives(PROPOSERS.names), shown(value))
    return value


def _limits(value: Any) -> Any:
    """`60` configurations, or `"2gpuh"`, hours of training."""
    if isinstance(value, Limits | None):
        return value
    try:
        return read_limits(value)
    except ValueError as error:
        raise fault(str(error), shown(value)) from error


def _known_kind(value: Any) -> Any:
    if value not in SYNTHETIC.names:
        raise fault(alternatives(SYNTHETIC.names), shown(value))
    return value


def _three_shares(targets: tuple[float, float, float]) -> tuple[float, float, float]:
    if abs(sum(targets) - 1) > 1e-6:
        raise fault("shares of train, valid and test that sum to 1", f"a sum of {sum(targets):g}")
    if targets[0] < max(targets[1:]):
        raise fault("the largest share for train, which comes first", f"[{', '.join(f'{part:g}' for part in targets)}]")
    return targets


def _named(value: Any) -> Any:
    """What has no settings of its own may be given by its name alone."""
    return {"name": value} if isinstance(value, str) else value


Channels = Annotated[tuple[Channel, Channel, Channel], BeforeValidator(for_each_channel)]
Label = Annotated[str, Field(min_length=1, max_length=200)]
Known = Annotated[Strategy, BeforeValidator(_known_strategy)]


class Partition(Table):
    policy: Policy = "stratified"
    targets: Annotated[tuple[Share, Share, Share], AfterValidator(_three_shares)] = (0.70, 0.15, 0.15)
    """Shares of the images wanted in train, valid and test."""
    seed: Annotated[int, Strict(), Field(ge=0, lt=2**63)] | None = None
    """None: the study's own seed."""


class Work(Table):
    """How much is trained, and the pairs where not every combination is tried."""

    pairs: Annotated[tuple[tuple[Rate, Count], ...], AfterValidator(different)] | None = None
    """(lr, batch size); it takes the place of `lr` and `batch_size`."""
    epochs: Count | None = None
    repeats: Count | None = None


if TYPE_CHECKING:

    class Grid(Work):
        """What is tried. A key left out is taken from the wider table: strategy of a backbone, backbone, strategy,
        grid. Beside the fields of `Work` it has a table for each part, and each setting that has a short name by that.
        """
else:
    Grid = create_model("Grid", __base__=Work, **part_fields(), **short_fields())


class Stage(Grid):
    """One of several trainings in a row: a strategy with a grid of its own, which stands above every other table."""

    name: Annotated[str, Field(min_length=1, max_length=60)]
    strategy: Known
    backbones: Annotated[tuple[str, ...], AfterValidator(different)] | None = None
    """Of the file, those that take this stage; None: all. The others go on from the last stage that they took."""
    small: Grid | None = None
    """What differs on synthetic data, unless everything is asked for."""


class ByStrategy(Table):
    """Base of tables that hold one for each strategy, under its name; `with_grids` adds these."""

    @property
    def grids(self) -> dict[Strategy, Grid]:
        """Those that are given, in the order of the presets."""
        return {strategy: grid for strategy in PRESETS if (grid := getattr(self, strategy)) is not None}


Holder = TypeVar("Holder", bound=ByStrategy)


def with_grids(table: type[Holder]) -> type[Holder]:
    """The same with a table for each strategy, after its own fields."""
    grids: dict[str, Any] = dict.fromkeys(PRESETS, (Grid | None, None))
    return create_model(table.__name__, __base__=table, **grids)


@with_grids
class Backbone(ByStrategy):
    """One backbone of the study's file, with what differs for it."""

    name: Annotated[str, Field(pattern=BACKBONE_PATTERN)]
    strategies: Annotated[tuple[Known, ...], AfterValidator(different)] | None = None
    """None: all strategies of the study."""
    weights: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """"hub", "none" or a file, in the place of --weights."""
    weights_key: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """Of what is taken of the file, in the place of --weights-key."""
    mean: Channels | None = None
    """That the weights expect, by channel or one number for all, on a 0–1 scale; like `std`."""
    std: Annotated[tuple[Spread, Spread, Spread], BeforeValidator(for_each_channel)] | None = None
    grid: Grid = Grid()


@with_grids
class Small(ByStrategy):
    """What is tried on synthetic data unless everything is asked for; stands above every other table."""

    crops: Annotated[int, Strict(), Field(ge=1, le=64)] | None = None


@with_grids
class Study(ByStrategy):
    """What a file says of its study as a whole and of each strategy."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}[A-Za-z0-9_-]$|^[A-Za-z0-9]$")]
    title: str = ""
    description: str = ""
    task: Annotated[str | None, BeforeValidator(_supported_task)] = None
    """None: two classes make a binary task, more a multi-class one."""
    classes: Annotated[tuple[Label, ...], Field(min_length=2), AfterValidator(different)] | None = None
    """None: those of the data."""
    class_names: dict[Label, Label] = Field(default_factory=dict)
    """What classes are called here, by what the data call them; those left out keep the name of the data."""
    positive: Label | None = None
    """Of a binary task; None: the last class."""
    partition: Partition = Partition()
    grid: Grid = Grid()
    """What holds for every strategy that does not say otherwise."""


class Rules(BaseModel):
    """How a search decides what to train next; beside the fields whatever settings its proposer takes, which it checks
    itself."""

    model_config = ConfigDict(frozen=True, extra="allow")

    proposer: Annotated[str, BeforeValidator(_known_proposer)] | None = None
    """None: the grid, or the adaptive one where there are settings of it."""
    budget: Annotated[Limits | None, BeforeValidator(_limits)] = None

    @property
    def settings(self) -> dict[str, Any]:
        """Of the proposer."""
        return dict(self.model_extra or {})

    def with_changes(self, proposer: str | None, settings: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Name and settings of the proposer, with what a command says in their place."""
        own = self.settings if proposer in (None, self.proposer or "adaptive") else {}
        merged = {**own, **settings}
        if merged.get("sampler") == "grid":
            del merged["sampler"]
        return proposer or self.proposer or ("adaptive" if merged else "grid"), merged


class StudyFile(Study):
    search: Rules = Rules()
    synthetic: Annotated[str, BeforeValidator(_known_kind)] = "neuroblastoma"
    """Kind of the images that are made where none are given."""
    small: Small | None = None
    stages: Annotated[tuple[Stage, ...], Field(max_length=20)] = ()
    """In their order; each but the first begins from what the one before selected."""
    backbones: tuple[Annotated[Backbone, BeforeValidator(_named)], ...] = ()
    """What `--all` runs."""

    @property
    def strategies(self) -> tuple[Strategy, ...]:
        """Those that the file has a table for; () when it has none and the default space decides."""
        return tuple(self.grids)

    @property
    def ordered_classes(self) -> tuple[str, ...] | None:
        """Classes by index: as in the file, for a binary task (negative, positive); None where the data decide."""
        return None if self.classes is None else with_positive_last(self.classes, self.positive)


if TYPE_CHECKING:

    class Space(StudyFile):
        """A whole study's file: beside the fields of `StudyFile` a table for each part."""
else:
    Space = create_model("Space", __base__=StudyFile, **part_fields())


def with_positive_last(classes: tuple[str, ...], positive: str | None) -> tuple[str, ...]:
    """Move the positive class, if there is one, to the end, where a binary task expects it."""
    if positive is None or positive not in classes:
        return classes
    return (*(name for name in classes if name != positive), positive)
