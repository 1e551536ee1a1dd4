"""Near-duplicates: found in every symmetry and through re-encoding, not among pictures of one kind."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from tests.support.checkout import SHARED
from trainables.data import near_duplicates as module
from trainables.data.decode import read_rgb
from trainables.data.near_duplicates import ALIKE, SIDE, near_duplicates, small_picture
from trainables.data.views import apply_views

BCCD = SHARED / "data" / "bccd_cells"
Pixels = NDArray[np.uint8]


def cell(seed: int, side: int = 150) -> Pixels:
    """A round cell in the middle of a bright field, as all of them are, with grain and a nucleus of its own."""
    from scipy.ndimage import gaussian_filter

    draw = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side - 0.5
    field = 200 - 80 / (1 + np.exp((np.hypot(x, y) - 0.33) * 40))
    for width, strength in ((8, 30), (4, 18), (2, 10)):
        noise = gaussian_filter(draw.standard_normal((side, side)), width)
        field += strength * noise / noise.std()
    return np.repeat(field.clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def encoded(pixels: Pixels, quality: int) -> Pixels:
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "JPEG", quality=quality)
    return np.array(Image.open(target).convert("RGB"))


CHANGES = {
    "saved again": lambda pixels: encoded(pixels, 30),
    "brighter": lambda pixels: (pixels * 0.7 + 70).astype(np.uint8),
    "smaller": lambda pixels: np.array(Image.fromarray(pixels).resize((75, 75), Image.Resampling.BICUBIC)),
    "cut": lambda pixels: pixels[3:, 3:],
    "moved": lambda pixels: np.roll(pixels, (4, -3), axis=(0, 1)),
    "mirrored and saved again": lambda pixels: encoded(pixels[:, ::-1].copy(), 50),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_are_found_and_nothing_else(change: str) -> None:
    pixels = [cell(seed) for seed in range(40)]
    changed = [CHANGES[change](pixels[place]) for place in (3, 17)]
    found = near_duplicates(np.stack([small_picture(one) for one in [*pixels, *changed]]))
    assert sorted(zip(found.first.tolist(), found.second.tolist(), strict=True)) == [(3, 40), (17, 41)]
    assert (found.similarity >= ALIKE).all()
    assert set(found.symmetry.tolist()) == ({4} if "mirrored" in change else {0})


@pytest.mark.parametrize("symmetry", range(8))
def test_symmetries_are_those_of_the_views(symmetry: int) -> None:
    pictures = np.stack([small_picture(cell(seed)) for seed in range(30)])
    image = torch.from_numpy(pictures[5])[None, None].repeat(1, 3, 1, 1)
    moved = apply_views(image, torch.tensor([symmetry]), SIDE, 1)[0, 0].numpy()
    found = near_duplicates(np.concatenate([moved[None], pictures]))
    assert (found.first.tolist(), found.second.tolist()) == ([0], [6])
    assert found.symmetry.tolist() == [symmetry]
    assert found.similarity[0] > (0.9 if symmetry else 0.9999)  # the shared outline is taken away before the turn


def test_what_all_pictures_share_makes_none_alike() -> None:
    pictures = np.stack([small_picture(cell(seed)) for seed in range(40)]) // 20 + 5
    pictures[:, 4:8, 4:24] = 255  # a scale bar
    assert len(near_duplicates(pictures)) == 0


def test_even_pictures_and_few_ones() -> None:
    assert len(near_duplicates(np.zeros((0, SIDE, SIDE), dtype=np.uint8))) == 0
    assert len(near_duplicates(np.full((5, SIDE, SIDE), 9, dtype=np.uint8))) == 0
    one, other = small_picture(cell(1)), small_picture(cell(2))
    found = near_duplicates(np.stack([one, other, one]))
    assert (found.first.tolist(), found.second.tolist()) == ([0], [2])
    assert len(near_duplicates(np.stack([one, one]))) == 1


def test_blocks_and_bounds_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = np.stack([small_picture(cell(seed % 12)) for seed in range(24)])
    whole = near_duplicates(pictures)
    assert len(whole) == 12
    monkeypatch.setattr(module, "_ROWS", 5)
    monkeypatch.setattr(module, "_CHUNK", 3)
    monkeypatch.setattr(module, "MOST_COMPARED", 13)
    parts = near_duplicates(pictures)
    assert parts.first.tolist() == whole.first.tolist()
    np.testing.assert_allclose(parts.similarity, whole.similarity, atol=1e-6)


@pytest.mark.skipif(not BCCD.is_dir(), reason=f"needs {BCCD}")
def test_the_same_cell_in_two_fields_of_view() -> None:
    """Pairs that were looked at: one white cell, photographed twice; and red cells that only look alike."""
    same = (("00205_13", "00276_12"), ("00230_10", "00257_7"), ("00243_11", "00250_0"), ("00226_15", "00261_9"))
    files = [f"WBC/BloodImage_{name}.png" for pair in same for name in pair]
    others = sorted(path.relative_to(BCCD).as_posix() for path in (BCCD / "RBC").glob("*_0.png"))[:150]
    pictures = np.stack([small_picture(read_rgb(BCCD / file, 10**6)) for file in [*files, *others]])
    found = near_duplicates(pictures)
    assert sorted(zip(found.first.tolist(), found.second.tolist(), strict=True)) == [(0, 1), (2, 3), (4, 5), (6, 7)]
