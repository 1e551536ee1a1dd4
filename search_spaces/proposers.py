"""Who may say what of a space is trained next. One line each; the object is imported only where it runs."""

from __future__ import annotations

from search_spaces.settings.choice import Registry, Variant

PROPOSERS = Registry(
    "proposer",
    (
        Variant("grid", "orchestrator.proposing.grid:Grid", "Every repeat of every configuration, at once."),
        Variant(
            "adaptive",
            "orchestrator.proposing.adaptive:Adaptive",
            "Samples configurations and stops hopeless ones early.",
        ),
    ),
)
SAMPLERS = Registry(
    "sampler",
    (
        Variant("grid", "", "Every configuration."),
        Variant("random", "orchestrator.proposing.samplers:random", "Points spread evenly over the space (Sobol)."),
        Variant("tpe", "orchestrator.proposing.samplers:tpe", "Optuna's tree-structured Parzen estimator."),
        Variant("gp", "orchestrator.proposing.samplers:gp", "Optuna's Gaussian process, for up to six numbers."),
        Variant("auto", "", "gp where it applies, else tpe."),
    ),
)
AT_ONCE = frozenset({"grid"})
"""Those that ask for all of a search at once: what there is of it hangs on no result."""
