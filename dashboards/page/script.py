"""The page's script: see `joining` for how its modules become one."""

from __future__ import annotations

from dashboards.page import joining

MODULES = (
    "payload",
    "narrowing",
    "curves",
    "singles",
    "choices",
    "theme",
    "figure",
    "marks",
    "brush",
    "plot",
    "table",
    "charts",
    "download",
    "picking",
    "picked",
    "address",
    "edges",
    "seats",
    "paper",
    "page",
)
"""Each behind those from which it imports."""
SCRIPT = joining.script("dashboards.page", MODULES)
