"""How a network is built is asked point by point: its size, its weights and what fits it follow from each."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from orchestrator.resolved import Search
from orchestrator.running.progress import Display
from orchestrator.search import SearchOptions, resolve_search
from orchestrator.store.errors import InputError
from orchestrator.study.asked import Given
from orchestrator.study.preparation import DataRequest
from search_spaces.form import Form
from search_spaces.own_networks import whole_own_name
from tests.support.configurations import asked, shown
from tests.support.desk import write_images
from trainables.data.options import DatasetOptions
from trainables.network.backbone import facts_of, open_backbone
from trainables.network.weights import Pretrained

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
            given=Given("none") if given is None else given,
        )
        resolved.told = io.StringIO()  # type: ignore[attr-defined]
        return resolve_search(options, Display(resolved.told))  # type: ignore[attr-defined]

    return resolved


def told(ask: Ask) -> str:
    """What the last search said."""
    return " ".join(ask.told.getvalue().split())  # type: ignore[attr-defined]


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
    with pytest.raises(InputError, match="expected an image size that the network accepts, found 40 pixels"):
        ask("inception_v3", **{"image.size": (96, 40)})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"image.store_size": (24,)}, "--set image.store_size: expected at least the input size, 32, found 24"),
        ({"image.crops": (1, 4)}, "--set image.crops: expected with it an image.store_size above the input "),
        ({"image.store_size": (32,), "image.crops": (4,)}, "--set image.crops: expected with it an image.store_size"),
    ],
)
def test_crops_that_no_input_leaves_room_for_are_refused(ask: Ask, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError) as told:
        ask(**{"image.size": (32,), **changes})
    assert [fault[: len(reason)] for fault in told.value.faults] == [reason]
    ask(**{"image.size": (32, 40), "image.store_size": (36,), "image.crops": (4,)})


def test_a_size_given_once_is_taken_again(ask: Ask) -> None:
    ask(**{"image.size": (32,), "image.store_size": (40,)})
    assert settings(ask(lr=(0.2,)), "image_size", "store_size") == {(32, 40)}
    again = ask(lr=(0.2,), **{"image.size": (24,)})
    assert settings(again, "image_size", "store_size") == {(24, 24)}, "what was stored was for the other size"


def test_the_size_of_small_images_is_chosen_said_and_the_same_as_if_it_were_given(ask: Ask) -> None:
    own = facts_of(Form(RESNET), "none", 0).image_size
    found = ask()
    free = found.asked.configurations.keys()
    assert f"px, 64 px is used; --image-size {own} for the network's own." in told(ask)
    assert settings(found, "image_size") == {(64,)}
    assert free == ask(**{"image.size": (64,)}).asked.configurations.keys()
    assert not free & ask(**{"image.size": (own,)}).asked.configurations.keys()


def test_a_transformer_keeps_its_size_where_none_is_given(ask: Ask) -> None:
    assert settings(ask(VIT), "image_size") == {(facts_of(Form(VIT), "none", 0).image_size,)}
    assert "px is used" not in told(ask)


SCRATCH: dict[str, Any] = {
    "strategies": ("unfreezing",),
    "adaptation.start": ("drawn",),
    "adaptation.norms": ("moving",),
}


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for a file of weights fails."""

    def refused(self: Pretrained, backbone: str) -> None:
        raise AssertionError(f"the file of {backbone} was asked for")

    monkeypatch.setattr(Pretrained, "file", refused)


@pytest.mark.usefixtures("no_hub")
def test_training_from_nothing_needs_no_file(ask: Ask) -> None:
    layers = facts_of(Form(RESNET), "none", 0).weight_layers
    found = ask(given=Given(), unfrozen=(layers,), **SCRATCH)
    assert settings(found, "weights", "unfrozen") == {("init:0", layers)}
    assert "freshly initialised" not in told(ask), "it is what was asked for"
    assert found.asked.origins == {RESNET: "initialised from seed 0"}
    assert found.asked.weights == {}
    own = facts_of(Form(RESNET), "none", 0)
    assert settings(found, "mean", "std") == {(own.mean, own.std)}


@pytest.mark.usefixtures("no_hub")
def test_fewer_layers_need_one(ask: Ask) -> None:
    layers = facts_of(Form(RESNET), "none", 0).weight_layers
    with pytest.raises(AssertionError, match=f"the file of {RESNET}"):
        ask(given=Given(), unfrozen=(layers - 1, layers), **SCRATCH)


def test_training_from_nothing_beside_a_file(ask: Ask, tmp_path: Path) -> None:
    """Each point has the weights that it begins with; a later search takes up the file, not what was drawn."""
    path = tmp_path / "weights.safetensors"
    save_file(open_backbone(Form(RESNET), "none", 7).module.state_dict(), path)
    layers = facts_of(Form(RESNET), "none", 0).weight_layers
    found = ask(given=Given(str(path)), unfrozen=(1, layers), **SCRATCH)
    (file,) = {c.network.weights for c in found.asked.configurations.values()} - {"init:0"}
    assert file.startswith("sha256:")
    assert settings(found, "unfrozen", "weights") == {(1, file), (layers, "init:0")}
    assert found.asked.origins == {RESNET: "file weights.safetensors"}
    assert settings(ask(given=Given(), lr=(0.3,)), "weights") == {(file,)}


@pytest.mark.usefixtures("no_hub")
def test_what_was_drawn_is_not_taken_up(ask: Ask) -> None:
    """After training from nothing the next search looks for the hub's weights, as a first one would."""
    layers = facts_of(Form(RESNET), "none", 0).weight_layers
    ask(given=Given(), unfrozen=(layers,), **SCRATCH)
    with pytest.raises(AssertionError, match=f"the file of {RESNET}"):
        ask(given=Given())


@pytest.mark.usefixtures("no_hub")
def test_our_own_networks_begin_from_nothing(ask: Ask) -> None:
    """Where part of them stays as it was drawn, that is said."""
    found = ask("own:lenet5", Given(), unfrozen=(4,), **SCRATCH)
    assert settings(found, "backbone", "weights", "image_size") == {(whole_own_name("own:lenet5"), "init:0", 32)}
    assert "freshly initialised" not in told(ask)
    ask("own:lenet5", Given())
    assert "freshly initialised weights, not trained ones" in told(ask)


def test_where_a_network_ends_is_an_axis(ask: Ask) -> None:
    """Each end has its own width, layers and limits; the search knows them as workers do."""
    found = ask(**{"network.ends_at": ("", "layer2"), "network.joined": (1, 2), "image.size": (32,)})
    forms = {c.form: found.bench().facts(c).feature_width for c in found.asked.configurations.values()}
    assert forms == {
        form: facts_of(form, "none", 0).feature_width
        for form in (Form(RESNET, 32, ends_at, "own", joined) for ends_at in ("", "layer2") for joined in (1, 2))
    }
    assert len(set(forms.values())) > 2
    layers = facts_of(Form(RESNET, 32, "layer2"), "none", 0).weight_layers
    with pytest.raises(InputError, match=rf"unfreezing.unfrozen: expected {layers} or less .*, found {layers + 1}"):
        ask(
            strategies=("unfreezing",),
            unfrozen=(layers + 1,),
            **{"network.ends_at": ("", "layer2"), "image.size": (32,)},
        )


def test_what_a_network_has_not_is_refused_before_anything_is_made(ask: Ask, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the name of a layer or block") as told:
        ask(**{"network.ends_at": ("layerr2",)})
    assert "Nearest names: layer2" in told.value.advice
    with pytest.raises(InputError, match=r'network.pooling: expected "own" \(it has no tokens\), found "mean"'):
        ask(**{"network.pooling": ("mean",)})
    assert not (tmp_path / "studies").exists()
