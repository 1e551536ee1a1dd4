"""Metrics, and which epoch of a repeat counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, Strict

from search_spaces.settings.augmentation import AUGMENTATIONS
from search_spaces.settings.choice import Registry, Variant
from search_spaces.settings.declaration import Part, Setting, Touch, When


@dataclass(frozen=True)
class MetricVariant(Variant):
    """One metric. A name means one thing in every task that has it.

    target: a function of loss [...] and the statistics of the task int32 [..., *shape], float64 [...], that needs no
    torch. label: as a reader meets it. unit: of its values. is_loss: whether smaller is better. is_measured: whether
    it is no function of those: it has settings of its own, or needs the outputs. Its target is then one of a
    `trainables.learning.tasks.measured.Outputs`, asked whenever a split is scored of configurations that select by it,
    and of no others; their histories keep the values.
    """

    label: str = ""
    unit: str = ""
    is_loss: bool = False
    is_measured: bool = False


METRICS: Registry[MetricVariant] = Registry(
    "selection.metric",
    (
        MetricVariant(
            "loss",
            "trainables.learning.metrics:mean_loss",
            "Mean loss per image as the task defines it, whatever loss function is trained with.",
            label="loss",
            unit="nats",
            is_loss=True,
        ),
        MetricVariant(
            "accuracy",
            "trainables.learning.tasks.class_metrics:accuracy",
            "Share of images that are classified correctly.",
            label="accuracy",
        ),
        MetricVariant(
            "balanced_accuracy",
            "trainables.learning.tasks.class_metrics:balanced_accuracy",
            "Mean recall of the classes that occur.",
            label="balanced accuracy",
        ),
        MetricVariant(
            "macro_f1",
            "trainables.learning.tasks.class_metrics:macro_f1",
            "Unweighted mean of the F1 of all classes.",
            label="macro F1",
        ),
        MetricVariant(
            "class_precision",
            "trainables.learning.tasks.measured:class_precision",
            "Share of the images assigned to one class that belong to it; 0 if none is assigned.",
            ("of_class",),
            label="class precision",
            is_measured=True,
        ),
        MetricVariant(
            "class_recall",
            "trainables.learning.tasks.measured:class_recall",
            "Share of the images of one class that are assigned to it.",
            ("of_class",),
            label="class recall",
            is_measured=True,
        ),
        MetricVariant(
            "class_f1",
            "trainables.learning.tasks.measured:class_f1",
            "Harmonic mean of the precision and the recall of one class.",
            ("of_class",),
            label="class F1",
            is_measured=True,
        ),
        MetricVariant(
            "macro_auc",
            "trainables.learning.tasks.measured:macro_auc",
            "Mean area under the ROC curves of each class against the rest.",
            label="macro AUC",
            is_measured=True,
        ),
        MetricVariant(
            "recall_at_precision",
            "trainables.learning.tasks.measured:recall_at_precision",
            "Largest recall of one class at any threshold with a given precision; 0 if no threshold reaches it.",
            ("of_class", "precision"),
            label="recall at precision",
            is_measured=True,
        ),
    ),
)
"""Of all tasks; which of them a task has is said by its variant in `data.TASKS`."""

RuleName = Literal["valid", "worse_of_both"]
RULES: dict[RuleName, str] = {"valid": "valid", "worse_of_both": "the worse of train and valid"}
"""What each looks at, as a reader meets it."""
COMPARABLE = (
    When("balance.name", but=("class_weights",)),
    When(AUGMENTATIONS.path, but=tuple(name for name, one in AUGMENTATIONS.variants.items() if one.mixes)),
)
"""Where scores of the training split say the same as those of the validation split: what is scored is what is learned.

Class weights make another loss small than the unweighted one; what is mixed is learned from other targets.
"""


class Selection(Part):
    main = "metric"

    metric: Annotated[
        str,
        AfterValidator(METRICS.known),
        Setting(
            "selection",
            "Metric by which each repeat's epoch is selected and configurations are ranked.",
            (Touch.SELECTION,),
            short="selection",
        ),
    ] = "loss"
    of_class: Annotated[
        str,
        Strict(),
        Setting(
            "class of interest",
            "Class that a metric of one class is about; left out in a binary task: the positive class.",
            (Touch.SELECTION,),
            matters_when=METRICS.using("of_class"),
            neutral="",
        ),
    ] = ""
    precision: Annotated[
        float,
        Strict(),
        Field(gt=0, le=1, allow_inf_nan=False),
        Setting(
            "required precision",
            "Smallest precision of the thresholds at which recall_at_precision is read.",
            (Touch.SELECTION,),
            scale="linear",
            matters_when=METRICS.using("precision"),
            neutral=1.0,
        ),
    ] = 0.9
    rule: Annotated[
        RuleName,
        Setting(
            "selection rule",
            "Split whose score selects: valid, or in each epoch the worse of train and valid.",
            (Touch.SELECTION,),
            needs=COMPARABLE,
            neutral="valid",
        ),
    ] = "valid"

    @property
    def words(self) -> str:
        """The metric as a reader meets it, with what it is of: `class precision (hem)`."""
        one = METRICS.variants[self.metric]
        told = (getattr(self, name) for name in one.uses)
        asked = ", ".join(value if isinstance(value, str) else f"{value:g}" for value in told)
        return f"{one.label} ({asked})" if asked else one.label
