"""How often the frozen part would have been run without the cache, and how often it was: counted, not timed."""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from orchestrator.energy.hours import read_recipe
from orchestrator.results.histories import Repeats, read_repeats
from orchestrator.store import layout
from orchestrator.store.damage import passed_over
from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.layout import RESULTS
from orchestrator.store.parsing import json_object
from orchestrator.store.record import short_hash
from orchestrator.store.storage import Storage
from search_spaces.configuration import FROZEN_PART, Configuration
from search_spaces.form import Form
from search_spaces.live import Scope
from search_spaces.settings.data import TASKS
from search_spaces.stored import read_configuration
from trainables.data.balance import TRANSFORMS, views_per_image
from trainables.learning.metrics import images
from trainables.learning.tasks.confusion import images_of_classes

RATES = f"{RESULTS}/cost"
PIXELS = "the pixels"
"""The recipe's frontier where nothing is cached."""

_FOREVER_S = 1e9
"""No pass takes longer."""

_Kind = tuple[Form, str, Scope, str]
"""Network, precision, what is trained, layer up to which values are cached."""


@dataclass(frozen=True)
class Passes:
    """One image through the frozen part of one backbone is one pass.

    without_cache: what the epochs of all results would have taken, training and scoring. made: one per stored view.
    seconds_each: measured on `device`; None where nobody has.
    """

    form: Form
    precision: str
    scope: Scope
    layer: str
    without_cache: int
    made: int
    seconds_each: float | None = None
    device: str = ""

    @property
    def saved(self) -> int:
        return max(0, self.without_cache - self.made)

    @property
    def hours_saved(self) -> float | None:
        return None if self.seconds_each is None else self.saved * self.seconds_each / 3600

    @property
    def hours_made(self) -> float | None:
        return None if self.seconds_each is None else self.made * self.seconds_each / 3600

    @property
    def rate_path(self) -> str:
        """Where the time of such a pass is kept once it was measured."""
        key = short_hash([self.form, self.precision, self.scope.key, self.layer])
        return f"{RATES}/pass-{key}.json"


def count_passes(storage: Storage, repeats: Repeats | None = None) -> tuple[Passes, ...]:
    """Of every backbone and depth with results, with times where some were measured before; writes nothing.

    Repeats that are not finished are left out, and so are configurations that read pixels in each step. One pass over
    the images serves all depths of a backbone, and partitions share views; here each depth and partition is charged for
    its own, so that less counts as saved.
    `repeats` saves reading them again.
    """
    repeats = read_repeats(storage) if repeats is None else repeats
    layers = _layers(repeats)
    settings: dict[str, Configuration | None] = {}
    needed: dict[_Kind, int] = defaultdict(int)
    stored: dict[_Kind, dict[str, int]] = defaultdict(dict)
    table = repeats.table
    for place, (partition, name) in enumerate(zip(table["partition"], table["configuration"], strict=True)):
        if name not in settings:
            settings[name] = _configuration(storage, name)
        c = settings[name]
        layer = layers[place]
        if c is None or c.live.from_pixels or layer == PIXELS:
            continue
        training, scored, views = _rows(repeats, place, c)
        key: _Kind = (c.form, c.network.precision, c.live.scope, layer)
        epochs = int(repeats.start[place + 1] - repeats.start[place]) - 1
        needed[key] += epochs * training + (epochs + 1) * scored
        stored[key][_set_of_views(partition, c)] = views
    kinds = []
    for key, count in sorted(needed.items()):
        passes = Passes(*key, without_cache=count, made=sum(stored[key].values()))
        kinds.append(_with_rate(storage, passes))
    return tuple(kinds)


def keep_rate(storage: Storage, passes: Passes, seconds_each: float, device: str) -> Passes:
    """Keep a measured time of one pass in the study."""
    note = {"seconds_each": seconds_each, "device": device, "backbone": passes.form.backbone, "layer": passes.layer}
    storage.replace(passes.rate_path, json.dumps(note).encode())
    return replace(passes, seconds_each=seconds_each, device=device)


def _rows(repeats: Repeats, place: int, c: Configuration) -> tuple[int, int, int]:
    """Views trained on in an epoch, images scored in an epoch, views stored, of one repeat."""
    first = repeats.statistics[repeats.start[place]]
    counted = images(c.data.task, first).tolist()
    counts = dict(zip(repeats.splits, counted, strict=True))
    training = views = counts["train"] * c.image.views
    if c.balance.name in ("ngca", "subsample", "count") and TASKS.variants[c.data.task].has_confusion:
        train = images_of_classes(first[repeats.splits.index("train")])
        present = train[train > 0]
        if c.balance.name == "ngca":
            training = views = _views(train)
        elif c.balance.name == "count":
            training = c.balance.count * len(present)
            views = int(np.maximum(present, c.balance.count).sum())
        else:
            training = int(present.min() * len(present)) * c.image.views if len(present) else 0
    return training, sum(counted), views + max(counts["valid"], counts.get("valid_views", 0))


def _views(counts: np.ndarray) -> int:
    present = {str(k): int(count) for k, count in enumerate(counts) if count > 0}
    each: Mapping[str, int] = views_per_image(present, TRANSFORMS) if present else {}
    return sum(present[name] * number for name, number in each.items())


def _set_of_views(partition: str, c: Configuration) -> str:
    """Equal where two configurations read the same stored values."""
    return short_hash([partition, c.key(*FROZEN_PART)])


def _layers(repeats: Repeats) -> list[str]:
    """Where the frozen part ended of each repeat, from its recipe; "" where that does not say."""
    recipe = functools.cache(read_recipe)
    return [read.frontier if (read := recipe(text)) else "" for text in repeats.table["recipe"]]


def _configuration(storage: Storage, name: str) -> Configuration | None:
    with passed_over(storage, layout.configuration(name)):
        return read_configuration(storage, name)
    return None


def _with_rate(storage: Storage, passes: Passes) -> Passes:
    path = passes.rate_path
    with passed_over(storage, path):
        note = json_object(storage.read(path), path)
        seconds, device = note.get("seconds_each"), note.get("device")
        if not isinstance(seconds, float | int) or not 0 <= seconds < _FOREVER_S or not isinstance(device, str):
            raise DamagedRecordError(f"{path} does not hold the time of a pass: expected seconds_each and device")
        return replace(passes, seconds_each=float(seconds), device=device)
    return passes
