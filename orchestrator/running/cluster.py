"""Ray around a search: starting a private one or joining a cluster, and ending with it."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import ray
from ray._private.authentication import authentication_token_setup

from orchestrator.running.lifeline import ends_with_ray, joined_ray, private_ray
from orchestrator.running.ray_folder import ray_folder
from orchestrator.running.ray_start import join, start
from trainables.machine import allocation
from trainables.machine.home import can_write, home

_ENVIRONMENT = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_enable_metrics_collection": "0",
    "RAY_worker_register_timeout_seconds": "300",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}
"""Ray's settings where the user has none: quiet, patient with helpers and workers that begin on a busy machine, and
nothing of Tune's own kept. Its token stays on by default."""

NICENESS = "RAY_worker_niceness"
"""Ray's setting, whose name is written so."""
LEAST_OBJECT_STORE = 80 * allocation.MEBIBYTE
"""Ray's own limit is 75 MiB. Features are files, so that only small things go through its store."""
OBJECT_STORE_SHARE = 0.1


@contextmanager
def cluster(address: str | None, tell: Callable[[str], None], nice: int = 0) -> Iterator[None]:
    """A private Ray on loopback without its dashboard, or the cluster at `address`; left again afterwards.

    tell: called with a message for the user when the start takes long. nice: how much lower than this process's the
    priority of a private Ray's workers is (0 to 19); Ray's own default of 15 has them starve on a machine that others
    use, and every estimate of time wrong.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # what failed is told by the study
    ray._private.worker._worker_logs_enabled = False  # what the cluster tells all its drivers of nodes and workers
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
    if address:
        options["address"] = address
        # as `ray start` does: a cluster that was begun where a token lies asks for it
        authentication_token_setup.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
        join(options)
    else:
        # Ray puts the machine's own address in the place of loopback, and listens to all, where clusters are possible
        ray._private.ray_constants.ENABLE_RAY_CLUSTER = False
        # "local" says so even where the environment or a stray file names somebody's running cluster
        options |= {"address": "local", "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        # Ray counts the machine's cores and memory, also where a batch system gave this process only a part of them
        options["num_cpus"] = allocation.cpus()
        os.environ[NICENESS] = str(nice)
        options |= _object_store()
        if not can_write(home()):  # where Ray would keep a token for all clusters; this one has its own
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(16))
    with contextlib.nullcontext() if address else ray_folder(tell) as folder:
        if folder is not None:
            options["_temp_dir"] = folder
        if not address:
            start(options, tell)
        try:
            with ends_with_ray(joined_ray() if address else private_ray()):
                yield
        finally:
            ray.shutdown()


def _object_store() -> dict[str, int]:
    """The size of Ray's store, where its own choice would not fit into what this process may use or into `/dev/shm`.
    What does not fit there lies in Ray's folder, which is slower."""
    memory, there = allocation.memory_bytes(), psutil.virtual_memory().total
    shared = allocation.shared_memory_bytes()
    if memory == there and shared >= OBJECT_STORE_SHARE * memory:
        return {}
    return {"object_store_memory": max(LEAST_OBJECT_STORE, int(min(OBJECT_STORE_SHARE * memory, 0.9 * shared)))}
