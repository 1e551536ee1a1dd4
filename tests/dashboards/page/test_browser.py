"""The page in a real browser: no error, no request, the right numbers, controls that answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dashboards.page.page import render
from search_spaces.presets import shown_strategy
from tests.support.generated_study import NOW, segment_of, small_study, write_lease
from tests.support.made_up_evaluation import add_evaluation
from tests.support.opened_page import Opened, pytestmark  # noqa: F401  # where it can run

HOSTILE = '<img src=x onerror="window.hacked=1"></script><script>window.hacked=1</script><b>%{x}'


def test_figures_show_the_numbers(browser: Any, written: tuple[Path, Any]) -> None:
    path, summary = written
    opened = Opened(browser, path, viewport={"width": 1280, "height": 900})
    opened.page.evaluate("orchPage.drawAll()")
    maps, grid = opened.first("heat-maps"), opened.first("curves")
    first = summary.configurations[0].configuration.network.backbone
    members = [m for m in summary.configurations if m.configuration.network.backbone == first and m.depth[1] == 0]
    expected = {(m.configuration.optimiser.lr, m.configuration.optimiser.batch_size): m for m in members}
    z = opened.traces(maps)[0]["z"]
    for row, lr in enumerate((1e-3, 1e-2)):
        for column, batch in enumerate((16, 32)):
            assert z[row][column] == pytest.approx(expected[lr, batch].score("loss", "valid").mean, abs=1e-4)
    lines = [trace for trace in opened.traces(grid) if trace.get("meta", {}).get("split") == "valid"]
    alike = [m for m in summary.configurations if m.depth == summary.configurations[0].depth]
    ours = (m for m in alike if m.configuration.network.backbone == first and m.configuration.optimiser.lr == 1e-3)
    shown_first = next(m for m in ours if m.configuration.optimiser.batch_size == 16)
    assert lines[0]["y"] == pytest.approx(shown_first.curve("loss", "valid").mean.tolist(), abs=1e-4)
    assert opened.page.locator(f"#chart-{grid} .shapelayer path").count() == 8
    shown = opened.page.inner_text("#answer table.best tbody tr:first-child")
    best = summary.configurations[0].score("loss", "valid")
    assert f"{best.mean:.3f} ± {best.std:.3f}" in shown
    assert opened.faults == []


def test_controls(browser: Any, written: tuple[Path, Any]) -> None:
    path, summary = written
    opened = Opened(browser, path, viewport={"width": 1280, "height": 900})
    page = opened.page
    maps = opened.show("heat-maps")
    opened.choose("heat", "balanced_accuracy")
    assert "balanced accuracy" in page.get_attribute(f"#chart-{maps}", "aria-label")
    assert max(max(row) for row in opened.traces(maps)[0]["z"]) <= 1
    opened.choose("of", "n")
    assert {value for row in opened.traces(maps)[0]["z"] for value in row} == {3}
    page.click(f'details[data-chart="chart-{maps}"] summary')
    page.wait_for_selector(f'details[data-chart="chart-{maps}"] table')
    assert page.locator(f'details[data-chart="chart-{maps}"] tr').count() == 5
    other = summary.configurations[0].configuration.network.backbone != "timm:one"
    opened.choose("backbone", "1")
    assert page.locator("#heat-maps h3:visible").inner_text() == ("one" if other else "two")
    chart = f"chart-{opened.show('curves')}"
    page.click(f'details[data-chart="{chart}"] summary')
    page.wait_for_selector(f'details[data-chart="{chart}"] table')
    assert page.locator(f'details[data-chart="{chart}"] tr').count() == 1 + 4 * 7
    with page.expect_download() as svg:
        page.click(f'button[data-save="svg"][data-of="{chart}"]')
    assert "synthetic data" in Path(svg.value.path()).read_text()
    with page.expect_download() as png:
        page.click(f'button[data-save="png"][data-of="{chart}"]')
    assert Path(png.value.path()).read_bytes().startswith(b"\x89PNG")
    with page.expect_download() as csv:
        page.click(f'button[data-save="csv"][data-of="{chart}"]')
    assert Path(csv.value.path()).read_text().startswith('"configuration","score","epoch"')
    assert opened.faults == []


def test_other_rows_and_columns(browser: Any, written: tuple[Path, Any]) -> None:
    path, summary = written
    opened = Opened(browser, path, viewport={"width": 1280, "height": 900})
    page = opened.page
    first = summary.configurations[0].configuration.network.backbone
    members = [m for m in summary.configurations if m.configuration.network.backbone == first]
    at = {(m.configuration.optimiser.lr, m.configuration.optimiser.batch_size, m.depth[1]): m for m in members}
    offered = page.locator("select[data-sets=pair-heat-map] option").all_inner_texts()
    pair = str(offered.index("non-linearities × batch size"))

    opened.show("heat-maps")
    opened.choose("pair-heat-map", pair)
    assert page.locator("#heat-maps .panel:visible h4").all_inner_texts() == ["lr 1e-3", "lr 1e-2"]
    z = opened.traces(opened.show("heat-maps"))[0]["z"]
    for row, n in enumerate(sorted({m.depth[1] for m in members})):
        for column, batch in enumerate((16, 32)):
            assert z[row][column] == pytest.approx(at[1e-3, batch, n].score("loss", "valid").mean, abs=1e-4)

    assert page.locator("#progress .cell:visible").count() == len(members)
    opened.choose("pair-progress", pair)
    assert page.locator("#progress .cell:visible").count() == len(members), "each stands in one table"
    row = page.locator("#progress .panel:visible tbody tr").first
    assert "lr 1e-3, batch 32: 3 of 3" in str(row.locator(".cell").last.get_attribute("title"))

    opened.show("curves")
    opened.choose("pair-curves", pair)
    page.locator("#curves select[data-sets^=facet-]:visible").select_option(label="lr 1e-2")
    opened.ready()
    grid = opened.show("curves")
    lines = [trace for trace in opened.traces(grid) if trace.get("meta", {}).get("split") == "valid"]
    assert lines[1]["meta"]["name"] == "linear probe, lr 1e-2, batch 32"
    assert lines[1]["y"] == pytest.approx(at[1e-2, 32, 0].curve("loss", "valid").mean.tolist(), abs=1e-4)
    box = page.locator(f"#chart-{grid}").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.25)
    opened.ready()
    picked = page.locator("#curves select[data-sets^=one-]:visible option:checked")
    assert picked.inner_text() == lines[1]["meta"]["name"]
    assert opened.faults == []


def test_two_axes(browser: Any, written: tuple[Path, Any]) -> None:
    opened = Opened(browser, written[0], viewport={"width": 1280, "height": 900})
    grid = opened.show("curves")
    opened.choose("curve", "loss_and_accuracy")
    axes = {(trace["xaxis"], trace["yaxis"]) for trace in opened.traces(grid)}
    assert axes == {(x, y) for x in ("x", "x2") for y in ("y", "y2", "y500", "y501")}
    assert opened.faults == []


@pytest.mark.parametrize("way", ["click", "keyboard"])
def test_single_repeats_behind_a_panel(browser: Any, written: tuple[Path, Any], way: str) -> None:
    path, summary = written
    opened = Opened(browser, path, viewport={"width": 1280, "height": 900})
    page = opened.page
    grid = opened.show("curves")
    chosen = page.locator("#curves select:visible").last
    if way == "click":
        box = page.locator(f"#chart-{grid}").bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.3)
    else:
        chosen.focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
    opened.ready()
    best = "MLP head, n = 1" if way == "click" else "linear probe"
    assert chosen.locator("option:checked").inner_text() == f"{best}, lr 1e-3, batch 32"
    behind = page.locator("#curves .chart[data-singles=yes]:visible").get_attribute("id").removeprefix("chart-")
    traces = opened.traces(behind)
    first = summary.configurations[0].configuration.network.backbone
    member = next(
        m
        for m in summary.configurations
        if m.configuration.network.backbone == first and shown_strategy(m.depth[0]) == best.partition(",")[0]
        if (m.configuration.optimiser.lr, m.configuration.optimiser.batch_size) == (1e-3, 32)
    )
    valid = traces[1]["y"]
    assert len(valid) == 3 * 7 + 2
    parts = [valid[0:7], valid[8:15], valid[16:23]]
    mean = [sum(part[epoch] for part in parts) / 3 for epoch in range(7)]
    assert mean == pytest.approx(member.curve("loss", "valid").mean.tolist(), abs=1e-4)
    assert traces[5]["y"] == pytest.approx(member.score("accuracy", "valid").values.tolist(), abs=1e-9)
    page.click(f'details[data-chart="chart-{behind}"] summary')
    page.wait_for_selector(f'details[data-chart="chart-{behind}"] table')
    assert page.locator(f'details[data-chart="chart-{behind}"] tr').count() == 1 + 3 * 7
    assert opened.faults == []


def test_a_machine_that_is_never_idle_gets_its_figures(browser: Any, written: tuple[Path, Any]) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    never = "window.requestIdleCallback = (call, {timeout} = {}) => timeout ? setTimeout(call, timeout / 20) : 0"
    page.add_init_script(never)
    page.goto(written[0].as_uri())
    page.wait_for_selector("html[data-ready]", timeout=60_000)
    page.close()


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a study of which repeats are owed, one is running, and models are evaluated."""
    folder = tmp_path_factory.mktemp("busy")
    storage, study = small_study(folder, backbones=("timm:one", "timm:two"), skip=lambda c, repeat: repeat == 2)
    write_lease(storage, segment_of(storage, study.configurations()[0], 2), 3, NOW)
    add_evaluation(storage)
    path = folder / "dashboard.html"
    path.write_text(render(storage, now=NOW), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (390, "light"),
        (1280, "dark"),
        pytest.param(1280, "light", marks=pytest.mark.slow),
        pytest.param(2560, "dark", marks=pytest.mark.slow),
    ],
)
def test_axe_finds_no_serious_fault(browser: Any, busy: Path, width: int, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    opened = Opened(browser, busy, viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
    page = opened.page
    page.evaluate("document.querySelectorAll('details:not(.data)').forEach(details => { details.open = true; })")
    for section in page.locator("section:has(details.data:visible)").all():  # all of them are made alike
        section.locator("details.data:visible summary").first.click()
    page.evaluate("orchPage.drawAll()")
    opened.until("() => [...document.querySelectorAll('details.data[open]')].every(one => one.dataset.filled)")
    faults = [
        f"{fault['id']}: {node['html'][:200]} {node.get('failureSummary', '')[:300]}"
        for fault in axe.run(page).response["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
    assert faults == []


def test_motion_is_reduced_and_print_shows_every_section(browser: Any, written: tuple[Path, Any]) -> None:
    opened = Opened(browser, written[0], viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = opened.page
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.querySelector('.bar nav')).display") == "none"
    assert page.locator('#curves select[data-sets="curve"]').is_visible(), "what is chosen stands on paper too"
    assert not page.locator("#curves select:has(option[value=''])").first.is_visible(), "not where nothing is"
    assert len(page.pdf(format="A4")) > 50_000
    assert opened.faults == []


def test_print_after_a_choice_lacks_no_figure(browser: Any, written: tuple[Path, Any]) -> None:
    opened = Opened(browser, written[0], viewport={"width": 1280, "height": 900})
    page = opened.page
    opened.choose("backbone", "1")
    page.evaluate("orchPage.drawAll()")  # so that all data are read, as they are after a while
    opened.choose("curve", "accuracy")
    empty = page.evaluate(
        """async () => {
          dispatchEvent(new Event("beforeprint"));
          await new Promise(done => setTimeout(done, 0));
          return [...document.querySelectorAll(".chart")].filter(chart => chart.offsetParent !== null)
            .filter(chart => !chart.querySelector(".cartesianlayer")).map(chart => chart.dataset.title);
        }"""
    )
    assert empty == []
    assert page.locator("details.fold:visible").first.evaluate("fold => fold.open")
    assert opened.faults == []


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (390, "light"),
        (1280, "dark"),
        (2560, "light"),
        pytest.param(390, "dark", marks=pytest.mark.slow),
        pytest.param(1280, "light", marks=pytest.mark.slow),
        pytest.param(2560, "dark", marks=pytest.mark.slow),
    ],
)
def test_no_sideways_scrolling_and_both_colour_schemes(
    browser: Any, written: tuple[Path, Any], width: int, scheme: str
) -> None:
    opened = Opened(browser, written[0], viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = opened.page
    page.evaluate("orchPage.drawAll()")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    background = "getComputedStyle(document.body).backgroundColor"
    drawn = f"document.getElementById('chart-{opened.show('heat-maps')}').layout.paper_bgcolor"
    light, dark = ("rgb(253, 252, 249)", "#fdfcf9"), ("rgb(20, 23, 27)", "#14171b")
    before, after = (light, dark) if scheme == "light" else (dark, light)
    assert (page.evaluate(background), page.evaluate(drawn)) == before
    page.evaluate("document.getElementById('theme').click()")
    opened.ready()
    assert (page.evaluate(background), page.evaluate(drawn)) == after
    page.emulate_media(media="print")
    assert page.evaluate(background) == light[0]
    assert opened.faults == []


def test_hostile_names_are_shown_and_do_nothing(browser: Any, tmp_path: Path) -> None:
    storage, _ = small_study(
        tmp_path, name=HOSTILE, classes=(HOSTILE, "b"), backbones=(f"timm:{HOSTILE}", "timm:x"), command=HOSTILE
    )
    path = tmp_path / "dashboard.html"
    path.write_text(render(storage, now=NOW), encoding="utf-8")
    opened = Opened(browser, path, viewport={"width": 390, "height": 844})
    opened.page.evaluate("orchPage.drawAll()")
    assert opened.page.inner_text("h1").startswith(HOSTILE)
    assert opened.page.evaluate("window.hacked") is None
    assert opened.page.evaluate("document.querySelectorAll('img').length") == 0
    assert "script><b>% {x}" in opened.page.evaluate("document.querySelector('#chart-1').textContent")
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert opened.faults == []
