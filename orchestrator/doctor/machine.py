"""Checks of the machine: processors, GPUs, memory, shared memory, limits."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

import psutil

from orchestrator.doctor.told import Asked, Told, by_least, gigabytes, ok, warning
from orchestrator.running.gpus import gpus_here, visible_gpus
from trainables.machine.allocation import cpus, memory_bytes, shared_memory_bytes
from trainables.machine.devices import processor_name

LEAST_MEMORY, GOOD_MEMORY = 1e9, 4e9
LEAST_SHARED = 100e6
LEAST_FILES, GOOD_FILES = 256, 4096


def processors(_: Asked) -> Told:
    count, load = cpus(), os.getloadavg()[0]
    counts = f"{count} of {os.cpu_count()}, {processor_name()}; load {load:.1f}"
    if load > 2 * count:
        return warning(
            counts, "Others use this machine, so a search takes longer than planned. To give them priority: --nice 10"
        )
    return ok(counts)


def gpus(_: Asked) -> Told:
    """What CUDA gives torch, against what the driver lists."""
    here = gpus_here()
    visible = visible_gpus(here)
    if here and not visible:
        return warning(
            f"{len(here)}, all hidden by CUDA_VISIBLE_DEVICES", "Unset it, or ask the batch system for a GPU."
        )
    if not here:
        if Path("/dev/nvidia0").exists():
            return warning("there is one, but nvidia-smi does not answer", "Restart or reinstall the driver.")
        return ok("none; processors are used")
    import torch

    if not torch.cuda.is_available():
        built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
        return warning(
            f"{len(visible)}, which torch {torch.__version__} ({built}) cannot use",
            "Install a newer driver, or a torch that is built for this one.",
        )
    told = []
    for number in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(number)
        told.append(f"{torch.cuda.get_device_name(number)}, {gigabytes(free)} of {gigabytes(total)} free")
    return ok("; ".join(told))


def memory(_: Asked) -> Told:
    most = memory_bytes()
    free = min(most, psutil.virtual_memory().available)
    return by_least(
        free,
        LEAST_MEMORY,
        GOOD_MEMORY,
        f"{gigabytes(free)} of {gigabytes(most)} free",
        "Free some, or ask the batch system for more (--mem); orch plan says how much a search needs.",
    )


def shared_memory(_: Asked) -> Told:
    if not sys.platform.startswith("linux"):
        return ok("not used on this system")
    free = shared_memory_bytes()
    return by_least(
        free,
        0,
        LEAST_SHARED,
        f"/dev/shm, {gigabytes(free)} free",
        "A search uses Ray's folder instead, which is slower. In a container: docker run --shm-size=2g",
    )


def limits(_: Asked) -> Told:
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    processes = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    many = processes == resource.RLIM_INFINITY
    counts = f"{files:,} open files, {'any number of' if many else f'{processes:,}'} processes"
    if files == resource.RLIM_INFINITY:
        return ok(counts)
    return by_least(files, LEAST_FILES, GOOD_FILES, counts, "Raise it before a search: ulimit -n 65536")
