"""Who runs what, when, and where results go. `import orchestrator as orch; orch.open(…)` in notebooks."""

from typing import Any


def __getattr__(name: str) -> Any:
    """`orchestrator.open("studies/slides")` for notebooks; nothing is loaded before it is asked for."""
    if name == "open":
        from orchestrator.notebook import open_folder

        return open_folder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
