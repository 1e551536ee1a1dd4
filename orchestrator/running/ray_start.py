"""The start of a Ray on a machine that may be busy: it is waited for, within limits, and the user told why."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import ray

from orchestrator.results.amounts import duration
from orchestrator.running.ray_faults import lasting_fault
from orchestrator.store.errors import InputError, OrchError

TRIES = 3
PATIENCE_S = 600.0
"""How long a start is tried again while the machine is busy."""
QUICK_S = 10.0
"""A start that fails within this time has another reason than a busy machine."""
HELPER_PATIENCE_S = 300.0
"""How long Ray waits for the process of its dashboard, in the place of 60."""
NOT_USED = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port")
"""Ports of Ray's dashboard agent, which nobody asks here."""
PORTS = range(20_000, 32_000)
"""Below those that the system gives out by itself."""


def start(options: dict[str, Any], tell: Callable[[str], None]) -> None:
    """Start a private Ray with these options of ray.init; raises OrchError when it cannot be.

    What no other try would mend is told at once, see `lasting_fault`. A machine with more to do than it has cores is
    waited for until PATIENCE_S have passed, and `tell` says so; else TRIES must do.
    """
    began = time.monotonic()
    tried = unexplained = 0
    while True:
        begun = time.monotonic()
        with _patient_with_helpers():
            error = _try_to(options)
        if error is None:
            return
        if fault := lasting_fault(error):
            raise fault from error
        took, left = time.monotonic() - begun, began + PATIENCE_S - time.monotonic()
        load, cores = os.getloadavg()[0], os.cpu_count() or 1
        is_busy = load > cores and took >= QUICK_S
        tried += 1
        unexplained += not is_busy
        if unexplained >= TRIES or left <= 0:
            raise OrchError(
                f"Ray could not be started, {tried} times in {PATIENCE_S - left:.0f} s: {error}",
                "The machine may be too busy, or something may be missing: orch doctor says what. "
                "Run the same command again later.",
            ) from error
        if is_busy:
            tell(
                f"Ray did not start within {took:.0f} s: this machine is busy (load {load:.0f} on {cores} cores); "
                f"trying again, for {duration(left)} at most."
            )


def join(options: dict[str, Any]) -> None:
    """Join the cluster at options["address"]; raises InputError when that fails."""
    error = _try_to(options)
    if error is not None:
        raise InputError(
            f"Ray could not join {options['address']}: {error}",
            "Check the address and RAY_AUTH_MODE=token, or leave --address out to run on this machine alone.",
        ) from error


def _try_to(options: dict[str, Any]) -> Exception | None:
    """One try; what kept it from succeeding, nothing of it is left then."""
    before = set(psutil.Process().children(recursive=True))
    try:
        ray.init(**options)
    except Exception as error:  # whatever Ray raises, the user needs one message
        ray.shutdown()
        for process in set(psutil.Process().children(recursive=True)) - before:  # Ray forgets those
            with contextlib.suppress(psutil.Error):
                process.kill()
        return error
    return None


@contextmanager
def _patient_with_helpers() -> Iterator[None]:
    """A raylet waits 15 s for every port that a helper process chooses, which no setting changes, and dies of it.

    Importing Ray alone takes a helper as long at a load of 16 on 2 cores. A port that was given before is not waited
    for, nor one that is said to be out of use (-1), as it is where the agent's packages are missing.
    """
    inner: Any = ray
    private, persist = inner._private, inner._raylet.persist_port
    begin, patience = private.node.Node.start_raylet, private.ray_constants.RAY_DASHBOARD_STARTUP_TIMEOUT_S

    def begin_with_ports(node: Any, *given: Any, **named: Any) -> None:
        for name in NOT_USED:
            persist(node._session_dir, node._node_id, name, -1)
        node._ray_params.runtime_env_agent_port = _free_port()
        begin(node, *given, **named)

    private.node.Node.start_raylet = begin_with_ports
    private.ray_constants.RAY_DASHBOARD_STARTUP_TIMEOUT_S = HELPER_PATIENCE_S
    try:
        yield
    finally:
        private.node.Node.start_raylet = begin
        private.ray_constants.RAY_DASHBOARD_STARTUP_TIMEOUT_S = patience


def _free_port() -> int:
    """One that nobody listens to on loopback; drawn, so that two searches that begin together take two."""
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError(f"no port from {PORTS.start} to {PORTS.stop} is free")
