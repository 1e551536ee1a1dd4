"""What a study's file may say: the keys, their types and ranges, and what holds where a key is left out.

Checks that need more than one key are in `checks`; how faults are worded is in `faults`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict
from pydantic_core import PydanticCustomError

from orchestrator.store.schema import Metric, Strategy

Task = Literal["binary", "multiclass"]
Balance = Literal["none", "ngca", "class_weights", "subsample"]
OptimiserName = Literal["sgd", "adam", "adamw"]
Interpolation = Literal["bilinear", "bicubic", "lanczos"]
Standardisation = Literal["weights", "train"]
Policy = Literal["stratified", "psp", "ifp", "ifpo"]

STRATEGIES: tuple[Strategy, ...] = ("straightforward", "extension", "unfreezing")
TASKS: tuple[Task, ...] = ("binary", "multiclass")
BACKBONE_PATTERN = r"^((timm|torchvision):)?[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$"


def fault(expected: str, found: str, kind: Literal["fault", "empty"] = "fault") -> PydanticCustomError:
    """A fault of one value, in the words that the user reads."""
    context: dict[str, Any] = {"expected": expected, "found": found}
    return PydanticCustomError(kind, "expected {expected}, found {found}", context)


def _several(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Refuse an empty list and one that says the same thing twice; keep the file's order."""
    if not values:
        raise fault("at least one value", "an empty list", "empty")
    twice = [value for index, value in enumerate(values) if value in values[:index]]
    if twice:
        raise fault("different values", f"{_shown(twice[0])} more than once")
    return values


def _shown(value: Any) -> str:
    return f"[{', '.join(f'{part:g}' for part in value)}]" if isinstance(value, tuple) else f"{value!r}"


def _supported_task(value: Any) -> Any:
    if isinstance(value, str) and value not in TASKS:
        raise fault('"binary" or "multiclass" (one label per image)', f'"{value}", which is not supported')
    return value


def _three_shares(targets: tuple[float, float, float]) -> tuple[float, float, float]:
    if abs(sum(targets) - 1) > 1e-6:
        raise fault("shares of train, valid and test that sum to 1", f"a sum of {sum(targets):g}")
    if targets[0] < max(targets[1:]):
        raise fault("the largest share for train, which comes first", _shown(targets))
    return targets


def _named(value: Any) -> Any:
    """A backbone without settings of its own may be given by its name alone."""
    return {"name": value} if isinstance(value, str) else value


Rate = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Strict(), Field(ge=0, lt=1, allow_inf_nan=False)]
Positive = Annotated[int, Strict(), Field(ge=1, le=1_000_000)]
Depth = Annotated[int, Strict(), Field(ge=0, le=1_000)]
Rates = Annotated[tuple[Rate, ...], AfterValidator(_several)]
Batches = Annotated[tuple[Positive, ...], AfterValidator(_several)]
Depths = Annotated[tuple[Depth, ...], AfterValidator(_several)]
Pairs = Annotated[tuple[tuple[Rate, Positive], ...], AfterValidator(_several)]
Label = Annotated[str, Field(min_length=1, max_length=200)]


class Part(BaseModel):
    """Base of every table of a study's file: immutable, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Partition(Part):
    policy: Policy = "stratified"
    targets: Annotated[tuple[Share, Share, Share], AfterValidator(_three_shares)] = (0.70, 0.15, 0.15)
    """Shares of the images wanted in train, valid and test."""
    seed: Annotated[int, Strict(), Field(ge=0, lt=2**63)] | None = None
    """None: the study's own seed."""


class Image(Part):
    standardisation: Standardisation = "weights"
    interpolation: Interpolation | None = None
    """None: the one that the weights were trained with."""
    store_size: Annotated[int, Strict(), Field(ge=8, le=4096)] | None = None
    """Side in pixels of the stored square that crops are cut from; None: the backbone's input size, no crops."""
    crops: Annotated[int, Strict(), Field(ge=1, le=64)] = 1
    """How many numbered crop positions there are; number 0 is the centre."""
    views: Annotated[int, Strict(), Field(ge=1, le=8)] = 1
    """Symmetries per training image, where `balance` does not decide it."""


class Optimiser(Part):
    name: OptimiserName = "sgd"
    momentum: Share = 0.9
    """Of SGD."""
    betas: tuple[Share, Share] = (0.9, 0.999)
    """Of Adam and AdamW."""
    weight_decay: Share = 0.0


class Head(Part):
    """Each non-linearity is a layer of half the width, a LeakyReLU of this slope and this dropout."""

    negative_slope: Share = 0.2
    dropout: Share = 0.5


class Grid(Part):
    """What is tried. A key left out is taken from the wider table: strategy of a backbone, backbone, strategy, grid.

    `pairs` lists (lr, batch size) where not every combination is tried; it takes the place of `lr` and `batch_size`.
    """

    lr: Rates | None = None
    batch_size: Batches | None = None
    pairs: Pairs | None = None
    epochs: Positive | None = None
    repeats: Positive | None = None
    optimiser: Optimiser | None = None
    head: Head | None = None
    balance: Balance | None = None
    selection: Metric | None = None


class ExtensionGrid(Grid):
    non_linearities: Depths | None = None


class UnfreezingGrid(Grid):
    unfrozen: Depths | None = None
    """Weight layers counted back from the output, the new head not counted."""
    non_linearities: Depths | None = None
    """Of the head above them; none unless the file says so."""


class Backbone(Part):
    """One backbone of the study's file, with what differs for it."""

    name: Annotated[str, Field(pattern=BACKBONE_PATTERN)]
    strategies: Annotated[tuple[Strategy, ...], AfterValidator(_several)] | None = None
    """None: all strategies of the study."""
    grid: Grid = Grid()
    straightforward: Grid | None = None
    extension: ExtensionGrid | None = None
    unfreezing: UnfreezingGrid | None = None


class Small(Part):
    """What is tried on synthetic data unless everything is asked for; stands above every other table."""

    crops: Annotated[int, Strict(), Field(ge=1, le=64)] | None = None
    straightforward: Grid | None = None
    extension: ExtensionGrid | None = None
    unfreezing: UnfreezingGrid | None = None


class Space(Part):
    """A whole study's file."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}[A-Za-z0-9_-]$|^[A-Za-z0-9]$")]
    title: str = ""
    description: str = ""
    task: Annotated[Task | None, BeforeValidator(_supported_task)] = None
    """None: two classes make a binary task, more a multi-class one."""
    classes: Annotated[tuple[Label, ...], Field(min_length=2), AfterValidator(_several)] | None = None
    """None: those of the data."""
    positive: Label | None = None
    """Of a binary task; None: the last class."""
    balance: Balance = "none"
    score_augmented: Annotated[bool, Strict()] = False
    """Also score the balanced views of the validation split, as an extra column."""
    selection: Metric = "loss"
    """The one metric that picks each repeat's epoch and ranks the configurations."""
    partition: Partition = Partition()
    image: Image = Image()
    optimiser: Optimiser = Optimiser()
    head: Head = Head()
    grid: Grid = Grid()
    """What holds for every strategy that does not say otherwise."""
    straightforward: Grid | None = None
    extension: ExtensionGrid | None = None
    unfreezing: UnfreezingGrid | None = None
    small: Small | None = None
    backbones: tuple[Annotated[Backbone, BeforeValidator(_named)], ...] = ()
    """What `--all` runs."""

    @property
    def strategies(self) -> tuple[Strategy, ...]:
        """Those that the file has a table for; () when it has none and the default space decides."""
        return tuple(strategy for strategy in STRATEGIES if getattr(self, strategy) is not None)

    @property
    def ordered_classes(self) -> tuple[str, ...] | None:
        """Classes by index: as in the file, for a binary task (negative, positive); None where the data decide."""
        return None if self.classes is None else with_positive_last(self.classes, self.positive)


def with_positive_last(classes: tuple[str, ...], positive: str | None) -> tuple[str, ...]:
    """Move the positive class, if there is one, to the end, where a binary task expects it."""
    if positive is None or positive not in classes:
        return classes
    return (*(name for name in classes if name != positive), positive)
