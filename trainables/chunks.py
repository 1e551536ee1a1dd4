"""What a worker of the feature stage does, chunk by chunk, and this process's workbench.

Nothing of Ray Tune is loaded here, which takes as long as half of torch. A process loads torch with its first chunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import ray

from orchestrator.store.open import open_storage
from trainables.machine.orphaned import end_with_parent
from trainables.machine.places import Places

if TYPE_CHECKING:
    import torch

    from trainables.bundles.workbench import Workbench
    from trainables.features.shards import Part


class _Kept(NamedTuple):
    """This process's workbench, and what it was opened for."""

    study: str
    places: Places
    bench: Workbench


_kept: _Kept | None = None


def device_here() -> torch.device:
    """The GPU that Ray gave this process, else the CPU."""
    import torch

    return torch.device("cuda", 0) if torch.cuda.is_available() and ray.get_gpu_ids() else torch.device("cpu")


def workbench(study: str, places: Places) -> Workbench:
    """This process's workbench; kept between trials and tasks of the same study."""
    global _kept
    from trainables.bundles.workbench import open_bench

    if _kept is None or (_kept.study, _kept.places) != (study, places):
        _kept = _Kept(study, places, open_bench(open_storage(study), places, device_here()))
    return _kept.bench


def _feature_part(study: str, places: Places, wanted: Sequence[tuple[str, str]], partition: str, part: Part) -> None:
    """One part of features on this process's device, for all (configuration, layer) wanted at once."""
    end_with_parent()
    bench = workbench(study, places)
    frozen = [bench.frozen_ready(bench.configuration(name), partition, layer) for name, layer in wanted]
    bench.compute(frozen, part)
    if bench.device.type == "cuda":
        import torch

        torch.cuda.empty_cache()  # an idle worker would keep from trials what its batches took


def _pixel_chunk(study: str, places: Places, configuration_id: str, partition: str, chunk: int) -> None:
    """One chunk of decoded images."""
    end_with_parent()
    bench = workbench(study, places)
    bench.write_pixels(bench.configuration(configuration_id), partition, chunk, threads=1)


feature_task = ray.remote(max_retries=2)(_feature_part)
pixel_task = ray.remote(max_retries=2)(_pixel_chunk)
