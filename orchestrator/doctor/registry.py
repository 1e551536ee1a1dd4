"""What is looked at, in the order in which it is told; a new check is a function and a line."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from orchestrator.doctor import folders, machine, network, versions
from orchestrator.doctor.told import Asked, Told


class Check(NamedTuple):
    name: str
    """Of what is looked at, for the reader and for programs."""
    look: Callable[[Asked], Told]


CHECKS: tuple[Check, ...] = (
    Check("processors", machine.processors),
    Check("GPUs", machine.gpus),
    Check("memory", machine.memory),
    Check("shared memory", machine.shared_memory),
    Check("limits", machine.limits),
    Check("studies", folders.studies),
    Check("cache", folders.cache),
    Check("temporary folder", folders.temporary),
    Check("home", folders.home_folder),
    Check("clock", folders.clock),
    Check("loopback", network.loopback),
    Check("proxies", network.proxies),
    Check("hub of timm", network.hub),
    Check("hub of torchvision", network.hub_of_torchvision),
    Check("Python", versions.python),
    Check("libraries", versions.libraries),
)
