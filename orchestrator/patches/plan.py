"""Everything that a cut will do, before it writes anything: all sources measured, all faults told at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.patches.asked import CutOptions
from orchestrator.patches.grid import Pixels
from orchestrator.patches.measured import Measured, measure
from orchestrator.patches.names import folders_of, patch_name, stems_of
from orchestrator.patches.scale import Scale, scale_of, stated_scale
from orchestrator.store.errors import Faults, InputError
from trainables.data.groups import with_groups
from trainables.data.labels import name_faults, normalised
from trainables.data.listing import Entry, Listing, named
from trainables.data.one_range import read_all
from trainables.data.reading import Reading
from trainables.data.source import list_source

OF_THE_SOURCE = "the source image"


@dataclass(frozen=True)
class CutPlan:
    """root: folder that sources are relative to. sources: sorted by file. refused: (file, reason). other: how many
    files are no images, or not named in the table. files: names of the kept squares of each source, in their order.
    group_meaning: in words."""

    subject: str
    root: Path
    options: CutOptions
    sources: tuple[Measured, ...]
    refused: tuple[tuple[str, str], ...]
    other: int
    files: tuple[tuple[str, ...], ...]
    group_meaning: str

    @property
    def pixels(self) -> Pixels:
        return sum((one.pixels for one in self.sources), Pixels())

    @property
    def patches(self) -> int:
        return sum(map(len, self.files))


def plan_cut(options: CutOptions, progress: Callable[[int, int], None] | None = None) -> CutPlan:
    """Measure every source of `options.source` on all cores; writes nothing. Raises InputError with all faults."""
    listing = list_source(options.source, options.data)
    if not listing.entries:
        raise InputError(f"{listing.subject}: none of {len(listing.refused)} images can be used", "Give other images.")
    names = Faults(listing.subject)
    names.extend(name_faults(entry.label for entry in listing.entries))
    names.raise_if_any("Rename the classes, then run the same command again.")
    entries, meaning = _grouped(listing, options.data.group_by, options.data.join_groups)
    scales = _scales(listing, entries, options)

    def measured(entry: Entry, reading: Reading) -> Measured:
        return measure(listing.root, entry, scales[entry.file], options, reading)

    every = read_all(listing, sorted(entries, key=lambda entry: entry.file), options.data, measured, progress)
    options = replace(options, data=replace(options.data, reading=every.reading))
    sources = sorted(every.kept.values(), key=lambda one: one.entry.file)
    refused = every.refused
    _check(listing, entries, sources, refused, options)
    folders, stems = folders_of(entries), stems_of(entries)
    files = tuple(
        tuple(
            patch_name(folders[normalised(one.entry.label)], stems[one.entry.file], square.x, square.y)
            for square in one.kept
        )
        for one in sources
    )
    return CutPlan(
        listing.subject,
        listing.root,
        options,
        tuple(sources),
        tuple(sorted(refused)),
        len(listing.other),
        files,
        meaning,
    )


def _grouped(listing: Listing, group_by: str | None, join_groups: bool) -> tuple[list[Entry], str]:
    """As a search groups them; where nothing says what a group is, all patches of one source are one."""
    if group_by in (None, "none") and (group_by == "none" or not listing.group_meaning):
        return [replace(entry, group=entry.file) for entry in listing.entries], OF_THE_SOURCE
    grouped = with_groups(listing, group_by, join_groups)
    return grouped.entries, grouped.meaning


def _scales(listing: Listing, entries: Sequence[Entry], options: CutOptions) -> dict[str, Scale | None]:
    faults = Faults(listing.subject)
    told = options.source_um_per_pixel
    if told is not None and (told not in listing.columns if isinstance(told, str) else stated_scale(str(told)) is None):
        faults.add(f"--source-um-per-pixel {told}: expected a number above 0, or one of the table's columns")
        told = None
    scales = {}
    for entry in entries:
        scales[entry.file] = scale_of(listing.root / entry.file)
        if scales[entry.file] is None and told is not None:
            written = entry.extra.get(told, "").strip() if isinstance(told, str) else str(told)
            stated = stated_scale(written)
            if stated is None and written:
                faults.add(f"{entry.file}: column {told!r} holds {written!r}, expected µm per pixel above 0")
            scales[entry.file] = stated
    silent = [file for file, scale in scales.items() if scale is None]
    if options.um_per_pixel is not None and silent:
        faults.add(
            f"{len(silent)} of {len(entries)} files do not state µm per pixel: {named(silent)}; "
            f"--um-per-pixel {options.um_per_pixel:g} needs it for every image"
        )
    faults.raise_if_any(
        "State it for these files with --source-um-per-pixel N or the name of a column, or leave --um-per-pixel out."
    )
    return scales


def _check(
    listing: Listing,
    entries: Sequence[Entry],
    sources: Sequence[Measured],
    refused: Sequence[tuple[str, str]],
    options: CutOptions,
) -> None:
    faults = Faults(listing.subject)
    total = len(entries) + len(listing.refused)
    if len(refused) > options.data.max_refused_share * total:
        shown = "; ".join(f"{file}: {reason}" for file, reason in refused[:3])
        faults.add(
            f"{len(refused)} of {total} images cannot be used, expected at most {options.data.max_refused_share:.0%}: "
            f"{shown}; repair or remove them"
        )
    for label in sorted({normalised(entry.label) for entry in entries}):
        own = [one for one in sources if normalised(one.entry.label) == label]
        if any(one.kept for one in own):
            continue
        if not any(one.squares for one in own):
            faults.add(
                f"class {label!r}: none of its {len(own)} images has room for a patch of {options.size} pixels inside "
                "its margin: give a smaller --size, --margin 0 or a smaller --um-per-pixel"
            )
        else:
            most = max(square.tissue for one in own for square in one.squares)
            faults.add(
                f"class {label!r}: every patch counts as background: the fullest one has {most:.1%} tissue, expected "
                f"at least {options.least_tissue:.1%}; lower it with --least-tissue {most:.4f} or 0"
            )
    faults.raise_if_any("Fix this, then run the same command again. Nothing was written.")
