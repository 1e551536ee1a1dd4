"""Who may say what of a space is trained next. One line each; the object is imported only where it runs."""

from __future__ import annotations

from search_spaces.settings.choice import Registry, Variant

PROPOSERS = Registry(
    "proposer",
    (
        Variant("grid", "orchestrator.proposing.grid:Grid", "Every configuration, every repeat, at once."),
        Variant("adaptive", "orchestrator.proposing.adaptive:Adaptive", "Stops what is hopeless, and says why."),
    ),
)
