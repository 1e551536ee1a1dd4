"""The card says what the study's records say, and carries no names."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from orchestrator.evaluation.looks import note_look, short_hashes
from orchestrator.evaluation.nested_record import FoldResult, NestedRecord, write_nested
from orchestrator.evaluation.record import (
    Changes,
    ClassScores,
    Estimate,
    EvaluationRecord,
    Interval,
    Level,
    Look,
    OperatingPoint,
    Score,
    Subgroup,
    write_evaluation,
)
from orchestrator.export.card import settings_said
from orchestrator.export.card_data import balance_said, looked, repeats_differ
from orchestrator.export.checklists import CLAIM, TRIPOD
from orchestrator.export.markdown import cell, table
from orchestrator.export.pseudonyms import pseudonyms
from orchestrator.leak.partitions import SPLITS, LeakPartition
from orchestrator.leak.records import LeakRun, pack_run, run_path
from orchestrator.mistakes.found import Wanted, find_mistakes
from orchestrator.mistakes.images import confused_pairs
from orchestrator.mistakes.record import Looked, SliceScore, record_of, write_mistakes
from orchestrator.results.near_duplicates import pairs_csv
from orchestrator.results.notes import notes_json
from orchestrator.results.summary import summarise
from orchestrator.store import layout
from orchestrator.store.open import open_storage
from orchestrator.store.schema import History
from orchestrator.store.storage import Storage
from tests.support.configurations import configured
from tests.support.finished_study import EPOCHS, REPEATS, FinishedStudy, exported, finished_study
from tests.support.made_up_mistakes import made_up_mistakes
from trainables.data.manifest import read_manifest


@pytest.fixture(scope="module")
def card(binary: FinishedStudy, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = exported(binary, tmp_path_factory.mktemp("card") / "model", "extension").folder
    return (folder / "MODEL_CARD.md").read_text()


def test_the_flow_from_files_to_splits(card: str) -> None:
    assert "* 46 image files were found." in card
    assert "* 1 refused: empty file." in card
    assert "* 1 refused: not an image." in card
    assert "* Used: 44 images in 23 groups (column group of labels.csv)." in card
    assert "| few | 7 images in 4 groups | 4 images in 2 groups | 3 images in 2 groups |" in card
    assert "| all | 25 images in 13 groups | 12 images in 6 groups | 7 images in 4 groups |" in card


def test_near_duplicates_are_counted_by_what_they_mean(binary: FinishedStudy, tmp_path: Path) -> None:
    before = card_of(binary, tmp_path / "before", "probe")
    assert "* Near-duplicates: the study has not been searched for them." in before
    manifest = read_manifest(binary.tiny.storage.read(layout.MANIFEST))
    split = manifest["group"].map(binary.tiny.groups())
    trained, other = manifest[split == "train"], manifest[(split == "test") & (manifest["label"] == "few")]
    few, many = (trained[trained["label"] == label]["file"].iloc[0] for label in ("few", "many"))
    pairs = pd.DataFrame(
        [(few, other["file"].iloc[0], 0.97, 0), (few, many, 0.95, 3)],
        columns=["file", "other", "similarity", "symmetry"],
    )
    binary.tiny.storage.create(layout.NEAR_DUPLICATES, pairs_csv(pairs[:0]))
    none = card_of(binary, tmp_path / "none", "probe")
    assert "* Near-duplicates: none was found. The comparison of small grey copies recognises" in none
    binary.tiny.storage.replace(layout.NEAR_DUPLICATES, pairs_csv(pairs))
    try:
        text = card_of(binary, tmp_path / "after", "probe")
    finally:
        binary.tiny.storage.delete(layout.NEAR_DUPLICATES)
    assert "small copies of the images: 1 pair across splits, 1 pair across groups (1 under two labels)." in text
    assert "* Pairs of near-duplicates that lie in two splits: 1." in text.split("## Limits")[1]
    assert few not in text


def test_what_was_told_of_the_data_stands_on_the_card(binary: FinishedStudy, tmp_path: Path) -> None:
    binary.tiny.storage.create(layout.NOTES, notes_json(["Warning: the 4 groups divide 12 of 12 folders."]))
    try:
        text = card_of(binary, tmp_path / "card", "probe")
    finally:
        binary.tiny.storage.delete(layout.NOTES)
    assert "* Warning: the 4 groups divide 12 of 12 folders.\n" in text.split("## From files to splits")[-1]


@pytest.mark.parametrize(
    ("rule", "there", "not_there"),
    [("sgd", {"momentum": "0.9"}, "betas"), ("adam", {"betas": "0.9/0.999", "weight decay": "0.01"}, "momentum")],
)
def test_training_names_the_settings_that_matter(rule: str, there: dict[str, str], not_there: str) -> None:
    decay = {"weight_decay": 0.01} if "weight decay" in there else {}
    rows = dict(settings_said(configured(optimiser=rule, non_linearities=1, batch_size=32, **decay)))
    assert there.items() <= rows.items()
    assert not_there not in rows
    assert rows["optimiser"] == rule
    assert rows["batch size"] == "32 images"


def test_what_decays_and_what_divides_a_weighted_loss(
    binary: FinishedStudy, several: FinishedStudy, tmp_path: Path
) -> None:
    plain, weighted = card_of(binary, tmp_path / "plain", "probe"), card_of(several, tmp_path / "weighted", "timm")
    assert "| class imbalance | not treated |" in plain
    assert "weight decay applies to" not in plain
    assert "| weight decay | 0.01 |" in weighted
    told = "weights only, not biases or normalisation layers; decoupled from the gradient"
    assert f"| weight decay applies to | {told} |" in weighted
    assert "divided by its number of images, not by the sum of their weights |" in weighted


def test_what_the_network_does_not_see_of_an_image(binary: FinishedStudy, tmp_path: Path) -> None:
    names = ("probe", "extension", "padded", "squashed", "within")
    probe, centre, padded, squashed, within = (card_of(binary, tmp_path, name) for name in names)
    told = "44 of 44 images are not square; cropping to the centre leaves out 11.1% of the area"
    assert f"| left out | {told} on average over all images, 11.1% at worst. --set image.fit=pad keeps" in probe
    assert "shorter side resized to 32 (bilinear), centre square, scaled to 0–1" in probe
    assert "to 36 (bicubic), centre square, cropped to its centre 32 (79% of its area), scaled to 0–1" in centre
    assert (
        "side resized to 36 (bilinear), the other padded on both sides with (124, 116, 104), cropped to its centre 32"
        in padded
    )
    assert "both sides resized to 32 (bilinear), whatever their ratio, scaled to 0–1" in squashed
    assert "RGB, black borders cut off, longer side resized to 32" in within
    assert not any("| left out |" in text for text in (padded, squashed, within))


def test_a_head_of_given_widths_has_no_n(moving: FinishedStudy, tmp_path: Path) -> None:
    text = card_of(moving, tmp_path, "head")
    assert "| strategy | MLP head: u = 0 unfrozen layers |" in text
    assert "| widths | 24/8 |" in text


def test_what_was_searched_is_what_was_tried(tmp_path: Path) -> None:
    study = finished_study(
        tmp_path / "made",
        ("few", "many"),
        probe={},
        wide={"head": "widths", "widths": (8,)},
        deep={"head": "widths", "widths": (16, 8), "batch_norm": False},
    )
    searched = next(line for line in card_of(study, tmp_path, "probe").splitlines() if "| searched |" in line)
    assert searched == "| searched | 3 configurations: head halving, widths; widths 8, 16/8; batch norm on, off |"


def test_it_says_by_what_epochs_are_selected_and_configurations_ranked(card: str, tmp_path: Path) -> None:
    assert "| selected epoch | for each repeat the one where loss (valid) is lowest; the earliest on a tie |" in card
    assert "| ranked by | the mean of loss (valid) over all repeats, each at that epoch |" in card
    worse, both = "the worse of train and valid", "valid for all, because some select their epochs by valid alone"
    one = {"worse": {"rule": "worse_of_both"}}
    for name, settings, ranked in (
        ("one", one, worse),
        ("two", {**one, "weighted": {"balance": "class_weights"}}, both),
    ):
        text = card_of(finished_study(tmp_path / name, ("few", "many"), **settings), tmp_path / name, "worse")
        assert f"for each repeat the one where loss ({worse}) is lowest; the earliest on a tie" in text
        assert f"| ranked by | the mean of loss ({ranked}) over all repeats, each at that epoch |" in text
        assert f"best mean loss ({ranked}) over all repeats; test scores play no part" in text


def test_it_is_honest_about_what_it_lacks(card: str) -> None:
    assert "**Not tested: no test score exists for this model.**" in card
    assert "These scores were used for selection, so they are optimistic" in card
    assert "few 4/2/2" in card
    assert "freshly initialised weights" in card
    assert "bit for bit" in card


def test_a_card_says_no_more_than_the_records(binary: FinishedStudy, card: str, tmp_path: Path) -> None:
    assert "| class imbalance | not treated |" in card
    assert (
        "| 13 | class imbalance | not treated; balanced accuracy and macro F1 are given as well as accuracy |" in card
    )
    assert "nothing else; for further changes to training images see Training |" in card
    assert "nothing else, test and training images alike |" in card_of(binary, tmp_path / "alike", "probe")
    assert "every setting is in tables/configurations.csv; a protocol" in card
    assert "| 32 | evaluation on internal data | not of this configuration; the test split was not looked at |" in card
    assert "these weights give exactly the logits of valid images that the search kept, bit for bit." in card
    assert "on test images also intervals" not in card
    for wrong in ("nobody", "Nobody", "nothing can be said", "No two images"):
        assert wrong not in card
    best = summarise(binary.tiny.storage).configurations[0].id
    for name, c in binary.configurations.items():
        item = card_of(binary, tmp_path, name).split("| 26 | selection of the final model | ")[1].split(" |")[0]
        rule = "best mean loss (valid"
        assert item.startswith(rule if c.id == best else "named by hand, not by the rule"), name


def test_what_training_images_are_beside_the_input() -> None:
    assert balance_said(configured()) == "not treated"
    assert balance_said(configured(balance="class_weights")) == "method: class weights"
    many = configured(balance="count", count=3198)
    assert (
        balance_said(many)
        == "method: 3198 of each class, by undersampling larger classes and by flips and rotations of smaller ones"
    )
    assert repeats_differ(configured()) == "different initial weights and order"
    assert repeats_differ(configured(head="logistic")) == "all alike, since the head is fitted"
    assert looked(0) == "the test split was not looked at"
    assert looked(1) == "test images were looked at once, for other results"


def test_every_item_of_both_checklists_is_there_once(card: str) -> None:
    claim, tripod = card.split("## CLAIM 2024")[1].split("## TRIPOD+AI")
    for items, text in ((CLAIM, claim), (TRIPOD, tripod)):
        for number, asks, _ in items:
            assert text.count(f"| {number} | {asks} |") == 1
    assert [number for number, *_ in CLAIM] == [str(i) for i in range(1, 45)]
    assert len(TRIPOD) == 52
    assert list(dict.fromkeys(number.rstrip("abcdefg") for number, *_ in TRIPOD)) == [str(i) for i in range(1, 28)]


def test_items_are_filled_by_known_keys() -> None:
    from orchestrator.export import card_data

    source = Path(card_data.__file__).read_text()
    for key in {key for _, _, key in (*CLAIM, *TRIPOD) if key}:
        assert f'"{key}":' in source


def test_no_names_leave_the_study(binary: FinishedStudy, tmp_path: Path) -> None:
    folder = exported(binary, tmp_path / "model", "probe").folder
    told = "".join(path.read_text() for path in folder.rglob("*") if path.suffix in (".md", ".json", ".csv", ".py"))
    for name in ("few-train-0", "train_00.png", "secret-folder", "Doe_John", str(binary.tiny.data)):
        assert name not in told
    images = pd.read_parquet(folder / "tables" / "images.parquet")
    assert images["group"].nunique() == 23
    assert not [name for name in images.columns if name.startswith("user_") or name == "content"]


def test_names_leave_when_asked(binary: FinishedStudy, tmp_path: Path) -> None:
    folder = exported(binary, tmp_path / "model", "probe", with_names=True).folder
    assert "few-train-0" in (folder / "tables" / "images.csv").read_text()
    assert "secret-folder" in json.loads((folder / "model.json").read_text())["origin"]["commands"][0]


def test_tables_are_the_same_in_both_forms(binary: FinishedStudy, tmp_path: Path) -> None:
    folder = exported(binary, tmp_path / "model", "probe").folder / "tables"
    for name in ("configurations", "repeats", "epochs", "images"):
        csv, parquet = pd.read_csv(folder / f"{name}.csv"), pd.read_parquet(folder / f"{name}.parquet")
        assert list(csv.columns) == list(parquet.columns)
        assert len(csv) == len(parquet) > 0
    assert set(pd.read_csv(folder / "epochs.csv")["epoch"]) == set(range(EPOCHS + 1))


def evaluated(study: FinishedStudy, name: str, **changes: object) -> EvaluationRecord:
    """What `orch evaluate` writes of a configuration, in small."""
    score = Score(value=0.75, interval=Interval(low=0.5, high=0.9, method="m", groups=20), each=(0.5, 1.0))
    few = Score(value=0.25, reason="few: 3 test groups, many: 2 test groups, and 4 more classes", each=(0.2, 0.3))
    level = Level(
        unit="image",
        count=7,
        groups=4,
        overall=dict.fromkeys(("accuracy", "balanced_accuracy", "macro_f1", "log_loss"), score),
        classes=(ClassScores(name="few", images=3, groups=2, scores={"recall": few}),),
        confusion=(((2, 1), (1, 3)), ((3, 0), (2, 2))),
    )
    told = {
        "look": "0" * 12,
        "study": "study",
        "synthetic": False,
        "group_meaning": "x",
        "classes": ("few", "many"),
        "partition": study.tiny.partition,
        "configuration": study.configurations[name].id,
        "name": "n",
        "chosen": "c",
        "selection": "loss",
        "repeats": (0, 1),
        "diverged": (),
        "epochs": EPOCHS,
        "selected_epochs": study.selected_epochs(name),
        "test_set": "t",
        "images": 7,
        "groups": 4,
        "number": 1,
        "looks": 3,
        "deviation": 0.0,
        "estimates": (Estimate(name="mean", is_primary=True, views=1, ensemble=False, image=level, no_group="mixed"),),
        "predictions": "p",
        "created": "now",
    }
    return EvaluationRecord(**{**told, **changes})  # type: ignore[arg-type]


@pytest.fixture
def storage(binary: FinishedStudy) -> Iterator[Storage]:
    """Of the study, whose results are put away afterwards: other tests read it too."""
    yield binary.tiny.storage
    shutil.rmtree(binary.study.place.path / "results", ignore_errors=True)


def card_of(study: FinishedStudy, folder: Path, name: str) -> str:
    return (exported(study, folder / name, name).folder / "MODEL_CARD.md").read_text()


def test_test_scores_with_their_intervals(binary: FinishedStudy, storage: Storage, tmp_path: Path) -> None:
    write_evaluation(storage, evaluated(binary, "unfreezing"))
    text, other = (card_of(binary, tmp_path, name) for name in ("unfreezing", "probe"))
    assert "| accuracy | 0.500 | 0.750 [0.500, 0.900] |" in text
    assert "looked at 3 times" in text
    assert "| few | 3 | 2 | 0.200 |" in text
    assert "| few | 3 | 2 | 0.250 (a) |" in text
    assert "* (a) No interval: a class in this metric has too few test groups." in text
    assert "Not tested" not in text
    assert "Not tested" in other


def failures(text: str) -> str:
    return text.split("## Failure modes")[1].split("## ")[0]


def test_failure_modes_that_nobody_looked_for(card: str) -> None:
    text = failures(card)
    assert (
        "Failure modes have not been looked for. `orch mistakes study` finds valid images that no model gets right"
        in text
    )
    assert "* Classes with fewer than 5 images in a split: few (train 7, valid 4, test 3), many (train" in text
    assert "* Classes with a recall of zero: " in text
    assert "| 39 | failure analysis | confusion matrices in Validation scores;" in card


def test_failure_modes_are_those_of_the_stored_mistakes(
    binary: FinishedStudy, storage: Storage, tmp_path: Path
) -> None:
    found = find_mistakes(storage, Wanted(of=(binary.configurations["extension"].id,)))
    record = record_of(found, "2026-03-01T12:00:00+00:00")
    write_mistakes(storage, record)
    text = card_of(binary, tmp_path / "first", "extension")
    assert "| 39 | failure analysis | Failure modes; confusion matrices" in text
    text = failures(text)
    assert "Looked for on 2026-03-01 (`orch mistakes study`) among 12 images of 6 groups" in text
    assert f"as predicted by {REPEATS} repeats of 1 configuration. " in text
    never = found.images[found.images["standing"] == "never"]
    groups = never["group"].value_counts()
    assert f"never right, by any repeat of any configuration: {len(never)}" in text
    if len(groups) > 1:
        assert f"which lie in {len(groups)} of 6 groups; most are in one group: {groups.max()} of its" in text
    for row in found.classes.to_dict("records"):
        cells = [row[name] for name in ("label", "images", "groups", "always", "sometimes", "never")]
        assert f"| {' | '.join(map(str, cells))} | {row['error']:.0%} | {row['mostly_called'] or '–'} |" in text
    for label, called, images, share in confused_pairs(found.gathered)[:1]:
        assert (
            f"(share of the predictions for the n images of a class): {label} as {called} {share:.0%} (n = {images})"
            in text
        )
    assert "are those of one of them" not in text
    assert "No configuration of this card is among them" not in text
    other = binary.configurations["probe"].id
    told = f"**No configuration of this card is among them**: run `orch mistakes study --of {other}`."
    assert told in failures(card_of(binary, tmp_path / "other", "probe"))


def test_a_slice_that_is_worse_and_a_class_that_is_never_found(
    binary: FinishedStudy, storage: Storage, tmp_path: Path
) -> None:
    part = {"name": "site", "images": 12, "groups": 6, "expected": 0.25, "low": 0.3, "high": 0.6}
    slices = (
        SliceScore(value="no<rth", error=0.5, p=0.001, corrected=0.004, is_worse=True, **part),
        SliceScore(value="south", error=0.2, p=0.9, corrected=1.0, is_worse=False, **part),
        SliceScore(value="east", error=0.9, p=None, corrected=None, is_worse=False, **part),
    )
    looked = Looked(id=binary.configurations["probe"].id, name="the probe", wrong=0.2)
    other = Looked(id="f" * 12, name="another | one", wrong=0.1)
    record = made_up_mistakes(storage).model_copy(
        update={"slices": slices, "configurations": (other, looked), "confused": (), "partitions": ("a", "b")}
    )
    write_mistakes(storage, record)
    never = Score(value=0.0, reason="r", each=(0.0, 0.0))
    level = evaluated(binary, "probe").primary.image
    classes = (ClassScores(name="few", images=3, groups=2, scores={"recall": never}),)
    primary = evaluated(binary, "probe").primary.model_copy(
        update={"image": level.model_copy(update={"classes": classes})}
    )
    write_evaluation(storage, evaluated(binary, "probe", estimates=(primary,)))
    text = failures(card_of(binary, tmp_path, "probe"))
    assert "by 5 repeats of each of 2 configurations. " in text
    assert (
        "* Of 2 slices tested, this one is worse than chance explains:\n  * site = no&lt;rth: 50% [30%, 60%] of" in text
    )
    assert "its mix of classes explains 25% (n = 12 images of 6 groups; corrected p 0.004)" in text
    assert "south" not in text
    assert "which lie in 2 of 6 groups; most are in one group: 4 of its 10." in text
    assert f"are those of one of them: another \\| one (`{'f' * 12}`)." in text
    assert f"The images were in the valid split of a partition other than `{binary.tiny.partition}`." in text
    assert "* No class was confused with another." in text
    assert "few (test, the procedure, n = 3)" in text
    assert "&lt;b>%{x}" in text, "names are no markup"


def test_views_and_the_augmented_test_set_stand_below_the_result(
    binary: FinishedStudy, storage: Storage, tmp_path: Path
) -> None:
    primary = evaluated(binary, "probe").primary
    changes = Changes(names=("noise",), strengths={"noise": 0.1}, predictions="p")
    lower = Score(value=0.6, interval=Interval(low=0.4, high=0.8, method="m", groups=20), each=(0.55, 0.65))
    level = primary.image.model_copy(update={"overall": dict.fromkeys(primary.image.overall, lower)})
    shared = {"is_primary": False, "image": level}
    estimates = (
        primary,
        Estimate(name="mean over 4 views (flips)", views=4, ensemble=False, tta=changes, **shared),  # type: ignore[arg-type]
        Estimate(name="augmented test images (noise 0.1)", views=1, ensemble=False, augmented=changes, **shared),  # type: ignore[arg-type]
    )
    write_evaluation(storage, evaluated(binary, "probe", estimates=estimates))
    tested = card_of(binary, tmp_path, "probe").split("Secondary estimates, not the result")[1]
    rows = [line.split(" | ")[:2] for line in tested.splitlines() if line.startswith("| ")][2:7]
    assert rows == [
        ["| mean (primary)", "0.750 [0.500, 0.900]"],
        ["| mean over 4 views (flips), this file", "0.550"],
        ["| mean over 4 views (flips)", "0.600 [0.400, 0.800]"],
        ["| augmented test images (noise 0.1), this file", "0.550"],
        ["| augmented test images (noise 0.1)", "0.600 [0.400, 0.800]"],
    ]


def test_the_files_own_scores_stand_beside_the_procedures(
    binary: FinishedStudy, storage: Storage, tmp_path: Path
) -> None:
    point = OperatingPoint(
        asked="specificity=0.9",
        target="specificity",
        share=0.9,
        name="many",
        thresholds=(0.25, 0.75),
        valid={},
        scores={"sensitivity": Score(value=0.6, std=0.1, repeats=2, reason="few: 3 test groups", each=(0.55, 0.65))},
    )
    write_evaluation(storage, evaluated(binary, "probe", operating_points=(point,)))
    first, second = (
        (exported(binary, tmp_path / str(repeat), "probe", repeat=repeat).folder / "MODEL_CARD.md").read_text()
        for repeat in (0, 1)
    )
    for text, own, recall, counts, threshold in (
        (first, "0.500", "0.200", "| few | 2 | 1 |\n| many | 1 | 3 |", "0.25: sensitivity 0.550"),
        (second, "1.000", "0.300", "| few | 3 | 0 |\n| many | 2 | 2 |", "0.75: sensitivity 0.650"),
    ):
        tested = text.split("## Test scores")[1].split("\n## ")[0]
        assert f"| metric | this file | the procedure |\n| --- | --- | --- |\n| accuracy | {own} | 0.750 [" in tested
        by_class = tested.split("Each class against the rest, this file:")[1].split("Each class")[0]
        assert f"| few | 3 | 2 | {recall} |" in by_class
        matrix = tested.split("Confusion matrix of the test images, this file (truth in rows):")[1].split("Confusion")[
            0
        ]
        assert f"|  | few | many |\n| --- | --- | --- |\n{counts}" in matrix
        assert f"* this file: threshold {threshold};\n* the procedure: sensitivity 0.600 ± 0.100 (a)." in tested
    assert "* **This file**: the scores of repeat 1, the exported one, without intervals of their own." in second
    assert "It was named by whoever exported it, perhaps for a score." in second


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"repeats": (1, 2)}, "repeat 0 was not among those evaluated."),
        ({"selected_epochs": (77, 77)}, "repeat 0 was evaluated at epoch 77, but exported at "),
        ({"estimates": None}, "no score of its own is kept; `orch evaluate study` adds it without a further look."),
    ],
)
def test_the_file_has_no_score_of_its_own_where_another_model_was_evaluated(
    binary: FinishedStudy, storage: Storage, tmp_path: Path, changes: dict[str, object], told: str
) -> None:
    if "estimates" in changes:
        mean = Score(value=0.75)
        level = Level(
            unit="image", count=7, groups=4, overall={"accuracy": mean}, classes=(), confusion=(((7, 0), (0, 0)),)
        )
        changes = {"estimates": (Estimate(name="mean", is_primary=True, views=1, ensemble=False, image=level),)}
    write_evaluation(storage, evaluated(binary, "probe", **changes))
    tested = card_of(binary, tmp_path, "probe").split("## Test scores")[1].split("\n## ")[0]
    assert told in tested
    assert "| metric | the procedure |" in tested


def test_looks_that_followed_the_evaluation_are_counted(
    binary: FinishedStudy, storage: Storage, tmp_path: Path
) -> None:
    assert "This configuration has no test scores: the test split was not looked at." in card_of(
        binary, tmp_path / "closed", "probe"
    )
    manifest = read_manifest(storage.read(layout.MANIFEST))
    tested = manifest["content"][manifest["group"].map(binary.tiny.groups()) == "test"]
    beside = open_storage(binary.study.place.parent)
    try:
        for number in ("0" * 12, "1" * 12):
            look = Look(
                id=number,
                test_set="t",
                study="study",
                partition=binary.tiny.partition,
                configuration="c",
                name="n",
                repeats=(0,),
                epochs=1,
                primary="p",
                time=f"2026-01-01T00:00:0{number[0]}",
                images=short_hashes(tested),
            )
            note_look(storage, beside, look)
        other = card_of(binary, tmp_path / "other", "probe")
        assert "test images were looked at 2 times, for other results" in other
        assert "the test split was not looked at" not in other
        write_evaluation(storage, evaluated(binary, "probe", looks=1))
        assert "7 images of 4 groups, looked at 2 times." in card_of(binary, tmp_path / "own", "probe")
    finally:
        shutil.rmtree(binary.studies / ".looks")


def test_images_from_elsewhere(binary: FinishedStudy, storage: Storage, tmp_path: Path) -> None:
    first = {"external": "Hospital of Doe.csv", "group_meaning": "column slide of Hospital of Doe.csv", "looks": 1}
    level = evaluated(binary, "probe").primary.image
    part = Subgroup(column="scanner", value="old", images=5, groups=3, overall=level.overall, classes=level.classes)
    write_evaluation(storage, evaluated(binary, "probe", **first, images=9, subgroups=(part,)))
    text = card_of(binary, tmp_path, "probe")
    assert (
        "**Not tested on the test split: this configuration's only test scores are on images from elsewhere.**" in text
    )
    assert "Not tested:" not in text
    section = text.split("### Images from elsewhere\n")[1].split("\n## ")[0]
    assert "9 images of 4 groups, looked at once." in section
    assert "| accuracy | 0.500 | 0.750 [0.500, 0.900] |" in section
    assert "| scanner = old (5 images of 3 groups), this file | 0.500 | 0.500 |" in section
    assert "| scanner = old (5 images of 3 groups), the procedure | 0.750 [0.500, 0.900]" in section
    assert "no images from elsewhere were tested" not in text
    write_evaluation(storage, evaluated(binary, "probe", **first, look="1" * 12, images=11))
    text = card_of(binary, tmp_path / "second", "probe")
    assert re.findall(r"### Images from elsewhere (\(\d\))", text) == ["(1)", "(2)"]


def test_a_nested_evaluation_is_of_the_procedure(binary: FinishedStudy, storage: Storage, tmp_path: Path) -> None:
    fold = FoldResult(
        number=1,
        partition="f",
        images=7,
        groups=4,
        configuration="c",
        name="n",
        inner=0.5,
        accuracy=0.6,
        balanced_accuracy=0.5,
        selected_epochs=(1, 2),
    )
    nested = NestedRecord(
        key="2" * 12,
        study="study",
        synthetic=False,
        group_meaning="x",
        classes=("few", "many"),
        partition=binary.tiny.partition,
        selection="loss",
        looked_at="valid",
        candidates=3,
        repeats=2,
        folds=(fold,) * 5,
        images=44,
        groups=23,
        estimates=evaluated(binary, "probe").estimates,
        test_looks=5,
        predictions="p",
        created="now",
    )
    write_nested(storage, nested)
    section = card_of(binary, tmp_path, "probe").split("### Nested cross-validation\n")[1].split("\n## ")[0]
    assert "of the procedure, not of this file: in 5 outer folds over all 23 groups" in section
    assert "the selection by loss (valid) among 3 configurations was repeated" in section
    assert "| accuracy | 0.750 [0.500, 0.900] |" in section


def test_what_the_leak_experiment_says_is_among_the_limits(
    binary: FinishedStudy, storage: Storage, tmp_path: Path
) -> None:
    assert "Leak experiment" not in card_of(binary, tmp_path / "before", "probe")
    right, wrong = np.array([[5, 0], [0, 5]]), np.array([[3, 2], [3, 2]])
    for experiment in (0, 1, 2):
        confusion = np.stack([np.stack([right, right, wrong])] * 2)
        history = History(SPLITS, np.ones((2, 3)), confusion)
        for repeat in (0, 1):
            run = LeakRun(LeakPartition(experiment, repeat, np.zeros(4, dtype=np.int64)), history, 1)
            storage.create(run_path("3" * 12, experiment, repeat), pack_run(run, {}))
    limits = card_of(binary, tmp_path / "after", "probe").split("## Limits")[1].split("\n## ")[0]
    assert (
        "A random split would have shown 1.00 instead of 0.50 (balanced accuracy): 0.50 better [0.50, 0.50], over 2 "
        "repeats." in limits
    )


def test_layers_that_were_trained_in_bfloat16_are_among_the_limits(
    binary: FinishedStudy, adapters: FinishedStudy, tmp_path: Path
) -> None:
    said = "Trained layers of the backbone were computed in bf16 for training and scoring"
    assert said not in card_of(binary, tmp_path / "full", "unfreezing")
    text = card_of(adapters, tmp_path / "half", "rounded")
    assert said in text.split("## Limits")[1].split("\n## ")[0]
    assert "| precision of trained layers | bf16 |" in text


def test_names_of_classes_cannot_break_a_table() -> None:
    assert cell("a|b\n<script>") == "a\\|b &lt;script>"
    assert table(("x",), [("a|b",)])[-1] == "| a\\|b |"


def test_pseudonyms_do_not_follow_the_names() -> None:
    names = [f"patient {i:02d}" for i in range(20)]
    found = pseudonyms(names, "group", 5)
    assert sorted(found.values()) == [f"group {i:02d}" for i in range(1, 21)]
    assert [found[name] for name in names] != sorted(found.values())
    assert found == pseudonyms(reversed(names), "group", 5)
    assert found != pseudonyms(names, "group", 6)


def test_facts_are_all_used() -> None:
    from orchestrator.export import card, card_data, card_scores, card_tested
    from orchestrator.export.facts import CardFacts

    sources = "".join(Path(module.__file__).read_text() for module in (card, card_data, card_scores, card_tested))
    for field in dataclasses.fields(CardFacts):
        assert f"facts.{field.name}" in sources, field.name
