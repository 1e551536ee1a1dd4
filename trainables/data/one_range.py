"""All images of a listing read by one rule, on all cores; those that need a range of values a second time, by the one
range of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from orchestrator.store.errors import Faults, InputError
from trainables.data.intensity import OPTION, range_of
from trainables.data.listing import Entry, Listing
from trainables.data.options import DatasetOptions
from trainables.data.reading import Intensity, Reading, RefusedImageError
from trainables.data.shades import NoRangeError, Samples, joined
from trainables.machine.allocation import cpus

Progress = Callable[[int, int], None]


class OfAnImage(Protocol):
    """What is kept of an image; samples as in `Decoded`."""

    @property
    def samples(self) -> Samples | None: ...


Kept = TypeVar("Kept", bound=OfAnImage)


@dataclass(frozen=True)
class AllRead(Generic[Kept]):
    """kept: by file. refused: (file, reason), those of the listing too. origin: where a range worked out here is from,
    in words; "" where none was needed, or it was given. reading: as given, with the range."""

    kept: dict[str, Kept]
    refused: list[tuple[str, str]]
    origin: str
    reading: Reading


def read_all(
    listing: Listing,
    entries: Sequence[Entry],
    options: DatasetOptions,
    read: Callable[[Entry, Reading], Kept],
    progress: Progress | None,
    training: Callable[[Mapping[str, Kept]], Collection[str]] | None = None,
) -> AllRead[Kept]:
    """`read` raises RefusedImageError, and NoRangeError where it needs a range, which is found from all such images.

    training: which of the files that were read are training images, for `options.percentiles`: asked once all have been
    read by some range. `progress(done, total)` is called in this thread after each image. Raises InputError where the
    range is unclear.
    """
    reading = options.reading
    kept, refused, samples = _pass(entries, reading, read, progress)
    refused = [*listing.refused, *refused]
    if not samples:
        return AllRead(kept, refused, "", reading)
    samples |= {file: one.samples for file, one in kept.items() if one.samples is not None}
    faults = Faults(listing.subject)
    deep = [entry for entry in entries if entry.file in samples]
    if options.percentiles is None:
        intensity, origin = range_of(samples, faults)
    elif training is None:
        raise InputError(
            f"{listing.subject}: --intensity {options.percentiles}: expected a range, LOW:HIGH, where images are not "
            "divided into splits",
            "Percentiles are taken from training images: orch search and orch data check accept them.",
        )
    else:
        whole = joined(samples.values())
        anyhow = replace(reading, intensity=Intensity(whole.low, max(whole.high, whole.low + 1)))
        every = {**kept, **_pass(deep, anyhow, read, progress)[0]}
        intensity, origin = options.percentiles.range(samples, training(every), faults), options.percentiles.origin
    if faults.found and len(refused) > options.max_refused_share * (len(entries) + len(listing.refused)):
        faults.add(f"{len(refused)} images were refused: {kinds_of(refused)}")
    faults.raise_if_any(f"Leave these files out, or give one range for all of them: {OPTION}")
    reading = replace(reading, intensity=intensity)
    more, lost, _ = _pass(deep, reading, read, progress)
    return AllRead({**kept, **more}, [*refused, *lost], origin, reading)


def kinds_of(refused: Sequence[tuple[str, str]]) -> str:
    """ "3 × empty file", the most common first, and the first three files with their reasons."""
    counts = Counter(reason.partition(":")[0] for _, reason in refused)
    examples = "".join(f"\n  {file}: {reason}" for file, reason in refused[:3])
    return ", ".join(f"{count} × {kind}" for kind, count in counts.most_common()) + examples


def _pass(
    entries: Sequence[Entry], reading: Reading, read: Callable[[Entry, Reading], Kept], progress: Progress | None
) -> tuple[dict[str, Kept], list[tuple[str, str]], dict[str, Samples]]:
    """What was read and refused, and what those hold that need a range first."""
    kept, refused, samples = dict[str, Kept](), list[tuple[str, str]](), dict[str, Samples]()
    pool = ThreadPoolExecutor(max_workers=cpus(), thread_name_prefix="decode")
    try:
        futures: list[Future[Kept]] = [pool.submit(read, entry, reading) for entry in entries]
        for done, (entry, future) in enumerate(zip(entries, futures, strict=True), 1):
            try:
                kept[entry.file] = future.result()
            except NoRangeError as error:
                samples[entry.file] = error.samples
            except RefusedImageError as error:
                refused.append((entry.file, error.reason))
            if progress is not None:
                progress(done, len(entries))
    finally:
        pool.shutdown(cancel_futures=True)
    return kept, refused, samples
