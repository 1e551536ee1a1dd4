"""Test-time views and an augmented test set, beside a loop over the images that uses nothing of the evaluation."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from orchestrator.command_line import main
from orchestrator.evaluation.changed import Views, changes_asked
from orchestrator.evaluation.external import External
from orchestrator.evaluation.record import Estimate, EvaluationRecord, read_evaluations
from orchestrator.evaluation.text import as_text
from orchestrator.store.errors import InputError
from search_spaces.changes import Typed
from search_spaces.settings.augmentation import Augmentation
from tests.support.evaluated_study import EvaluatedStudy
from tests.support.plain_augmentations import changed_image
from tests.support.tiny_study import SIZE
from tests.support.trained_study import NAME
from trainables.bundles.trained import trained
from trainables.data.decode import content_hash
from trainables.data.options import DatasetOptions
from trainables.learning.augmentations.augmentation import Batch
from trainables.learning.draws import generator

NOISY = Augmentation(names=("brightness", "noise"), brightness=0.5, noise=0.2)
STUDY_SEED = 5
"""Of the configurations."""


class Plain:
    """One configuration's repeats as plain modules, and the test images one at a time."""

    def __init__(self, evaluated: EvaluatedStudy, configuration: str) -> None:
        bench, partition = evaluated.tiny.bench(), evaluated.tiny.partition
        c = bench.configuration(configuration)
        assert c.data.seed == STUDY_SEED
        frozen = bench.frozen_ready(c, partition)
        self.network = bench.network(frozen)
        self.mean, self.std = (torch.tensor(values).view(3, 1, 1) for values in (frozen.mean, frozen.std))
        self.models = [one.weights for one in trained(bench, partition, configuration, [0, 1, 2]).values()]
        rows = evaluated.manifest[evaluated.manifest["file"].str.contains("test")]
        self.truth = rows["label"].map({name: n for n, name in enumerate(c.data.classes)}).to_numpy()
        self.images: list[tuple[str, torch.Tensor]] = []
        for file in rows["file"]:
            pixels = np.asarray(Image.open(evaluated.tiny.data / file).convert("RGB"))
            square = pixels[2 : 2 + SIZE].astype(np.float32) / 255
            self.images.append((content_hash(pixels), torch.from_numpy(square.transpose(2, 0, 1).copy())))

    @torch.no_grad()
    def chances(self, image: torch.Tensor) -> np.ndarray:
        """[repeats, classes] of an image from 0 to 1; the heads are linear probes."""
        features = self.network(((image - self.mean) / self.std)[None])[0].double().numpy()
        logits = np.stack([self._linear(weights, features) for weights in self.models])
        above = np.exp(logits - logits.max(axis=1, keepdims=True))
        return above / above.sum(axis=1, keepdims=True)

    @staticmethod
    def _linear(weights: dict[str, np.ndarray], features: np.ndarray) -> np.ndarray:
        (matrix,), (bias,) = (
            [array.astype(np.float64) for array in weights.values() if array.ndim == axes] for axes in (2, 1)
        )
        found: np.ndarray = matrix @ features + bias
        return found

    def scores(self, chances: list[np.ndarray]) -> tuple[float, float]:
        """Accuracy and log loss, mean over the repeats, of chances [repeats, classes] image by image."""
        every = np.stack(chances, axis=1)
        own = every[:, np.arange(len(self.truth)), self.truth]
        return float((every.argmax(axis=2) == self.truth).mean()), float(-np.log(own.clip(2.2204e-16)).mean())


def redrawn(same: Augmentation, purpose: str, content: str, number: int, image: torch.Tensor) -> torch.Tensor:
    batch = Batch(int(generator(STUDY_SEED, purpose, content, number).integers(2**63)), (0,), 0, 0, 1)
    for name in same.names:
        image = changed_image(name, same, image, int(batch.seeds(name)))
    return image


def one_of(record: EvaluationRecord, what: str, *, ensemble: bool = False) -> Estimate:
    (found,) = [one for one in record.estimates if getattr(one, what) is not None and one.ensemble == ensemble]
    return found


def check(estimate: Estimate, expected: tuple[float, float]) -> None:
    overall = estimate.image.overall
    assert overall["accuracy"].value == pytest.approx(expected[0])
    assert overall["log_loss"].value == pytest.approx(expected[1], rel=1e-4)


def test_the_augmented_test_set_is_every_image_changed_once(evaluated: EvaluatedStudy) -> None:
    for configuration in evaluated.ranked:
        record = evaluated.evaluate(configuration=configuration, tta=None, augmented=NOISY)
        plain = Plain(evaluated, configuration)
        check(record.primary, plain.scores([plain.chances(image) for _, image in plain.images]))
        changed = [
            plain.chances(redrawn(NOISY, "augmented test images", content, 0, image)) for content, image in plain.images
        ]
        estimate = one_of(record, "augmented")
        check(estimate, plain.scores(changed))
        assert abs(estimate.image.overall["log_loss"].value - record.primary.image.overall["log_loss"].value) > 1e-3  # type: ignore[operator]
        together = [np.repeat(each.mean(axis=0, keepdims=True), 3, axis=0) for each in changed]
        check(one_of(record, "augmented", ensemble=True), plain.scores(together))
        assert estimate.augmented is not None
        assert estimate.augmented.names == ("brightness", "noise")
        assert estimate.augmented.strengths == {"brightness": 0.5, "noise": 0.2}
        assert (estimate.is_primary, estimate.views, estimate.tta) == (False, 1, None)
        assert estimate.image.overall["accuracy"].reason == record.primary.image.overall["accuracy"].reason
        assert estimate.even is not None, "all that the primary estimate has"


def test_test_time_views_are_the_mean_of_probabilities(evaluated: EvaluatedStudy) -> None:
    seen, _ = changes_asked("flips", None, "none")
    record = evaluated.evaluate(tta=seen)
    plain = Plain(evaluated, record.configuration)
    means = [
        np.mean([plain.chances(image.flip(axes)) for axes in ((), (2,), (1,), (1, 2))], axis=0)
        for _, image in plain.images
    ]
    check(record.primary, plain.scores([plain.chances(image) for _, image in plain.images]))
    estimate = one_of(record, "tta")
    check(estimate, plain.scores(means))
    assert (estimate.views, estimate.name) == (4, "single models, mean over 4 views (flips)")
    drawn = evaluated.evaluate(tta=Views(NOISY, 3))
    means = [
        np.mean(
            [plain.chances(redrawn(NOISY, "test-time views", content, n, image)) for n in range(3)],
            axis=0,
        )
        for content, image in plain.images
    ]
    (estimate,) = [one for one in drawn.estimates if one.views == 3 and not one.ensemble]
    check(estimate, plain.scores(means))
    assert estimate.name == "single models, mean over 3 views (brightness 0.5, noise 0.2)"


def test_the_clean_score_is_the_same_bit_for_bit_and_all_of_it_is_one_look(evaluated: EvaluatedStudy) -> None:
    everything = evaluated.evaluate(augmented=NOISY, tta=Views(NOISY, 2))
    told = " ".join(evaluated.said)
    assert "First look at 10 test images" in told
    assert "To predict: 40 images (10 × 4: 1 upright, 2 random views, 1 augmented), by 3 repeats." in told
    assert (everything.number, everything.looks) == (1, 1)
    path = evaluated.study.place.path / everything.predictions
    clean = path.read_bytes()
    for name in [*path.parent.glob("predictions-*"), *path.parent.glob("evaluation-*")]:
        name.unlink()
    alone = evaluated.evaluate(tta=None)
    assert path.read_bytes() == clean
    assert alone.primary == everything.primary
    assert len(alone.estimates) == 2
    assert (alone.number, alone.looks) == (1, 1)


def test_what_was_predicted_stays_and_more_is_no_further_look(
    evaluated: EvaluatedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = evaluated.evaluate(tta=None, augmented=NOISY)
    more = evaluated.evaluate(tta=Views(NOISY, 2), augmented=Augmentation(names=("contrast",)))
    assert (more.number, more.looks) == (1, 1)
    assert len(more.estimates) == 8
    assert more.primary == first.primary
    assert one_of(first, "augmented") in more.estimates
    with monkeypatch.context() as patched:
        patched.setattr("orchestrator.evaluation.predicting.predict", lambda *_: pytest.fail("opened the test images"))
        again = evaluated.evaluate(tta=Views(NOISY, 2), augmented=NOISY)
    assert "no further look" in " ".join(evaluated.said)
    assert {one.name for one in again.estimates} == {one.name for one in more.estimates}
    longer = evaluated.evaluate(tta=Views(NOISY, 3))
    assert "30 images (10 × 3: 3 random views)" in " ".join(evaluated.said)
    assert len(longer.estimates) == 10
    changes = next(one.tta for one in longer.estimates if one.views == 3)
    assert changes is not None
    table = pd.read_parquet(io.BytesIO(evaluated.study.storage.read(changes.predictions)))
    assert len(table) == 3 * 10 * 3
    assert set(table["view"]) == {0, 1, 2}
    assert read_evaluations(evaluated.study.storage) == [longer]


def test_exact_views_are_taken_from_those_that_lie_there(
    evaluated: EvaluatedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    four = evaluated.evaluate(tta=changes_asked("flips", None, "none")[0])
    eight = evaluated.evaluate()
    assert [one.views for one in eight.estimates] == [1, 1, 8, 8, 4, 4]
    monkeypatch.setattr("orchestrator.evaluation.predicting.predict", lambda *_: pytest.fail("opened the test images"))
    assert one_of(four, "tta") in evaluated.evaluate(tta=changes_asked("flips", None, "none")[0]).estimates
    two = evaluated.evaluate(tta=changes_asked("flips", 2, "none")[0])
    assert {one.views for one in two.estimates} == {1, 2, 4, 8}


def test_images_from_elsewhere_are_augmented_too(evaluated: EvaluatedStudy, tmp_path: Path) -> None:
    draw, rows = np.random.default_rng(9), ["file,label,group"]
    for number in range(6):
        Image.fromarray(draw.integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,{('few', 'many', 'some')[number % 3]},g{number}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    external = External(tmp_path / "labels.csv", DatasetOptions())
    record = evaluated.evaluate(external=external, tta=None, augmented=NOISY)
    assert record.external == "labels.csv"
    assert one_of(record, "augmented").image.count == 6


def orch(evaluated: EvaluatedStudy, *arguments: str) -> Result:
    places = ["--studies", str(evaluated.study.place.parent.path), "--cache", str(evaluated.tiny.cache)]
    return CliRunner().invoke(main, ["evaluate", NAME, *places, *arguments])


def test_the_command_shows_both_scores_with_their_names(evaluated: EvaluatedStudy) -> None:
    asked = ("--augmented", "brightness,noise", "--set", "augmentation.noise=0.2", "--tta", "flips", "--views", "2")
    told = orch(evaluated, *asked)
    assert told.exit_code == 0, told.output
    (record,) = read_evaluations(evaluated.study.storage)
    assert told.stdout.startswith(as_text(record))
    table = told.stdout[told.stdout.index("Secondary estimates") :].split("\n\n")[0].splitlines()
    assert [line.split("  ")[1] for line in table[2:7]] == [
        "mean over the repeats, single models, no test-time augmentation (primary)",
        "ensemble of the repeats",
        "single models, mean over 2 views (flips)",
        "ensemble of the repeats, mean over 2 views (flips)",
        "single models, augmented test images (brightness 0.2, noise 0.2)",
    ]
    data = json.loads(orch(evaluated, *asked, "--json").stdout)
    (changes,) = [one["augmented"] for one in data["estimates"] if one["augmented"] and not one["ensemble"]]
    assert changes["names"] == ["brightness", "noise"]
    assert changes["strengths"] == {"brightness": 0.2, "noise": 0.2}
    assert EvaluationRecord.model_validate(data) == read_evaluations(evaluated.study.storage)[0]


REFUSED: list[tuple[tuple[str, ...], str]] = [
    (("--augmented", "brighness"), "found 'brighness'; did you mean 'brightness'?"),
    (("--tta", "flip"), "found 'flip'; did you mean 'flips'?"),
    (
        ("--augmented", "noise,cutmix"),
        "--augmented: expected augmentations of single images, found cutmix",
    ),
    (("--tta", "mixup"), "--tta: expected augmentations of single images, found mixup, which mixes"),
    (("--tta", "feature_mixup"), "found feature_mixup, which mixes images"),
    (("--augmented", ""), "--augmented: expected one or more of none, crop"),
    (("--augmented", "none,noise"), "(none only by itself), found none,noise"),
    (("--tta", "flips,dihedral"), 'expected "dihedral" without "flips", found flips, dihedral'),
    (("--tta", "noise,noise"), "expected each augmentation once"),
    (("--views", "0"), "--views 0: expected 2 to 8, as dihedral makes 8 views of an image"),
    (("--tta", "flips", "--views", "5"), "--views 5: expected 2 to 4"),
    (("--tta", "noise", "--views", "0"), "--views 0: expected 1 or more, found 0"),
    (("--tta", "none", "--views", "4"), "--views 4: expected --tta as well, found none"),
    (("--set", "augmentation.noise=0.1"), "--set augmentation.noise: expected --augmented or --tta with"),
    (("--augmented", "noise", "--set", "augmentation.hue=0.1"), "that uses it, found noise"),
    (("--augmented", "noise", "--set", "augmentation.noise=0.1,0.2"), "expected one value, found 2"),
    (("--augmented", "noise", "--set", "augmentation.noise=7"), "expected a number from 0 to 1, found 7"),
    (("--augmented", "noise", "--set", "optimiser.lr=0.1"), "expected the strength of an augmentation"),
    (("--nested", "2", "--augmented", "noise", "--tta", "none"), "--tta, --augmented: cannot be used with --nested"),
]


@pytest.mark.parametrize(("arguments", "told"), REFUSED, ids=lambda value: " ".join(value) if value[0] == "-" else None)
def test_what_cannot_be_had_is_told_in_a_sentence_and_is_no_look(
    evaluated: EvaluatedStudy, arguments: tuple[str, ...], told: str
) -> None:
    refused = orch(evaluated, *arguments)
    assert refused.exit_code == 2
    assert refused.stdout == ""
    assert told in " ".join(refused.stderr.split()), refused.stderr
    assert not (evaluated.study.place.path / "results").exists()
    assert not (evaluated.study.place.parent.path / ".looks").exists()


def test_a_strength_is_of_what_uses_it() -> None:
    strengths = [Typed("--set", f"augmentation.{name}", text) for name, text in (("noise", "0.3"), ("chance", "0.1"))]
    seen, once = changes_asked("flips,noise", 5, "flips", strengths)
    assert seen == Views(Augmentation(names=("flips", "noise"), noise=0.3, chance=0.1), 5)
    assert once == Augmentation(names=("flips",), chance=0.1)
    with pytest.raises(InputError, match="expected --augmented or --tta"):
        changes_asked("flips", None, "none", strengths[1:])
