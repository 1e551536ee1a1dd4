"""`orch best` and `orch compare` on studies whose answer is known."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from orchestrator.choosing.selection import select
from orchestrator.command_line import main
from orchestrator.evaluation import choice
from orchestrator.export import chosen
from orchestrator.results.summary import summarise
from orchestrator.statistics.epoch_choices import epoch_choices
from orchestrator.store.layout import BundleKey
from orchestrator.store.storage import LocalStorage
from search_spaces.configuration import Configuration
from tests.support.checkout import ROOT
from tests.support.configurations import changed
from tests.support.generated_study import PARTITION, GeneratedStudy, UnsyncedStorage, small_study
from tests.support.predicted_study import PredictedStudy, predicted_study


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--studies", str(folder)])


def text(folder: Path, *arguments: str, status: int = 0) -> str:
    result = run(folder, *arguments)
    assert result.exit_code == status, result.output
    return result.output


def data(folder: Path, *arguments: str) -> dict[str, Any]:
    result = run(folder, *arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def refused(folder: Path, *arguments: str) -> str:
    result = run(folder, *arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return result.output


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies")
    predicted_study(folder)
    predicted_study(folder, "several", partitions=3)
    return folder


def ids(study: PredictedStudy) -> dict[tuple[int, int], str]:
    return {(c.head.non_linearities, c.adaptation.unfrozen): c.id for c in study.configurations()}


def test_best_names_the_best_and_says_what_its_score_is(studies: Path) -> None:
    shown = text(studies, "best", "slides")
    assert "validation scores, used for selection" in shown
    assert "n=1 lr 0.001 batch 16" in shown.splitlines()[2]
    assert "May be the best: 1 of 3 cannot be excluded" in shown
    assert "at the last epoch (4)" in shown
    assert "not new groups (column slide)" in shown
    assert "no interval: 8 validation groups, at least 20 are needed" in shown


def test_best_as_data(studies: Path) -> None:
    found = data(studies, "best", "slides")
    names = ids(PredictedStudy(depths=((0, 0), (1, 0), (0, 2)), lrs=(1e-3,), batch_sizes=(16,)))
    assert found["selected"] == names[1, 0]
    assert found["confidence_set"] == {
        "level": 0.95,
        "repeats": 8,
        "look": 8,
        "p_above": 3 / 256,
        "next_look": 12,
        "said": [
            "May be the best: 1 of 3 cannot be excluded (95 % confidence set at 8 repeats, p > 0.0117; the next look "
            "is at 12)."
        ],
        "among": "3 configurations",
        "guarantee_includes_diverged": True,
        "members": [names[1, 0]],
    }
    rows = {row["id"]: row for row in found["configurations"]}
    second = rows[names[0, 0]]
    assert (second["rank"], second["in_set"], second["pairs"]) == (2, False, 8)
    assert (second["p"], second["look"]) == (1 / 256, 8)
    assert (second["diverged"], second["diverged_rate"]["low"], second["tail"]) == (0, 0.0, None)
    assert second["low"] < second["difference"] < second["high"] < 0
    assert second["difference"] == pytest.approx(rows[found["selected"]]["mean"] - second["mean"])
    bias = found["bias_corrected"]
    assert bias["plain"]["loss"] == pytest.approx(found["scores"]["loss"]["selected_epochs"]["mean"], abs=1e-4)
    assert bias["plain"]["accuracy"] == pytest.approx(found["scores"]["accuracy"]["selected_epochs"]["mean"])
    assert bias["groups"] == 8
    assert bias["share_that_chose_the_selected"] == 1.0
    assert found["label"] == "validation scores, used for selection"


def test_best_weighs_the_score_against_a_goal(studies: Path) -> None:
    found = data(studies, "best", "slides", "--goal", "parameters", "--rounds", "0")
    assert data(studies, "best", "slides", "--rounds", "0")["front"] is None
    assert found["front"]["goal"] == "parameters"
    rows = found["front"]["configurations"]
    assert [row["id"] for row in rows] == [row["id"] for row in found["configurations"]]
    for row in rows:
        beaten = [
            other
            for other in rows
            if other["score"] <= row["score"] and other["goal"] <= row["goal"] and other is not row
        ]
        assert row["on_front"] == (not beaten)
    assert rows[0]["score"] == pytest.approx(found["configurations"][0]["mean"])
    shown = text(studies, "best", "slides", "--goal", "parameters", "--rounds", "0")
    there = sum(row["on_front"] for row in rows)
    are = "is" if there == 1 else "are"
    assert f"Valid loss against trained parameters: {there} of 3 configurations {are} on the front" in shown
    assert "on the front in" in shown


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("slides", "--goal", "hour"), "goal 'hour': expected one of hours, parameters, "),
        (("slides", "--goal", "loss"), "goal 'loss': expected one of hours"),
        (("several", "--goal", "hours"), "--goal: expected one partition, found 3: --partition"),
    ],
    ids=str,
)
def test_goals_that_cannot_be_weighed_are_refused(studies: Path, arguments: tuple[str, ...], told: str) -> None:
    assert told in refused(studies, "best", *arguments)


class Alike(GeneratedStudy):
    """One backbone, depth, lr and batch size throughout: short names would all be the same."""

    def configurations(self) -> list[Configuration]:
        base = self.configuration(self.backbones[0], (1, 0), 1e-3, 16)
        adam = changed(base, optimiser="adam", betas=(0.9, 0.999))
        return [base, changed(base, weight_decay=0.01), changed(base, dropout=0.2), adam, changed(adam, dropout=0.2)]


def test_no_two_that_are_listed_read_alike(tmp_path: Path) -> None:
    small_study(tmp_path / "alike", study=Alike, name="alike", repeats=2)
    short = "resnet18.tv_in1k n=1 lr 0.001 batch 16"
    expected = {
        f"{short}, dropout 0.5, optimiser sgd, weight decay 0",
        f"{short}, dropout 0.5, optimiser sgd, weight decay 0.01",
        f"{short}, dropout 0.2, optimiser sgd, weight decay 0",
        f"{short}, dropout 0.5, optimiser adam, weight decay 0",
        f"{short}, dropout 0.2, optimiser adam, weight decay 0",
    }
    ids = [row["id"] for row in data(tmp_path, "best", "alike")["configurations"]]
    for command in (["best", "alike"], ["status", "alike"], ["compare", "--study", "alike", *ids]):
        listed = re.findall(rf"{short}(?:, [a-z ]+ (?:[a-z]+|[0-9.]*[0-9]))*", text(tmp_path, *command))
        assert set(listed) == expected, command


def test_without_rounds_no_prediction_is_read(studies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.choosing.selection.read_predictions", None)
    assert "No bias-corrected figure: it was not asked for" in text(studies, "best", "slides", "--rounds", "0")


def test_a_cheaper_one_is_named_only_within_the_margin(studies: Path) -> None:
    assert "No cheaper configuration is shown to be within 0.01" in text(studies, "best", "slides")
    shown = text(studies, "best", "slides", "--margin", "0.3")
    assert "Cheaper and within 0.3 of it (95 % upper bound on its deficit: 0.2" in shown
    found = data(studies, "best", "slides", "--margin", "0.3")
    assert [row["within_margin"] for row in found["configurations"]] == [True, True, False]
    assert found["cheaper"] == found["configurations"][1]["id"]


def test_evaluate_and_export_take_what_best_selects_over_partitions(studies: Path) -> None:
    """Also where another one leads on the study's own partition."""
    storage = LocalStorage(studies / "several")
    summary = summarise(storage)
    own = summary.study.partition
    leader = next(m for m in summary.configurations if m.partition == own and m.rank == 1)
    assert leader.selection is not None
    lucky = [
        replace(
            m,
            rank=1 if m.rank == 2 else 2,
            selection=replace(leader.selection, values=leader.selection.values + (0.02 if m is leader else 0.01)),
        )
        if m.partition == own and m.rank in (1, 2)
        else m
        for m in summary.configurations
    ]
    lucky.sort(key=lambda m: (m.partition, m.rank))
    changed = replace(summary, configurations=tuple(lucky))
    evaluated, exported = choice.choose(changed, None, None), chosen.choose(storage, changed)
    assert (evaluated.entry.partition, evaluated.entry.id) == (own, leader.id)
    assert (
        evaluated.how
        == f"best mean loss (valid) over 3 partitions among 3 configurations; its repeats on partition {own}"
    )
    assert (exported.member.partition, exported.member.id, exported.was_selected) == (own, leader.id, True)
    assert "over 3 partitions" in exported.selection
    alone = choice.choose(changed, None, own)
    assert alone.entry.id != leader.id
    assert chosen.choose(storage, changed, partition=own).member.id == alone.entry.id


def test_over_partitions(studies: Path) -> None:
    shown = text(studies, "best", "several")
    assert "over 3 partitions (repeats averaged within each)" in shown
    assert re.search(r"orch evaluate and orch export take the networks trained on partition \w+\.", shown)
    assert "Standard deviations from 3 partitions × 8 repeats" in shown
    assert "corrected resampled t-test" in shown
    found = data(studies, "best", "several")
    assert found["scored_to_training_images"] == pytest.approx(32 / 420)
    assert len(found["partitions"]) == 3
    rows = found["configurations"]
    assert [len(row["means"]) for row in rows] == [3, 3, 3]
    assert rows[0]["p"] is None
    assert rows[1]["p"] < 0.05
    assert rows[0]["variance"]["partitions"] == 3
    one = data(studies, "best", "several", "--partition", found["partitions"][1][:5])
    assert one["partition"] == found["partitions"][1]
    assert one["configurations"][0]["mean"] == pytest.approx(rows[0]["means"][1])
    assert "expected the beginning of one of" in refused(studies, "best", "several", "--partition", "zz")


def test_nothing_finished_yet(tmp_path: Path) -> None:
    small_study(tmp_path / "early", name="early", skip=lambda _c, repeat: repeat == 2)
    shown = text(tmp_path, "best", "early")
    assert "none is ranked yet (16 of 24 repeats done, 0 running)" in shown
    assert "orch resume early" in shown
    assert data(tmp_path, "best", "early")["selected"] is None
    assert "no configuration has finished all of its repeats" in refused(
        tmp_path, "compare", "early:straightforward", "early:extension"
    )


def test_a_study_that_nobody_has_searched(tmp_path: Path) -> None:
    GeneratedStudy(name="empty").write_frame(UnsyncedStorage(tmp_path / "empty"))
    assert "0 of 0 repeats done" in text(tmp_path, "best", "empty")
    shown = refused(tmp_path, "compare", "--study", "empty", "extension", "x")
    assert "'extension': nothing was asked for yet in study 'empty'" in shown
    refused(tmp_path, "compare", "empty", "empty:x")


def test_incomplete_configurations_are_left_out_and_counted(tmp_path: Path) -> None:
    _, study = predicted_study(tmp_path, skip=lambda c, repeat: c.head.non_linearities == 1 and repeat == 5)
    found = data(tmp_path, "best", "slides")
    assert found["selected"] == ids(study)[0, 0]
    assert found["not_ranked"] == 1
    assert len(found["configurations"]) == 2
    assert "Not ranked yet: 1 configuration with unfinished repeats." in text(tmp_path, "best", "slides")


def test_a_diverged_repeat_counts_with_epoch_0(tmp_path: Path) -> None:
    storage, _ = predicted_study(tmp_path, diverges=lambda c, repeat: c.head.non_linearities == 1 and repeat == 3)
    summary = summarise(storage)
    member = next(m for m in summary.configurations if m.configuration.head.non_linearities == 1)
    choices = epoch_choices(summary, member, "loss")
    assert choices is not None
    start = member.untrained("loss", "valid")
    assert start is not None
    for statistic in (choices.by_rule, choices.at_last, choices.at_mean_best):
        assert statistic.n == 8
        assert statistic.values[3] == start.values[3]
    row = next(r for r in data(tmp_path, "best", "slides")["configurations"] if r["id"] == member.id)
    assert row["diverged"] == 1


def test_what_diverged_is_said_in_the_same_words_everywhere(tmp_path: Path) -> None:
    """Former failure: a repeat that diverged counted in differences with its score at epoch 0, and nothing said so."""
    storage, study = predicted_study(tmp_path, diverges=lambda c, repeat: c.head.non_linearities == 1 and repeat == 3)
    found, named = data(tmp_path, "best", "slides"), ids(study)
    said = found["confidence_set"]["said"]
    assert "May be the best: 1 of 3 cannot be excluded (95 % confidence set at 8 repeats" in said[0]
    assert said[1].startswith("1 of 24 repeats diverged, in 1 configuration. Differences, intervals and p are over")
    assert "looks better in its differences than it is in use" in said[1]
    rows = {row["id"]: row for row in found["configurations"]}
    best, second = rows[named[1, 0]], rows[named[0, 0]]
    assert best["diverged"] == 1
    assert best["diverged_rate"] == pytest.approx({"value": 0.125, "low": 0.0031597, "high": 0.5265097}, abs=1e-6)
    assert second["pairs"] == 7
    members = {m.id: m for m in summarise(storage).configurations}
    one, other = (members[named[key]].selection for key in ((0, 0), (1, 0)))
    assert one is not None
    assert other is not None
    assert second["difference"] == pytest.approx(-np.delete(one.values - other.values, 3).mean())
    shown = text(tmp_path, "best", "slides")
    assert "diverged 1 of 8 (0–53 %)" in shown
    compared = data(tmp_path, "compare", "--study", "slides", "extension", "straightforward")
    assert compared["pairs"][0]["n"] == 7
    assert compared["items"][0]["diverged"] == 1
    page = page_of(tmp_path)
    card = chosen.choose(storage, summarise(storage)).selection
    for sentence in said:
        assert all(sentence in words for words in (shown, page, card))
    compared_text = text(tmp_path, "compare", "--study", "slides", "extension", "straightforward")
    assert all(sentence in compared_text for sentence in compared["confidence_set"]["said"])
    assert compared["confidence_set"]["said"][1] == said[1].replace("24", "16")


def test_one_that_always_diverges_is_no_candidate(tmp_path: Path) -> None:
    """Former failure: too large a learning rate was among those that may be the best, or excluded by epoch 0."""
    _, study = predicted_study(tmp_path, diverges=lambda c, repeat: c.head.non_linearities == 0)
    named = ids(study)
    shown, found = text(tmp_path, "best", "slides"), data(tmp_path, "best", "slides")
    assert "May be the best: 1 of 3 cannot be excluded" in shown
    assert "2 more could not be compared: too few repeats, or too few that did not diverge." in shown
    assert "diverged 8 of 8 (63–100 %)" in shown
    assert "nan" not in shown.lower()
    rows = {row["id"]: row for row in found["configurations"]}
    assert [rows[named[key]]["in_set"] for key in ((1, 0), (0, 0), (0, 2))] == [True, None, None]
    assert found["confidence_set"]["members"] == [named[1, 0]]
    assert rows[named[0, 0]]["difference"] is None
    assert rows[named[0, 0]]["p"] is None
    assert "nan" not in text(tmp_path, "compare", "--study", "slides", "straightforward", "extension").lower()
    assert "2 more could not be compared" in page_of(tmp_path)


def page_of(folder: Path) -> str:
    text(folder, "dashboard", "slides")
    return html.unescape((folder / "slides" / "dashboard.html").read_text())


def test_between_looks_the_last_set_is_shown_and_marked(tmp_path: Path) -> None:
    predicted_study(tmp_path, repeats=11)
    assert "(95 % confidence set at 8 of 11 repeats, p > 0.0117; the next look is at 12)" in text(
        tmp_path, "best", "slides"
    )
    predicted_study(tmp_path, "few", repeats=5)
    said = "With 5 repeats nothing is excluded: all 3 may be the best. The first look is at 8 repeats."
    assert said in text(tmp_path, "best", "few")
    assert said in text(tmp_path, "compare", "--study", "few", "straightforward", "extension", "unfreezing")


def test_over_partitions_pairs_leave_out_what_diverged(tmp_path: Path) -> None:
    predicted_study(
        tmp_path, partitions=3, diverges=lambda c, repeat: c.head.non_linearities == 1 and repeat == 3, repeats=4
    )
    shown, found = text(tmp_path, "best", "slides"), data(tmp_path, "best", "slides")
    assert "diverged 3 of 12" in shown
    assert "3 of 36 repeats diverged, in 1 configuration" in shown
    behind = {row["id"]: (row["diverged"], row["difference"]) for row in found["configurations"]}
    assert sorted(diverged for diverged, _ in behind.values()) == [0, 0, 3]
    compared = data(tmp_path, "compare", "--study", "slides", "extension", "straightforward")
    assert "3 of 24 repeats diverged" in text(tmp_path, "compare", "--study", "slides", "extension", "straightforward")
    one, other = (behind[item["id"]] for item in compared["items"])
    assert one[0] == 3
    assert compared["pairs"][0]["difference"] == pytest.approx(one[1] - other[1])


@pytest.mark.parametrize("rule", ["valid", "worse_of_both"])
def test_scores_at_the_last_epoch_and_at_the_mean_curve_s_best(tmp_path: Path, rule: str) -> None:
    storage, _ = small_study(tmp_path / "slides", repeats=4, epochs=9, rule=rule)
    summary = summarise(storage)
    member = summary.configurations[0]
    choices = epoch_choices(summary, member, "loss")
    curve, train = member.curve("loss", "valid"), member.curve("loss", "train")
    assert choices is not None
    assert curve is not None
    assert train is not None
    assert choices.last_epoch == 9
    assert choices.at_last.mean == pytest.approx(curve.mean[9])
    best = choices.mean_best_epoch
    assert choices.at_mean_best.mean == pytest.approx(curve.mean[best])
    table = summary.repeats
    rows = np.flatnonzero((table.table["configuration"] == member.id).to_numpy())
    both = np.stack([table.loss[table.start[r] : table.start[r + 1], :2] for r in rows])
    looked_at = both[:, :, 1] if rule == "valid" else both.max(axis=2)
    assert best == int(looked_at.mean(axis=0).argmin())
    assert choices.by_rule.mean <= choices.at_mean_best.mean + 1e-9


def test_predictions_that_are_damaged_take_only_the_figure_away(tmp_path: Path) -> None:
    storage, study = predicted_study(tmp_path)
    text(tmp_path, "dashboard", "slides")  # compacts the histories: scores no longer need the final records
    worst = ids(study)[0, 2]
    path = BundleKey(study.ids()[0], worst, 0).final(2, 4)
    storage.replace(path, b"torn")
    shown = text(tmp_path, "best", "slides", status=1)
    assert "Predictions of 1 configuration cannot be read, so the bias-corrected figure leaves it out." in shown
    assert "Corrected for choosing" in shown
    storage.replace(BundleKey(study.ids()[0], ids(study)[1, 0], 0).final(2, 4), b"torn")
    shown = text(tmp_path, "best", "slides", status=1)
    assert "No bias-corrected figure: its validation predictions cannot be read" in shown


def test_a_manifest_that_says_nothing_takes_only_the_figure_away(tmp_path: Path) -> None:
    small_study(tmp_path / "slides", repeats=6)
    shown = text(tmp_path, "best", "slides")
    assert "No bias-corrected figure" in shown
    assert "Recommended, with the best mean:" in shown


def test_two_metrics_in_one_study(tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path / "slides", name="slides")
    other = GeneratedStudy(
        name="slides", depths=((0, 0),), lrs=(1e-3,), repeats=3, epochs=6, selection="macro_f1", batch_sizes=(16,)
    )
    other.write(storage)
    found = data(tmp_path, "best", "slides")
    assert (found["metric"], len(found["configurations"]), found["other_metric"]) == ("loss", 8, 1)
    by_f1 = data(tmp_path, "best", "slides", "--selection", "macro_f1")
    assert [row["id"] for row in by_f1["configurations"]] == [c.id for c in other.configurations()]
    assert "no configuration that selects by accuracy" in refused(tmp_path, "best", "slides", "--selection", "accuracy")


def test_long_tables_are_cut_on_the_screen_only(tmp_path: Path) -> None:
    small_study(tmp_path / "slides", name="slides", lrs=(1e-5, 1e-4, 1e-3, 1e-2), batch_sizes=(8, 16, 32))
    shown = text(tmp_path, "best", "slides")
    assert "… and 9 more (--every shows them" in shown
    assert len(text(tmp_path, "best", "slides", "--every").splitlines()) == len(shown.splitlines()) + 9 - 1
    assert len(data(tmp_path, "best", "slides")["configurations"]) == 24


def test_select_is_for_programs_too(studies: Path) -> None:
    storage = LocalStorage(studies / "slides")
    summary = summarise(storage)
    selection = select(storage, summary, summary.study.partition, "loss")
    assert selection is not None
    assert selection.winner.rank == 1
    assert selection.best_set.best == 0
    assert select(storage, summary, "another", "loss") is None


def test_compare_strategies(studies: Path) -> None:
    found = data(studies, "compare", "--study", "slides", "straightforward", "extension", "unfreezing")
    items = {item["label"]: item for item in found["items"]}
    assert [items[name]["in_set"] for name in ("straightforward", "extension", "unfreezing")] == [False, True, False]
    assert [(pair["first"], pair["second"]) for pair in found["pairs"]] == [
        ("straightforward", "extension"),
        ("straightforward", "unfreezing"),
        ("extension", "unfreezing"),
    ]
    signs = [np.sign(pair["difference"]) for pair in found["pairs"]]
    assert signs == [-1, 1, 1]
    assert found["pairs"][2]["low"] > 0
    by_accuracy = data(studies, "compare", "slides:straightforward", "slides:unfreezing", "--metric", "accuracy")
    assert by_accuracy["metric"] == "accuracy"
    assert by_accuracy["pairs"][0]["difference"] > 0


def test_compare_configurations_backbones_and_studies(studies: Path) -> None:
    names = ids(PredictedStudy(depths=((0, 0), (1, 0), (0, 2)), lrs=(1e-3,), batch_sizes=(16,)))
    found = data(studies, "compare", f"slides:{names[1, 0][:6]}", f"slides:{names[0, 0]}")
    assert [item["id"] for item in found["items"]] == [names[1, 0], names[0, 0]]
    assert found["pairs"][0]["difference"] > 0
    for backbone in ("resnet18", "resnet18.tv_in1k", "timm:resnet18.tv_in1k"):
        found = data(studies, "compare", f"slides:{backbone}", "slides:unfreezing")
        assert [item["chosen_among"] for item in found["items"]] == [3, 1]
        assert found["items"][0]["crossed"]["n"] == 8
    whole = data(studies, "compare", "slides", "several")
    assert whole["partitions"] == data(studies, "best", "several")["partitions"][:1]
    assert whole["pairs"][0]["difference"] == 0


def test_compare_over_partitions(studies: Path) -> None:
    found = data(studies, "compare", "--study", "several", "straightforward", "extension")
    assert found["test"] == "corrected resampled t-test"
    assert found["pairs"][0]["n"] == 3
    assert found["pairs"][0]["p"] < 0.05
    assert all(item["in_set"] is None and len(item["means"]) == 3 for item in found["items"])
    assert "Standard deviations from 3 partitions" in text(
        studies, "compare", "several:extension", "several:unfreezing"
    )
    whole = data(studies, "compare", "several", "several:unfreezing")
    assert [item["chosen_among"] for item in whole["items"]] == [3, 1]
    assert whole["items"][0]["crossed"]["n"] == 3
    assert whole["items"][0]["crossed"]["mean"] == pytest.approx(whole["items"][0]["score"]["mean"])
    one = found["partitions"][2]
    assert data(studies, "compare", "several:extension", "several:unfreezing", "--partition", one)["partitions"] == [
        one
    ]


def test_names_that_mean_nothing_are_all_told(studies: Path) -> None:
    shown = refused(studies, "compare", "nowhere", "slides:vgg16", "slides:ab", "slides")
    assert "3 faults" in shown
    assert "there is no study 'nowhere'" in shown
    assert "'slides:vgg16': study 'slides' has no such strategy, backbone or configuration" in shown
    assert "backbones: resnet18.tv_in1k" in shown
    assert "at least two names" in refused(studies, "compare", "slides")
    assert "'missing' is not in" in refused(studies, "compare", "--study", "missing", "a", "b")
    refused(studies, "compare", "../slides", "slides")


def test_studies_that_cannot_be_compared(tmp_path: Path) -> None:
    predicted_study(tmp_path, "one")
    predicted_study(tmp_path, "two", fingerprint="f" * 64)
    predicted_study(tmp_path, "three", groups=45)
    small_study(tmp_path / "four", name="four", selection="accuracy")
    small_study(tmp_path / "five", name="five")
    assert "have different images or classes" in refused(tmp_path, "compare", "one", "two")
    shown = refused(tmp_path, "compare", "one", "five", "--partition", "p")
    assert "have different images" in shown or "expected a partition" in shown
    assert "select" in refused(tmp_path, "compare", "four", "five")
    assert data(tmp_path, "compare", "four", "five", "--metric", "loss")["partitions"] == [PARTITION]


@pytest.mark.parametrize("words", [["best", "slides"], ["compare", "slides:extension", "slides:unfreezing"]])
def test_choosing_starts_neither_torch_nor_ray(studies: Path, words: list[str]) -> None:
    probe = (
        "import sys\nfrom orchestrator.command_line import main\n"
        f"try:\n    main({[*words, '--studies', str(studies)]!r})\nexcept SystemExit as end:\n    assert not end.code\n"
        "print([name for name in ('torch', 'ray', 'plotly', 'timm', 'sklearn') if name in sys.modules])"
    )
    root = ROOT
    shown = subprocess.run([sys.executable, "-c", probe], cwd=root, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines()[-1] == "[]"
