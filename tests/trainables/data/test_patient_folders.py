"""Which folders are patients: those that others recur in."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.store.errors import InputError
from trainables.data.groups import with_groups
from trainables.data.listing import Entry, Listing

CLASSES = ("benign", "malignant")
SCALES = ("40X", "100X", "200X", "400X")


def listing_of(files: list[str], label: int = 0) -> Listing:
    return Listing("dataset x", Path("/x"), [Entry(file, file.split("/")[label]) for file in files])


def scales(patients: int = 6) -> list[str]:
    return [
        f"{name}/SOB/pat_{c}{p}/{scale}/SOB_{c}-{p}-{scale}-{i}.png"
        for c, name in enumerate(CLASSES)
        for p in range(patients)
        for scale in SCALES
        for i in range(2)
    ]


def proposed(listing: Listing) -> str:
    with pytest.raises(InputError) as caught:
        with_groups(listing, None)
    return str(caught.value)


@pytest.mark.parametrize("patients", [2, 3, 6])
def test_the_patient_above_magnifications_is_proposed(patients: int) -> None:
    message = proposed(listing_of(scales(patients)))
    assert f"--group-by '([^/]+)/[^/]+/[^/]+$' would read ({2 * patients} groups in all)" in message
    assert "→  pat_00\n" in message
    assert (
        f"{2 * patients} folders such as 'pat_00', in which the same names recur ('100X', '200X', '400X', '40X')"
        in message
    )
    assert "--group-by parent" not in message


@pytest.mark.parametrize("rule", ["parent", r"-(\d+X)-", r"([^/]+)-[^/-]+$"])
def test_rules_that_divide_patients_warn_with_what_they_saw(rule: str) -> None:
    (warning,) = with_groups(listing_of(scales()), rule).notes
    assert "divide 12 of 12 folders such as 'pat_00', in which the same names recur (" in warning
    assert "40X" in warning
    assert "--group-by '([^/]+)/[^/]+/[^/]+$'" in warning
    assert with_groups(listing_of(scales()), "([^/]+)/[^/]+/[^/]+$").notes == ()
    assert with_groups(listing_of(scales()), "none").notes == ()


def test_levels_of_two_kinds_below_the_patient() -> None:
    files = [
        f"{name}/p{c}{p}/{eye}/{scale}/{i}.png"
        for c, name in enumerate(CLASSES)
        for p in range(5)
        for eye in ("left", "right")
        for scale in SCALES[:3]
        for i in range(2)
    ]
    listing = listing_of(files)
    assert "--group-by '([^/]+)/[^/]+/[^/]+/[^/]+$' would read (10 groups in all)" in proposed(listing)
    (warning,) = with_groups(listing, "([^/]+)/[^/]+/[^/]+$").notes
    assert "such as 'p00', in which the same names recur ('left', 'right')" in warning


def test_folders_called_as_patients_are() -> None:
    """Slides have names of their own here: what the folder above is follows from its name alone."""
    files = [
        f"{name}/Patient {c}{p}/s{c}{p}{slide}/{i}.png"
        for c, name in enumerate(CLASSES)
        for p in range(4)
        for slide in range(3)
        for i in range(2)
    ]
    assert "--group-by '([^/]+)/[^/]+/[^/]+$' would read (8 groups in all)" in proposed(listing_of(files))
    (warning,) = with_groups(listing_of(files), "parent").notes
    assert "the 24 groups divide 8 of 8 folders such as 'Patient 00'. If each" in warning
    other = listing_of([file.replace("Patient ", "subtype") for file in files])
    assert "--group-by parent would read (24 groups in all)" in proposed(other)
    assert with_groups(other, "parent").notes == ()


def test_a_file_of_another_depth_hides_nothing() -> None:
    files = [*scales(), "benign/loose.png"]
    assert "recur ('100X'" in proposed(listing_of(files))
    assert any("pat_00" in note for note in with_groups(listing_of(files), "parent").notes)


@pytest.mark.parametrize(
    "files",
    [
        [f"{name}/p{p}/{i}.png" for name in CLASSES for p in range(6) for i in range(2)],
        [
            f"{name}/{scale}/p{c}{p}/{i}.png"
            for c, name in enumerate(CLASSES)
            for scale in SCALES
            for p in range(6)
            for i in range(2)
        ],
        [f"{name}/site{p % 2}/p{c}{p}/{i}.png" for c, name in enumerate(CLASSES) for p in range(6) for i in range(2)],
        [f"c{c}/p{p}/{i}.png" for c in range(10) for p in range(4) for i in range(2)],
    ],
    ids=["patients", "below magnifications", "below sites", "many classes"],
)
def test_folders_that_are_patients_are_taken(files: list[str]) -> None:
    assert "--group-by parent would read" in proposed(listing_of(files))
    assert with_groups(listing_of(files), "parent").notes == ()


def test_magnifications_right_below_the_classes_are_no_groups() -> None:
    files = [f"{name}/{scale}/{c}{i}.png" for c, name in enumerate(CLASSES) for scale in SCALES for i in range(6)]
    assert "--group-by parent" not in proposed(listing_of(files))
    (warning,) = with_groups(listing_of(files), "parent").notes
    assert "the 4 groups have names of magnifications ('100X', '200X', '400X', '40X')" in warning


def test_magnifications_that_a_layout_calls_groups_are_told() -> None:
    entries = [
        Entry(f"{scale}/{label}/{i}.png", label, scale) for scale in SCALES for label in CLASSES for i in range(2)
    ]
    (warning,) = with_groups(Listing("dataset x", Path("/x"), entries, group_meaning="folder level 1"), None).notes
    assert "the 4 groups have names of magnifications" in warning
    patients = [Entry(entry.file, entry.label, f"pat_{number}") for number, entry in enumerate(entries)]
    assert with_groups(Listing("dataset x", Path("/x"), patients, group_meaning="folder level 1"), None).notes == ()


@pytest.mark.parametrize("words", [("fold1", "fold2"), ("Training_Set", "Test_Set")])
def test_folds_and_splits_are_no_patients(words: tuple[str, str]) -> None:
    """Their classes recur in them as magnifications recur in patients."""
    files = [f"{word}/{label}/p{p}/{i}.png" for word in words for label in CLASSES for p in range(4) for i in range(2)]
    folds = {file: file.split("/")[0] if words[0] == "fold1" else "" for file in files}
    entries = [Entry(file, file.split("/")[1], fold=folds[file]) for file in files]
    assert with_groups(Listing("dataset x", Path("/x"), entries), "parent").notes == ()


def test_slides_that_recur_in_patients_do_not_speak_against_these() -> None:
    files = [
        f"{c}/pat_{c[0]}{p}/slide_{s}/{i}.png" for c in CLASSES for p in range(3) for s in range(9) for i in range(2)
    ]
    rule = "([^/]+)/[^/]+/[^/]+$"
    assert f"--group-by '{rule}'" in proposed(listing_of(files))
    assert with_groups(listing_of(files), rule).notes == ()
    (warning,) = with_groups(listing_of(files), "parent").notes
    assert "divide 6 of 6 folders such as 'pat_b0'" in warning


def test_images_beside_the_folders_of_patients_are_warned_of() -> None:
    files = [f"{label}/P{number}/{number}.png" for label in "ab" for number in range(3)]
    (warning,) = with_groups(listing_of([*files, "a/x.png"]), "parent").warnings
    assert warning.startswith("Warning: 1 of 7 images lie directly in the folder of their class")
    assert not with_groups(listing_of([*files, *(file.replace(".", "b.") for file in files)]), "parent").warnings
