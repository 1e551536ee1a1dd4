"""Confident learning against a loop over its definition, on planted label errors, and the near-duplicates beside it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from orchestrator.mistakes.suspects import confident_joint, suspect_table, twins
from tests.support.gathered import gathered_of, random_gathered


def by_definition(probability: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, set[int]]:
    """Northcutt et al. 2021, equations 1 and 2, written out."""
    images, classes = probability.shape
    thresholds = [np.mean([p[k] for p, y in zip(probability, label, strict=True) if y == k]) for k in range(classes)]
    joint, off = np.zeros((classes, classes), dtype=int), set()
    for i in range(images):
        confident = [k for k in range(classes) if probability[i, k] >= thresholds[k] - 1e-9]
        if confident:
            most = max(confident, key=lambda k: probability[i, k])
            joint[label[i], most] += 1
            if most != label[i]:
                off.add(i)
    return joint, off


@pytest.mark.parametrize("seed", range(5))
def test_the_joint_is_that_of_the_definition(seed: int) -> None:
    draw = np.random.default_rng(seed)
    label = draw.permutation(np.arange(80) % 4)
    probability = draw.dirichlet(np.ones(4), 80) * 0.5 + 0.5 * np.eye(4)[label] * draw.random((80, 1))
    probability /= probability.sum(axis=1, keepdims=True)
    found = confident_joint(probability, label)
    joint, off = by_definition(probability, label)
    assert np.array_equal(found.counts, joint)
    assert set(found.suspected.tolist()) == off
    assert np.all(np.diff(found.margin[found.suspected]) >= 0), "the most suspicious first"
    sizes = np.bincount(label)
    wrong = [sizes[k] * (joint[k].sum() - joint[k, k]) / joint[k].sum() for k in range(4)]
    assert found.estimated == pytest.approx(wrong)


def test_a_class_without_images_is_suspected_of_nothing() -> None:
    label = np.array([0, 0, 1, 1])
    probability = np.array([[0.6, 0.2, 0.2], [0.1, 0.2, 0.7], [0.2, 0.7, 0.1], [0.3, 0.6, 0.1]])
    found = confident_joint(probability, label)
    assert np.isnan(found.thresholds[2])
    assert found.suspected.tolist() == []


def planted(seed: int) -> tuple[set[int], list[int]]:
    """400 images of which a twentieth has another label than what networks see: those, and the suspected in order."""
    draw = np.random.default_rng(seed)
    real, group = draw.permutation(np.arange(400) % 4), np.arange(400) // 4
    wrong = draw.choice(400, 20, replace=False)
    label = real.copy()
    label[wrong] = (real[wrong] + draw.integers(1, 4, 20)) % 4
    shared = 6 * np.eye(4)[real] + draw.normal(size=(400, 4))
    found = gathered_of(shared + 0.5 * draw.normal(size=(2, 3, 400, 4)), label, group)
    joint = confident_joint(found.probability, found.truth)
    assert joint.estimated.sum() == pytest.approx(20, abs=8)
    return set(wrong.tolist()), joint.suspected.tolist()


def test_planted_label_errors_are_found() -> None:
    wrong, suspected = planted(0)
    assert len(wrong & set(suspected)) >= 19
    assert len(wrong & set(suspected[:20])) >= 18
    assert len(suspected) <= 30


def test_predictions_that_know_nothing_find_no_more_than_chance() -> None:
    draw = np.random.default_rng(1)
    label = draw.integers(0, 2, 300)
    found = confident_joint(draw.dirichlet(np.ones(2), 300), label)
    assert 0.3 < len(found.suspected) / 300 < 0.7, "half of what it is sure of: the report must say so, and does"


def test_twins_are_of_valid_and_train_and_of_two_labels() -> None:
    made = random_gathered(1, images=6)
    manifest = pd.DataFrame(
        {
            "file": [f"{i}.png" for i in range(6)],
            "label": ["a", "b", "a", "b", "a", "b"],
            "group": [f"g{i}" for i in range(6)],
        }
    )
    split = np.array(["valid", "train", "train", "valid", "test", "train"], dtype=object)
    rows = [("0.png", "1.png"), ("0.png", "2.png"), ("2.png", "3.png"), ("1.png", "4.png"), ("0.png", "3.png")]
    pairs = pd.DataFrame(
        {
            "file": [one for one, _ in rows],
            "other": [two for _, two in rows],
            "similarity": [0.9, 0.99, 0.95, 0.97, 0.98],
            "symmetry": 0,
        }
    )
    found = twins(gathered_of(*_any(), manifest=manifest, split_of={"p": split}), pairs)
    assert found[["file", "other"]].to_numpy().tolist() == [["3.png", "2.png"], ["0.png", "1.png"]]
    assert found["other_label"].tolist() == ["a", "b"]
    turned = np.array(["train", "valid", "train", "valid", "test", "train"], dtype=object)
    found = twins(gathered_of(*_any(), manifest=manifest, split_of={"p": split, "q": turned}), pairs)
    assert [(row.file, row.other) for row in found.itertuples()] == [
        ("3.png", "0.png"),
        ("3.png", "2.png"),
        ("0.png", "1.png"),
        ("1.png", "0.png"),
    ]
    assert twins(made, None).empty


def test_a_suspect_names_its_twin() -> None:
    logits = np.zeros((1, 1, 4, 2))
    logits[0, 0, :, 0] = [3, 3, -3, 3]
    found = gathered_of(logits, np.array([0, 0, 1, 1]), np.arange(4))
    pairs = pd.DataFrame({"file": ["0003.png"], "other": ["x.png"], "other_label": ["class 0"]})
    table = suspect_table(found, confident_joint(found.probability, found.truth), pairs)
    (row,) = table.to_dict("records")
    assert (row["file"], row["label"], row["looks_like"]) == ("0003.png", "class 1", "class 0")
    assert (row["twin"], row["twin_label"]) == ("x.png", "class 0")
    assert row["label_probability"] + row["other_probability"] == pytest.approx(1)
    assert row["margin"] == pytest.approx(row["label_probability"] - row["other_probability"])


def _any() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.zeros((1, 1, 2, 2)), np.array([0, 1]), np.array([0, 1])
