"""Images that augmentations change outside of training: each by its own draw, whatever stands beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from search_spaces.settings.augmentation import AUGMENTATIONS, Augmentation
from tests.support.plain_augmentations import changed_image
from trainables.data.views import SYMMETRIES, apply_views
from trainables.learning.augmentations.augmentation import Batch, augmentations_of
from trainables.learning.augmentations.redrawn import Redrawn
from trainables.learning.draws import generator

ALONE = [one.name for one in AUGMENTATIONS.variants.values() if not one.mixes and one.name != "none"]
CONTENTS = [f"{number:064x}" for number in range(6)]


def images() -> torch.Tensor:
    return torch.rand(6, 3, 24, 24, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", ALONE)
def test_an_image_is_changed_alike_in_any_batch(name: str) -> None:
    redrawn, given = Redrawn(Augmentation(names=(name,), erasing=0.9), 5, "a test"), images()
    found = redrawn.of(given, CONTENTS, [0] * 6)
    assert not torch.equal(found, given)
    back = redrawn.of(given.flip(0), CONTENTS[::-1], [0] * 6).flip(0)
    assert torch.equal(found, back)
    alone = [redrawn.of(given[n : n + 1], CONTENTS[n : n + 1], [0]) for n in range(6)]
    assert torch.equal(found, torch.cat(alone))


def test_what_is_drawn_follows_from_seed_purpose_pixels_and_number() -> None:
    same = Augmentation(names=("brightness", "noise"))
    redrawn, given = Redrawn(same, 5, "a test"), images()
    found = redrawn.of(given, CONTENTS, [3] * 6)
    for other in (
        replace(redrawn, seed=6).of(given, CONTENTS, [3] * 6),
        replace(redrawn, purpose="another").of(given, CONTENTS, [3] * 6),
        redrawn.of(given, [content.replace("0", "1") for content in CONTENTS], [3] * 6),
        redrawn.of(given, CONTENTS, [2] * 6),
    ):
        assert all(not torch.equal(one, changed) for one, changed in zip(found, other, strict=True))
    for place, content in enumerate(CONTENTS):
        batch = Batch(int(generator(5, "a test", content, 3).integers(2**63)), (0,), 0, 0, 1)
        image = given[place]
        for name in same.names:
            image = changed_image(name, same, image, int(batch.seeds(name)))
        torch.testing.assert_close(found[place], image, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", [name for name, one in AUGMENTATIONS.variants.items() if one.views])
def test_declared_views_are_all_that_an_augmentation_makes(name: str) -> None:
    image, declared = images()[:1], AUGMENTATIONS.variants[name].views
    (one,) = augmentations_of(Augmentation(names=(name,)))
    every = apply_views(image.expand(SYMMETRIES, -1, -1, -1), torch.arange(SYMMETRIES), 24, 1)
    made = one.apply(image.expand(200, -1, -1, -1), one.draw(Batch(3, (0,), 1, 0, 200)))
    seen = {next(view for view in range(SYMMETRIES) if torch.equal(each, every[view])) for each in made}
    assert seen == set(declared)
    assert declared[0] == 0
