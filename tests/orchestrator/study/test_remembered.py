"""A study remembers how it was searched: what a later search takes up, adds to, and says that it does otherwise."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from orchestrator.command_line import main
from orchestrator.resolved import Search
from orchestrator.results.decided import Decided
from orchestrator.running.progress import Display
from orchestrator.search import Raise, SearchOptions, reopen_search, resolve_search
from orchestrator.store.errors import InputError
from orchestrator.study.asked import Given
from orchestrator.study.preparation import DataRequest
from orchestrator.study.studies import find_study
from search_spaces.loader import parse_space
from tests.support.configurations import asked, shown
from tests.support.desk import write_images
from trainables.data.options import DatasetOptions
from trainables.network.opened import Networks

BACKBONE = "timm:test_resnet.r160_in1k"
NARROW = {"strategies": ("straightforward",), "lr": (0.1, 0.2), "batch_size": (4,), "repeats": 2, "epochs": 3}


@dataclass
class Asking:
    """Searches of one study, one after the other; nothing is trained."""

    folder: Path
    said: str = ""

    def __call__(self, given: Given | None = None, **changes: Any) -> Search:
        told = io.StringIO()
        data = DataRequest(self.folder / "data", DatasetOptions(group_by=r"(g\d)"))
        options = SearchOptions(
            *("mine", (BACKBONE,), self.folder / "studies", self.folder / "cache", data, asked(**changes)),
            given=given or Given(),
        )
        found = resolve_search(options, Display(told))
        self.said = " ".join(told.getvalue().split())  # as one line, wherever it was folded
        return found

    def demands(self) -> set[tuple[int, int]]:
        """(repeats, epochs) that each search may train of each of its configurations."""
        study = find_study(self.folder / "studies", "mine")
        assert study is not None
        decided = Decided.of(study.storage)
        return {most for search in decided.searches if (b := decided.budget(search)) for most in b.of_each().values()}


@pytest.fixture
def ask(tmp_path: Path) -> Asking:
    write_images(tmp_path / "data")
    return Asking(tmp_path)


def settings(search: Search, *names: str) -> set[tuple[Any, ...]]:
    return {shown(c, *names) for c in search.asked.configurations.values()}


def test_more_repeats_are_of_what_was_asked_so_far(ask: Asking) -> None:
    first = ask(Given("none", (0.5,) * 3, (0.5,) * 3), **NARROW)
    more = ask(repeats=5)
    assert more.asked.configurations.keys() == first.asked.configurations.keys()
    assert ask.demands() == {(5, 3)}
    assert "differs" not in ask.said
    longer = ask(epochs=9)
    assert longer.asked.configurations.keys() == first.asked.configurations.keys()
    assert ask.demands() == {(5, 9)}


def test_weights_mean_and_std_are_those_given_once(ask: Asking) -> None:
    ask(Given("none", (0.5,) * 3, (0.25,) * 3), **NARROW)
    other = ask(strategies=("straightforward",), lr=(0.3,), batch_size=(4,), repeats=1, epochs=1)
    assert settings(other, "weights", "mean", "std") == {("init:0", (0.5,) * 3, (0.25,) * 3)}
    named = ask(Given(mean=(0.1,) * 3), strategies=("straightforward",), lr=(0.3,), batch_size=(4,))
    assert settings(named, "mean", "std") == {((0.1,) * 3, (0.25,) * 3)}
    assert "differs from the study's earlier ones in mean 0.1, 0.1, 0.1 (so far 0.5, 0.5, 0.5)" in ask.said


def test_image_settings_are_those_given_once(ask: Asking) -> None:
    ask(Given("none"), **NARROW, **{"image.interpolation": ("lanczos",)})
    assert settings(ask(**{**NARROW, "lr": (0.7,)}), "interpolation") == {("lanczos",)}
    again = ask(**{**NARROW, "lr": (0.7,)}, **{"image.interpolation": ("bilinear",)})
    assert settings(again, "interpolation") == {("bilinear",)}
    assert "interpolation bilinear (so far lanczos)" in ask.said


def test_what_a_search_does_otherwise_is_said(ask: Asking) -> None:
    ask(Given("none"), **NARROW)
    assert "differs" not in ask.said
    ask(**{**NARROW, "lr": (0.2, 0.4)}, **{"optimiser.weight_decay": (0.0, 0.01)})
    assert "differs from the study's earlier ones in learning rate 0.4 (so far 0.1, 0.2)" in ask.said
    assert "weight decay 0.01 (so far 0.0)" in ask.said
    ask(**NARROW, schedule=("linear",), **{"schedule.length": (9,)})
    assert "earlier ones in schedule linear (so far constant)" in " ".join(ask.said.split())
    assert "schedule length" not in ask.said, "what mattered nowhere before is told by the choice that it hangs on"


def test_resume_raises_everything(ask: Asking) -> None:
    ask(Given("none"), **NARROW)
    study = find_study(ask.folder / "studies", "mine")
    assert study is not None
    more = Raise(epochs=None, repeats=4, command="orch resume mine --repeats 4")
    found = reopen_search(study, ask.folder / "data", None, ask.folder / "cache", Display(io.StringIO()), more=more)
    assert ask.demands() == {(4, 3)}
    assert len(found.owed_lanes()) == 2 * 4


def test_which_network_of_a_file_was_taken(ask: Asking) -> None:
    """Averaged weights, unless a key says otherwise; a later search and whoever goes on take the same."""
    import timm

    raw = timm.create_model("test_resnet").state_dict()
    averaged = {name: tensor * 2 for name, tensor in raw.items()}
    path = ask.folder / "last.pth.tar"
    torch.save({"epoch": 3, "state_dict": raw, "state_dict_ema": averaged}, path)
    (first,) = settings(ask(Given(str(path)), **NARROW), "weights")
    assert "Note: weights last.pth.tar: state_dict_ema is used (averaged weights); it also holds state_dict" in ask.said
    (other,) = settings(ask(Given(str(path), key="state_dict"), **NARROW), "weights")
    assert (first[0].partition("#")[2], other[0].partition("#")[2]) == ("state_dict_ema", "state_dict")
    assert first[0].partition("#")[0] == other[0].partition("#")[0], "the bytes of the file"

    study = find_study(ask.folder / "studies", "mine")
    assert study is not None
    moved = path.rename(ask.folder / "moved.pth.tar")
    found = reopen_search(study, ask.folder / "data", str(moved), ask.folder / "cache", Display(io.StringIO()))
    assert dict(found.places.known) == {first[0]: str(moved), other[0]: str(moved)}
    networks = Networks(found.places, torch.device("cpu"))
    for configuration in found.asked.configurations.values():
        expected = raw if configuration.network.weights == other[0] else averaged
        opened = networks.open(configuration, None).module.state_dict()
        assert torch.equal(opened["conv1.0.weight"], expected["conv1.0.weight"])


def test_a_later_search_takes_the_same_network_of_the_file(ask: Asking) -> None:
    import timm

    raw = timm.create_model("test_resnet").state_dict()
    path = ask.folder / "last.pth.tar"
    torch.save({"state_dict": raw, "state_dict_ema": raw}, path)
    (first,) = settings(ask(Given(str(path), key="state_dict"), **NARROW), "weights")
    assert settings(ask(**{**NARROW, "lr": (0.7,)}), "weights") == {first}
    with pytest.raises(InputError, match="expected --weights-key with a file, found it with --weights none"):
        ask(Given("none", key="state_dict"), **NARROW)


def test_an_old_name_of_a_backbone_is_told(ask: Asking) -> None:
    asking = SearchOptions(
        *("mine", ("mnasnet_a1",), ask.folder / "studies", ask.folder / "cache"),
        DataRequest(ask.folder / "data", DatasetOptions(group_by=r"(g\d)")),
        asked(**NARROW),
        given=Given("none"),
    )
    told = io.StringIO()
    resolve_search(asking, Display(told))
    assert "mnasnet_a1 is an old name; it is now called timm:semnasnet_100.rmsp_in1k." in " ".join(
        told.getvalue().split()
    )


def test_a_file_names_weights_mean_and_std_of_each_backbone() -> None:
    text = """
name = "mine"
[[backbones]]
name = "timm:a"
weights = "a.safetensors"
weights_key = "model_ema"
mean = 0.5
std = [0.1, 0.2, 0.3]
"""
    (entry,) = parse_space(text, "mine.toml").backbones
    assert (entry.weights, entry.mean, entry.std) == ("a.safetensors", (0.5, 0.5, 0.5), (0.1, 0.2, 0.3))
    assert Given().of(entry, None) == Given("a.safetensors", (0.5, 0.5, 0.5), (0.1, 0.2, 0.3), key="model_ema")
    assert Given("b.safetensors").of(entry, None).key is None, "a key is of the file that it stands beside"
    assert Given("hub", mean=(0.0, 0.0, 0.0)).of(entry, None).mean == (0.0, 0.0, 0.0)
    with pytest.raises(InputError, match=r"backbones\[0\]\.std\[0\]: expected a number above 0, found 0"):
        parse_space(text.replace("[0.1, 0.2, 0.3]", "0.0"), "mine.toml")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--mean", "0.5,0.5"], "--mean: expected one number or three, R,G,B, found 2"),
        (["--std", "0.5,0,0.5"], "--std: expected numbers above 0, found 0"),
    ],
)
def test_one_number_or_three(options: list[str], said: str) -> None:
    run = CliRunner().invoke(main, ["plan", "neuroblastoma", "resnet18", *options])
    assert run.exit_code == 2
    assert said in run.output
