"""What each augmentation makes of images, beside torchvision on one image, and what its draws follow from."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from search_spaces.settings.augmentation import AUGMENTATIONS, Augmentation
from tests.support.configurations import configured
from tests.support.plain_augmentations import changed_image, mixed
from trainables.learning.augmentations.augmentation import Batch, augmentations_of, mixings_of
from trainables.learning.augmentations.one_of import OneOf

BATCH = Batch(3, (0, 4), 2, 16, 6)
OF_IMAGES = [one.name for one in AUGMENTATIONS.variants.values() if one.from_pixels and not one.mixes]
MIXING = [one.name for one in AUGMENTATIONS.variants.values() if one.mixes]
STRENGTHS: dict[str, Any] = {"erasing": 0.7, "scale": (0.2, 0.9), "noise": 0.3, "severity": 5, "operations": 3}


def images(side: int = 32) -> torch.Tensor:
    return torch.rand(12, 3, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", [name for name in OF_IMAGES if name != "flips"])
@pytest.mark.parametrize("side", [32, 9])
def test_each_image_is_what_plain_code_makes_of_it(name: str, side: int) -> None:
    same = Augmentation(names=(name,), **STRENGTHS)
    (one,) = augmentations_of(same)
    given = images(side)
    found = one.apply(given, one.draw(BATCH))
    expected = [changed_image(name, same, *both) for both in zip(given, BATCH.seeds(name).tolist(), strict=True)]
    torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-6)
    assert not torch.equal(found, given)


@pytest.mark.parametrize("name", OF_IMAGES)
def test_a_draw_belongs_to_its_images(name: str) -> None:
    (one,) = augmentations_of(Augmentation(names=(name,), **STRENGTHS))
    drawn, given = one.draw(BATCH), images()
    assert len(drawn) == 12
    assert torch.equal(drawn, one.draw(BATCH))
    for other in (
        BATCH._replace(epoch=3),
        BATCH._replace(first=0),
        BATCH._replace(seed=4),
        BATCH._replace(repeats=(1, 5)),
    ):
        assert not torch.equal(drawn, one.draw(other))
    before, state = given.clone(), torch.random.get_rng_state()
    found = one.apply(given, drawn)
    assert torch.equal(torch.random.get_rng_state(), state), "nobody else's draws move"
    assert torch.equal(given, before), "what was given stays as it is"
    assert found.shape == given.shape
    assert found.dtype == torch.float32
    assert found.min() >= 0
    assert found.max() <= 1 + 1e-6
    for repeat in (0, 1):
        part, alone = slice(6 * repeat, 6 * repeat + 6), BATCH._replace(repeats=(BATCH.repeats[repeat],))
        assert torch.equal(one.apply(given[part], one.draw(alone)), found[part])


@pytest.mark.parametrize("name", [name for name in OF_IMAGES if name != "flips"])
def test_a_place_of_an_epoch_draws_the_same_in_any_batch(name: str) -> None:
    whole = Batch(3, (1,), 2, 0, 20).seeds(name)
    assert torch.equal(torch.cat([Batch(3, (1,), 2, first, 5).seeds(name) for first in (0, 5, 10, 15)]), whole)
    assert len(set(whole.tolist())) == 20


def test_all_eight_ways_to_lay_a_square_occur() -> None:
    (one,) = augmentations_of(Augmentation(names=("dihedral",)))
    assert set(one.draw(Batch(0, (0,), 1, 0, 200)).tolist()) == set(range(8))


def test_stain_moves_haematoxylin_along_its_own_colour_alone() -> None:
    """A pixel of one stain stays of that stain: only the amount that it has of it changes."""
    absorbed = torch.tensor([0.65, 0.70, 0.29])
    given = torch.exp(-0.8 * absorbed).sub(1 / 255).view(1, 3, 1, 1).expand(12, 3, 4, 4)
    (one,) = augmentations_of(Augmentation(names=("stain",), stain=0.3))
    drawn = one.draw(BATCH)
    assert drawn.abs().max() <= 1
    assert drawn.std() == pytest.approx(3**-0.5, abs=0.1), "uniform"
    drawn[:, 1] = 0  # scaled, not shifted
    found = one.apply(given, drawn).add(1 / 255).log().neg()[:, :, 0, 0]
    torch.testing.assert_close(found, 0.8 * (1 + 0.3 * drawn[:, 0, :1]) * absorbed)


def test_no_strength_of_stain_leaves_images_as_they_are() -> None:
    (one,) = augmentations_of(Augmentation(names=("stain",), stain=0.0))
    given = images()
    given[0] = 0
    torch.testing.assert_close(one.apply(given, one.draw(BATCH)), given, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", MIXING)
def test_mixing_stays_within_a_repeat(name: str) -> None:
    (one,) = mixings_of(Augmentation(names=(name,)))
    drawn, again = one.draw(BATCH), one.draw(BATCH)
    assert len(drawn) == one.draws
    assert all(torch.equal(a, b) for a, b in zip(drawn, again, strict=True))
    given, targets = images(), torch.rand(2, 1, 6, 1)
    before = given.clone(), targets.clone()
    (found,), found_targets = one.apply((given,), targets, *drawn)
    assert torch.equal(given, before[0])
    assert torch.equal(targets, before[1])
    c = configured(augmentation=(name,))
    for repeat in (0, 1):
        part, alone = slice(6 * repeat, 6 * repeat + 6), BATCH._replace(repeats=(BATCH.repeats[repeat],))
        (own,), own_targets = one.apply((given[part],), targets[repeat : repeat + 1], *one.draw(alone))
        assert torch.equal(own, found[part])
        assert torch.equal(own_targets, found_targets[repeat : repeat + 1])
        plain, plain_targets = mixed(name.removeprefix("feature_"), c, alone, given[part], targets[repeat, 0])
        torch.testing.assert_close(own, plain)
        torch.testing.assert_close(own_targets[0, 0], plain_targets.float())


def test_each_step_takes_one_way_to_mix() -> None:
    same = Augmentation(names=("mixup", "cutmix"))
    several, mixings = OneOf(mixings_of(same)), mixings_of(same)
    given, targets = images(), torch.rand(2, 1, 6, 1)
    taken = set()
    for epoch in range(8):
        batch = BATCH._replace(epoch=epoch)
        drawn = several.draw(batch)
        assert len(drawn) == several.draws
        (found,), found_targets = several.apply((given,), targets, *drawn)
        ways = [one.apply((given,), targets, *one.draw(batch)) for one in mixings]
        for repeat in (0, 1):
            part = slice(6 * repeat, 6 * repeat + 6)
            (way,) = [number for number, ((own,), _) in enumerate(ways) if torch.equal(own[part], found[part])]
            assert torch.equal(ways[way][1][repeat], found_targets[repeat])
            taken.add(way)
    assert taken == {0, 1}


@pytest.mark.parametrize(
    "strengths",
    [
        {
            "scale": (1e-4, 1e-4),
            "ratio": (0.1, 0.1),
            "brightness": 0.0,
            "contrast": 0.0,
            "saturation": 0.0,
            "hue": 0.0,
            "stain": 0.0,
            "blur": 0.1,
            "noise": 0.0,
            "erasing": 0.0,
            "erased": (1e-4, 1e-4),
            "operations": 1,
            "magnitude": 0,
            "severity": 1,
            "chance": 0.0,
        },
        {
            "scale": (1.0, 1.0),
            "ratio": (10.0, 10.0),
            "brightness": 1.0,
            "contrast": 1.0,
            "saturation": 1.0,
            "hue": 0.5,
            "stain": 1.0,
            "blur": 32.0,
            "noise": 1.0,
            "erasing": 1.0,
            "erased": (1.0, 1.0),
            "operations": 14,
            "magnitude": 30,
            "severity": 10,
            "chance": 0.99,
        },
    ],
    ids=["weakest", "strongest"],
)
@pytest.mark.parametrize("name", OF_IMAGES)
def test_the_ends_of_every_range_give_images(name: str, strengths: dict[str, Any]) -> None:
    (one,) = augmentations_of(Augmentation(names=(name,), **strengths))
    found = one.apply(images(), one.draw(BATCH))
    assert found.shape == (12, 3, 32, 32)
    assert torch.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 1 + 1e-5
