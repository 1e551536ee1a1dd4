"""What README, docs and the files around the code say is true: commands parse, links lead somewhere, pins agree."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from orchestrator.command_line import main
from search_spaces.loader import default_space, parse_space
from search_spaces.points import points
from tests.support.checkout import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
SET_UP = "python3 .ci/bootstrap.py"
PREFIXES = (f"{SET_UP} orch ", ".venv/bin/orch ", "orch ")


def commands() -> Iterator[tuple[str, str]]:
    """(page, command line) of every line of the shell blocks and of inline code that begins like a command."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lines = [
            line for kind, block in BLOCK.findall(text) if kind in ("sh", "console") for line in block.splitlines()
        ]
        lines += re.findall(r"`((?:orch|\.venv/bin/\w+|python3) [a-z.][^`]*)`", BLOCK.sub("", text))
        yield from ((page.name, line) for line in lines if line.strip())


ORCH_COMMANDS = sorted({(page, line) for page, line in commands() if line.startswith(PREFIXES)})


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command parses its arguments and then does nothing."""

    def quiet(command: click.Command) -> None:
        if isinstance(command, click.Group):
            for inner in command.commands.values():
                quiet(inner)
        else:
            monkeypatch.setattr(command, "callback", lambda **_given: None)

    quiet(main)


@pytest.mark.parametrize(("page", "line"), ORCH_COMMANDS)
def test_command_parses(page: str, line: str, idle: None) -> None:
    words = shlex.split(line.removeprefix(SET_UP).strip(), comments=True)
    arguments = words[1 : words.index(">")] if ">" in words else words[1:]
    if len(arguments) == 1:  # the name of a command, spoken of
        arguments.append("--help")
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, f"{page}: {line}\n{result.output}"


def test_an_unknown_option_would_be_found(idle: None) -> None:
    assert CliRunner().invoke(main, ["search", "a", "b", "--no-such-option"]).exit_code == 2


def test_the_readme_shows_many_commands() -> None:
    assert sum(page == "README.md" for page, _ in ORCH_COMMANDS) >= 12


def test_the_first_screen_has_two_commands_and_a_picture() -> None:
    top = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## ")[0]
    block = next(block for kind, block in BLOCK.findall(top) if kind == "sh")
    lines = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert lines == [[*SET_UP.split(), "orch", "search", "neuroblastoma", "inception_v3"], [*SET_UP.split(), "test"]]
    assert "(docs/dashboard.png)" in top


def test_files_that_commands_name_exist() -> None:
    named = {word for _, line in commands() for word in line.split() if re.fullmatch(r"(\.ci|docs)/[\w./]+", word)}
    assert {".ci/bootstrap.py", "docs/picture.py"} <= named
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_ci_runs_the_readmes_test_command() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert script.rstrip().endswith(f"exec {SET_UP} test")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    inside = [target for target in targets if target and not target.startswith("https://")]
    assert [target for target in inside if not (page.parent / target).is_file()] == []


def test_files_of_the_project_that_pages_name_exist() -> None:
    """`trainables/trial.py` in words is a promise too, above all in the walks of docs/architecture.md."""
    named = re.compile(r"`((?:orchestrator|search_spaces|trainables|dashboards|tests|benchmarks|docs)/[\w./-]+\.py)`")
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    found = {(page.name, file) for page in pages for file in named.findall(page.read_text(encoding="utf-8"))}
    assert len(found) > 40
    assert sorted(one for one in found if not (ROOT / one[1]).is_file()) == []


def test_the_complete_study_file_is_valid() -> None:
    text = (ROOT / "docs" / "search-spaces.md").read_text(encoding="utf-8")
    (example,) = [block for kind, block in BLOCK.findall(text) if kind == "toml"]
    space = parse_space(example, "docs/search-spaces.md")
    left_out = {"positive"}
    assert set(type(space).model_fields) - set(space.model_fields_set) == left_out


def test_the_default_grid_is_as_large_as_the_readme_says() -> None:
    grid = points(default_space(), "timm:resnet18.tv_in1k", small=False)
    (heads,), (deeper,) = (
        {p.repeats for p in grid if (p.strategy == "unfreezing") is which} for which in (False, True)
    )
    unfrozen = sum(p.strategy == "unfreezing" for p in grid)
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert (
        f"{len(grid)} configurations of a backbone, {len(grid) - unfrozen} of them heads with {heads} repeats each, "
        f"{unfrozen} with unfrozen layers and {deeper} repeats"
    ) in readme


def test_the_changelog_has_a_place_for_the_next_change() -> None:
    assert "\n## Unreleased\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_no_file_names_a_registry_or_a_machine() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    registries = ("pypi." + "org", "python" + "hosted", "/simple" + "/", "npm" + "js.", "--index" + "-url")
    machines = ("/" + "work/", "/" + "root/", "/" + "Users/", f"{ROOT}/")
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        try:
            text = (ROOT / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        found += [f"{name}: {word}" for word in (*registries, *machines) if word in text]
    assert found == []


def test_pins_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pinned = re.findall(r"^([a-z0-9-]+)==([^ ]+)", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.M)
    requirements = {f"{name}=={version}" for name, version in pinned}
    assert set(project["build-system"]["requires"]) <= requirements
    groups = project["dependency-groups"].values()
    asked = [*project["project"]["dependencies"], *(wanted for group in groups for wanted in group)]
    names = {re.split(r"[\[<>=~! ]", wanted)[0] for wanted in asked}
    assert names - {name for name, _ in pinned} == set()


def test_every_pin_has_a_hash() -> None:
    for name in ("requirements.txt", ".ci/uv.txt"):
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        pins = [place for place, line in enumerate(lines) if line and not line.startswith((" ", "#"))]
        assert pins
        assert all("--hash=sha256:" in lines[place + 1] for place in pins)


@pytest.mark.parametrize(
    ("arguments", "status", "says"), [(["launch"], 2, "expected orch, test or pin"), (["-h"], 0, "pin")]
)
def test_set_up_says_what_it_takes(arguments: list[str], status: int, says: str) -> None:
    command = [sys.executable, str(ROOT / ".ci" / "bootstrap.py"), *arguments]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == status
    assert says in run.stdout + run.stderr
