"""A plan carried out: patches written one by one, never over anything, and gone on with where it was interrupted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from orchestrator.patches.asked import CutOptions
from orchestrator.patches.measured import overview_of, patches_of
from orchestrator.patches.plan import CutPlan
from orchestrator.patches.record import LOSSES, RECORD, losses_csv, read_record, record_of
from orchestrator.patches.verdicts import write_labels
from orchestrator.store.concurrently import concurrently
from orchestrator.store.errors import InputError
from orchestrator.store.storage import LocalStorage, sweep_temporaries
from trainables.data.decode import content_hash, read_rgb
from trainables.data.reading import RefusedImageError

_AT_ONCE = 64
_OVERVIEW_BYTES = 400_000
"""About what the picture of a source takes on which its patches are looked through."""
_ROOM = 1.1
"""A disk must have so many times what is about to be written: one patch of each source was measured, not all."""


@dataclass(frozen=True)
class Need:
    """Of what is not there yet: patches, and about how many bytes they take; free: of the disk."""

    patches: int
    written: int
    bytes: int
    free: int


def check_output(output: Path, options: CutOptions) -> None:
    """Raises InputError where `output` holds anything but what this very cut began to write."""
    if options.source.is_dir() and output.resolve().is_relative_to(options.source.resolve()):
        raise InputError(
            f"--output {output}: lies within the folder of the images to cut", "Name a folder beside it: --output DIR"
        )
    if not output.exists():
        return
    if not output.is_dir():
        raise InputError(f"--output {output}: expected a folder, found a file", "Name another: --output DIR")
    if (output / RECORD).exists():
        _check_settings(output, read_record(output)["settings"], options)
    elif any(output.iterdir()):
        raise InputError(
            f"--output {output}: expected an empty folder or a new one, found other files in it",
            "Name another: --output DIR",
        )


def need_of(plan: CutPlan, output: Path) -> Need:
    missing = bytes_ = written = 0
    for one, files in zip(plan.sources, plan.files, strict=True):
        there = sum((output / file).exists() for file in files)
        written += there
        missing += len(files) - there
        bytes_ += (len(files) - there) * one.png_bytes + (_OVERVIEW_BYTES if there < len(files) else 0)
    place = output.absolute()
    free = shutil.disk_usage(next(path for path in (place, *place.parents) if path.exists())).free
    return Need(missing, written, bytes_, free)


def carry_out(plan: CutPlan, output: Path, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Write what is missing of the patches, then the tables; returns the record. `progress(done, all)` in patches.

    Raises InputError where the disk cannot hold it, or `output` holds patches of other images.
    """
    need = need_of(plan, output)
    if need.bytes * _ROOM > need.free:
        raise InputError(
            f"--output {output}: {need.patches} patches take about {need.bytes / 1e9:.2f} GB, and "
            f"{need.free / 1e9:.2f} GB are free there",
            "Free some space, or name another disk: --output DIR. Nothing was written.",
        )
    storage = LocalStorage(output)
    # through JSON, so that what was read is compared with what would be read
    record: dict[str, Any] = json.loads(json.dumps(record_of(plan)))
    if not storage.create(RECORD, json.dumps(record, ensure_ascii=False, indent=1).encode()):
        _check_images(output, read_record(output), record)
    sweep_temporaries(output)
    done = 0
    for number, files in enumerate(plan.files):
        _write_source(plan, number, record["sources"][number]["overview"], storage)
        done += len(files)
        progress(done, plan.patches)
    storage.replace(LOSSES, losses_csv(record))
    write_labels(output, record)
    return record


def _write_source(plan: CutPlan, number: int, overview: str, storage: LocalStorage) -> None:
    one, files = plan.sources[number], plan.files[number]
    if all(storage.local(file).exists() for file in (*files, overview)):
        return
    try:
        pixels = read_rgb(plan.root / one.entry.file, plan.options.data.max_pixels, one.reading)
    except RefusedImageError as error:
        raise _changed(plan, number, error.reason) from error
    if content_hash(pixels) != one.content:
        raise _changed(plan, number, "its pixels are not those of a moment ago")
    storage.create(overview, overview_of(pixels))
    pairs = ((file, png) for file, (_, png) in zip(files, patches_of(pixels, one), strict=True))
    while some := list(islice(pairs, _AT_ONCE)):
        concurrently(lambda pair: storage.create(*pair), some)


def _changed(plan: CutPlan, number: int, how: str) -> InputError:
    file = plan.sources[number].entry.file
    return InputError(
        f"{plan.subject}: {file} changed while it was being cut: {how}", "Put it back, then run the command again."
    )


def _check_settings(output: Path, there: Mapping[str, Any], options: CutOptions) -> None:
    asked = json.loads(json.dumps(options.as_json()))
    different = [name for name in asked if asked[name] != there.get(name)]
    if different:
        said = "; ".join(f"{_option(name)} {_shown(there.get(name))}, now {_shown(asked[name])}" for name in different)
        raise InputError(
            f"--output {output}: holds patches that were cut with other options: {said}",
            "Name another folder, --output DIR, or give the same options to go on.",
        )


def _check_images(output: Path, there: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    """What was cut before must be what is cut now, all but where the images lie."""
    before = {source["file"]: source for source in there["sources"]}
    now = {source["file"]: source for source in record["sources"]}
    faults = [
        *(f"{file} is gone" for file in sorted(before.keys() - now.keys())),
        *(f"{file} is new" for file in sorted(now.keys() - before.keys())),
        *(
            f"{file} has another {next(key for key in now[file] if now[file][key] != before[file].get(key))}"
            for file in sorted(now.keys() & before.keys())
            if now[file] != before[file]
        ),
    ]
    if faults:
        shown = "; ".join(faults[:5]) + (f" and {len(faults) - 5} more" if len(faults) > 5 else "")
        raise InputError(
            f"--output {output}: holds patches of other images: {shown}", "Name another folder: --output DIR"
        )


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else "not given" if value is None else str(value)
