"""The product in this process, without Ray: a search that is resolved in a folder of its own, and what it opens."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from images import Backbone, Images

from orchestrator.resolved import Search
from orchestrator.running.progress import Display
from orchestrator.search import SearchOptions, resolve_search
from orchestrator.study.asked import Given
from orchestrator.study.preparation import DataRequest
from search_spaces.changes import Changes
from search_spaces.configuration import Configuration
from trainables.bundles.workbench import Workbench, open_bench
from trainables.data.options import DatasetOptions

Precision = Literal["fp32", "bf16"]


def resolved(
    images: Images, backbone: Backbone, changes: Changes, folder: Path, precision: Precision, *, writes: bool = True
) -> Search:
    """What `orch search` would do with these options, up to the point where Ray starts; raises InputError.

    Study and cache lie below `folder`; with `writes` false no study is written.
    """
    options = SearchOptions(
        study="benchmark",
        backbones=(backbone.name,),
        studies=folder / "studies",
        cache=folder / "cache",
        data=DataRequest(images.table, DatasetOptions(data_root=images.root)),
        changes=changes,
        given=Given(backbone.weights, backbone.mean, backbone.mean, precision),
    )
    return resolve_search(options, Display(io.StringIO()), writes=writes)


def workbench(search: Search, device: torch.device) -> Workbench:
    """As a worker opens it, with as many threads as before; both sides then compute in the same precision."""
    return open_bench(search.study.storage, search.places, device, torch.get_num_threads())


def configurations(search: Search) -> list[Configuration]:
    """All that the search asks for, in the order of the grid."""
    return [search.asked.configurations[name] for _, name in search.epochs]


def partition(search: Search) -> str:
    return next(iter(search.epochs)).partition


def synchronised(device: torch.device) -> None:
    """Wait until the device has done what was asked, before a clock is read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(device: torch.device, act: Callable[[], object]) -> Callable[[], float]:
    """Calls `act` and gives its seconds, everything on the device included."""

    def measured() -> float:
        synchronised(device)
        started = time.perf_counter()
        act()
        synchronised(device)
        return time.perf_counter() - started

    return measured
