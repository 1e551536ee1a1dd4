"""The rule by which a study reads its images, as it is typed: needed at all, and the same as before."""

from __future__ import annotations

from orchestrator.store import layout
from orchestrator.store.errors import Faults
from orchestrator.study.studies import Study
from trainables.data.manifest import read_manifest, reading_of
from trainables.data.percentiles import Percentiles
from trainables.data.reading import Reading, channels_text


def typed_reading(reading: Reading) -> dict[str, str | None]:
    """Option → what to type for it, None where there is nothing to say."""
    return {
        "--intensity": None if reading.intensity is None else str(reading.intensity),
        "--page": reading.page or None,
        "--channels": channels_text(reading.channels) or None,
    }


def check_needed(subject: str, given: Reading, percentiles: Percentiles | None, used: Reading) -> None:
    """Raise InputError where an option was given that no image needs: a mistake about the images."""
    faults, own = Faults(subject), typed_reading(used)
    reasons = {
        "--intensity": "expected images with more than 8 bits or DICOM, found none",
        "--page": "expected files with several pages or planes, found none",
        "--channels": "expected files with channels, found none",
    }
    typed = {**typed_reading(given), **({"--intensity": str(percentiles)} if percentiles else {})}
    for option, value in typed.items():
        if value is not None and own[option] is None:
            faults.add(f"{option} {value}: {reasons[option]}")
    faults.raise_if_any("Leave it out: images of 8 bits with one page are taken as they are.")


def reading_before(study: Study, given: Reading) -> Reading:
    """The rule that the study's images were read by; InputError where another is given."""
    own, faults = reading_of(read_manifest(study.storage.read(layout.MANIFEST))), Faults(f"study {study.name!r}")
    without = {"--intensity": "have 8 bits", "--page": "have one page", "--channels": "are read without channels"}
    was = {"--intensity": "are scaled by", "--page": "are read by page", "--channels": "are read by channels"}
    before = typed_reading(own)
    for option, value in typed_reading(given).items():
        if value not in (None, before[option]):
            said = without[option] if before[option] is None else f"{was[option]} {before[option]}"
            faults.add(f"{option} {value}: its images {said}")
    faults.raise_if_any("Leave it out, or make another study under another name.")
    return own
