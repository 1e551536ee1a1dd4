"""Which rows are trained on and scored, and that the test split is not among them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator.store import layout
from orchestrator.store.errors import InputError
from tests.support.tiny_study import COUNTS, TinyStudy, make_tiny_study
from trainables.data.manifest import read_manifest
from trainables.features.samples import Samples, collect

CLASSES = ("few", "many", "some")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    return make_tiny_study(tmp_path_factory.mktemp("samples"), CLASSES)


def manifest_of(study: TinyStudy) -> tuple[pd.DataFrame, pd.Series]:
    manifest = read_manifest(study.storage.read(layout.MANIFEST))
    return manifest, manifest["group"].map(study.groups())


def collected(study: TinyStudy, **changes: Any) -> Samples:
    return collect(*manifest_of(study), study.configuration(**changes))


def per_class(samples: Samples, rows: np.ndarray) -> list[int]:
    return np.bincount(samples.labels[rows], minlength=len(CLASSES)).tolist()


TRAIN, VALID = [COUNTS[c][0] for c in CLASSES], [COUNTS[c][1] for c in CLASSES]


def test_the_counts_are_those_that_the_other_tests_reckon_with() -> None:
    assert (TRAIN, VALID) == ([7, 18, 12], [4, 8, 6])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"views": 3},
        {"balance": "ngca"},
        {"balance": "ngca", "score_augmented": True},
        {"balance": "class_weights", "views": 2},
        {"balance": "subsample"},
        {"balance": "count", "count": 14},
    ],
)
def test_what_every_balance_has_in_common(study: TinyStudy, changes: dict[str, Any]) -> None:
    manifest, splits = manifest_of(study)
    samples = collect(manifest, splits, study.configuration(**changes))
    split = samples.images["group"].map(study.groups()).to_numpy()
    assert set(split) == {"train", "valid"}
    assert not samples.images["file"].isin(manifest.loc[splits == "test", "file"]).any()
    image, view = samples.views.T
    assert set(split[image[samples.training]]) == {"train"}
    assert len(set(samples.training)) == len(samples.training)
    for name, expected in (("train", TRAIN), ("valid", VALID)):
        rows = samples.scoring[name]
        assert (view[rows] == 0).all()
        assert set(split[image[rows]]) == {name}
        assert len(set(image[rows])) == len(rows) == sum(expected)
        assert per_class(samples, rows) == expected
    names = samples.images["label"].to_numpy()[image]
    assert [CLASSES[label] for label in samples.labels] == names.tolist()
    assert len({tuple(row) for row in samples.views.tolist()}) == samples.rows


def test_no_balance(study: TinyStudy) -> None:
    plain, three = collected(study), collected(study, views=3)
    assert per_class(plain, plain.training) == TRAIN
    assert plain.rows == sum(TRAIN) + sum(VALID)
    assert per_class(three, three.training) == [3 * n for n in TRAIN]
    assert three.rows == 3 * sum(TRAIN) + sum(VALID), "valid images are scored in view 0 alone"


def test_ngca_balances_train_alone(study: TinyStudy) -> None:
    """Ratios of 18 are 3, 1, 2 (rounded half up); n = 8 // 3 − 1 = 1 of 7 transforms: 6, 2 and 4 views."""
    samples = collected(study, balance="ngca")
    assert per_class(samples, samples.training) == [7 * 6, 18 * 2, 12 * 4]
    assert samples.rows == 7 * 6 + 18 * 2 + 12 * 4 + sum(VALID)
    assert list(samples.scoring) == ["train", "valid"]
    assert samples.weights is None


def test_balanced_valid_views_are_an_extra_column(study: TinyStudy) -> None:
    """Valid's ratios are its own: 2, 1, 1 of 8; n = 8 // 2 − 1 = 3: 8, 4 and 4 views."""
    plain = collected(study, balance="ngca")
    samples = collected(study, balance="ngca", score_augmented=True)
    assert list(samples.scoring) == ["train", "valid", "valid_views"]
    assert per_class(samples, samples.scoring["valid_views"]) == [4 * 8, 8 * 4, 6 * 4]
    assert per_class(samples, samples.scoring["valid"]) == VALID
    for name in ("train", "valid"):
        assert np.array_equal(samples.views[samples.scoring[name]], plain.views[plain.scoring[name]])
    assert np.array_equal(samples.views[samples.training], plain.views[plain.training])


def test_class_weights(study: TinyStudy) -> None:
    samples = collected(study, balance="class_weights")
    assert samples.weights is not None
    assert samples.weights.dtype == np.float32
    assert samples.weights == pytest.approx([37 / (3 * n) for n in TRAIN])


def test_subsample_keeps_as_many_of_each(study: TinyStudy) -> None:
    samples = collected(study, balance="subsample", views=2)
    assert per_class(samples, samples.training) == [14, 14, 14]
    assert len(set(samples.views[samples.training, 0])) == 21
    assert per_class(samples, samples.scoring["train"]) == TRAIN


def test_a_given_count_cuts_large_classes_and_enlarges_small_ones(study: TinyStudy) -> None:
    """14 of each: two views of 7 images, 14 of 18 images, two views of two of 12 images."""
    samples, fewer = collected(study, balance="count", count=14), collected(study, balance="subsample")
    assert per_class(samples, samples.training) == [14, 14, 14]
    image, view = samples.views[samples.training].T
    labels = samples.labels[samples.training]
    assert [len(set(image[labels == label])) for label in range(3)] == [7, 14, 12]
    assert (view[labels == 1] == 0).all()
    assert samples.rows == 14 + 18 + 14 + sum(VALID), "all images are scored, those too that are not trained on"
    assert set(fewer.views[fewer.training, 0]) <= set(image)
    other = collected(study, balance="count", count=14, study_seed=6)
    assert not np.array_equal(other.views[other.training], samples.views[samples.training])


def test_a_count_of_the_smallest_class_is_subsampling(study: TinyStudy) -> None:
    one, other = collected(study, balance="count", count=7), collected(study, balance="subsample")
    assert np.array_equal(one.views[one.training], other.views[other.training])


def test_a_count_beyond_eight_views_is_refused_with_the_most_there_is(study: TinyStudy) -> None:
    samples = collected(study, balance="count", count=56)
    assert per_class(samples, samples.training) == [56, 56, 56]
    with pytest.raises(InputError) as told:
        collected(study, balance="count", count=57)
    assert told.value.message == (
        "balance.count: expected 56 or less (8 views of each of the 7 training images of 'few'), found 57"
    )
    assert told.value.advice == "Ask for fewer: --set balance.count=56"


@pytest.mark.parametrize("balance", ["none", "ngca", "class_weights", "subsample", "count"])
def test_the_test_split_changes_nothing(study: TinyStudy, balance: str) -> None:
    """Neither the labels nor the content of test images, nor that there are any."""
    manifest, splits = manifest_of(study)
    configuration = study.configuration(balance=balance, score_augmented=True, count=20)
    test = (splits == "test").to_numpy()
    permuted = manifest.copy()
    permuted.loc[test, "label"] = manifest.loc[test, "label"].to_numpy()[::-1]
    permuted.loc[test, "content"] = "0" * 64
    one, other = collect(manifest, splits, configuration), collect(permuted, splits, configuration)
    without = collect(manifest[~test].reset_index(drop=True), splits[~test].reset_index(drop=True), configuration)
    for samples in (other, without):
        pd.testing.assert_frame_equal(samples.images, one.images)
        for name in ("views", "labels", "training", "weights"):
            assert np.array_equal(getattr(samples, name), getattr(one, name)), name
        assert {k: v.tolist() for k, v in samples.scoring.items()} == {k: v.tolist() for k, v in one.scoring.items()}


@pytest.mark.parametrize("empty", ["train", "valid"])
def test_an_empty_split_is_refused(study: TinyStudy, empty: str) -> None:
    manifest, splits = manifest_of(study)
    with pytest.raises(InputError, match=f"the {empty} split of this partition has no images"):
        collect(manifest, splits.replace(empty, "test"), study.configuration())
