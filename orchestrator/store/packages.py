"""The four packages of the distribution: under which name they are installed, and whether they are all ours."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

DISTRIBUTION = "orch-search"
PACKAGES = ("orchestrator", "search_spaces", "trainables", "dashboards")


def all_ours() -> None:
    """ImportError with one sentence where another package of the same name hides one of ours. Loads none of them."""
    ours = Path(__file__).resolve().parents[2]
    for name in PACKAGES:
        spec = find_spec(name)
        places = list(spec.submodule_search_locations or ()) if spec else []
        if not places:
            raise ImportError(f"The package {name} is missing in {ours}: install {DISTRIBUTION} again.")
        there = Path(places[0])
        if there.resolve().parent != ours:
            raise ImportError(
                f"The package {name} is taken from {there}, expected {ours / name}: another package of that name "
                f"hides it; install {DISTRIBUTION} in an environment of its own (uv tool install {DISTRIBUTION}), "
                f"or remove {there.parent} from PYTHONPATH."
            )
