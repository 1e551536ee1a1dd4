"""What whoever rejects patches is shown and may say, as plain JSON: fields, squares, suggestions, verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.patches.record import LABELS, read_record
from orchestrator.patches.verdicts import Verdict, decide, verdicts_of, write_labels
from orchestrator.store.errors import InputError

LOW_TISSUE = 0.05
"""A patch with less tissue than this, or than twice what was asked at least, is suggested for a look."""
BLURRED = 0.08
"""So is one without an edge that is narrower than about twelve pixels (`tissue.sharpness`). Set on fields of cells: of
31 blurred by a Gaussian of four pixels nearly all patches lie below, as they were taken few."""


class Review:
    """One folder of patches, looked through by one person. Thread-safe: all that changes is in the folder."""

    def __init__(self, folder: Path, by: str) -> None:
        self.folder, self.by = folder, by
        self.record = read_record(folder)
        if not (folder / LABELS).exists():
            raise InputError(
                f"{folder}: cutting was interrupted before all patches were written",
                "Run the same orch data patches command again: it goes on where it stopped.",
            )
        patches = [patch for source in self.record["sources"] for patch in source["patches"] if patch["file"]]
        self.files: list[str] = [patch["file"] for patch in patches]
        self._number = {file: number for number, file in enumerate(self.files)}
        self._least = max(LOW_TISSUE, 2 * self.record["settings"]["least_tissue"])
        write_labels(folder, self.record)

    def fields(self) -> dict[str, Any]:
        """What never changes: every source with its squares; a square without `id` is background, and was not cut."""
        return {
            "by": self.by,
            "folder": self.folder.name,
            "size": self.record["settings"]["size"],
            "fields": [
                {
                    **{name: source[name] for name in ("file", "label", "group", "width", "height", "tissue_by")},
                    "squares": [self._square(patch) for patch in source["patches"]],
                }
                for source in self.record["sources"]
            ],
        }

    def verdicts(self) -> dict[str, Any]:
        """What was said so far, by everybody."""
        return self._told(verdicts_of(self.folder))

    def decide(self, said: Mapping[int, bool | None]) -> dict[str, Any]:
        """Number of a patch → rejected, kept, or None to take the last word back. Raises InputError for others."""
        unknown = [number for number in said if not 0 <= number < len(self.files)]
        if unknown or not said:
            raise InputError(f"patches {unknown}: there are {len(self.files)}, numbered from 0")
        named = {self.files[number]: is_rejected for number, is_rejected in said.items()}
        return self._told(decide(self.folder, self.record, self.by, named))

    def overview(self, number: int) -> Path | None:
        """JPEG of a whole source."""
        sources = self.record["sources"]
        return self.folder / sources[number]["overview"] if 0 <= number < len(sources) else None

    def patch(self, number: int) -> Path | None:
        """PNG of a patch."""
        return self.folder / self.files[number] if 0 <= number < len(self.files) else None

    def counts(self) -> dict[str, int]:
        """patches, rejected, kept by a word, suggested and not decided."""
        counts: dict[str, int] = self.verdicts()["counts"]
        return counts

    def _told(self, verdicts: Mapping[str, Verdict]) -> dict[str, Any]:
        said = {self._number[file]: verdict for file, verdict in verdicts.items() if file in self._number}
        rejected = sum(verdict.is_rejected for verdict in said.values())
        marked = {self._number[patch["file"]] for patch in self._patches() if patch["file"] and self._hints(patch)}
        return {
            "verdicts": {
                number: {"rejected": verdict.is_rejected, "by": verdict.by, "at": verdict.at}
                for number, verdict in said.items()
            },
            "counts": {
                "patches": len(self.files),
                "rejected": rejected,
                "used": len(self.files) - rejected,
                "suggested": len(marked - said.keys()),
            },
        }

    def _patches(self) -> list[dict[str, Any]]:
        return [patch for source in self.record["sources"] for patch in source["patches"]]

    def _square(self, patch: Mapping[str, Any]) -> dict[str, Any]:
        square = {name: patch[name] for name in ("x", "y", "width", "height", "tissue")}
        if not patch["file"]:
            return square
        return {**square, "id": self._number[patch["file"]], "hints": self._hints(patch)}

    def _hints(self, patch: Mapping[str, Any]) -> list[str]:
        hints = ["low tissue"] if patch["tissue"] < self._least else []
        return [*hints, "blurred"] if patch["sharpness"] < BLURRED else hints
