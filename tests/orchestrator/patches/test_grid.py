"""Where squares lie, and that no pixel is lost without being counted."""

from __future__ import annotations

import numpy as np
import pytest

from orchestrator.patches.grid import Grid, Margin, Pixels, found_margin, pixels_of


def test_squares_do_not_overlap_and_the_rest_is_at_the_right_and_below() -> None:
    grid = Grid(1296, 966, Margin(), 250)
    assert (grid.columns, grid.rows) == (5, 3)
    places = grid.places()
    assert places[:2] == [(0, 0, 250, 250), (250, 0, 250, 250)]
    assert places[-1] == (1000, 500, 250, 250)
    covered = np.zeros((966, 1296), int)
    for x, y, width, height in places:
        covered[y : y + height, x : x + width] += 1
    assert covered.max() == 1
    assert pixels_of(grid, [True] * 15) == Pixels(kept=15 * 62_500, edges=1296 * 966 - 15 * 62_500)


def test_the_reference_shares_of_one_field() -> None:
    """A margin of 6 and 10 pixels, one square of six skipped: every pixel has one reason."""
    grid = Grid(320, 230, Margin(left=6, right=10), 100)
    pixels = pixels_of(grid, [True] * 5 + [False])
    assert pixels == Pixels(kept=50_000, edges=304 * 230 - 60_000, margin=16 * 230, background=10_000)
    assert pixels.all == 320 * 230
    assert (pixels + pixels).lost == 2 * (320 * 230 - 50_000)


@pytest.mark.parametrize("factor", [0.5, 0.37, 1.6])
def test_resampled_squares_lie_side_by_side_in_the_source(factor: float) -> None:
    grid = Grid(1000, 700, Margin(20, 30, 5, 0), 64, factor, factor)
    covered = np.zeros((700, 1000), int)
    for x, y, width, height in grid.places():
        assert abs(width - 64 / factor) <= 1
        covered[y : y + height, x : x + width] += 1
    assert covered.max() == 1
    assert covered[:30].sum() == 0
    assert covered[:, :20].sum() == 0
    pixels = pixels_of(grid, [True] * len(grid.places()))
    assert pixels.all == 700_000
    assert pixels.kept == covered.sum()


def test_a_square_that_only_rounding_would_fit_is_not_there() -> None:
    assert Grid(499, 1000, Margin(), 250, 0.5, 0.5).places() == []
    assert Grid(500, 1000, Margin(), 250, 0.5, 0.5).columns == 1
    for width in range(240, 800):
        grid = Grid(width, 300, Margin(), 64, 0.37, 0.37)
        assert all(x + wide <= width and y + high <= 300 for x, y, wide, high in grid.places())
        assert pixels_of(grid, [True] * len(grid.places())).edges >= 0


def test_an_image_smaller_than_a_patch_holds_none() -> None:
    assert Grid(249, 1000, Margin(), 250).places() == []
    assert pixels_of(Grid(249, 1000, Margin(), 250), []) == Pixels(edges=249_000)
    assert Grid(300, 300, Margin(200, 0, 200, 0), 250).places() == []
    assert pixels_of(Grid(300, 300, Margin(200, 0, 200, 0), 250), []) == Pixels(margin=90_000)


def test_uniform_borders_are_found_and_nothing_else() -> None:
    inner = np.random.default_rng(0).integers(0, 255, (80, 90, 3), dtype=np.uint8)
    framed = np.full((110, 120, 3), (255, 250, 245), np.uint8)
    framed[12:92, 7:97] = inner
    framed[:, 110:] = 0  # a second bar behind the first, of another colour
    assert found_margin(inner) == Margin()
    assert found_margin(framed[:, :110]) == Margin(left=7, top=12, right=13, bottom=18)
    assert found_margin(framed) == Margin(left=7, right=10), "lines of two colours are no uniform border"
    assert found_margin(np.full((50, 60, 3), 9, np.uint8)) == Margin(), "a uniform image is background, not margin"


def test_a_dark_noisy_border_is_part_of_the_picture() -> None:
    dark = np.random.default_rng(0).poisson(4, (60, 60, 3)).astype(np.uint8)
    assert found_margin(dark) == Margin()
