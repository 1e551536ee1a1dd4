"""A study's file: what is read, and that all its faults are told at once."""

from __future__ import annotations

import contextlib
import copy
import random
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from orchestrator.store.errors import InputError
from search_spaces import loader
from search_spaces.describe import describe
from search_spaces.points import points
from search_spaces.schema import Space

SOUND = """
name = "mine"
classes = ["a", "b"]
backbones = ["resnet18", { name = "timm:vgg19.tv_in1k", grid = { epochs = 3 } }]
[straightforward]
lr = [1, 0.5]
"""


def faults_of(text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        loader.parse_space(text, "mine.toml")
    assert caught.value.exit_status == 2
    assert caught.value.advice.endswith("orch spaces check mine.toml")
    head, *lines = caught.value.message.split("\n")
    if not lines:
        return [head.removeprefix("mine.toml: ")]
    assert head == f"mine.toml: {len(lines)} faults"
    return [line.removeprefix("  - ") for line in lines]


def test_sound_file_is_read() -> None:
    space = loader.parse_space(SOUND, "mine.toml")
    assert [backbone.name for backbone in space.backbones] == ["resnet18", "timm:vgg19.tv_in1k"]
    assert space.grids["straightforward"].lr == (1.0, 0.5)
    assert space.strategies == ("straightforward",)


def test_one_value_is_read_as_a_list_of_one() -> None:
    one, several = (
        loader.parse_space(f'name = "mine"\nbalance = {balance}\n[grid]\nlr = {lr}', "mine.toml")
        for balance, lr in (('"ngca"', 0.1), ('["ngca"]', [0.1]))
    )
    assert points(one, "x", small=False) == points(several, "x", small=False)


def test_faults_of_every_kind_are_told_together() -> None:
    found = faults_of("""
name = "mine"
task = "multilabel"
classes = ["a", "b"]
positive = "c"
learning_rate = 3
balanse = "ngca"
selection = "auc"
[image]
crops = 4
[partition]
targets = [0.7, 0.2]
[straightforward]
lr = [0.1, -0.1, 0.1, "x", nan]
batch_size = []
epochs = 2.5
repeats = true
[extension]
unfrozen = [1]
pairs = [[0.1, 8], [0.1, 8.5], [0.1]]
[[backbones]]
strategies = ["extention"]
[[backbones]]
name = "keras:x"
""")
    assert sorted(line.split(":")[0] for line in found) == sorted(
        [
            "task",
            "positive",
            "learning_rate",
            "balanse",
            "selection",
            "image.store_size",
            "partition.targets[2]",
            "straightforward.lr[1]",
            "straightforward.lr[3]",
            "straightforward.lr[4]",
            "straightforward.lr",
            "straightforward.batch_size",
            "straightforward.epochs",
            "straightforward.repeats",
            "extension.unfrozen",
            "extension.pairs[1][1]",
            "extension.pairs[2][1]",
            "backbones[0].name",
            "backbones[0].strategies[0]",
            "backbones[1].name",
        ]
    )
    assert all("expected" in line and "found" in line for line in found)
    by_key = {line.split(":")[0]: line for line in found}
    assert by_key["straightforward.lr[1]"] == "straightforward.lr[1]: expected a number above 0, found -0.1"
    assert by_key["straightforward.lr"].endswith("expected different values, found 0.1 more than once")
    assert by_key["straightforward.repeats"].endswith("expected a whole number, found true")
    assert by_key["balanse"].endswith("found an unknown key; did you mean 'balance'?")
    assert by_key["learning_rate"].endswith("did you mean 'grid.lr'?")
    assert by_key["selection"].endswith('"class_f1", "macro_auc" or "recall_at_precision", found "auc"')


@pytest.mark.parametrize("task", ["multilabel", "regression", "segmentation"])
def test_other_tasks_are_refused_by_name(task: str) -> None:
    (line,) = faults_of(f'name = "mine"\ntask = "{task}"')
    assert (
        line == f'task: expected "binary" or "multiclass" (one label per image), found "{task}", which is not supported'
    )


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ('task = "binary"\nclasses = ["a", "b", "c"]', "classes", "expected two"),
        ('task = "multiclass"\npositive = "a"', "positive", 'only with the task "binary"'),
        ('classes = ["a", "b", "c"]\npositive = "a"', "positive", "several classes"),
        ('classes = ["a", "a"]', "classes", "more than once"),
        ("[grid]\nlr = [0.1]\npairs = [[0.1, 8]]", "grid.lr", "found both"),
        ("[grid]\npairs = 0.1", "grid.pairs", "a list in brackets"),
        ("[grid]\nlr = 0.1\noptimiser = { lr = 0.1 }", "grid.optimiser.lr", "found both"),
        ("[grid]\npairs = [[0.1, 8], [0.1, 8]]", "grid.pairs", "[0.1, 8] more than once"),
        ("[grid]\nlr = [inf]", "grid.lr[0]", "a finite number"),
        (
            "[extension]\nnon_linearities = [-1]",
            "extension.non_linearities[0]",
            "a whole number from 0 to 1,000, found -1",
        ),
        ('[optimiser]\nname = "adam"\nmomentum = 0.9', "optimiser.momentum", "expected nothing"),
        ("[optimiser]\nbetas = [0.9, 0.99]", "optimiser.betas", "expected nothing"),
        ("[optimiser]\nmomentum = 1.0", "optimiser.momentum", "a number of 0 or more, below 1, found 1.0"),
        ("[partition]\ntargets = [0.5, 0.5, 0.5]", "partition.targets", "sum to 1"),
        ("[partition]\ntargets = [0.2, 0.3, 0.5]", "partition.targets", "comes first"),
        ("[small]\ncrops = 1", "small", "at least one"),
        ('backbones = ["resnet18", "resnet18"]', "backbones[1].name", "each backbone once"),
        (
            '[[backbones]]\nname = "x"\nstrategies = ["straightforward"]\nextension = { lr = [0.1] }',
            "backbones[0].extension",
            "leave it out",
        ),
        (
            '[straightforward]\n[[backbones]]\nname = "x"\nstrategies = ["extension"]',
            "backbones[0].strategies",
            "expected some of straightforward",
        ),
    ],
)
def test_single_faults(text: str, key: str, said: str) -> None:
    (line,) = faults_of(f'name = "mine"\n{text}')
    assert line.startswith(f"{key}: ")
    assert said in line


def test_a_fault_brings_no_second_one_with_it() -> None:
    assert (
        len(faults_of('name = "mine"\n[grid]\nlr = ["x"]\nbatch_size = [0]\n[partition]\ntargets = [0.7, "y", 1]')) == 4
    )
    assert len(faults_of('name = "mine"\nclasses = ["a", 3]')) == 1


WRONG: tuple[Any, ...] = (
    -1,
    1.5,
    "x",
    True,
    [],
    {},
    [[]],
    [1, 1],
    float("nan"),
    [{"name": 1}],
    {"lr": []},
    [-1, "x"],
    [[1, 2], [0, 0], 3],
)


def damage(table: Any, draw: random.Random) -> None:
    """Put a wrong value, or a wrong key, somewhere into a study's file."""
    while table:
        key = draw.choice(list(table) if isinstance(table, dict) else range(len(table)))
        if isinstance(table[key], dict | list) and draw.random() < 0.7:
            table = table[key]
        elif isinstance(table, dict) and draw.random() < 0.3:
            table[f"{key}x"] = table.pop(key)
            return
        else:
            table[key] = copy.deepcopy(draw.choice(WRONG))
            return


@pytest.mark.parametrize("name", loader.bundled())
def test_any_damage_ends_in_one_error_that_tells_all(name: str) -> None:
    for seed in range(40):
        draw = random.Random(f"{name} {seed}")
        raw = tomllib.loads(loader.space_source(name))
        for _ in range(draw.randint(1, 6)):
            damage(raw, draw)
        with contextlib.suppress(InputError):
            assert isinstance(loader.parse_space(tomli_w.dumps(raw), "mine.toml"), Space)


def test_syntax_error_names_the_line() -> None:
    (line,) = faults_of('name = "mine"\n[grid\nlr = [1]')
    assert "expected TOML" in line
    assert "line 2" in line


def test_name_is_needed_and_fit_for_a_folder() -> None:
    assert faults_of("") == ["name: expected a value, found nothing"]
    for name in ("../x", "a b", ".hidden", "x.", "a" * 65):
        (line,) = faults_of(f'name = "{name}"')
        assert line.startswith("name: expected letters")


def test_unknown_study_names_the_nearest_and_the_way_to_an_own_one() -> None:
    with pytest.raises(InputError) as caught:
        loader.load_space("neurblastoma")
    assert "hep2, neuroblastoma, or a path" in caught.value.message
    assert caught.value.advice.startswith("Did you mean neuroblastoma?")
    assert "orch search neurblastoma BACKBONE --data DIR" in caught.value.advice


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    missing, folder, latin, large = (tmp_path / name for name in ("no.toml", "dir.toml", "latin.toml", "large.toml"))
    folder.mkdir()
    latin.write_bytes(b'name = "x"\ntitle = "\xe9"\n')
    large.write_bytes(b"#" * (loader.MAX_BYTES + 1))
    for path, said in ((missing, "no such file"), (folder, "a folder"), (latin, "line 2"), (large, "1,000,001")):
        with pytest.raises(InputError, match=said):
            loader.load_space(str(path))


def test_own_file_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SOUND, encoding="utf-8-sig")
    assert loader.load_space(str(path)) == loader.parse_space(SOUND, "here")


def test_new_study_takes_the_default_space() -> None:
    assert loader.default_space("fresh") == loader.load_space("default").model_copy(
        update={"name": "fresh", "title": ""}
    )


@pytest.mark.parametrize(
    "text",
    [
        '[head]\nname = "widths"\n[extension]\nhead = { widths = [[16], [8]] }\nlr = 0.1',
        '[optimiser]\nname = "adamw"\n[grid]\noptimiser = { betas = [0.9, 0.99] }',
        '[grid]\nhead = { name = "widths" }\n[extension]\nhead = { widths = [16] }\nlr = 0.1',
        '[optimiser]\nname = "adamw"\n[[backbones]]\nname = "x"\ngrid = { optimiser = { betas = [0.9, 0.99] } }',
        '[extension]\nhead = { name = "widths" }\nlr = 0.1\n[small.extension]\nhead = { widths = [8] }\n'
        '[[backbones]]\nname = "x"\ngrid = { head = { widths = [4] } }\nextension = { head = { batch_norm = false } }',
    ],
)
def test_a_condition_holds_by_what_a_wider_table_says(text: str) -> None:
    space = loader.parse_space(f'name = "mine"\n{text}', "mine.toml")
    found = points(space, "x", small=False)
    assert any(point.values["head.widths"] in ((16,), (8,), (4,)) for point in found) or {
        point.values["optimiser.betas"] for point in found
    } == {(0.9, 0.99)}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            '[optimiser]\nname = "adamw"\n[extension]\noptimiser = { momentum = 0.9 }',
            'extension.optimiser.momentum: expected nothing with optimiser.name "adamw", found 0.9',
        ),
        (
            '[head]\nname = "widths"\n[extension]\nhead = { name = "halving", widths = [16] }',
            'extension.head.widths: expected nothing with head.name "halving", found [16]',
        ),
        (
            '[head]\nname = "widths"\n[straightforward]\nhead = { widths = [16] }',
            'straightforward.head.widths: expected nothing with head.name "halving", found [16]',
        ),
    ],
)
def test_what_a_wider_table_rules_out_is_refused(text: str, told: str) -> None:
    assert faults_of(f'name = "mine"\n{text}') == [told]


def test_description_shows_what_is_tried() -> None:
    text = describe(loader.load_space("neuroblastoma"))
    assert "classes D, PD; positive PD" in text
    assert "timm:vgg19.tv_in1k, unfreezing, u = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10" in text
    assert "lr 5e-06, 1e-05, 5e-05, 0.0001 × batch size 8, 16, 32, 64: configurations 160" in text


def test_description_says_n_of_heads_that_have_one() -> None:
    text = 'name = "mine"\n[extension]\nhead = { name = ["halving", "widths"], widths = [[16], [8]] }\nlr = 0.1\n'
    of_both = describe(loader.parse_space(f"{text}non_linearities = [1, 2]", "mine.toml"))
    assert "any other, extension, n = 1, 2\n" in of_both
    of_widths = describe(loader.parse_space(text.replace('"halving", ', ""), "mine.toml"))
    assert "any other, extension\n" in of_widths


def test_space_is_immutable() -> None:
    space = loader.load_space("default")
    with pytest.raises(ValueError, match="frozen"):
        space.name = "other"
    assert isinstance(space, Space)


def test_reading_a_space_needs_no_heavy_library() -> None:
    code = (
        "import sys; from search_spaces import loader, points, resolve, describe; loader.load_space('neuroblastoma');"
        "print(sorted({'torch', 'ray', 'pandas', 'pyarrow', 'scipy', 'plotly', 'timm'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
