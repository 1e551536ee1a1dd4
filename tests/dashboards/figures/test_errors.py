"""The section on errors: what `orch mistakes` left, drawn and listed; nothing of it before, and no names unasked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
from click.testing import CliRunner

from dashboards.figures.choice import Choice
from dashboards.figures.registry import FIGURES, open_source
from dashboards.page.page import render
from dashboards.page.sample_images import Shown
from orchestrator.command_line import main
from orchestrator.export.pseudonyms import pseudonyms
from orchestrator.mistakes.record import PATH, read_mistakes
from orchestrator.store import layout
from orchestrator.store.storage import LocalStorage
from tests.support.generated_study import NOW
from tests.support.made_up_mistakes import HOSTILE, add_mistakes
from tests.support.predicted_study import predicted_study
from trainables.data.manifest import manifest_bytes, read_manifest

NAMES = ("standings", "image-slices", "shared-errors")


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return predicted_study(tmp_path, partitions=2)[0]


def orch(folder: Path, *arguments: str) -> str:
    result = CliRunner().invoke(main, [*arguments, "--studies", str(folder)])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_there_is_no_section_before_somebody_asked(storage: LocalStorage) -> None:
    source = open_source(storage, NOW)
    assert all(FIGURES[name].data(source, Choice()).empty for name in NAMES)
    page = render(storage, now=NOW)
    assert '<section id="errors">' not in page
    assert 'href="#errors"' not in page


def test_the_command_leaves_what_it_said(storage: LocalStorage, tmp_path: Path) -> None:
    said = json.loads(orch(tmp_path, "mistakes", "slides", "--json"))
    source = open_source(storage, NOW)
    standings, shared = (FIGURES[name].data(source, Choice()) for name in ("standings", "shared-errors"))
    assert standings["class"].tolist() == [row["label"] for row in said["classes"]]
    for part in ("always", "sometimes", "never", "images"):
        assert standings[part].tolist() == [row[part] for row in said["classes"]]
    assert standings["wrong"].to_numpy() == pytest.approx([row["error"] for row in said["classes"]])
    assert shared["images"].tolist() == [row["images"] for row in said["shared_errors"]["exactly"]]
    assert shared["region"].iloc[-1] == "none"
    assert shared["images"].sum() == len(said["images"])
    record = read_mistakes(storage)
    assert record is not None
    assert [one.id for one in record.configurations] == [one["id"] for one in said["configurations"]]
    wrong = [row["file"] for row in said["images"] if row["right"] < 1]
    assert [one.file for one in record.worst] == wrong[: len(record.worst)]
    assert [one.file for one in record.suspects] == [row["file"] for row in said["suspects"]][:100]
    page = render(storage, now=NOW)
    assert page.count('<section id="errors">') == 1
    assert f"{len(said['images'])} images of {record.groups} groups while in validation" in page
    assert "on each of 2 partitions of each configuration" in page


def test_the_last_look_is_the_one_that_is_shown(storage: LocalStorage, tmp_path: Path) -> None:
    orch(tmp_path, "mistakes", "slides")
    orch(tmp_path, "mistakes", "slides", "--top", "1")
    record = read_mistakes(storage)
    assert record is not None
    assert len(record.configurations) == 1
    assert FIGURES["shared-errors"].data(open_source(storage, NOW), Choice()).empty, "one shares nothing"


def test_no_file_or_group_is_named_unasked(storage: LocalStorage) -> None:
    record = add_mistakes(storage)
    names = {one.file for one in record.worst} | {one.group for one in record.worst}
    page = render(storage, now=NOW, shown=Shown(numbers=pseudonyms))
    assert "Most often wrong" not in page
    assert [name for name in names if name in page] == []
    numbered = render(storage, now=NOW, shown=Shown(images=True, numbers=pseudonyms))
    assert "Most often wrong" in numbered
    assert [name for name in names if name in numbered] == []
    named = render(storage, now=NOW, shown=Shown(names=True))
    assert record.worst[0].file in named
    assert HOSTILE not in named


def test_a_slice_that_is_called_as_a_group_is_numbered(storage: LocalStorage, tmp_path: Path) -> None:
    """A column may hold patients: their names are not those of a slice on a page."""
    manifest = read_manifest(storage.read(layout.MANIFEST))
    groups = sorted(set(manifest["group"]))
    place = [groups.index(group) % 5 for group in manifest["group"]]
    values = [groups[0] if k == 0 else f"site {k}" for k in place]
    storage.replace(layout.MANIFEST, manifest_bytes(manifest.assign(user_donor=values)))
    orch(tmp_path, "mistakes", "slides")
    record = read_mistakes(storage)
    assert record is not None
    assert {one.value for one in record.slices} == {"value 5", "site 1", "site 2", "site 3", "site 4"}
    assert groups[0] in orch(tmp_path, "mistakes", "slides"), "on the terminal it is named"


@pytest.mark.parametrize("configurations", [2, 3, 5])
def test_dots_stand_below_the_bars_of_their_configurations(storage: LocalStorage, configurations: int) -> None:
    record = add_mistakes(storage, configurations)
    figure, source = FIGURES["shared-errors"], open_source(storage, NOW)
    data = figure.data(source, Choice())
    spec = figure.draw(data, Choice())
    go.Figure(spec)
    bars, _, _, dots = spec["data"]
    drawn = [one for one in record.regions if one.configurations][:24]
    assert bars["y"] == [one.images for one in drawn]
    assert sorted(zip(dots["x"], dots["y"], strict=True)) == [
        (x, place) for x, one in enumerate(drawn) for place in one.configurations
    ]
    assert len(spec["layout"]["yaxis2"]["ticktext"]) == configurations


def test_more_sets_than_can_be_read_are_not_drawn(storage: LocalStorage) -> None:
    record = add_mistakes(storage, 2)
    many = record.model_copy(update={"configurations": record.configurations * 7})
    storage.replace(PATH, many.model_dump_json().encode())
    assert FIGURES["shared-errors"].data(open_source(storage, NOW), Choice()).empty


def test_a_worse_slice_is_marked_and_one_without_an_interval_has_none(storage: LocalStorage) -> None:
    add_mistakes(storage)
    figure, source = FIGURES["image-slices"], open_source(storage, NOW)
    data = figure.data(source, Choice())
    assert data["worse"].tolist() == [False, True, False]
    assert np.isnan(data["low"]).tolist() == [True, False, False]
    spec = figure.draw(data, Choice())
    go.Figure(spec)
    usual, worse, classes = spec["data"]
    assert (usual["y"].tolist(), worse["y"].tolist()) == ([0, 2], [1])
    assert worse["name"] == "worse than chance explains"
    assert np.isnan(usual["error_x"]["array"]).tolist() == [True, False]
    assert classes["x"].tolist() == [0.5] * 3


def test_a_damaged_record_costs_the_section_alone(storage: LocalStorage) -> None:
    add_mistakes(storage)
    storage.replace(PATH, b"{")
    page = render(storage, now=NOW)
    assert '<section id="errors">' not in page
    assert "`orch mistakes` finds it again" in page
