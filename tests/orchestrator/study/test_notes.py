"""What was told of the data when a study was made stays with it, and names no file, folder or group."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from orchestrator.command_line import main
from orchestrator.results.notes import notes_json, read_notes
from orchestrator.running.progress import Display
from orchestrator.search import SearchOptions, resolve_search
from orchestrator.store import layout
from orchestrator.store.storage import LocalStorage
from orchestrator.study.asked import Given
from orchestrator.study.preparation import DataRequest
from orchestrator.study.studies import find_study
from tests.support.configurations import asked
from trainables.data.groups import with_groups
from trainables.data.listing import Entry, Listing
from trainables.data.options import DatasetOptions


def patients(folder: Path) -> Path:
    """Folders class/patient/magnification, of which --group-by parent takes the magnifications for groups."""
    for index, label in enumerate(("benign", "malignant")):
        for patient in range(6):
            for power, name in enumerate(("40X", "100X", "200X", "400X")):
                place = folder / label / f"Meier_{index}{patient}" / name
                place.mkdir(parents=True)
                pixels = np.random.default_rng([index, patient, power]).integers(0, 255, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / "0.png")
    return folder


def planned(folder: Path, group_by: str) -> tuple[str, tuple[str, ...]]:
    """What a search prints at its start, and what its study keeps."""
    search = ["search", "mine", "squeezenet1_1", "--weights", "none", "--lr", "0.1", "--plan", "--group-by", group_by]
    places = ["--studies", str(folder / "studies"), "--cache", str(folder / "cache"), "--data", str(folder / "images")]
    shown = CliRunner().invoke(main, [*search, *places])
    assert shown.exit_code == 0, shown.output
    wanted = SearchOptions(
        *("mine", ("squeezenet1_1",), folder / "studies", folder / "cache"),
        data=DataRequest(folder / "images", DatasetOptions(group_by=group_by)),
        changes=asked(strategies=("straightforward",), lr=(0.1,), batch_size=(4,), repeats=2, epochs=1),
        given=Given(weights="none"),
    )
    resolve_search(wanted, Display(), writes=True)
    study = find_study(folder / "studies", "mine")
    assert study is not None
    return " ".join(shown.output.split()), read_notes(study.storage)


def test_a_wrong_rule_of_groups_is_told_and_kept(tmp_path: Path) -> None:
    patients(tmp_path / "images")
    shown, kept = planned(tmp_path, "parent")
    assert "the 4 groups divide 12 of 12 folders such as 'Meier_00'" in shown
    assert len(kept) == 1
    assert kept[0].startswith("Warning: the 4 groups divide 12 of 12 folders. If each of these folders is a patient")
    assert "Meier" not in kept[0]


def test_a_rule_that_joins_no_images(tmp_path: Path) -> None:
    entries = [Entry(f"{label}/{number}.png", label) for label in "ab" for number in range(3)]
    grouped = with_groups(Listing("dataset d", tmp_path, entries), r"(\w/\d+)\.png$")
    assert grouped.notes == grouped.warnings
    assert "makes each of the 6 images a group of its own" in grouped.warnings[0]
    assert with_groups(Listing("dataset d", tmp_path, entries), "none").warnings == ()


def test_notes_are_sentences_once_each(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    assert read_notes(storage) == ()
    storage.replace(layout.NOTES, notes_json(["One.", "Zwölf.", "One."]))
    assert read_notes(storage) == ("One.", "Zwölf.")


@pytest.mark.parametrize("content", [b"", b"{}", b"[1, null]", b"\xff"])
def test_notes_that_cannot_be_read_are_none(tmp_path: Path, content: bytes) -> None:
    storage = LocalStorage(tmp_path)
    storage.replace(layout.NOTES, content)
    assert read_notes(storage) == ()
