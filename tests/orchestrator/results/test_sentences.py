"""Sentences of one thing, and of none, read as of one thing, and of none."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner

from dashboards.page.page import render
from orchestrator.command_line import main
from tests.support.generated_study import NOW, UnsyncedStorage, small_study

PLURAL = re.compile(
    r"(?<![\d.,/×–])\b1 (?:configurations|repeats|groups|images|epochs|pairs|partitions|classes|files)\b|\bother 0\b"
)


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> UnsyncedStorage:
    """One configuration with one repeat of one epoch."""
    folder = tmp_path_factory.mktemp("studies") / "one"
    few = {"depths": ((0, 0),), "lrs": (1e-3,), "batch_sizes": (16,), "repeats": 1, "epochs": 1}
    found = small_study(folder, name="one", **few)[0]
    assert isinstance(found, UnsyncedStorage)
    return found


@pytest.mark.parametrize("command", ["best", "status", "plan", "table", "cost"])
def test_a_command_of_one_configuration(storage: UnsyncedStorage, command: str) -> None:
    told = CliRunner().invoke(main, [command, "one", "--studies", str(storage.root.parent)]).output
    assert told
    assert PLURAL.findall(told) == []


def test_a_page_of_one_configuration(storage: UnsyncedStorage) -> None:
    shown = re.sub(r"<script.*?</script>|<style.*?</style>|<[^>]*>", " ", render(storage, now=NOW), flags=re.S)
    assert PLURAL.findall(shown.replace("\xa0", " ").replace("&nbsp;", " ")) == []
