"""Partitions over μ and ε: the worked figures, the same as over a grid, and the chosen one among them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from click.testing import CliRunner

from dashboards.figures import partition_map
from dashboards.figures.choice import Choice
from dashboards.figures.registry import FIGURES, open_source
from dashboards.page.page import render
from orchestrator.command_line import main
from orchestrator.results.partition_maps import candidate_data, why_no_map
from orchestrator.store import layout
from orchestrator.store.storage import LocalStorage
from tests.support.distance_map import distance_map
from tests.support.generated_study import NOW, small_study
from trainables.data.filling import candidates
from trainables.data.manifest import made_manifest, manifest_bytes
from trainables.data.partition import Partition
from trainables.data.partitioning import Policy, make_partition

REPORT = [162, 151, 98, 60, 39, 29, 7, 7, 6, 5, 5, 3, 3, 3, 3, 1]
"""Family sizes that give what the report says of its class D."""


def manifest(**classes: Sequence[int]) -> pd.DataFrame:
    """One image of size × 1 pixels per family."""
    rows = [
        {"file": f"{label}{place}.png", "label": label, "group": f"{label}{place}", "split": "", "width": size}
        | {"height": 1, "bytes": 1, "content": f"{label}{place}", "reading": ""}
        for label, sizes in classes.items()
        for place, size in enumerate(sizes)
    ]
    return made_manifest(rows)


def made(images: pd.DataFrame, policy: Policy) -> dict[str, object]:
    found = make_partition(images, policy)
    return {"policy": found.policy, "details": found.details}


def test_six_equal_families() -> None:
    """D = 0.122 from ε ≥ 1/60 on, 0.322 without overfill."""
    data = candidate_data(manifest(D=[5] * 6), made(manifest(D=[5] * 6), "ifpo"))
    chosen = data[data["is_chosen"]]
    assert len(chosen) == 1
    assert chosen["distance"].iloc[0] == pytest.approx(0.1222, abs=1e-4)
    assert chosen["epsilon"].iloc[0] == pytest.approx(1 / 60)
    assert chosen[["train_groups", "valid_groups", "test_groups"]].to_numpy().tolist() == [[4, 1, 1]]
    assert data["distance"].min() == chosen["distance"].iloc[0]
    none = data[data["epsilon_from"] == 0]
    assert none["distance"].tolist() == pytest.approx([0.3222] * len(none), abs=1e-4)
    assert none["epsilon_to"].tolist() == pytest.approx([1 / 60] * len(none))


def test_the_example_of_the_report() -> None:
    images = manifest(D=REPORT)
    data = candidate_data(images, made(images, "ifp"))
    (chosen,) = data[data["is_chosen"]].to_dict("records")
    shares = [chosen[f"{split}_share"] for split in ("train", "valid", "test")]
    assert shares == pytest.approx([0.722, 0.141, 0.137], abs=5e-4)
    assert [chosen[f"{split}_groups"] for split in ("train", "valid", "test")] == [6, 5, 5]
    assert (chosen["epsilon"], chosen["epsilon_from"]) == (0, 0)


@pytest.mark.parametrize("sizes", [REPORT, [5] * 6, [40, 30, 20, 10, 9, 8, 3, 3]], ids=len)
def test_regions_are_what_a_grid_shows(sizes: list[int]) -> None:
    mus, epsilons = np.linspace(0.01, 1, 60), np.linspace(0, 0.0999, 50)
    proportion, diversity = distance_map(sizes, mus.tolist(), epsilons.tolist())
    found = candidates(sizes)
    for row, mu in enumerate(mus):
        for column, epsilon in enumerate(epsilons):
            (one,) = [
                c for c in found if c.mu_from < mu - 1e-9 <= c.mu_to and c.epsilon_from <= epsilon + 1e-9 < c.epsilon_to
            ]
            assert one.filling.distance.total == pytest.approx((proportion + diversity)[row, column] / 2)


def test_many_families_keep_the_chosen_one_exact() -> None:
    sizes = np.random.default_rng(3).integers(1, 400, 150).tolist()
    images = manifest(a=sizes, b=[9, 8, 7, 5, 4])
    found = make_partition(images, "ifpo")
    data = candidate_data(images, {"policy": "ifpo", "details": found.details})
    for label, part in data.groupby("class"):
        (chosen,) = part[part["is_chosen"]].to_dict("records")
        assert chosen["distance"] == pytest.approx(found.details["classes"][label]["distance"])
        assert chosen["distance"] == part["distance"].min()
        cells = partition_map._cells(part, float(part["epsilon_to"].max()))
        assert len(cells["x"]) <= partition_map.COLUMNS_DRAWN + 2
        assert np.min(cells["z"]) == pytest.approx(chosen["distance"])
        assert (len(cells["y"]), len(cells["x"])) == (len(cells["z"]) + 1, len(cells["z"][0]) + 1)


def test_other_policies_say_why() -> None:
    images = manifest(a=REPORT, b=REPORT)
    for policy in ("stratified", "psp"):
        told = made(images, policy)  # type: ignore[arg-type]
        data = candidate_data(images, told)
        assert len(data) > 4
        assert not data["is_chosen"].any()
        assert f"of the policy {policy} has no map over μ and ε, because" in why_no_map(told)
    mixed = images.assign(group=[f"g{place % 5}" for place in range(len(images))])
    assert candidate_data(mixed, made(images, "ifpo")).empty
    assert "groups hold several classes" in why_no_map({"policy": "ifpo"})


def filled(folder: Path, policy: Policy) -> LocalStorage:
    """A study whose one partition was made by a policy."""
    storage, _ = small_study(folder)
    images = manifest(D=REPORT, PD=[5] * 6)
    storage.replace(layout.MANIFEST, manifest_bytes(images))
    found: Partition = make_partition(images, policy)
    (name,) = storage.list(layout.PARTITIONS)
    storage.replace(f"{layout.PARTITIONS}/{name}", found.to_bytes())
    return storage


def test_the_figure_and_the_page(tmp_path: Path) -> None:
    storage = filled(tmp_path / "study", "ifpo")
    source = open_source(storage, NOW)
    figure = FIGURES["partition-map"]
    data = figure.data(source, Choice())
    spec = figure.draw(data, Choice())
    go.Figure(spec)
    rings = [trace for trace in spec["data"] if trace["type"] == "scatter"]
    assert [trace["x"][0] for trace in rings] == data[data["is_chosen"]]["epsilon"].tolist()
    assert "D = 0.122" in rings[1]["text"][0]
    assert "4 / 1 / 1 groups" in rings[1]["text"][0]
    assert [note["text"] for note in spec["layout"]["annotations"]][1] == "PD, distance 0.122"
    page = render(storage, now=NOW)
    assert "Partitions over μ and ε" in page
    assert "PD: D = 0.122, 66.7% / 16.7% / 16.7% of the pixels, 4 / 1 / 1 groups" in page
    other = render(filled(tmp_path / "other", "stratified"), now=NOW)
    assert "A partition of the policy stratified has no map over μ and ε" in other
    assert "<h3>Partitions over μ and ε" not in other


def test_the_command(tmp_path: Path) -> None:
    storage = filled(tmp_path / "slides", "stratified")
    (file,) = storage.list(layout.PARTITIONS)
    asked = ["data", "candidates", "slides", "--studies", str(tmp_path), "--partition", file.removesuffix(".parquet")]
    text = CliRunner().invoke(main, asked, catch_exceptions=False)
    assert text.exit_code == 0, text.output
    assert "These are what IFPO would have chosen from" in text.output
    assert "0.122  66.7% / 16.7% / 16.7%  4 / 1 / 1" in text.output
    answer = json.loads(CliRunner().invoke(main, [*asked, "--json"]).stdout)
    assert {one["class"] for one in answer["candidates"]} == {"D", "PD"}
    wrong = CliRunner().invoke(main, [*asked[:-1], "none"])
    assert (wrong.exit_code, "has no partition 'none'" in wrong.output) == (2, True)
