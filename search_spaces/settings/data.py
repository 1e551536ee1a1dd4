"""What is learned: the task and its classes, the images, the seed of all draws."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from search_spaces.settings.declaration import Part, Setting, Touch

Task = Literal["binary", "multiclass"]


class Data(Part):
    """The study's; it is the same in all configurations of a search."""

    task: Annotated[Task, Setting("task", "Two classes, or more.", (Touch.STEP, Touch.SELECTION), from_file=False)]
    classes: Annotated[
        tuple[str, ...],
        Setting(
            "classes",
            "Class names by index; a binary task has (negative, positive).",
            (Touch.SAMPLES, Touch.STEP),
            from_file=False,
        ),
    ]
    content: Annotated[
        str, Setting("images", "Fingerprint of the train and valid images.", (Touch.SAMPLES,), from_file=False)
    ]
    seed: Annotated[
        int,
        Field(ge=0),
        Setting(
            "seed",
            "Of every draw: initial weights, order, dropout, views.",
            (Touch.SAMPLES, Touch.STEP),
            from_file=False,
        ),
    ]
