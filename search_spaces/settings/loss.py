"""What a step makes smaller. Scores and selection look at cross entropy and counts, whatever is trained by."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from search_spaces.settings.choice import Registry, Variant
from search_spaces.settings.declaration import Part, Setting, Touch
from search_spaces.settings.head import WITH_STEPS
from search_spaces.settings.numbers import Amount, Share

LOSSES = Registry(
    "loss.name",
    (
        Variant("cross_entropy", "trainables.learning.losses.cross_entropy:CrossEntropy", "Cross entropy."),
        Variant(
            "smoothed",
            "trainables.learning.losses.smoothed:Smoothed",
            "Cross entropy with smoothed targets: a share of each goes to all classes equally.",
            ("smoothing",),
        ),
        Variant(
            "focal",
            "trainables.learning.losses.focal:Focal",
            "Cross entropy in which images that are classified well count less.",
            ("gamma",),
        ),
        Variant(
            "logit_adjusted",
            "trainables.learning.losses.logit_adjusted:LogitAdjusted",
            "Cross entropy of logits adjusted by each class's share of the training images.",
            ("tau",),
        ),
    ),
)


class Loss(Part):
    main = "name"

    name: Annotated[
        str,
        AfterValidator(LOSSES.known),
        Setting(
            "loss function",
            "What training minimises; scores use cross entropy and counts whichever it is.",
            (Touch.STEP,),
            matters_when=WITH_STEPS,
            neutral="cross_entropy",
        ),
    ] = "cross_entropy"
    smoothing: Annotated[
        Share,
        Setting(
            "label smoothing",
            "Share of each target that is spread equally over all classes.",
            (Touch.STEP,),
            scale="linear",
            matters_when=LOSSES.using("smoothing"),
            neutral=0.0,
        ),
    ] = 0.1
    gamma: Annotated[
        Amount,
        Setting(
            "focusing",
            "γ of the focal loss: the larger, the less well-classified images count; 0 is cross entropy.",
            (Touch.STEP,),
            scale="linear",
            matters_when=LOSSES.using("gamma"),
            neutral=0.0,
        ),
    ] = 2.0
    tau: Annotated[
        Amount,
        Setting(
            "logit adjustment",
            "τ: how many times the logarithm of a class's share is added to its logit; 1 is balanced softmax.",
            (Touch.STEP,),
            scale="linear",
            matters_when=LOSSES.using("tau"),
            neutral=0.0,
        ),
    ] = 1.0
