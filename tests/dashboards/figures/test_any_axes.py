"""A score against any setting: what is drawn is every configuration, whatever is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from click.testing import CliRunner

import orchestrator as orch
from dashboards.export.files import caption
from dashboards.figures.any_axes import Asked, any_data, any_figure
from dashboards.figures.choice import Choice, Source
from dashboards.figures.differences import difference_names
from dashboards.figures.registry import FIGURES, open_source
from dashboards.page.answer_sentence import answer_sentence
from dashboards.page.best_table import best_table_data
from orchestrator.command_line import main
from orchestrator.results.tried import tried
from orchestrator.store.errors import InputError
from search_spaces.configuration import Configuration, by_column, column_names
from tests.support.configurations import changed
from tests.support.generated_study import PARTITION, GeneratedStudy, UnsyncedStorage


class TwoDecays(GeneratedStudy):
    """Every point of the grid twice, with and without weight decay."""

    def configurations(self) -> list[Configuration]:
        return [changed(one, weight_decay=decay) for one in super().configurations() for decay in (0.0, 0.01)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies") / "generated"
    TwoDecays(depths=((0, 0), (1, 0)), epochs=3, repeats=3).write(UnsyncedStorage(folder))
    return folder


@pytest.fixture(scope="module")
def source(folder: Path) -> Source:
    return open_source(UnsyncedStorage(folder))


def marks(spec: Any) -> list[dict[str, Any]]:
    return [trace for trace in spec["data"] if trace["mode"] == "markers"]


def test_no_configuration_hides_behind_another(source: Source) -> None:
    asked = Asked("lr", line="batch_size", facet="strategy")
    data = any_data(source, Choice(PARTITION), asked)
    assert len(data) == len(source.summary.configurations)
    spec = any_figure(data, asked)
    go.Figure(spec)
    assert sum(len(trace["x"]) for trace in marks(spec)) == len(source.summary.configurations)
    assert {trace["xaxis"] for trace in marks(spec)} == {"x", "x2"}, "a panel for each strategy"
    words = [word for trace in marks(spec) for word in trace["text"]]
    assert len(set(words)) == len(words), "pointing tells apart what lies at one value"
    row = data.iloc[0]
    best = source.summary.configurations[0].score("loss", "valid")
    assert best is not None
    assert (row["mean"], row["std"], row["n"]) == (best.mean, best.std, best.n)


def test_lines_join_the_means_of_what_lies_at_one_value(source: Source) -> None:
    asked = Asked("lr", line="optimiser.betas")
    data = any_data(source, Choice(PARTITION), asked)
    (line,) = [trace for trace in any_figure(data, asked)["data"] if trace["mode"] == "lines"]
    assert line["x"] == sorted(line["x"])
    assert line["y"] == pytest.approx([data.loc[data["x"] == x, "mean"].mean() for x in line["x"]])


@pytest.mark.parametrize("x", column_names())
def test_every_setting_is_an_axis(source: Source, x: str) -> None:
    asked = Asked(x, "accuracy", line="weight_decay")
    if all(tried(member.configuration, x) is None for member in source.summary.configurations):
        with pytest.raises(InputError, match="expected a setting that matters in study 'generated'"):
            asked.check(source.summary)
        return
    asked.check(source.summary)
    data = any_data(source, Choice(PARTITION), asked)
    spec = any_figure(data, asked)
    go.Figure(spec)
    scale = "categorical" if x in ("strategy", "parent") else by_column()[x].setting.scale
    kinds = {"log": "log", "linear": "linear", "ordinal": "linear", "categorical": "category"}
    holds_zero = x in ("weight_decay", "optimiser.clip")
    assert spec["layout"]["xaxis"]["type"] == ("linear" if holds_zero else kinds[scale])


def test_what_there_is_not_is_told_together(source: Source) -> None:
    with pytest.raises(InputError) as caught:
        Asked("learning_rate", "auc", line="batchsize").check(source.summary)
    assert caught.value.message.count("expected") == 3
    assert "found 'batchsize'; did you mean 'batch_size'?" in caught.value.message


def test_a_notebook_and_the_command_draw_it(folder: Path, tmp_path: Path) -> None:
    figure = orch.open(folder).plot("lr", "accuracy", line="batch_size", band="none")
    assert isinstance(figure, go.Figure)
    run = CliRunner().invoke(
        main,
        [
            *("figures", "generated", "--studies", str(folder.parent), "--output", str(tmp_path)),
            *("--x", "lr", "--y", "accuracy", "--line", "batch_size"),
        ],
    )
    assert run.exit_code in (0, 1), "1: without a browser there are tables alone"
    (words,) = tmp_path.glob("accuracy-by-lr-batch_size*.md")
    assert "Each mark is one configuration" in words.read_text()
    assert "Synthetic data." in words.read_text()
    (table,) = tmp_path.glob("accuracy-by-lr-batch_size*.csv")
    assert table.read_text().startswith("facet,line,x,mean,std,n,configuration\n")


@pytest.mark.parametrize("options", [["--line", "lr"], ["--x", "lr", "--only", "curves"]])
def test_options_that_do_not_go_together(folder: Path, options: list[str]) -> None:
    run = CliRunner().invoke(main, ["figures", "generated", "--studies", str(folder.parent), *options])
    assert run.exit_code == 2


def test_every_figure_and_table_of_the_page_says_what_tells_configurations_apart(source: Source) -> None:
    members = source.summary.configurations
    assert {member.others for member in members} == {"weight decay 0", "weight decay 0.01"}
    best = next(member for member in members if member.rank == 1)
    assert best.others in answer_sentence(source.summary, [best])
    assert set(best_table_data(members, ["loss"])["Other settings"]) == {"weight decay 0", "weight decay 0.01"}
    for name in ("differences", "spread"):
        figure = FIGURES[name]
        choice = figure.choices(source.summary)[0]
        assert "weight decay" in str(figure.draw(figure.data(source, choice), choice)), name
    for name in ("heat-map", "curves", "progress"):
        captions = [caption(name, choice, source) for choice in FIGURES[name].choices(source.summary)]
        assert all("weight decay" in words for words in captions), name
    assert len(set(difference_names(FIGURES["differences"].data(source, Choice(PARTITION))))) == len(members)
