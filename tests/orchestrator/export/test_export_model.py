"""An exported model is the study's own: in plain timm or torchvision, as ONNX, through both ways to predict."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from orchestrator.commands.export import export, predict
from orchestrator.export import model as model_file
from orchestrator.export.folder import ExportOptions, export_model
from orchestrator.export.model import Model, Preprocessing, load
from orchestrator.export.onnx_file import OnnxFile, write_onnx
from orchestrator.export.predict import prepared
from orchestrator.store.errors import InputError, OrchError
from orchestrator.store.schema import FinalRecord
from tests.support.finished_study import EPOCHS, FinishedStudy, exported, valid_files


def final(study: FinishedStudy, name: str, repeat: int) -> FinalRecord:
    return study.tiny.finals(study.configurations[name], EPOCHS)[repeat]


FORMS = [
    *(("binary", "probe"), ("binary", "extension"), ("binary", "unfreezing")),
    *(("binary", "padded"), ("binary", "squashed"), ("binary", "within")),
    *(("moving", "head"), ("moving", "both"), ("moving", "gated"), ("several", "fitted")),
    *(("adapters", "scaled"), ("adapters", "low_rank"), ("adapters", "scratch")),
    *(("built", "own"), ("built", "chopped"), ("built", "pooled")),
]
BOTH_REPEATS = (("binary", "probe"), ("moving", "both"))
"""Without --slow; of the others the first."""


@pytest.fixture(scope="module")
def probe_once(binary: FinishedStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(binary, tmp_path_factory.mktemp("probe") / "model", "probe").folder


@pytest.fixture
def probe(probe_once: Path, tmp_path: Path) -> Path:
    """The folder of an exported probe, to be changed."""
    return Path(shutil.copytree(probe_once, tmp_path / "model"))


@pytest.mark.parametrize(
    ("fixture", "name", "repeat"),
    [
        pytest.param(*one, repeat, marks=[] if repeat == 0 or one in BOTH_REPEATS else pytest.mark.slow)
        for repeat in (0, 1)
        for one in FORMS
    ],
)
def test_the_folder_predicts_what_the_search_kept(
    request: pytest.FixtureRequest, tmp_path: Path, fixture: str, name: str, repeat: int
) -> None:
    binary: FinishedStudy = request.getfixturevalue(fixture)
    found = exported(binary, tmp_path / "model", name, repeat=repeat)
    assert found.assembled.agreement.same == 1.0
    assert found.assembled.agreement.largest < 0.01
    model, network = load(tmp_path / "model")
    images = np.stack([prepared(path, model.preprocessing) for path in valid_files(binary)])
    logits = network(torch.from_numpy(images)).numpy()
    kept = final(binary, name, repeat).logits.astype(np.float32)
    assert logits.shape == kept.shape
    assert np.abs(logits - kept).max() < 0.01
    assert np.abs(kept - kept.mean()).max() > 0.01, "the comparison would pass for constant predictions"


def test_what_was_trained_in_bfloat16_is_exported_in_float32(adapters: FinishedStudy, tmp_path: Path) -> None:
    """It says how far that is from what was scored: more than the 16 bits of what is kept, and no other classes."""
    found = exported(adapters, tmp_path / "model", "rounded")
    kept = final(adapters, "rounded", found.chosen.repeat).logits.astype(np.float32)
    assert found.assembled.agreement.same == 1.0
    assert 2**-11 * np.abs(kept).max() < found.assembled.agreement.largest < 0.03 * np.ptp(kept)
    model, network = load(tmp_path / "model")
    images = np.stack([prepared(path, model.preprocessing) for path in valid_files(adapters)])
    logits = network(torch.from_numpy(images)).numpy()
    assert logits.dtype == np.float32
    assert np.abs(logits - kept).max() == pytest.approx(found.assembled.agreement.largest, rel=0.01)
    assert found.deviation == 0.0, "trained again, the search's own arithmetic gives its logits bit for bit"


def test_a_head_is_described_as_it_was_trained(moving: FinishedStudy, tmp_path: Path) -> None:
    folder = exported(moving, tmp_path / "model", "both").folder
    slope = moving.configurations["both"].head.negative_slope
    block = [["LeakyReLU", slope], ["Dropout", 0.25]]
    width = json.loads((folder / "model.json").read_text())["head"][0][1]
    assert json.loads((folder / "model.json").read_text())["head"] == [
        *(["Linear", width, 24], ["BatchNorm1d", 24], *block),
        *(["Linear", 24, 8], ["BatchNorm1d", 8], *block),
        ["Linear", 8, 1],
    ]
    statistics = load_file(folder / "head.safetensors")["1.running_mean"]
    assert float(statistics.abs().max()) > 0, "they moved"
    card = (folder / "MODEL_CARD.md").read_text()
    assert f"{width} → 24, BatchNorm1d(24), LeakyReLU({slope:g}), Dropout(0.25), 24 → 8" in card


def test_a_gate_is_described_as_it_was_trained(moving: FinishedStudy, tmp_path: Path) -> None:
    folder = exported(moving, tmp_path / "model", "gated").folder
    norm, gate, first, *_ = json.loads((folder / "model.json").read_text())["head"]
    width = first[1]
    assert [norm, gate] == [["BatchNorm1d", width], ["Excitation", width, width // 8]]
    assert (
        f"BatchNorm1d({width}), Excitation({width}, {width // 8}), {width} → 24, BatchNorm1d(24), GELU"
        in (folder / "MODEL_CARD.md").read_text()
    )


def test_the_backbone_has_the_statistics_that_moved(moving: FinishedStudy, tmp_path: Path) -> None:
    kept, moved = (
        load_file(exported(moving, tmp_path / name, name).folder / "backbone.safetensors") for name in ("head", "both")
    )
    changed = [name for name, value in moved.items() if not torch.equal(value, kept[name])]
    assert any(name.endswith("running_mean") for name in changed)
    assert any(name.endswith("running_var") for name in changed)
    assert len([name for name in changed if name.endswith("running_mean")]) < len(
        [name for name in moved if name.endswith("running_mean")]
    ), "those of frozen layers stayed"


def test_repeats_are_different_models(binary: FinishedStudy, tmp_path: Path) -> None:
    heads = [
        load_file(exported(binary, tmp_path / str(r), "probe", repeat=r).folder / "head.safetensors") for r in (0, 1)
    ]
    assert not torch.equal(heads[0]["0.weight"], heads[1]["0.weight"])


def test_plain_timm_loads_the_backbone_with_its_trained_layers(binary: FinishedStudy, tmp_path: Path) -> None:
    import timm

    frozen, live = (exported(binary, tmp_path / name, name).folder for name in ("probe", "unfreezing"))
    network = timm.create_model(
        "test_resnet.r160_in1k", num_classes=0, checkpoint_path=str(live / "backbone.safetensors")
    )
    own, before = network.state_dict(), load_file(frozen / "backbone.safetensors")
    changed = [name for name, value in own.items() if not torch.equal(value, before[name])]
    assert changed
    assert all(name.startswith(("layer4", "stages.3", "layers.3")) or "4" in name for name in changed)


def test_a_torchvision_network_without_linear_classifier(several: FinishedStudy, tmp_path: Path) -> None:
    import torchvision

    found = exported(several, tmp_path / "model", "probe")
    assert found.assembled.agreement.same == 1.0
    assert found.assembled.model.replaced == "classifier.1"
    network = torchvision.models.get_model("squeezenet1_1", weights=None)
    network.set_submodule("classifier.1", nn.Identity())
    network.load_state_dict(load_file(tmp_path / "model" / "backbone.safetensors"))


@pytest.mark.parametrize(
    ("fixture", "name"),
    [
        ("binary", "extension"),
        ("binary", "padded"),
        ("binary", "squashed"),
        ("binary", "torchvision"),
        ("several", "probe"),
        ("several", "timm"),
        ("several", "fitted"),
        ("built", "own"),
        ("built", "chopped"),
        ("built", "pooled"),
    ],
)
@pytest.mark.slow
def test_the_script_needs_nothing_of_this_project(
    request: pytest.FixtureRequest, tmp_path: Path, fixture: str, name: str
) -> None:
    from click.testing import CliRunner

    study: FinishedStudy = request.getfixturevalue(fixture)
    folder = exported(study, tmp_path / "model", name, with_onnx=True).folder
    files = [str(path) for path in valid_files(study)]
    command = [sys.executable, "-I", str(folder / "predict.py"), *files]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    rows = [line.split("\t") for line in run.stdout.splitlines()]
    ours = CliRunner().invoke(predict, [str(folder), *files, "--json"])
    assert ours.exit_code == 0, ours.output
    for row, own in zip(rows, json.loads(ours.output)["predictions"], strict=True):
        assert row[:2] == [own["file"], own["predicted"]]
        assert [float(value) for value in row[2:]] == pytest.approx(list(own["probabilities"].values()), abs=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fixture", "name"),
    [
        *(("binary", "unfreezing"), ("moving", "both"), ("moving", "gated")),
        *(("adapters", "scaled"), ("adapters", "low_rank")),
    ],
)
def test_onnx_is_checked_and_takes_any_batch(
    request: pytest.FixtureRequest, tmp_path: Path, fixture: str, name: str
) -> None:
    import onnxruntime

    found = exported(request.getfixturevalue(fixture), tmp_path / "model", name)
    path = tmp_path / "model.onnx"
    steps, squares = found.assembled.model.preprocessing, found.assembled.squares
    written = write_onnx(found.assembled.network, steps, squares, path)
    assert isinstance(written, OnnxFile), written
    assert written.opset == 18
    assert written.largest <= 1e-4
    assert written.images == len(squares)
    session = onnxruntime.InferenceSession(str(path))
    for size in (1, 2, 5):
        logits, chances = session.run(None, {"pixels": np.ascontiguousarray(squares[:size])})
        assert (logits.shape, chances.shape) == ((size, 1), (size, 2))
        assert chances[:, 1] == pytest.approx(1 / (1 + np.exp(-logits[:, 0])), abs=1e-6)


@pytest.mark.slow
def test_an_onnx_file_that_differs_is_not_left_behind(tmp_path: Path) -> None:
    class Restless(nn.Module):
        """Gives torch another answer than a trace of it."""

        def __init__(self) -> None:
            super().__init__()
            self.calls = 0

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return images.flatten(1)[:, :2] + self.calls

    steps = Preprocessing(4, 4, "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "crop")
    told = write_onnx(Restless().eval(), steps, np.zeros((2, 4, 4, 3), dtype=np.uint8), tmp_path / "m.onnx")
    assert isinstance(told, str)
    assert "differs" in told or "cannot be exported" in told
    assert not (tmp_path / "m.onnx").exists()


def test_without_onnx_there_is_no_script_either(binary: FinishedStudy, tmp_path: Path) -> None:
    found = exported(binary, tmp_path / "model", "probe")
    assert not list((tmp_path / "model").glob("*.onnx")) + list((tmp_path / "model").glob("*.py"))
    assert "no model.onnx, and no predict.py, which runs it: it was not asked for" in found.as_text()
    assert "No `model.onnx`, and no `predict.py`" in (tmp_path / "model" / "MODEL_CARD.md").read_text()


def test_nothing_is_overwritten_and_nothing_half_written(binary: FinishedStudy, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="found a folder that is not empty"):
        exported(binary, tmp_path / "full", "probe")
    with pytest.raises(
        InputError, match="expected a repeat that has finished, found repeat 7, which has not; finished: 0, 1"
    ):
        exported(binary, tmp_path / "none", "probe", repeat=7)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]


def test_an_empty_folder_is_taken(binary: FinishedStudy, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert exported(binary, tmp_path / "model", "probe").folder == tmp_path / "model"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def test_the_selected_configuration_is_taken_and_its_first_repeat(binary: FinishedStudy, tmp_path: Path) -> None:
    from click.testing import CliRunner

    output = tmp_path / "model"
    run = CliRunner().invoke(export, ["study", *binary.options, "--output", str(output), "--no-onnx", "--json"])
    assert run.exit_code == 0, run.output
    data = json.loads(run.stdout)
    table = binary.study
    from orchestrator.results.summary import summarise

    best = next(member for member in summarise(table.storage).configurations if member.rank == 1)
    assert (data["configuration"], data["repeat"]) == (best.id, 0)
    assert "chosen by its number, not its score" in (output / "MODEL_CARD.md").read_text()


def test_a_repeat_that_was_named_is_said_to_be(binary: FinishedStudy, tmp_path: Path) -> None:
    card = (exported(binary, tmp_path / "model", "probe", repeat=1).folder / "MODEL_CARD.md").read_text()
    assert "repeat 1 of " in card
    assert "named by whoever exported it, perhaps for its score" in card
    assert "chosen by its number" not in card


def test_unknown_configurations_are_explained(binary: FinishedStudy, tmp_path: Path) -> None:
    options = ExportOptions(output=tmp_path / "m", cache=binary.tiny.cache, configuration="zzz")
    with pytest.raises(
        InputError, match="configuration 'zzz' of study 'study': expected the beginning of exactly one id"
    ):
        export_model(binary.study, options, lambda _text: None)


def test_a_changed_file_is_refused(probe: Path) -> None:
    folder = probe
    head = bytearray((folder / "head.safetensors").read_bytes())
    head[-1] ^= 1
    (folder / "head.safetensors").write_bytes(bytes(head))
    with pytest.raises(InputError, match=r"head.safetensors is missing, or is not the file"):
        load(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"format": 3}', b'{"format": 4}', b'{"format": 5}', b"\xff"])
def test_descriptions_that_are_none(content: bytes) -> None:
    with pytest.raises(InputError, match="does not describe a model"):
        Model.from_json(content, "model.json")


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a folder with model.json"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("architecture", "hf-hub:somebody/model"),
        ("architecture", "local-dir:/tmp/model"),
        ("arguments", {"pretrained": True}),
        ("arguments", {"checkpoint_path": "poisoned.pth"}),
        ("arguments", {"pretrained": True, "pretrained_cfg": {"url": "http://127.0.0.1:9/x"}}),
        ("sha256", {"../../etc/passwd": "0"}),
        ("sha256", 1),
        ("classes", ["a", "b", "c"]),
        ("head", [["Linear", "a", "b"]]),
        ("head", [["Tanh"]]),
        ("store_size", -1),
        ("store_size", 10**9),
        ("image_size", 0),
        ("image_size", 10_000),
        ("interpolation", [1]),
        ("mean", ["a", "b", "c"]),
        ("std", [1.0]),
        ("reading", 1),
        ("adapters", {"name": "os:system"}),
        ("adapters", {"name": "lora", "rank": 10**9}),
    ],
)
def test_a_description_of_others_reaches_no_network_and_no_other_file(
    probe: Path, monkeypatch: pytest.MonkeyPatch, where: str, value: object
) -> None:
    folder = probe
    description = json.loads((folder / "model.json").read_bytes())
    inside = description["preprocessing"] if where in description["preprocessing"] else description
    inside[where] = value
    (folder / "model.json").write_text(json.dumps(description))
    monkeypatch.setattr(model_file, "file_hash", lambda _: pytest.fail("nothing else is opened"))
    monkeypatch.setattr(model_file, "bare_backbone", lambda _: pytest.fail("no builder is asked"))
    with pytest.raises(InputError, match=r"model.json does not describe a model") as told:
        load(folder)
    assert "\n" not in told.value.message


@pytest.mark.parametrize("harm", ["pipe", "device", "huge", "deep"])
def test_a_hostile_description_is_refused(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "model.json"
    match harm:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "huge":
            path.touch()
            os.truncate(path, 10 << 30)
        case _:
            path.write_bytes(b'{"a":' * 100_000)
    with pytest.raises(OrchError, match=r"model.json"):
        load(tmp_path)
