"""Which images are explained."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from orchestrator.maps.images import Image, Wanted, choose_images
from orchestrator.store.errors import InputError

CLASSES = ("a", "b", "c")
IMAGES = pd.DataFrame(
    {
        "file": [f"s/{number}.png" for number in range(6)],
        "label": ["a", "a", "b", "b", "c", "c"],
        "group": ["g1", "g1", "g2", "g2", "g3", "g4"],
        "truth": [0, 0, 1, 1, 2, 2],
    }
)
CALLED = {f"s/{number}.png": f"image {number + 1}" for number in range(6)}
CHANCES = np.array(
    [
        [[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.0, 1.0, 0.0], [0.3, 0.4, 0.3], [0.0, 0.5, 0.5], [0.1, 0.1, 0.8]],
        [[0.7, 0.3, 0.0], [0.4, 0.6, 0.0], [0.0, 1.0, 0.0], [0.3, 0.3, 0.4], [0.0, 0.7, 0.3], [0.1, 0.1, 0.8]],
    ]
)
"""Two repeats; the mean of the true class is 0.8, 0.3, 1, 0.35, 0.4, 0.8."""


def chosen(wanted: Wanted, **options: bool) -> tuple[Image, ...]:
    (found,) = choose_images(IMAGES, [CHANCES], CLASSES, wanted, 5, CALLED, **options)
    return found


def rows(*kinds: str, count: int = 2, **wanted: tuple[str, ...]) -> list[int]:
    return [image.row for image in chosen(Wanted(kinds, count, **wanted))]


def test_by_the_mean_probability_of_the_true_class() -> None:
    assert rows("best", count=3) == [2, 0, 5]
    assert rows("worst", count=3) == [1, 3, 4]
    assert rows("uncertain", count=2) == [3, 4]
    assert rows("best", count=9) == [2, 0, 5, 4, 3, 1]


def test_an_image_stands_once_with_all_that_it_was_chosen_as() -> None:
    found = chosen(Wanted(("worst", "uncertain"), 2))
    assert [(image.row, image.kinds) for image in found] == [
        (1, ("worst",)),
        (3, ("worst", "uncertain")),
        (4, ("uncertain",)),
    ]


def test_drawn_from_the_seed() -> None:
    assert rows("random", count=4) == rows("random", count=4)
    assert set(rows("random", count=6)) == set(range(6))
    assert rows("random", count=3) == rows("random", count=6)[:3]


def test_only_some_classes_and_groups() -> None:
    assert rows("worst", count=3, classes=("a", "c")) == [1, 4, 0]
    assert rows("best", count=3, groups=("g2", "g4")) == [2, 5, 3]
    assert rows("best", count=3, groups=("g2", "g4"), classes=("c",)) == [5]
    with pytest.raises(InputError, match="no image belongs both to these classes and to these groups"):
        rows("best", classes=("a",), groups=("g4",))
    with pytest.raises(InputError, match=r"--class 'd': expected one of the 3 classes of these images") as told:
        rows("best", classes=("d",))
    assert told.value.advice == "Nearest names: a, b, c"
    with pytest.raises(InputError, match=r"--group 'g9': expected one of the 4 groups of these images"):
        rows("best", groups=("g9",))


def test_what_is_said_of_an_image() -> None:
    (image,) = chosen(Wanted(files=("1.png",)))
    assert (image.file, image.called, image.group, image.kinds) == ("s/1.png", "image 2", "g1", ("named",))
    assert (image.truth, image.predicted, image.target) == ("a", "b", "b")
    assert image.chance == pytest.approx(0.3)
    assert image.spread == pytest.approx(np.std([0.2, 0.4], ddof=1))
    (other,) = chosen(Wanted(files=("s/1.png",)), explains_truth=True)
    assert other.target == "a"
    assert [one.row for one in chosen(Wanted(files=("4.png", "s/0.png")))] == [4, 0]


def test_a_file_that_is_none_of_them() -> None:
    with pytest.raises(
        InputError, match=r"--image 's/7.png': expected the name of one image of this split, found 0 that match"
    ) as told:
        chosen(Wanted(files=("s/7.png",)))
    assert "s/5.png" in told.value.advice


def test_several_configurations_share_the_images_and_the_class() -> None:
    """The second one has a single repeat, counts as much, and is sure of what the first one has wrong."""
    other = np.full((1, 6, 3), 1 / 3)
    other[0, 1] = [0.9, 0.1, 0.0]
    first, second = choose_images(IMAGES, [CHANCES, other], CLASSES, Wanted(("worst",), 2), 5, CALLED)
    assert [image.row for image in first] == [image.row for image in second] == [3, 4], "1 is 0.6 in the mean"
    (one,), (two,) = choose_images(IMAGES, [CHANCES, other], CLASSES, Wanted(files=("1.png",)), 5, CALLED)
    assert (one.predicted, two.predicted) == ("b", "a")
    assert one.target == two.target == "a"
    assert (one.chance, two.chance) == (pytest.approx(0.3), pytest.approx(0.9))
