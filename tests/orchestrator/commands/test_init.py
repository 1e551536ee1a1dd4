"""`orch init`: a study's file from images, which a search takes as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from PIL import Image

from search_spaces.loader import load_space
from search_spaces.tables import first_of
from tests.support.desk import Desk, refused, table

pytestmark = pytest.mark.usefixtures("no_training")
NETWORK = ("--backbone", "squeezenet1_1", "--weights", "none")


@pytest.fixture
def begun(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.chdir(desk.place)
    return desk


def init(desk: Desk, *arguments: str | Path) -> Result:
    return desk.run("init", "mine", "--cache", desk.place / "cache", *arguments)


def test_a_search_takes_the_file_and_the_command_in_it_as_they_are(begun: Desk) -> None:
    told = init(begun, "--data", "data", "--group-by", r"(g\d)", "--classes", "b=Blast cells,a=Other", *NETWORK)
    assert told.exit_code == 0, told.output
    text = Path("mine.toml").read_text()
    command = r"orch search mine.toml --all --data data --group-by '(g\d)'"
    assert f"#   {command} --plan\n" in text
    assert f"To search: {command}\n" in told.stdout
    space = load_space("mine.toml")
    assert space.classes == ("Blast cells", "Other"), "in the order in which they were named"
    assert space.class_names == {"b": "Blast cells", "a": "Other"}
    assert (space.task, space.positive) == ("binary", "Other")
    assert [one.name for one in space.backbones] == ["torchvision:squeezenet1_1"]
    plan = begun.run("search", "mine.toml", "--all", "--data", "data", "--group-by", r"(g\d)", "--plan", "--json")
    assert plan.exit_code == 0, plan.output
    assert json.loads(plan.stdout)["configurations"] == 8
    assert "Blast cells" in plan.stderr


def test_what_is_there_is_kept(begun: Desk) -> None:
    Path("mine.toml").write_text("my own")
    refused(init(begun, "--data", "data", "--group-by", "none"), "mine.toml: expected no such file")
    assert Path("mine.toml").read_text() == "my own"
    refused(begun.run("init", "neuroblastoma", "--data", "data"), "found that of a bundled study")


def test_images_that_a_search_would_refuse_make_no_file(begun: Desk) -> None:
    refused(init(begun, "--data", "data", *NETWORK), "no groups given")
    names = ("--classes", "c=Cyst")
    refused(
        init(begun, "--data", "data", "--group-by", "none", *names, *NETWORK),
        "found c",
        "classes of the data are: a, b",
    )
    refused(init(begun, "--data", "data", "--classes", "a=Cyst,b=Cyst"), "with different names")
    refused(init(begun, "--data", "data", "--group-by", "none", "--backbone", "resnet_of_mine"), "Nearest names")
    refused(init(begun, "--data", "data", "--weights", "none"), "--weights goes with --backbone")
    assert not Path("mine.toml").exists()


def test_the_file_says_what_was_seen(begun: Desk) -> None:
    """Classes of six and two images, divided by the data; and names that are no plain words."""
    Image.new("RGB", (64, 48), "red").save(begun.data / "a" / "g0_0.png")
    (begun.data / "b").rename(begun.data / 'b "2"')
    for image in sorted((begun.data / 'b "2"').iterdir())[3:]:
        image.unlink()
    split = {0: "train", 1: "valid", 2: "test"}
    data = table(begun, "file,label,case,split", lambda n, path: _row(path, split))
    told = init(begun, *data, *NETWORK, "--json")
    assert told.exit_code == 0, told.output
    seen = json.loads(told.stdout)
    assert seen["classes"] == {"a": 6, 'b "2"': 3}
    assert (seen["policy"], seen["group_meaning"]) == ("", "column case of labels.csv")
    text = Path("mine.toml").read_text()
    assert "The data say how they are divided" in text
    assert "2.0 times as many images" in text
    assert '# fit = "pad"  # 1 of 9 are not square' in text
    space = load_space("mine.toml")
    assert space.classes == ("a", 'b "2"')
    assert first_of(space, "balance.name") == "class_weights"


def _row(path: Path, split: dict[int, str]) -> str:
    cells = [path.as_posix(), path.parent.name, path.stem[:2], split[int(path.stem[1]) % 3]]
    return ",".join('"' + cell.replace('"', '""') + '"' for cell in cells)
