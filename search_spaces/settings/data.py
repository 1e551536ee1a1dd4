"""What is learned: the task and its classes, the images, the seed of all draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import AfterValidator, Field

from search_spaces.settings.choice import Registry, Variant
from search_spaces.settings.declaration import Part, Setting, Touch
from search_spaces.settings.selection import METRICS


@dataclass(frozen=True)
class TaskVariant(Variant):
    """What is predicted and how it is scored. `target` is a `trainables.learning.tasks.task.Task`.

    outputs: width of the last layer by the number of classes, as many where nothing is said. images: dotted path of a
    function that needs no torch: how many images statistics [..., *shape] count, [...]. metrics: names in
    `selection.METRICS`, "loss" first, then what else is counted, then what is measured. score: the one that stands
    beside the loss where there is room for one. has_confusion: whether its statistics are confusion counts [K, K],
    which what is told class by class is made of; else that is left out.
    """

    outputs: Callable[[int], int] = int
    images: str = ""
    metrics: tuple[str, ...] = ("loss",)
    score: str = "loss"
    has_confusion: bool = False

    @property
    def counted(self) -> tuple[str, ...]:
        """The metrics that follow from loss and statistics: every history has them."""
        return tuple(name for name in self.metrics if not METRICS.variants[name].is_measured)


_MULTICLASS = TaskVariant(
    "multiclass",
    "trainables.learning.tasks.classes:Multiclass",
    "One of several classes, with one output per class.",
    images="trainables.learning.tasks.confusion:images",
    metrics=(
        *("loss", "accuracy", "balanced_accuracy", "macro_f1"),
        *("class_precision", "class_recall", "class_f1", "macro_auc", "recall_at_precision"),
    ),
    score="balanced_accuracy",
    has_confusion=True,
)
_BINARY = replace(
    _MULTICLASS,
    name="binary",
    target="trainables.learning.tasks.classes:Binary",
    help="One of two classes, with a single output.",
    outputs=lambda classes: 1,
)
TASKS: Registry[TaskVariant] = Registry("data.task", (_BINARY, _MULTICLASS))


class Data(Part):
    """The study's; it is the same in all configurations of a search."""

    task: Annotated[
        str,
        AfterValidator(TASKS.known),
        Setting(
            "task",
            "What is predicted and how it is scored: binary or multi-class.",
            (Touch.STEP, Touch.SELECTION),
            from_file=False,
        ),
    ]
    classes: Annotated[
        tuple[str, ...],
        Setting(
            "classes",
            "Class names in index order; for a binary task (negative, positive).",
            (Touch.SAMPLES, Touch.STEP),
            from_file=False,
        ),
    ]
    content: Annotated[
        str, Setting("images", "Fingerprint of the training and validation images.", (Touch.SAMPLES,), from_file=False)
    ]
    seed: Annotated[
        int,
        Field(ge=0),
        Setting(
            "seed",
            "Seed of every random draw: initial weights, order of the images, dropout, views.",
            (Touch.SAMPLES, Touch.STEP),
            from_file=False,
        ),
    ]
