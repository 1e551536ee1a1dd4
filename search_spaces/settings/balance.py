"""What is done about classes of unequal size."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict

from search_spaces.settings.declaration import Part, Setting, Touch, When

BalanceName = Literal["none", "ngca", "class_weights", "subsample", "count"]


class Balance(Part):
    main = "name"

    name: Annotated[
        BalanceName,
        Setting(
            "balance",
            "What is done about class imbalance: more views of small classes, class weights, or undersampling.",
            (Touch.SAMPLES, Touch.STEP),
            short="balance",
            neutral="none",
        ),
    ] = "none"
    count: Annotated[
        int,
        Strict(),
        Field(ge=1, le=1_000_000),
        Setting(
            "images per class",
            "Training images per class: larger classes are undersampled, smaller ones enlarged by flips and rotations.",
            (Touch.SAMPLES,),
            scale="log",
            matters_when=When("balance.name", among=("count",)),
            neutral=1,
        ),
    ] = 1000
    score_augmented: Annotated[
        bool,
        Strict(),
        Setting(
            "augmented scores",
            "Whether the balanced views of the validation split are scored too, in a column of their own.",
            (Touch.SAMPLES,),
            matters_when=When("balance.name", among=("ngca",)),
            neutral=False,
        ),
    ] = False
