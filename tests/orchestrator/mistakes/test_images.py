"""Tables of images, classes and groups, and shared errors, against loops over single predictions."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest

from orchestrator.mistakes.images import (
    STANDINGS,
    class_table,
    confused_pairs,
    group_table,
    image_table,
    never_by_group,
)
from orchestrator.mistakes.shared import shared_errors
from tests.support.gathered import gathered_of, random_gathered

SIZES = [(1, 1, 1), (1, 5, 40), (2, 4, 60), (3, 3, 60), (5, 4, 90)]


def logits_of(seed: int, members: int, repeats: int, images: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draw = np.random.default_rng([seed, members])
    truth, group = draw.integers(0, 3, images), np.sort(draw.permutation(images) % max(1, images // 5))
    shared = np.eye(3)[truth] + draw.normal(size=(images, 3))
    return shared + draw.normal(size=(members, repeats, images, 3)), truth, group


def standing(votes: list[bool]) -> str:
    return STANDINGS[0 if all(votes) else 1 if any(votes) else 2]


@pytest.mark.parametrize(("members", "repeats", "images"), SIZES)
def test_images_are_those_of_single_predictions(members: int, repeats: int, images: int) -> None:
    logits, truth, group = logits_of(1, members, repeats, images)
    found = gathered_of(logits, truth, group)
    table = image_table(found).set_index("file")
    for i in range(images):
        said = logits[:, :, i].argmax(axis=-1)
        row = table.loc[f"{i:04d}.png"]
        assert row["right"] == pytest.approx((said == truth[i]).mean())
        assert row["standing"] == standing((said == truth[i]).ravel().tolist())
        assert row["best_standing"] == standing((said[0] == truth[i]).tolist())
        wrong = Counter(said[said != truth[i]].tolist())
        most = min((name for name in wrong if wrong[name] == max(wrong.values())), default=None)
        assert row["mostly_called"] == ("" if most is None else f"class {most}")
        chances = np.exp(logits[:, :, i]) / np.exp(logits[:, :, i]).sum(axis=-1, keepdims=True)
        assert row["probability"] == pytest.approx(chances[..., truth[i]].mean())
        assert row["predictions"] == repeats
    assert table["right"].is_monotonic_increasing, "the worst come first"


def test_classes_add_up_to_the_images() -> None:
    logits, truth, group = logits_of(2, 3, 4, 90)
    found = gathered_of(logits, truth, group)
    images, table = image_table(found), class_table(found)
    for row in table.to_dict("records"):
        of = images[images["label"] == row["label"]]
        assert [row[one] for one in STANDINGS] == [(of["standing"] == one).sum() for one in STANDINGS]
        assert [row[f"best_{one}"] for one in STANDINGS] == [(of["best_standing"] == one).sum() for one in STANDINGS]
        assert row["error"] == pytest.approx(1 - of["best_right"].mean())
        assert row["groups"] == of["group"].nunique()
        k = found.classes.index(row["label"])
        said = Counter(logits[0][:, truth == k].argmax(axis=-1).ravel().tolist())
        del said[k]
        assert row["mostly_called"] == f"class {max(said, key=lambda name: (said[name], -name))}"
    assert table["images"].sum() == 90


def test_a_class_without_images_has_no_row() -> None:
    logits, truth, group = logits_of(2, 1, 2, 30)
    table = class_table(gathered_of(logits, np.where(truth == 1, 0, truth), group))
    assert table["label"].tolist() == ["class 0", "class 2"]


def test_a_group_says_what_it_confuses() -> None:
    logits, truth, group = logits_of(3, 2, 4, 60)
    found = gathered_of(logits, truth, group)
    said = logits[0].argmax(axis=-1)
    by_class = [(said != truth)[:, truth == k].mean() for k in range(3)]
    table = group_table(found)
    assert table["error"].is_monotonic_decreasing
    for row in table.to_dict("records"):
        here = group == int(row["group"].split()[1])
        assert row["error"] == pytest.approx((said != truth)[:, here].mean())
        assert row["expected"] == pytest.approx(np.mean([by_class[k] for k in truth[here]]))
        assert row["never"] == ((said != truth).all(axis=0) & here).sum()
        shares = {(t, p): s for t, p, s in row["confused"]}
        for t, p in product(range(3), repeat=2):
            share = ((said == p) & (truth == t))[:, here].mean()
            assert shares.get((f"class {t}", f"class {p}"), 0) == pytest.approx(share if t != p else 0)


def test_pairs_that_are_confused_and_groups_with_what_nobody_has_right() -> None:
    logits, truth, group = logits_of(5, 2, 4, 60)
    found = gathered_of(logits, truth, group)
    said = logits[0].argmax(axis=-1)
    pairs = confused_pairs(found)
    shares = {(label, called): (images, share) for label, called, images, share in pairs}
    for t, p in product(range(3), repeat=2):
        share = (said == p)[:, truth == t].mean()
        wanted = ((truth == t).sum(), pytest.approx(share)) if t != p and share else None
        assert shares.get((f"class {t}", f"class {p}")) == wanted
    assert [share for *_, share in pairs] == sorted((share for *_, share in pairs), reverse=True)
    never = (logits.argmax(axis=-1) != truth).all(axis=(0, 1))
    assert never.any()
    there = Counter(group[never].tolist())
    assert sorted(never_by_group(found)) == sorted(((group == one).sum(), n) for one, n in there.items())
    assert [n for _, n in never_by_group(found)] == sorted(there.values(), reverse=True)


@pytest.mark.parametrize("members", [1, 2, 3, 5])
def test_shared_errors_are_exact_intersections(members: int) -> None:
    logits, truth, group = logits_of(4, members, 5, 90)
    found = shared_errors(gathered_of(logits, truth, group))
    wrong = (logits.argmax(axis=-1) != truth).sum(axis=1) > 2.5
    by_hand = Counter(tuple(np.flatnonzero(wrong[:, i]).tolist()) for i in range(90))
    assert {which: count for which, count in found.regions if count} == dict(by_hand)
    assert found.wrong.tolist() == wrong.sum(axis=1).tolist()
    assert found.regions[-1][0] == (), "what none has wrong is last"
    if members <= 3:
        assert len(found.regions) == 2**members, "a Venn diagram has all regions"


def test_half_of_the_repeats_are_not_most() -> None:
    logits = np.zeros((1, 4, 1, 2))
    logits[0, :2, 0, 0] = logits[0, 2:, 0, 1] = 1.0
    found = shared_errors(gathered_of(logits, np.array([1]), np.array([0])))
    assert found.wrong.tolist() == [0]


def test_random_predictions_can_be_made() -> None:
    assert random_gathered(0).right.shape == (3, 60)
