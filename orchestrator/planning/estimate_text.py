"""An estimate as a reader meets it."""

from __future__ import annotations

from orchestrator.planning.estimate import Depth, Estimate
from orchestrator.results.amounts import duration, size
from orchestrator.results.names import counted
from search_spaces.presets import shown_strategy


def estimate_text(e: Estimate) -> str:
    """The whole estimate, a line for each depth of each backbone."""
    lines = [
        f"{e.study}: {counted(e.configurations, 'configuration')}, {counted(e.repeats_asked, 'repeat')}, "
        f"{e.repeats_done} done, {e.repeats_owed} to train"
    ]
    if e.is_done:
        return "\n".join([*lines, "Everything asked for is already trained; nothing is left to do."])
    lines[0] += f" ({counted(e.epochs_owed, 'epoch')})"
    for backbone in dict.fromkeys(depth.backbone for depth in e.depths):
        lines += ["", backbone.partition(":")[2]]
        for depth in e.depths:
            if depth.backbone == backbone:
                lines += [f"  {line}" for line in _depth(depth)]
    lines += [
        "",
        f"This machine: {counted(e.cpus, 'core')}, {counted(e.gpus, 'GPU')}; "
        f"{counted(e.concurrent_trials, 'trial')} at a time, {size(e.memory_bytes)} of memory for them together",
        f"Disk: {size(e.study_bytes)} for the study, {size(e.state_bytes)} of it for states to train on from, "
        f"{size(e.cache_bytes)} for the cache",
        f"Time: {duration(e.start_seconds)} to start and close, {duration(e.images_seconds)} for "
        f"{counted(e.images_to_decode, 'image')}, {duration(e.features_seconds)} for features, "
        f"{duration(e.training_seconds)} for training",
        f"Load before measuring: {e.load:.1f} on {counted(e.cores, 'core')}"
        + ("; others use this machine, which makes a search slower" if e.is_busy else ""),
        f"In all about {duration(e.wall_seconds)}, {span_text(*e.wall_seconds_range)}"
        + (f", {e.gpu_hours:.2f} GPU hours" if e.gpu_hours is not None else "")
        + f" (from {counted(e.shapes_measured, 'shape')} measured in {duration(e.measuring_seconds)}; others are "
        "interpolated)",
    ]
    return "\n".join([*lines, *(f"Note: {note}" for note in e.notes)])


def _depth(d: Depth) -> list[str]:
    name = shown_strategy(d.strategy)
    name += f" n={d.non_linearities}" if d.non_linearities else ""
    name += f" u={d.unfrozen}" if d.unfrozen else ""
    name += f", {d.beside}" if d.beside else ""
    owed = f"{d.repeats_owed} of {counted(d.repeats_asked, 'repeat')} to train"
    counts = f"{name}: {counted(d.configurations, 'configuration')}, {owed}"
    if not d.repeats_owed:
        return [counts]
    features = f"{d.values_per_view} values for each of {d.views} views"
    if d.feature_bytes:
        features += f", {size(d.feature_bytes)}"
        features += " (in the cache)" if not d.views_to_compute else f" ({d.views_to_compute} views to compute)"
    return [
        f"{counts} ({counted(d.epochs_owed, 'epoch')})",
        f"  cached up to {d.cached_up_to} ({d.why}): {features}",
        f"  {size(d.memory_per_trial_bytes)} per trial, {size(d.study_bytes)} in the study, "
        f"{_per_epoch(d.seconds_per_epoch)} per epoch and repeat, {duration(d.training_seconds)} for one worker",
    ]


def span_text(least: float, most: float) -> str:
    """`26 s to 44 s`."""
    return f"{duration(least)} to {duration(most)}"


def _per_epoch(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"
