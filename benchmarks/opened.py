"""The product in this process, without Ray: a search that is resolved in a folder of its own, and what it opens."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from images import Backbone, Images

from orchestrator.running.progress import Display
from orchestrator.search import Search, SearchOptions, resolve_search
from orchestrator.store.schema import Configuration
from orchestrator.study.preparation import DataRequest
from search_spaces.overrides import Overrides
from trainables.bundles.workbench import Workbench
from trainables.data.options import DatasetOptions

Precision = Literal["fp32", "bf16"]


def resolved(
    images: Images, backbone: Backbone, overrides: Overrides, folder: Path, precision: Precision, *, writes: bool = True
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
        overrides=overrides,
        weights=backbone.weights,
        mean=backbone.mean,
        std=backbone.mean,
        precision=precision,
    )
    return resolve_search(options, Display(io.StringIO()), writes=writes)


def workbench(search: Search, device: torch.device) -> Workbench:
    """As a worker opens it; deterministic IEEE float32, so that both sides compute in the same precision."""
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    return Workbench(search.study.storage, search.places, device)


def configurations(search: Search) -> list[Configuration]:
    """All that the search asks for, in the order of the grid."""
    return [search.asked.configurations[name] for _, name in search.epochs]


def partition(search: Search) -> str:
    return next(iter(search.epochs))[0]


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
