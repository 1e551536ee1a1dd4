"""What stands under "Best" at the end of a search: the study's, and this search's where that is another."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.report import closing_report
from orchestrator.results.summary import summarise
from orchestrator.study.studies import Study, open_study
from tests.support.generated_study import NOW, small_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder: Path = tmp_path_factory.mktemp("studies")
    small_study(folder / "slides", name="slides")
    return open_study(folder, "slides")


def ended(study: Study, *places: int) -> tuple[list[str], dict[str, Any]]:
    """The report of a search that asked for the configurations of these ranks, counted from 0."""
    ranked = [member.id for member in summarise(study.storage, NOW).configurations]
    epochs = [SimpleNamespace(configuration=ranked[place]) for place in places]
    report = closing_report(SimpleNamespace(study=study, epochs=epochs), None, 0)  # type: ignore[arg-type]
    return list(report.lines), report.data


def ranks(entries: list[dict[str, Any]]) -> list[int]:
    return [entry["rank"] for entry in entries]


def test_a_search_of_all_has_one_list_that_says_how_much_it_leaves_out(study: Study) -> None:
    lines, data = ended(study, *range(8))
    assert lines[0].startswith("Best by loss (valid), mean")
    assert lines[7] == "  … and 3 more: orch best slides --every"
    assert "Best of this search:" not in lines
    assert ranks(data["best"]) == ranks(data["best_of_search"]) == [1, 2, 3, 4, 5]


def test_the_best_of_the_study_stands_first_and_that_of_the_search_below(study: Study) -> None:
    lines, data = ended(study, 3, 5)
    assert lines[0].startswith("Best of the study by loss (valid), mean")
    own = lines.index("Best of this search:")
    assert [line.split()[0] for line in lines[own + 2 : own + 4]] == ["1.", "2."]
    assert (ranks(data["best"]), ranks(data["best_of_search"])) == ([1, 2, 3, 4, 5], [4, 6])


def test_a_search_that_holds_the_best_of_the_study_has_no_second_list(study: Study) -> None:
    lines, _ = ended(study, 0, 5)
    assert lines[0].startswith("Best of the study by")
    assert "Best of this search:" not in lines


def test_repeats_that_diverged_are_told_of_all_that_the_search_trained(tmp_path: Path) -> None:
    """Those of which all repeats diverged are seldom among the few that are listed."""
    small_study(
        tmp_path / "slides", name="slides", diverges=lambda c, _: c.optimiser.lr == 1e-2 and c.head.non_linearities == 1
    )
    study = open_study(tmp_path, "slides")
    summary = summarise(study.storage, NOW)
    assert summary.totals.diverged > 0
    assert not any(member.diverged for member in summary.configurations[:5])
    lines, _ = ended(study, *range(len(summary.configurations)))
    assert any(line.startswith(f"{summary.totals.diverged} repeats diverged; ") for line in lines)
    assert not any("diverged" in line for line in ended(study, 0, 1)[0]), "of another search"
