"""Checks of what is installed."""

from __future__ import annotations

import importlib
import platform
import sys

from orchestrator.doctor.told import Asked, Told, fault, ok
from orchestrator.store.errors import first_line
from orchestrator.study.studies import RECORDED_PACKAGES, versions

LEAST_PYTHON = (3, 11)
_MODULES = {"pillow": "PIL", "scikit-learn": "sklearn"}
"""Packages that are imported by another name."""


def python(_: Asked) -> Told:
    version = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info < LEAST_PYTHON:
        return fault(version, f"Install Python {'.'.join(map(str, LEAST_PYTHON))} or later, and orch with it.")
    return ok(version)


def libraries(_: Asked) -> Told:
    """Each is imported: one that is installed may still lack a library of the system."""
    broken = {}
    for package in RECORDED_PACKAGES:
        try:
            importlib.import_module(_MODULES.get(package, package))
        except Exception as error:  # whatever a broken library raises
            broken[package] = first_line(error)
    if broken:
        told = "; ".join(f"{package}: {why}" for package, why in broken.items())
        return fault(told, "Install orch and what it needs again, in an environment of its own.")
    return ok(", ".join(f"{package} {number}" for package, number in versions().items() if package != "python"))
