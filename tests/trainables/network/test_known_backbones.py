"""What is kept of a backbone is what the libraries say of it, and spares their import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.store.errors import InputError
from orchestrator.store.storage import LocalStorage
from search_spaces.form import Form
from search_spaces.live import Scope
from trainables.network import known_backbones
from trainables.network.activations import activations_behind
from trainables.network.backbone import Architecture, architecture_of, facts_of, skeleton
from trainables.network.division import Cut
from trainables.network.frontier import places_to_cut
from trainables.network.known_backbones import KnownBackbones

NAME = "test_resnet"
FULL = "timm:test_resnet.r160_in1k"


@pytest.fixture
def cache(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Form]:
    """What was asked of the libraries."""
    asked: list[Form] = []

    def ask(form: Form) -> Architecture:
        asked.append(form)
        return architecture_of(form)

    monkeypatch.setattr(known_backbones, "architecture_of", ask)
    return asked


def kept(cache: LocalStorage) -> Architecture:
    known = KnownBackbones(cache)
    found = known.architecture(Form(NAME))
    known.keep()
    return found


def test_asking_writes_nothing(cache: LocalStorage, tmp_path: Path) -> None:
    KnownBackbones(cache).architecture(Form(NAME))
    assert list(tmp_path.iterdir()) == []


def test_it_is_what_the_libraries_say(cache: LocalStorage, counted: list[Form]) -> None:
    fresh = architecture_of(Form(NAME))
    for _ in range(2):
        known = KnownBackbones(cache)
        assert known.architecture(Form(NAME)) == fresh
        known.keep()
        assert known.architecture(Form(FULL, fresh.facts.image_size)) == fresh, "as workers ask"
    assert counted == [Form(NAME)]
    assert fresh.pretrained.repository, "its weights have a place"
    given = facts_of(known.architecture(Form(NAME)), "none", 7, mean=(0.1, 0.2, 0.3))
    assert given == facts_of(Form(NAME), "none", 7, mean=(0.1, 0.2, 0.3))
    assert (given.weights, given.mean, given.std) == ("init:7", (0.1, 0.2, 0.3), fresh.facts.std)


def test_sizes_are_kept_apart(cache: LocalStorage) -> None:
    known = KnownBackbones(cache)
    assert known.architecture(Form(NAME, 64)).facts.image_size == 64
    known.keep()
    assert KnownBackbones(cache).architecture(Form(NAME)).facts.image_size == 160


@pytest.mark.parametrize("harm", [b"", b"{}", b'{"facts": {"mean": [0, 0, 0], "std": [1, 1, 1]}}', b"\xff"])
def test_a_damaged_file_is_asked_again(cache: LocalStorage, counted: list[Form], harm: bytes, tmp_path: Path) -> None:
    before = kept(cache)
    for file in (tmp_path / "facts").iterdir():
        file.write_bytes(harm)
    for _ in range(2):
        assert kept(cache) == before
    assert len(counted) == 2, "and kept again"


def test_other_versions_are_asked_anew(
    cache: LocalStorage, counted: list[Form], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(cache)
    monkeypatch.setattr(known_backbones, "version", lambda library: "9.9")
    KnownBackbones(cache).architecture(Form(NAME))
    assert len(counted) == 2


def test_what_a_part_takes_is_found_once(cache: LocalStorage) -> None:
    """Kept apart for each depth and cut; what is kept is what would be found."""
    asked: list[tuple[int, str]] = []

    def found(known: KnownBackbones, unfrozen: int, cut: Cut) -> None:
        def ask() -> Cut:
            asked.append((unfrozen, cut.layer))
            return cut

        assert known.activations(Form(FULL, 64), Scope(unfrozen=unfrozen), ask, cut.layer) == activations_behind(cut)

    parts = [
        (unfrozen, cut)
        for unfrozen in (1, 2)
        for cut in places_to_cut(skeleton(Form(NAME, 64)), 64, Scope(unfrozen=unfrozen))
    ]
    for _ in range(2):
        known = KnownBackbones(cache)
        for _ in range(2):
            for part in parts:
                found(known, *part)
        known.keep()
    assert asked == [(unfrozen, cut.layer) for unfrozen, cut in parts]
    assert len(parts) >= 4


@pytest.mark.parametrize("harm", [b"", b"{}", b"[1]", b"\xff"])
def test_damaged_activations_are_found_again(cache: LocalStorage, harm: bytes, tmp_path: Path) -> None:
    (*_, cut) = places_to_cut(skeleton(Form(NAME, 64)), 64, Scope(unfrozen=1))
    fresh = activations_behind(cut)
    for _ in range(2):
        known = KnownBackbones(cache)
        assert known.activations(Form(FULL, 64), Scope(unfrozen=1), lambda: cut, cut.layer) == fresh
        known.keep()
        (file,) = (tmp_path / "facts").iterdir()
        file.write_bytes(harm)


def test_an_unknown_name_is_refused_every_time(cache: LocalStorage) -> None:
    for _ in range(2):
        with pytest.raises(InputError, match="expected the name of an image classifier"):
            KnownBackbones(cache).architecture(Form("resnet18x"))


def test_what_is_known_needs_no_library_of_networks(cache: LocalStorage, tmp_path: Path) -> None:
    kept(cache)
    code = (
        "import sys; from pathlib import Path; from orchestrator.store.storage import LocalStorage; "
        "from trainables.network.known_backbones import KnownBackbones; "
        "from search_spaces.form import Form; "
        f"known = KnownBackbones(LocalStorage(Path({str(tmp_path)!r}))); "
        f"print(known.architecture(Form({NAME!r})).facts.feature_width); "
        "assert not {'timm', 'torchvision'} & set(sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) == architecture_of(Form(NAME)).facts.feature_width
