"""Figures as files: width of a column, readable type, a key, data beside them, and a plain line where nothing draws."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from dashboards.export import files as export
from dashboards.export.files import checked_figures, telling_choices, write_figures
from dashboards.export.images import render, why_not
from dashboards.export.paper import KEY_LINE_PX, PX_PER_MM, SMALLEST_TYPE_PX, for_paper
from dashboards.figures.choice import Choice, Source
from dashboards.figures.palette import PAPER, layout
from dashboards.figures.registry import FIGURES, open_source
from orchestrator.command_line import main
from orchestrator.store.errors import InputError
from tests.support.generated_study import NOW, small_study

drawing = pytest.mark.skipif(bool(why_not()), reason=why_not())
quiet = pytest.mark.filterwarnings("default::ResourceWarning")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    storage, _ = small_study(tmp_path_factory.mktemp("study"), backbones=("timm:one", "timm:two"))
    return open_source(storage, NOW)


@pytest.fixture
def no_renderer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "why_not", lambda: "Image files need an installed Chromium or Chrome.")


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Density cannot be drawn."""

    def draw(data: pd.DataFrame, choice: Choice) -> Any:
        raise ZeroDivisionError("no width")

    monkeypatch.setitem(FIGURES, "density", replace(FIGURES["density"], draw=draw))


def sizes(value: Any) -> list[float]:
    """Every size of type in a figure."""
    if isinstance(value, dict):
        here = [float(item["size"]) for key, item in value.items() if key.endswith("font") and "size" in (item or {})]
        return here + [size for item in value.values() for size in sizes(item)]
    if isinstance(value, list):
        return [size for item in value for size in sizes(item)]
    return []


def test_paper_is_white_and_its_type_readable(source: Source) -> None:
    for name, figure in FIGURES.items():
        for choice in figure.choices(source.summary)[:1]:
            data = figure.data(source, choice)
            if data.empty:
                continue
            spec = figure.draw(data, choice)
            before = json.dumps(spec["layout"], default=str)
            made = for_paper(spec)
            assert json.dumps(spec["layout"], default=str) == before, f"{name}: the page's figure is left alone"
            assert min(sizes(made)) >= SMALLEST_TYPE_PX, name
            assert made["layout"]["paper_bgcolor"] == "#ffffff"
            assert PAPER not in json.dumps(made, default=str), name
            assert made["layout"]["width"] in (round(85 * PX_PER_MM), round(180 * PX_PER_MM))
            assert made["layout"]["height"] >= spec["layout"]["height"]


def test_width_follows_panels_and_names() -> None:
    one: dict[str, Any] = {"data": [{"type": "scatter", "y": [1, 2]}], "layout": layout(200, xaxis={}, yaxis={})}
    assert for_paper(one)["layout"]["width"] == 321
    assert for_paper(one, 120)["layout"]["width"] == round(120 * PX_PER_MM)
    two = copy.deepcopy(one)
    two["layout"] |= {"xaxis": {"domain": [0, 0.45]}, "xaxis2": {"domain": [0.55, 1]}}
    assert for_paper(two)["layout"]["width"] == 680
    stacked = copy.deepcopy(one)
    stacked["layout"] |= {"xaxis": {"domain": [0, 1]}, "xaxis2": {"domain": [0, 1]}}
    assert for_paper(stacked)["layout"]["width"] == 321
    named = copy.deepcopy(one)
    named["layout"]["yaxis"] = {"ticktext": ["a rather long name of a configuration<br>on two lines"]}
    assert for_paper(named)["layout"]["width"] == 680


def test_a_key_names_each_trace_once() -> None:
    names = ["train", "valid", "train", "valid", None]
    spec = {"data": [{"type": "scatter", "name": name} for name in names], "layout": layout(200)}
    made = for_paper(spec)
    assert made["layout"]["showlegend"]
    assert [trace["showlegend"] for trace in made["data"]] == [True, True, False, False, False]
    assert made["layout"]["margin"]["t"] > spec["layout"]["margin"]["t"]
    long = {"data": [{"type": "scatter", "name": f"{name}, a long name of a trace"} for name in "abcd"]}
    tall = for_paper({**long, "layout": layout(200)}, 85)["layout"]
    wide = for_paper({**long, "layout": layout(200)}, 400)["layout"]
    assert tall["height"] - wide["height"] == 3 * KEY_LINE_PX, "a column for each on a narrow paper"
    alone = for_paper({"data": [{"type": "scatter", "name": "train"}], "layout": layout(200)})
    assert not alone["layout"]["showlegend"]


def test_tables_and_captions_without_a_renderer(source: Source, tmp_path: Path, no_renderer: None) -> None:
    exported = write_figures(source, tmp_path, "svg")
    assert exported.problem == "Image files need an installed Chromium or Chrome."
    assert {one.figure for one in exported.written} >= {"curves", "heat-map", "differences", "spread"}
    assert all(one.image is None for one in exported.written)
    for one in exported.written:
        assert not pd.read_csv(one.data.path).empty
        assert re.fullmatch(r"[A-Za-z0-9-]+\.csv", one.data.name)
    curves = [one for one in exported.written if one.figure == "curves"]
    assert len(curves) == 4, "two backbones, two depths, the score that selects"
    told = (tmp_path / "captions.md").read_text()
    assert told.count("Synthetic data.") == len(exported.written)
    assert "standard deviation (n − 1)" in told
    assert not list(tmp_path.glob("*.svg"))


def test_captions_have_numbers_for_n_and_nothing_to_point_at(tmp_path: Path, no_renderer: None) -> None:
    some = small_study(tmp_path / "study", skip=lambda c, repeat: c.optimiser.batch_size == 32 and repeat == 2)[0]
    told = {one.figure: one.caption for one in write_figures(open_source(some, NOW), tmp_path / "out").written}
    ends = {name: caption.partition("Synthetic data.")[2].strip() for name, caption in told.items()}
    assert ends["heat-map"] == ends["gap"] == "n = 2 to 3."
    assert ends["spread"] == ends["best-repeats"] == ends["validation-confusion"] == "n = 3."
    assert ends["untrained"] == "", "it says nothing of n"
    for name, figure in FIGURES.items():
        assert not re.search(r"(?i)\b(point|pointing|click|tap|drag|hover)\b", figure.whole_reading), name


def test_what_is_written_by_default_and_with_every(source: Source) -> None:
    few = telling_choices(FIGURES["heat-map"], source, every=False)
    every = telling_choices(FIGURES["heat-map"], source, every=True)
    assert {(choice.score, choice.quantity) for choice in few} == {("loss", "mean")}
    assert len(every) > 5 * len(few)


def test_unknown_figures_are_named_together() -> None:
    assert checked_figures(()) == tuple(FIGURES)
    with pytest.raises(InputError, match=r"2 faults(.|\n)*no 'a'(.|\n)*no 'b'") as told:
        checked_figures(("curves", "a", "b"))
    assert "heat-map" in told.value.advice


@quiet
@drawing
@pytest.mark.parametrize(
    "form", ["svg", pytest.param("png", marks=pytest.mark.slow), pytest.param("pdf", marks=pytest.mark.slow)]
)
def test_files_that_readers_open(source: Source, tmp_path: Path, form: Any) -> None:
    exported = write_figures(source, tmp_path, form, names=["best-repeats"])
    (one,) = exported.written
    assert exported.problem == ""
    assert one.image is not None
    content = one.image.path.read_bytes()
    if form == "svg":
        text = content.decode()
        assert 'width="321"' in text
        assert "MLP head, n = 1" in text
        assert "http://" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)
    elif form == "png":
        assert content[:8] == b"\x89PNG\r\n\x1a\n"
        assert int.from_bytes(content[16:20], "big") == pytest.approx(85 / 25.4 * 300, abs=3)
    else:
        assert content[:5] == b"%PDF-"
        box = re.search(rb"/MediaBox\s*\[0 0 ([\d.]+)", content)
        assert box is not None
        assert float(box[1]) == pytest.approx(85 / 25.4 * 72, abs=1)


def test_the_command(tmp_path: Path, no_renderer: None) -> None:
    small_study(tmp_path / "slides", name="slides")
    where = ["--studies", str(tmp_path)]
    run = CliRunner().invoke(main, ["figures", "slides", "--only", "curves", *where])
    assert run.exit_code == 1
    assert run.stderr == "Image files need an installed Chromium or Chrome.\n"
    assert "0 figures as svg and 2 tables" in run.stdout
    assert len(list((tmp_path / "slides" / "figures").glob("curves-*.csv"))) == 2
    run = CliRunner().invoke(main, ["figures", "slides", "--only", "curves", "--json", *where])
    told = json.loads(run.stdout)
    assert [row["figure"] for row in told["figures"]] == ["curves", "curves"]
    assert told["figures"][0]["image"] is None
    run = CliRunner().invoke(main, ["figures", "slides", "--only", "curve", *where])
    assert run.exit_code == 2
    assert "there is no 'curve'" in run.stderr
    run = CliRunner().invoke(main, ["figures", "other", *where])
    assert run.exit_code == 2


def test_a_figure_that_fails_costs_that_figure(source: Source, tmp_path: Path, no_renderer: None, broken: None) -> None:
    counted: list[tuple[int, int]] = []
    exported = write_figures(
        source, tmp_path, "svg", names=["spread", "density"], progress=lambda *one: counted.append(one)
    )
    assert [done for done, _ in counted] == list(range(counted[0][1])), "each before it is drawn"
    assert {one.figure for one in exported.written} == {"spread"}
    assert {one.figure for one in exported.lost} == {"density-one-loss", "density-two-loss"}
    assert {one.cause for one in exported.lost} == {"ZeroDivisionError: no width"}
    assert "density" not in (tmp_path / "captions.md").read_text()


def test_the_command_names_what_it_lost(tmp_path: Path, no_renderer: None, broken: None) -> None:
    small_study(tmp_path / "slides", name="slides")
    where = ["--studies", str(tmp_path), "--only", "density"]
    run = CliRunner().invoke(main, ["figures", "slides", *where])
    assert run.exit_code == 1
    assert run.stderr == "density-loss could not be drawn. ZeroDivisionError: no width\n"
    run = CliRunner().invoke(main, ["figures", "slides", "--json", *where])
    assert json.loads(run.stdout)["lost"] == [{"figure": "density-loss", "cause": "ZeroDivisionError: no width"}]


@quiet
@drawing
def test_what_the_browser_does_not_draw_is_lost_alone() -> None:
    good: dict[str, Any] = {"data": [{"type": "scatter", "y": [1, 2]}], "layout": layout(200)}
    bad: dict[str, Any] = {**good, "data": [{"type": "scatter", "y": object()}]}
    taken: dict[str, bytes] = {}
    lost: dict[str, Exception] = {}
    figures = [("one", good), ("bad", bad), ("two", good)]
    render(figures, "svg", taken.__setitem__, lost.__setitem__)
    assert list(taken) == ["one", "two"]
    assert list(lost) == ["bad"]


def test_a_study_without_results(tmp_path: Path, no_renderer: None) -> None:
    small_study(tmp_path / "new", name="new", skip=lambda *_: True)
    only = ["--only", "curves,spread,best-repeats"]
    run = CliRunner().invoke(main, ["figures", "new", "--studies", str(tmp_path), *only])
    assert (run.exit_code, run.stdout) == (0, "new has no results to draw yet.\n")
