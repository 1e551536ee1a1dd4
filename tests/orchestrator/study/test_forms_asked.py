"""How a network is built is asked point by point: its size, its weights and what fits it follow from each."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.running.progress import Display
from orchestrator.search import Search, SearchOptions, resolve_search
from orchestrator.store.errors import InputError
from orchestrator.study.asked import Given
from orchestrator.study.preparation import DataRequest
from search_spaces.form import Form
from tests.support.configurations import asked, shown
from tests.support.desk import write_images
from trainables.data.options import DatasetOptions
from trainables.network.backbone import facts_of

RESNET, VIT = "timm:test_resnet.r160_in1k", "timm:test_vit.r160_in1k"
NARROW: dict[str, Any] = {
    "strategies": ("straightforward",),
    "lr": (0.1,),
    "batch_size": (4,),
    "repeats": 1,
    "epochs": 1,
}
Ask = Callable[..., Search]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Searches of one study, one after the other; nothing is trained."""
    write_images(tmp_path / "data")

    def resolved(backbone: str = RESNET, given: Given | None = None, **changes: Any) -> Search:
        options = SearchOptions(
            *("mine", (backbone,), tmp_path / "studies", tmp_path / "cache"),
            DataRequest(tmp_path / "data", DatasetOptions(group_by=r"(g\d)")),
            asked(**{**NARROW, **changes}),
            given=given or Given("none"),
        )
        resolved.told = io.StringIO()  # type: ignore[attr-defined]
        return resolve_search(options, Display(resolved.told))  # type: ignore[attr-defined]

    return resolved


def settings(search: Search, *names: str) -> set[tuple[Any, ...]]:
    return {shown(c, *names) for c in search.asked.configurations.values()}


def test_sizes_are_an_axis(ask: Ask) -> None:
    found = ask(**{"image.size": (32, 48)})
    assert settings(found, "image_size", "store_size") == {(32, 32), (48, 48)}
    for c in found.asked.configurations.values():
        assert found.bench().facts(c).image_size == c.image.size
        assert c.form == Form(RESNET, c.image.size)


def test_each_size_has_its_own_limits(ask: Ask) -> None:
    """A transformer's weight layers are as many at any size; features of a whole batch fit each."""
    with pytest.raises(InputError, match=r"mine, timm:test_vit.*: unfreezing.unfrozen: expected \d+ or less") as told:
        ask(VIT, strategies=("unfreezing",), unfrozen=(999,), **{"image.size": (32, 48)})
    assert len(told.value.faults) == 1, "the same of both sizes is told once"


def test_a_size_that_the_network_cannot_take_is_refused(ask: Ask) -> None:
    with pytest.raises(InputError, match="expected an image size that it takes, found 40 pixels"):
        ask("inception_v3", **{"image.size": (96, 40)})


def test_a_size_given_once_is_taken_again(ask: Ask) -> None:
    ask(**{"image.size": (32,), "image.store_size": (40,)})
    assert settings(ask(lr=(0.2,)), "image_size", "store_size") == {(32, 40)}
    again = ask(lr=(0.2,), **{"image.size": (24,)})
    assert settings(again, "image_size", "store_size") == {(24, 24)}, "what was stored was for the other size"


def test_the_own_size_given_is_the_same_configuration(ask: Ask) -> None:
    own = facts_of(Form(RESNET), "none", 0).image_size
    assert ask().asked.configurations.keys() == ask(**{"image.size": (own,)}).asked.configurations.keys()
