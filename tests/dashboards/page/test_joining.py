"""Modules of scripts joined into one, as an ES module system would have run them."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from dashboards.live import script as live
from dashboards.page import joining, script, style

IMPORT = re.compile(r"^import\b.*?;$", re.MULTILINE | re.DOTALL)
NAMES = re.compile(r'import \{([^}]*)\} from "\./([\w-]+)\.js";')
PACKAGES = {"dashboards.page": script.MODULES, "dashboards.live": live.MODULES}


@pytest.mark.parametrize(("package", "modules"), PACKAGES.items())
def test_every_module_comes_behind_those_from_which_it_takes_what_they_export(
    package: str, modules: tuple[str, ...]
) -> None:
    there = {one.name for one in (files(package) / "assets").iterdir() if one.name.endswith(".js")}
    assert there == {f"{name}.js" for name in modules}
    exported: dict[str, set[str]] = {}
    for name in modules:
        content = joining.read(package, f"{name}.js")
        for statement in IMPORT.findall(content):
            found = NAMES.fullmatch(statement)
            assert found is not None, f"{name}: {statement}"
            wanted = {one.strip() for one in found[1].split(",") if one.strip()}
            assert wanted <= exported[found[2]], f"{name}: {statement}"
        exported[name] = set(re.findall(r"^export (?:async function|function|const) (\w+)", content, re.MULTILINE))
        assert content.count("\nexport ") == len(exported[name]), f"{name}: another kind of export"


@pytest.mark.parametrize(("package", "modules"), PACKAGES.items())
def test_nothing_of_the_modules_is_left_in_the_script(package: str, modules: tuple[str, ...]) -> None:
    joined = joining.script(package, modules)
    assert not re.search(r"^(import|export)\b", joined, re.MULTILINE)
    assert joined.count('modules["') == len(modules) + len(
        [1 for name in modules for _ in IMPORT.findall(joining.read(package, f"{name}.js"))]
    )


def test_every_style_sheet_stands_in_the_page() -> None:
    there = {one.name for one in (files("dashboards.page") / "assets").iterdir() if one.name.endswith(".css")}
    assert there == {f"{name}.css" for name in style.SHEETS} | {"home.css"}, "which is of the page of all studies"
    used = set(re.findall(r"var\((--\w+)\)", style.STYLE + live.STYLE))
    assert used <= set(re.findall(r"(--\w+):", style.STYLE))
