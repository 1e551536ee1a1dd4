"""What a cut says: of every source how many patches and which pixels are lost to what, and what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.patches.cut import Need
from orchestrator.patches.grid import Pixels
from orchestrator.patches.plan import OF_THE_SOURCE, CutPlan
from orchestrator.patches.record import LABELS, record_of
from trainables.data.listing import named

_HEADER = ("source", "size", "µm/pixel", "patches", "kept", "edges", "margin", "background", "tissue")
_ALIKE = 1.05


def lines_of(plan: CutPlan, need: Need, output: Path) -> list[str]:
    """The table, and what must be known beside it."""
    rows = [
        (
            one.entry.file,
            f"{one.grid.width}×{one.grid.height}",
            "–" if one.scale is None else f"{one.scale.x:.4g}",
            str(len(one.kept)),
            *_shares(one.pixels),
            _tissue([square.tissue for square in one.kept]),
        )
        for one in plan.sources
    ]
    rows.append(("all", "", "", str(plan.patches), *_shares(plan.pixels), ""))
    lost = plan.pixels.lost / plan.pixels.all if plan.pixels.all else 0.0
    missing = f"{need.patches} patch{'' if need.patches == 1 else 'es'}"
    if need.written:
        missing = f"the {need.patches} of {need.patches + need.written} patches that {output} still lacks"
    return [
        *_table(_HEADER, rows),
        "",
        f"{plan.patches} patch{'' if plan.patches == 1 else 'es'} of {plan.options.size}×{plan.options.size} from "
        f"{len(plan.sources)} source image{'' if len(plan.sources) == 1 else 's'}; {lost:.2%} of the pixels are lost. "
        "Shares are of a source's pixels; for tissue, of a patch's.",
        *_about_scale(plan),
        *_about_images(plan),
        _about_groups(plan),
        f"Disk: about {need.bytes / 1e6:.1f} MB for {missing}, estimated from one patch of each image; "
        f"{need.free / 1e9:.1f} GB are free.",
    ]


def next_lines(output: Path) -> list[str]:
    return [
        f"Reject patches by hand: orch data cut {shlex.quote(str(output))}",
        f"Search:                 orch search NAME BACKBONE --data {shlex.quote(str(output / LABELS))}",
    ]


def data_of(plan: CutPlan, need: Need, output: Path) -> dict[str, Any]:
    """The same as plain JSON; squares that are background have no file."""
    pixels = plan.pixels
    return {
        "output": str(output),
        "labels": str(output / LABELS),
        "patches": plan.patches,
        "pixels": _pixels(pixels),
        "lost_share": pixels.lost / pixels.all if pixels.all else 0.0,
        "disk": {"missing": need.patches, "written": need.written, "bytes": need.bytes, "free": need.free},
        **{name: value for name, value in record_of(plan).items() if name != "version"},
    }


def _pixels(pixels: Pixels) -> dict[str, int]:
    return {name: getattr(pixels, name) for name in ("all", "kept", "edges", "margin", "background")}


def _shares(pixels: Pixels) -> tuple[str, ...]:
    parts = (pixels.kept, pixels.edges, pixels.margin, pixels.background)
    return tuple(f"{part / pixels.all:.2%}" for part in parts)


def _tissue(shares: Sequence[float]) -> str:
    return f"{min(shares):.0%}–{max(shares):.0%}" if shares else "–"


def _about_scale(plan: CutPlan) -> list[str]:
    said = [one.scale for one in plan.sources if one.scale is not None]
    lines = []
    if len(said) < len(plan.sources):
        lines.append(f"µm per pixel: {len(plan.sources) - len(said)} of {len(plan.sources)} files do not state it.")
    oblong = [one.entry.file for one in plan.sources if one.scale is not None and not one.scale.is_square]
    if oblong and not plan.options.um_per_pixel:
        lines.append(f"Warning: pixels of {named(oblong)} are not square; --um-per-pixel makes them so.")
    if said:
        by = ", ".join(sorted({scale.said_by for scale in said}))
        sizes = sorted(value for scale in said for value in (scale.x, scale.y))
        wanted = plan.options.um_per_pixel
        spread = f"{sizes[0]:.4g}" if sizes[-1] / sizes[0] < 1.0005 else f"{sizes[0]:.4g} to {sizes[-1]:.4g}"
        lines.append(f"µm per pixel: {spread}, from {by}" + (f"; resampled to {wanted:g}." if wanted else "; kept."))
        if wanted and sizes[-1] > wanted * _ALIKE:
            lines.append("Warning: this enlarges images, which adds no detail.")
        if not wanted and sizes[-1] > sizes[0] * _ALIKE:
            lines.append(
                "Warning: these images have different scales, so cells differ in size; "
                f"--um-per-pixel {sizes[-1]:.4g} makes them alike."
            )
    return lines


def _about_groups(plan: CutPlan) -> str:
    if plan.group_meaning == OF_THE_SOURCE:
        advice = "If a patient or slide has several images, say which: --group-column NAME, --group-by RULE."
        return f"Group: {OF_THE_SOURCE}. {advice}"
    return f"Group: {plan.group_meaning}."


def _about_images(plan: CutPlan) -> list[str]:
    lines = [f"Not used: {file}: {reason}" for file, reason in plan.refused]
    if plan.other:
        lines.append(f"Passed over: {plan.other} files that are not images or not in the table.")
    empty = [one.entry.file for one, files in zip(plan.sources, plan.files, strict=True) if not files]
    if empty:
        lines.append(f"Without a patch: {', '.join(empty)}")
    unseen = sum(one.tissue_by not in ("saturation", "variance") for one in plan.sources)
    if unseen:
        where = "1 image" if unseen == 1 else f"{unseen} images"
        lines.append(f"In {where} no background stands out, so all of it counts as tissue.")
    return lines


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[place]) for row in (header, *rows)) for place in range(len(header))]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (header, *rows)
    ]
