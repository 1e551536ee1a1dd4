"""`orch data views`: what a network would see, beside the images as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from orchestrator.commands.data import data
from orchestrator.contact_sheet import Sheet, contact_sheet
from orchestrator.store.errors import InputError
from orchestrator.study.studies import open_study, studies_place
from search_spaces.changes import Changes
from tests.support.configurations import asked
from tests.support.finished_study import FinishedStudy, finished_study
from tests.support.plain_augmentations import changed as plainly_changed
from trainables.learning.augmentations.augmentation import Batch
from trainables.learning.draws import epoch_order


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> FinishedStudy:
    return finished_study(tmp_path_factory.mktemp("sheet"), ("few", "many"), plain={})


def sheet_of(study: FinishedStudy, changes: Changes, images: int = 5, draws: int = 3) -> Sheet:
    found = open_study(studies_place(str(study.studies)), "study")
    return contact_sheet(found, changes, images, draws, study.tiny.cache, None, lambda _: None)


def test_a_sheet_shows_what_training_draws(study: FinishedStudy) -> None:
    """As the first batch of each epoch would be changed, image by image by torchvision."""
    found = sheet_of(study, asked(augmentation=(("flips", "contrast", "erasing"),)))
    assert found.names == ("flips", "contrast", "erasing")
    assert found.original.shape == (5, 32, 32, 3)
    assert found.drawn.shape == (5, 3, 32, 32, 3)
    c = study.tiny.configuration(augmentation=("flips", "contrast", "erasing"))
    plain = torch.from_numpy(found.original).permute(0, 3, 1, 2).float() / 255
    for epoch in (1, 2, 3):
        expected, _ = plainly_changed(c, Batch(c.data.seed, (0,), epoch, 0, 5), plain.clone(), torch.zeros(5, 2))
        values = expected.mul(255).permute(0, 2, 3, 1).numpy()
        assert np.abs(found.drawn[:, epoch - 1] - values).max() <= 0.51
    samples = study.tiny.bench().samples(c, study.tiny.partition)
    rows = samples.training[epoch_order(c.data.seed, 0, 1, len(samples.training))[:5]]
    assert found.labels == tuple(("few", "many")[label] for label in samples.labels[rows])


def test_mixed_images_are_shown_too(study: FinishedStudy) -> None:
    found = sheet_of(study, asked(augmentation=(("mixup", "cutmix"),)), draws=6)
    assert all((found.drawn[:, draw] != found.original).any() for draw in range(6))


def test_the_page_holds_every_picture(study: FinishedStudy, tmp_path: Path) -> None:
    given = ["--augmentation", "flips,contrast", "--set", "augmentation.contrast=0.4", "--images", "4", "--draws", "2"]
    page = tmp_path / "views.html"
    run = CliRunner().invoke(data, ["views", "study", *study.options, *given, "--output", str(page)])
    assert run.exit_code == 0, run.output
    text = page.read_text(encoding="utf-8")
    assert text.count("<img ") == 4 * 3
    assert "4 images of the training split with flips, contrast" in text
    assert 'alt="image 4, epoch 2"' in text
    assert '<p class="note">flip probability 0.5, contrast 0.4</p>' in text
    assert "as it is" in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (asked(augmentation=(("feature_mixup",),)), "augmentation feature_mixup changes no image"),
        (Changes(), "augmentation none changes no image"),
        (asked(augmentation=(("flips",), ("noise",))), "augmentation.names: expected one value for a sheet, found 2"),
        (
            Changes(values={"augmentation.names": (("flips",),), "augmentation.hue": (0.1,)}),
            "that uses it, found flips",
        ),
        (asked(lr=0.1), "--set optimiser.lr: expected a setting of augmentations"),
    ],
)
def test_what_a_sheet_cannot_show_is_refused(study: FinishedStudy, changes: Changes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        sheet_of(study, changes)
