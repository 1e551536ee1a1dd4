"""`orch mistakes` from end to end, on a study that was really trained and on generated ones; and its refusals."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from orchestrator.command_line import main
from orchestrator.store import layout
from orchestrator.store.errors import StorageError
from orchestrator.store.storage import LocalStorage
from tests.support.checkout import ROOT
from tests.support.predicted_study import predicted_study
from tests.support.trained_study import make_trained_study
from trainables.data.manifest import manifest_bytes, read_manifest


def run(studies: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["mistakes", *arguments, "--studies", str(studies)])


def text(studies: Path, *arguments: str) -> str:
    result = run(studies, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def data(studies: Path, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text(studies, *arguments, "--json"))
    return found


def with_sites(manifest: pd.DataFrame, _split: pd.Series[str]) -> pd.DataFrame:
    """A site of each group, and a number of each image that is no other image's."""
    sites = ["north" if sum(map(ord, group)) % 2 else "south" for group in manifest["group"]]
    return manifest.assign(user_site=sites, user_age=[str(20 + row) for row in range(len(manifest))])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained")
    make_trained_study(root, ("few", "many", "some"), change=with_sites)
    return root / "studies"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generated")
    predicted_study(folder)
    predicted_study(folder, "several", partitions=3)
    return folder


def test_a_trained_study(trained: Path, tmp_path: Path) -> None:
    table = tmp_path / "images.csv"
    found = data(trained, "tiny", "--look", "--csv", str(table))
    manifest = read_manifest((trained / "tiny" / layout.MANIFEST).read_bytes())
    files = {row["file"] for row in found["images"]}
    assert {row["group"] for row in found["images"]} == {g for g in manifest["group"] if "-valid-" in g}
    assert len(found["configurations"]) == 2
    assert {one["name"] for one in found["slices"]} >= {"site", "age", "brightness", "sharpness"}
    for name in ("site", "age", "brightness"):
        assert sum(one["images"] for one in found["slices"] if one["name"] == name) == len(files)
    assert sum(row["images"] for row in found["shared_errors"]["exactly"]) == len(files)
    assert sum(row["always"] + row["sometimes"] + row["never"] for row in found["classes"]) == len(files)
    assert [row["file"] for row in found["suspects"] if row["file"] not in files] == []
    written = pd.read_csv(table)
    assert written["file"].tolist() == [row["file"] for row in found["images"]]
    best = found["configurations"][0]
    assert best["wrong"] == pytest.approx(1 - written[f"right_{best['id']}"].mean())
    result = CliRunner().invoke(main, ["best", "tiny", "--studies", str(trained), "--json", "--rounds", "0"])
    scores = json.loads(result.stdout)
    assert scores["selected"] == best["id"]
    assert best["wrong"] == pytest.approx(1 - scores["scores"]["accuracy"]["selected_epochs"]["mean"])


def test_columns_that_are_named_are_sliced_alone(trained: Path) -> None:
    assert {one["name"] for one in data(trained, "tiny", "--by", "site")["slices"]} == {"site"}
    every = {one["name"] for one in data(trained, "tiny", "--by", "SITE", "--look")["slices"]}
    assert every == {"site", "brightness", "sharpness"}


def test_the_text_says_what_it_is_of(trained: Path) -> None:
    told = text(trained, "tiny", "--by", "site")
    assert "validation scores, used for selection" in told
    assert "3 repeats of 2 configurations" in told
    assert "Not judged, because every network trained on them: " in told
    assert "site" in told
    assert "brightness" not in told
    assert "It contains no test images." in told
    assert "-test-" not in told
    assert "-train-" not in told


def test_one_configuration_shares_nothing(generated: Path) -> None:
    told = text(generated, "slides", "--top", "1")
    assert "exactly these configurations" not in told
    assert data(generated, "slides", "--top", "1")["shared_errors"]["exactly"][-1]["configurations"] == []


def test_several_partitions(generated: Path) -> None:
    told = text(generated, "several")
    assert "the validation splits of 3 partitions, 8 repeats of 3 configurations on each" in told
    assert len(data(generated, "several")["images"]) == 96
    one = data(generated, "several", "--partition", data(generated, "several")["partitions"][1][:6])
    assert len(one["images"]) == 32


def test_a_long_table_is_cut_unless_asked_for(generated: Path) -> None:
    assert "(--every shows them, --json has them)" in text(generated, "several")
    assert "(--every shows them" not in text(generated, "several", "--every")


def test_the_same_twice(generated: Path) -> None:
    assert text(generated, "several", "--json") == text(generated, "several", "--json")


def test_a_planted_bad_site_is_named(tmp_path: Path) -> None:
    """Kept predictions of a third of the groups are turned round: their site is worse, and no other slice is."""
    storage, study = predicted_study(tmp_path, partitions=4, groups=100, qualities={(1, 0): 3.0})
    manifest = read_manifest(storage.read(layout.MANIFEST))
    numbers = np.array([int(group.split()[1]) for group in manifest["group"]])
    bad = numbers % 3 == 0
    turned = np.array(study.classes, dtype=object)[[1 - study.classes.index(name) for name in manifest["label"]]]
    turned = np.where(bad & (np.arange(len(manifest)) % 3 > 0), turned, manifest["label"])
    sites = np.where(bad, "C", np.where(numbers % 2 == 0, "A", "B"))
    other = manifest.assign(label=turned, user_site=sites, user_room=[str(n // 3 % 5) for n in numbers])
    storage.replace(layout.MANIFEST, manifest_bytes(other.astype(manifest.dtypes.to_dict())))
    found = data(tmp_path, "slides", "--top", "1")
    assert [(one["name"], one["value"]) for one in found["slices"] if one["is_worse"]] == [("site", "C")]
    told = text(tmp_path, "slides", "--top", "1")
    assert "Of 8 slices tested, 1 is worse than chance explains" in told
    wrong = set(other["file"][turned != manifest["label"]])
    judged, suspected = ({row["file"] for row in found[name]} for name in ("images", "suspects"))
    assert len(suspected & wrong) >= 0.9 * len(judged & wrong)


BAD: dict[str, tuple[Callable[[Path], list[str]], str]] = {
    "a column": (
        lambda studies: ["slides", "--by", "site"],
        "Error: --by site: expected a column of the table that the study was made from",
    ),
    "an id": (
        lambda studies: ["slides", "--of", "ffffffff"],
        "Error: orch mistakes: --of ffffffff: expected at least the first 4 digits of one configuration's id",
    ),
    "a partition": (
        lambda studies: ["slides", "--partition", "zz"],
        "Error: study 'slides', partition 'zz': expected the beginning of one of",
    ),
    "both": (lambda studies: ["slides", "--top", "2", "--of", "ffff"], "Error: --top and --of cannot be used together"),
    "a root without a look": (lambda studies: ["slides", "--data-root", "x"], "Error: --data-root goes with --look"),
    "images that are not here": (
        lambda studies: ["slides", "--look", "--data-root", str(studies / "none")],
        "Error: ",
    ),
    "no study": (lambda studies: ["slidez"], "Error: "),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD)
def test_bad_input(generated: Path, make: Callable[[Path], list[str]], message: str) -> None:
    result = run(generated, *make(generated))
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_study_that_one_may_only_read(generated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: LocalStorage, path: str, content: bytes) -> None:
        raise StorageError(f"cannot write {path}", "")

    monkeypatch.setattr(LocalStorage, "replace", refused)
    assert "3 configurations" in text(generated, "several")


def test_it_starts_no_torch(generated: Path) -> None:
    code = (
        "import sys\nfrom orchestrator.command_line import main\n"
        f"main(['mistakes', 'several', '--studies', {str(generated)!r}], standalone_mode=False)\n"
        "assert not {'torch', 'ray', 'plotly'} & set(sys.modules), 'loaded'"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
