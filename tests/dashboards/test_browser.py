"""The page in a real browser: no error, no request, the right numbers, controls that answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from evaluated_study import add_evaluation
from generated_study import NOW, small_study, write_lease

from dashboards.page import render
from orchestrator.summary import summarise

CHROMIUM = Path("/usr/bin/chromium")
HOSTILE = '<img src=x onerror="window.hacked=1"></script><script>window.hacked=1</script><b>%{x}'
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]

pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs {CHROMIUM}"),
    pytest.mark.filterwarnings("default::DeprecationWarning"),
    pytest.mark.filterwarnings("default::ResourceWarning"),
]


class Opened:
    """A page with everything that went wrong or out while it was open."""

    def __init__(self, browser: Any, path: Path, **context: Any) -> None:
        self.faults: list[str] = []
        self.page = browser.new_context(**context).new_page()
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url, path))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-ready]", timeout=30_000)

    def _asked(self, url: str, path: Path) -> None:
        if url != path.as_uri() and not url.startswith(("blob:", "data:")):
            self.faults.append(f"asked for {url}")

    def traces(self, chart: int) -> list[dict[str, Any]]:
        """What plotly holds of a chart."""
        script = "id => document.getElementById(id).data.map(t => JSON.parse(JSON.stringify({...t, z: t.z, y: t.y})))"
        return list(self.page.evaluate(script, f"chart-{chart}"))

    def first(self, section: str) -> int:
        """Number of the first visible chart of a section."""
        found = self.page.locator(f"#{section} .chart:visible").first.get_attribute("id")
        return int(str(found).removeprefix("chart-"))

    def choose(self, name: str, value: str) -> None:
        self.page.select_option(f'select[data-sets="{name}"]:visible', value)
        self.page.wait_for_timeout(300)
        self.page.wait_for_selector(".picture", state="detached")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("study")
    storage, _ = small_study(folder, backbones=("timm:one", "timm:two"))
    path = folder / "dashboard.html"
    path.write_text(render(storage, now=NOW), encoding="utf-8")
    return path, summarise(storage, NOW)


def test_figures_show_the_numbers(browser: Any, written: tuple[Path, Any]) -> None:
    path, summary = written
    opened = Opened(browser, path, viewport={"width": 1280, "height": 900})
    opened.page.evaluate("orchPage.drawAll()")
    maps, grid = opened.first("heat-maps"), opened.first("curves")
    first = summary.configurations[0].configuration.backbone
    members = [m for m in summary.configurations if m.configuration.backbone == first and m.depth[1] == 0]
    expected = {(m.configuration.lr, m.configuration.batch_size): m for m in members}
    z = opened.traces(maps)[0]["z"]
    for row, lr in enumerate((1e-3, 1e-2)):
        for column, batch in enumerate((16, 32)):
            assert z[row][column] == pytest.approx(expected[lr, batch].score("loss", "valid").mean, abs=1e-4)
    lines = [trace for trace in opened.traces(grid) if trace.get("meta", {}).get("split") == "valid"]
    assert lines[0]["y"] == pytest.approx(expected[1e-3, 16].curve("loss", "valid").mean.tolist(), abs=1e-4)
    assert opened.page.locator(f"#chart-{grid} .shapelayer path").count() == 8
    shown = opened.page.inner_text("#answer table.best tbody tr:first-child")
    best = summary.configurations[0].score("loss", "valid")
    assert f"{best.mean:.3f} ± {best.std:.3f}" in shown
    assert opened.faults == []


def test_controls(browser: Any, written: tuple[Path, Any]) -> None:
    path, summary = written
    opened = Opened(browser, path, viewport={"width": 1280, "height": 900})
    page = opened.page
    maps = opened.first("heat-maps")
    page.locator("#heat-maps").scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    opened.choose("heat", "balanced_accuracy")
    assert "balanced accuracy" in page.get_attribute(f"#chart-{maps}", "aria-label")
    assert max(max(row) for row in opened.traces(maps)[0]["z"]) <= 1
    opened.choose("of", "n")
    assert {value for row in opened.traces(maps)[0]["z"] for value in row} == {3}
    page.click(f'details[data-chart="chart-{maps}"] summary')
    page.wait_for_selector(f'details[data-chart="chart-{maps}"] table')
    assert page.locator(f'details[data-chart="chart-{maps}"] tr').count() == 5
    other = summary.configurations[0].configuration.backbone != "timm:one"
    page.locator(".bar").scroll_into_view_if_needed()
    opened.choose("backbone", "1")
    assert page.locator("#heat-maps h3:visible").inner_text() == ("one" if other else "two")
    page.locator("#curves").scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    chart = f"chart-{opened.first('curves')}"
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
    assert Path(csv.value.path()).read_text().startswith('"lr","batch size","score","epoch"')
    assert opened.faults == []


def test_two_axes(browser: Any, written: tuple[Path, Any]) -> None:
    opened = Opened(browser, written[0], viewport={"width": 1280, "height": 900})
    opened.page.locator("#curves").scroll_into_view_if_needed()
    opened.choose("curve", "loss_and_accuracy")
    grid = opened.first("curves")
    axes = {(trace["xaxis"], trace["yaxis"]) for trace in opened.traces(grid)}
    assert axes == {(x, y) for x in ("x", "x2") for y in ("y", "y2", "y500", "y501")}
    assert opened.page.locator(f"#chart-{grid} .shapelayer path").count() == 16
    assert opened.faults == []


@pytest.mark.parametrize("way", ["click", "keyboard"])
def test_single_repeats_behind_a_panel(browser: Any, written: tuple[Path, Any], way: str) -> None:
    path, summary = written
    opened = Opened(browser, path, viewport={"width": 1280, "height": 900})
    page = opened.page
    grid = opened.first("curves")
    page.locator(f"#chart-{grid}").scroll_into_view_if_needed()
    page.wait_for_timeout(400)
    chosen = page.locator("#curves select:visible").last
    if way == "click":
        box = page.locator(f"#chart-{grid}").bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.3)
    else:
        chosen.focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
    page.wait_for_timeout(500)
    assert chosen.locator("option:checked").inner_text() == "lr 1e-3, batch 32"
    traces = opened.traces(grid + 1)
    first = summary.configurations[0].configuration.backbone
    member = next(
        m
        for m in summary.configurations
        if m.configuration.backbone == first and m.depth[1] == 0 and m.configuration.batch_size == 32
        if m.configuration.lr == 1e-3
    )
    valid = traces[1]["y"]
    assert len(valid) == 3 * 7 + 2
    parts = [valid[0:7], valid[8:15], valid[16:23]]
    mean = [sum(part[epoch] for part in parts) / 3 for epoch in range(7)]
    assert mean == pytest.approx(member.curve("loss", "valid").mean.tolist(), abs=1e-4)
    assert traces[5]["y"] == pytest.approx(member.score("accuracy", "valid").values.tolist(), abs=1e-9)
    page.click(f'details[data-chart="chart-{grid + 1}"] summary')
    page.wait_for_selector(f'details[data-chart="chart-{grid + 1}"] table')
    assert page.locator(f'details[data-chart="chart-{grid + 1}"] tr').count() == 1 + 3 * 7
    assert opened.faults == []


def test_a_machine_that_is_never_idle_gets_its_figures(browser: Any, written: tuple[Path, Any]) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    never = "window.requestIdleCallback = (call, {timeout} = {}) => timeout ? setTimeout(call, timeout / 20) : 0"
    page.add_init_script(never)
    page.goto(written[0].as_uri())
    page.wait_for_selector("html[data-ready]", timeout=60_000)
    page.close()


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (390, "light"),
        (1280, "dark"),
        pytest.param(1280, "light", marks=pytest.mark.slow),
        pytest.param(2560, "dark", marks=pytest.mark.slow),
    ],
)
def test_axe_finds_no_serious_fault(browser: Any, tmp_path: Path, width: int, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    storage, study = small_study(tmp_path, backbones=("timm:one", "timm:two"), skip=lambda c, repeat: repeat == 2)
    write_lease(storage, study.configurations()[0], {2: 3}, 6, NOW)
    add_evaluation(storage)
    path = tmp_path / "dashboard.html"
    path.write_text(render(storage, now=NOW), encoding="utf-8")
    opened = Opened(browser, path, viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
    page = opened.page
    page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true; })")
    page.evaluate("orchPage.drawAll()")
    page.wait_for_timeout(1500)
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
    page.wait_for_timeout(4000)
    empty = page.evaluate(
        """async () => {
          dispatchEvent(new Event("beforeprint"));
          await new Promise(done => setTimeout(done, 0));
          return [...document.querySelectorAll(".chart")].filter(chart => chart.offsetParent !== null)
            .filter(chart => !chart.querySelector(".plot, .cartesianlayer")).map(chart => chart.dataset.title);
        }"""
    )
    assert empty == []
    assert page.locator("details.fold:visible").first.evaluate("fold => fold.open")
    assert opened.faults == []


def test_another_theme_recolours_at_once_and_draws_when_idle(browser: Any, written: tuple[Path, Any]) -> None:
    opened = Opened(browser, written[0], viewport={"width": 1280, "height": 900}, color_scheme="light")
    chart = f"chart-{opened.first('curves')}"
    opened.page.locator(f"#{chart}").scroll_into_view_if_needed()
    opened.page.wait_for_timeout(400)
    lines = f"""() => [...document.querySelectorAll("#{chart} .js-line")].map(line => getComputedStyle(line).stroke)"""
    light = opened.page.evaluate(lines)
    dark = opened.page.evaluate(f"() => {{ document.getElementById('theme').click(); return ({lines})(); }}")
    assert {"rgb(42, 106, 156)", "rgb(189, 79, 20)"} <= set(light)
    assert {"rgb(112, 180, 227)", "rgb(242, 151, 92)"} <= set(dark)
    assert not {"rgb(42, 106, 156)", "rgb(189, 79, 20)"} & set(dark)
    drawn = f"""() => new Promise(done => {{
      const look = () => document.getElementById("{chart}").layout.paper_bgcolor === "#14171b"
        ? done(true) : setTimeout(look, 50);
      look();
    }})"""
    assert opened.page.evaluate(drawn)
    assert opened.page.evaluate(lines) == dark
    assert opened.faults == []


def test_two_quick_changes_of_theme_leave_no_figure_in_the_first(browser: Any, written: tuple[Path, Any]) -> None:
    opened = Opened(browser, written[0], viewport={"width": 1280, "height": 900}, color_scheme="light")
    page, chart = opened.page, opened.page.locator(f"#chart-{opened.first('curves')}")
    to = "{block: 'center', behavior: 'instant'}"
    chart.evaluate(f"chart => chart.scrollIntoView({to})")
    page.wait_for_timeout(1500)
    page.click("#theme")
    page.evaluate("scrollTo({top: document.body.scrollHeight, behavior: 'instant'})")
    page.wait_for_timeout(200)
    page.click("#theme")
    chart.evaluate(f"chart => chart.scrollIntoView({to})")
    page.wait_for_timeout(4000)
    ground = chart.evaluate("chart => getComputedStyle(chart.querySelector('.main-svg')).backgroundColor")
    assert ground == page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert opened.faults == []


def test_a_choice_one_step_away_is_answered_by_its_picture(browser: Any, written: tuple[Path, Any]) -> None:
    opened = Opened(browser, written[0], viewport={"width": 1280, "height": 900})
    page, number = opened.page, opened.first("curves")
    chart = page.locator(f"#chart-{number}")
    chart.scroll_into_view_if_needed()
    page.wait_for_timeout(4000)
    before = opened.traces(number)
    words = "[...shown.querySelectorAll('text')].map(node => node.textContent).sort()"
    label, seen = page.locator('#curves select[data-sets="curve"]').evaluate(
        f"""select => {{
          select.value = "accuracy";
          select.dispatchEvent(new Event("change"));
          const chart = document.getElementById("chart-{number}");
          const shown = chart.parentElement.querySelector(".picture");
          return [chart.getAttribute("aria-label"), {words}];
        }}"""
    )
    assert "accuracy" in label
    page.wait_for_selector(".picture", state="detached")
    assert chart.evaluate(f"shown => {words}") == seen, "the figure says what its picture said"
    assert opened.traces(number) != before
    opened.choose("curve", "loss")
    assert opened.traces(number) == before
    assert opened.faults == []


def test_choices_of_a_grid_of_curves_are_drawn_from_the_top_of_the_page(
    browser: Any, written: tuple[Path, Any]
) -> None:
    opened = Opened(browser, written[0], viewport={"width": 1280, "height": 900})
    page, chart = opened.page, opened.page.locator(f"#chart-{opened.first('curves')}")
    page.wait_for_timeout(4000)
    box = chart.bounding_box()
    assert box is not None
    assert box["y"] > 900 + 300, "out of view, and out of what is drawn because it is near"
    shown = chart.evaluate(
        """chart => {
          chart.scrollIntoView({block: "center", behavior: "instant"});
          return new Promise(done => setTimeout(() => {
            const select = document.querySelector('#curves select[data-sets="curve"]');
            select.value = "accuracy";
            select.dispatchEvent(new Event("change"));
            done(chart.parentElement.querySelectorAll(".picture").length);
          }, 300));
        }"""
    )
    assert shown == 1
    assert opened.faults == []


def test_what_is_enlarged_belongs_to_a_choice(browser: Any, written: tuple[Path, Any]) -> None:
    opened = Opened(browser, written[0], viewport={"width": 1280, "height": 900})
    page, number = opened.page, opened.first("curves")
    chart = page.locator(f"#chart-{number}")
    chart.scroll_into_view_if_needed()
    page.wait_for_timeout(400)
    ranges = "chart => [...chart._fullLayout.xaxis.range, ...chart._fullLayout.yaxis.range]"
    settled = page.locator(f'#chart-{number}[data-settled="yes"]')
    whole = chart.evaluate(ranges)
    chart.evaluate("chart => Plotly.relayout(chart, {'xaxis.range': [1, 2], 'yaxis.range': [0.4, 0.5]})")
    page.set_viewport_size({"width": 1200, "height": 900})
    page.wait_for_timeout(1000)
    assert chart.evaluate(ranges) == [1, 2, 0.4, 0.5], "another width shows the same part"
    opened.choose("curve", "accuracy")
    settled.wait_for()
    page.wait_for_selector(".picture", state="detached")
    assert chart.evaluate(ranges)[:2] == whole[:2]
    other = chart.evaluate(ranges)[2:]
    assert other != whole[2:]
    chart.evaluate("chart => Plotly.relayout(chart, {'yaxis.range': [0.4, 0.5]})")
    panel = chart.locator(".nsewdrag").first
    panel.scroll_into_view_if_needed()
    panel.dblclick()
    page.wait_for_timeout(600)
    box = panel.bounding_box()
    assert box is not None
    for step in range(20):
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * step / 20)
        page.wait_for_timeout(60)
        if chart.locator(".hovertext").count():
            break
    said = chart.locator(".hovertext").first.text_content()
    assert re.fullmatch(r"(train|valid) accuracy 0\.\d{4} ± 0\.\d{4}, epoch \d+, n = 3|best of .*", said), said
    assert chart.evaluate(ranges)[2:] == other, "a double click returns to the range of what is shown"
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
    drawn = f"document.getElementById('chart-{opened.first('heat-maps')}').layout.paper_bgcolor"
    light, dark = ("rgb(253, 252, 249)", "#fdfcf9"), ("rgb(20, 23, 27)", "#14171b")
    before, after = (light, dark) if scheme == "light" else (dark, light)
    assert (page.evaluate(background), page.evaluate(drawn)) == before
    page.locator("#heat-maps").scroll_into_view_if_needed()
    page.wait_for_timeout(200)
    page.evaluate("document.getElementById('theme').click()")
    page.wait_for_timeout(400)
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
