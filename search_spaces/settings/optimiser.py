"""How weights are changed: the rule, its rates, and how many images a step sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator

from search_spaces.settings.choice import Registry, Variant
from search_spaces.settings.declaration import Part, Setting, Touch, When
from search_spaces.settings.head import WITH_STEPS
from search_spaces.settings.numbers import Amount, Count, Rate, Share

DecayOn = Literal["all", "weights"]


@dataclass(frozen=True)
class OptimiserVariant(Variant):
    """decay: what is done with weight decay, of one that takes it."""

    decay: str = ""


L2 = "added to the gradient (L2)"
DECOUPLED = "decoupled from the gradient"
OPTIMISERS = Registry(
    "optimiser.name",
    (
        OptimiserVariant(
            "sgd",
            "trainables.learning.optimisers.sgd:SGD",
            "SGD with momentum.",
            ("momentum", "weight_decay"),
            decay=L2,
        ),
        OptimiserVariant(
            "adam", "trainables.learning.optimisers.adam:Adam", "Adam.", ("betas", "weight_decay"), decay=L2
        ),
        OptimiserVariant(
            "adamw",
            "trainables.learning.optimisers.adam:AdamW",
            "Adam with decoupled weight decay.",
            ("betas", "weight_decay"),
            decay=DECOUPLED,
        ),
        OptimiserVariant(
            "lion",
            "trainables.learning.optimisers.lion:Lion",
            "Steps by the sign of a running mean; needs a learning rate about ten times smaller than AdamW's.",
            ("betas", "weight_decay"),
            {"betas": (0.9, 0.99)},
            DECOUPLED,
        ),
    ),
)


class Optimiser(Part):
    main = "name"

    name: Annotated[
        str,
        AfterValidator(OPTIMISERS.known),
        Setting(
            "optimiser",
            "How each step updates the weights.",
            (Touch.STEP,),
            short="optimiser",
            matters_when=WITH_STEPS,
            idle="sgd",
        ),
    ] = "sgd"
    lr: Annotated[
        Rate,
        Setting(
            "learning rate",
            "Size of the optimiser's steps; with a schedule, the largest.",
            (Touch.STEP,),
            stackable=True,
            scale="log",
            short="lr",
            matters_when=WITH_STEPS,
            idle=1.0,
        ),
    ]
    batch_size: Annotated[
        Count,
        Setting(
            "batch size",
            "Images in each training step.",
            (Touch.STEP,),
            scale="log",
            short="batch_size",
            unit="images",
            matters_when=WITH_STEPS,
            idle=1,
        ),
    ]
    momentum: Annotated[
        Share,
        Setting(
            "momentum",
            "Share of the previous step that is carried over into the next.",
            (Touch.STEP,),
            stackable=True,
            scale="linear",
            short="momentum",
            matters_when=OPTIMISERS.using("momentum"),
            neutral=0.0,
        ),
    ] = 0.9
    betas: Annotated[
        tuple[Share, Share],
        Setting(
            "betas",
            "Decay rates of the running means of the gradient and of its square.",
            (Touch.STEP,),
            matters_when=OPTIMISERS.using("betas"),
            neutral=(0.0, 0.0),
        ),
    ] = (0.9, 0.999)
    weight_decay: Annotated[
        Share,
        Setting(
            "weight decay",
            "How strongly each step pulls the weights towards 0; 0: not at all.",
            (Touch.STEP,),
            stackable=True,
            scale="log",
            short="weight_decay",
            matters_when=OPTIMISERS.using("weight_decay"),
            neutral=0.0,
        ),
    ] = 0.0
    decay_on: Annotated[
        DecayOn,
        Setting(
            "decayed parameters",
            "What weight decay applies to: everything trained, or weights only (no biases, no parameters of norms).",
            (Touch.STEP,),
            stackable=True,
            matters_when=When("optimiser.weight_decay", above=0),
            neutral="all",
        ),
    ] = "all"
    clip: Annotated[
        Amount,
        Setting(
            "gradient clipping",
            "Largest norm of a repeat's gradient, to which longer ones are scaled down; 0: no clipping.",
            (Touch.STEP,),
            scale="log",
            matters_when=WITH_STEPS,
            neutral=0.0,
        ),
    ] = 0.0
    average: Annotated[
        Share,
        Setting(
            "weight averaging",
            "Share of the running average (EMA) kept at each step; the average is what is scored and saved; 0: none.",
            (Touch.STEP,),
            scale="linear",
            matters_when=WITH_STEPS,
            neutral=0.0,
        ),
    ] = 0.0

    def rate(self, name: str, *, is_weight: bool) -> float:
        """A rate of one parameter, by the name of its setting; is_weight: it has two dimensions or more."""
        decays = is_weight or self.decay_on == "all"
        return float(getattr(self, name)) if decays or name != "weight_decay" else 0.0
