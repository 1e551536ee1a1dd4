"""The eight symmetries are the dihedral group, pixels only move, and nobody's views depend on their neighbours."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.data.views import INVERSE, SYMMETRIES, apply_views, assign_views, crop_offset


def _image(side: int = 5) -> torch.Tensor:
    return torch.arange(3 * side * side, dtype=torch.uint8).reshape(1, 3, side, side)


def _view(image: torch.Tensor, number: int, size: int | None = None, crops: int = 1) -> torch.Tensor:
    return apply_views(image, torch.full((len(image),), number), size or image.shape[-1], crops)


def test_symmetries_are_what_the_table_says() -> None:
    image = _image()
    plain = image.numpy()
    axes = (2, 3)
    expected = [np.rot90(plain, k, axes) for k in range(4)]
    expected += [plain[..., ::-1], plain.swapaxes(2, 3), plain[:, :, ::-1], plain[:, :, ::-1, ::-1].swapaxes(2, 3)]
    for symmetry, array in enumerate(expected):
        np.testing.assert_array_equal(_view(image, symmetry).numpy(), array)


def test_symmetries_form_the_dihedral_group() -> None:
    image = _image()
    names = {_view(image, s).numpy().tobytes(): s for s in range(SYMMETRIES)}
    assert len(names) == 8
    table = [
        [names[_view(_view(image, first), second).numpy().tobytes()] for second in range(SYMMETRIES)]
        for first in range(SYMMETRIES)
    ]
    for row in table:
        assert sorted(row) == list(range(SYMMETRIES))
    for s in range(SYMMETRIES):
        assert table[s][INVERSE[s]] == 0
        assert table[INVERSE[s]][s] == 0
    assert table[1][4] != table[4][1]


def test_a_batch_equals_its_images_one_by_one() -> None:
    images = torch.randint(0, 256, (40, 3, 9, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    views = torch.arange(40) % 24
    together = apply_views(images, views, 6, crops=3)
    assert together.shape == (40, 3, 6, 6)
    assert together.dtype == torch.uint8
    for i in range(40):
        top, left = crop_offset(int(views[i]) // 8, 9, 6)
        cut = images[i : i + 1, :, top : top + 6, left : left + 6]
        assert torch.equal(together[i : i + 1], _view(cut.contiguous(), int(views[i]) % 8))
        assert torch.equal(together[i].flatten(1).sort().values, cut[0].flatten(1).sort().values)


def test_apply_views_leaves_its_input_alone() -> None:
    image = _image()
    before = image.clone()
    _view(image, 0).zero_()
    assert torch.equal(image, before)


def test_impossible_views_and_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="views from 0 to 7"):
        _view(_image(), 8)
    with pytest.raises(ValueError, match="expected \\[n, C, S, S\\]"):
        apply_views(_image(), torch.zeros(2, dtype=torch.int64), 5, 1)
    with pytest.raises(ValueError, match="no larger side"):
        _view(_image(), 0, size=6)


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(0, 300), st.integers(0, 50))
def test_crops_lie_inside(image_size: int, room: int, crop: int) -> None:
    top, left = crop_offset(crop, image_size + room, image_size)
    assert 0 <= top <= room
    assert 0 <= left <= room


def test_crop_zero_is_the_centre_and_others_spread() -> None:
    assert crop_offset(0, 256, 224) == (16, 16)
    assert crop_offset(0, 225, 224) == (0, 0)
    places = {crop_offset(crop, 256, 224) for crop in range(20)}
    assert len(places) == 20
    assert np.ptp([top for top, _ in places]) > 16


@settings(deadline=None)
@given(st.lists(st.integers(1, 8), min_size=1, max_size=20), st.integers(1, 6), st.integers(0, 10))
def test_every_image_has_its_number_of_distinct_views_and_view_zero(
    per_image: list[int], crops: int, seed: int
) -> None:
    rows = assign_views([f"{i:064x}" for i in range(len(per_image))], per_image, crops, seed)
    assert rows.dtype == np.int32
    assert list(np.bincount(rows[:, 0], minlength=len(per_image))) == per_image
    for image in range(len(per_image)):
        views = rows[rows[:, 0] == image, 1]
        assert views[0] == 0
        assert len(set(views % 8)) == len(views)
        assert views.max() < 8 * crops
        assert list(views) == sorted(views)


def test_an_image_keeps_its_views_in_other_company_and_more_contain_fewer() -> None:
    alone = assign_views(["cd"], [4], 3, seed=5)[:, 1]
    among = assign_views(["ab", "cd", "ef"], [8, 4, 2], 3, seed=5)
    np.testing.assert_array_equal(among[among[:, 0] == 1, 1], alone)
    assert set(alone) < set(assign_views(["cd"], [7], 3, seed=5)[:, 1])
    assert set(alone) != set(assign_views(["cd"], [4], 3, seed=6)[:, 1])


def test_the_choice_of_symmetries_is_even() -> None:
    rows = assign_views([f"{i:064x}" for i in range(3500)], [2] * 3500, 1, seed=0)
    counts = np.bincount(rows[:, 1], minlength=8)
    assert counts[0] == 3500
    assert counts[1:].min() > 420
    assert counts[1:].max() < 580


def test_wrong_numbers_of_views_are_refused() -> None:
    with pytest.raises(ValueError, match="1 to 8 views"):
        assign_views(["ab"], [9], 1, 0)
    with pytest.raises(ValueError, match="expected as many"):
        assign_views(["ab"], [1, 1], 1, 0)
    assert assign_views([], [], 1, 0).shape == (0, 2)


def test_numbers_are_chosen_without_torch() -> None:
    program = "import sys, trainables.data.views, trainables.data.balance; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
