"""An ensemble that leaves its study: the same probabilities as in it, one ONNX file, one file of a shared backbone."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from orchestrator.command_line import main
from orchestrator.ensembles.make import EnsembleOptions, make_ensemble
from orchestrator.ensembles.record import EnsembleRecord, write_ensemble
from orchestrator.evaluation.ensemble import averaged
from orchestrator.export.ensemble_folder import ExportedEnsemble, export_ensemble
from orchestrator.export.folder import ExportOptions
from orchestrator.export.onnx_file import OnnxFile
from orchestrator.export.predict import predict
from orchestrator.export.together import load_together
from orchestrator.store.errors import InputError
from tests.support.finished_study import REPEATS, FinishedStudy, valid_files
from trainables.bundles.trained import results


def made(of: FinishedStudy, *names: str, **options: object) -> EnsembleRecord:
    settings = {"weigh": "equal", "rounds": 0, **options}
    return make_ensemble(
        of.study,
        EnsembleOptions(of=tuple(of.configurations[name].id for name in names), **settings),  # type: ignore[arg-type]
    )


def export(of: FinishedStudy, record: EnsembleRecord, output: Path, **changes: object) -> ExportedEnsemble:
    options = ExportOptions(output=output, cache=of.tiny.cache, **changes)  # type: ignore[arg-type]
    return export_ensemble(of.study, record.id, options, lambda _: None)


def wanted(of: FinishedStudy, record: EnsembleRecord) -> np.ndarray:
    """Probabilities of the valid images by the logits that the study kept."""
    kept = {}
    for member in record.counting:
        finals = results(of.tiny.storage, of.tiny.partition, member.configuration, member.repeats)
        kept[member.configuration] = np.stack([final.logits for final in finals.values()])
    return averaged(record, kept)


@pytest.fixture(scope="module")
def folder(binary: FinishedStudy, tmp_path_factory: pytest.TempPathFactory) -> ExportedEnsemble:
    """A probe and a network with unfrozen layers, two repeats each."""
    record = made(binary, "probe", "unfreezing")
    return export(binary, record, tmp_path_factory.mktemp("together") / "out")


@pytest.mark.parametrize("combine", ["probabilities", "logits", "votes"])
def test_it_predicts_what_the_study_averaged(binary: FinishedStudy, tmp_path: Path, combine: str) -> None:
    metric = {"metric": "accuracy"} if combine == "votes" else {}
    record = made(binary, "probe", "unfreezing", combine=combine, **metric)
    out = export(binary, record, tmp_path / "out", with_onnx=False).folder
    found = [row.chances for row in predict(load_together(out), valid_files(binary))]
    assert np.array(found) == pytest.approx(wanted(binary, record), abs=2e-3)


def test_a_backbone_that_stayed_frozen_is_there_once(folder: ExportedEnsemble) -> None:
    assert folder.backbones == 1 + REPEATS
    assert len(list((folder.folder / "backbones").iterdir())) == 1 + REPEATS
    together = load_together(folder.folder)
    assert len(together.heads) == 2 * REPEATS
    assert len(together.backbones) == 1 + REPEATS
    assert sum(together.weights) == pytest.approx(1)
    assert folder.agreement.same == 1.0
    assert folder.deviation == 0.0


def test_one_onnx_file_has_all_members_and_needs_nothing_of_this_program(
    binary: FinishedStudy, folder: ExportedEnsemble
) -> None:
    assert isinstance(folder.onnx, OnnxFile)
    assert folder.onnx.largest < 1e-4
    files = valid_files(binary)[:3]
    run = subprocess.run(
        [sys.executable, str(folder.folder / "predict.py"), *map(str, files)],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
        env={"PATH": "", "HOME": str(folder.folder)},
    )
    rows = [line.split("\t") for line in run.stdout.splitlines()]
    chances = [list(row.chances) for row in predict(load_together(folder.folder), files)]
    assert np.array([row[2:] for row in rows], dtype=float) == pytest.approx(np.array(chances), abs=1e-4)
    assert [row[1] for row in rows] == [row.predicted for row in predict(load_together(folder.folder), files)]


@pytest.mark.parametrize("by", ["predict.py", "orch predict"])
def test_who_has_read_enough_of_it_may_go(binary: FinishedStudy, folder: ExportedEnsemble, by: str) -> None:
    """As `| head -1` does: nobody reads, and all that is written is the error of nobody."""
    program = "from orchestrator.command_line import main; main()"
    own, ours = [str(folder.folder / "predict.py")], ["-c", program, "predict", str(folder.folder)]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        file = str(valid_files(binary)[0])
        command = [sys.executable, *(own if by == "predict.py" else ours), file]
        run = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE)
    finally:
        os.close(writing)
    assert (run.returncode, run.stderr.decode()) == (0, "")


def test_members_that_read_images_otherwise_are_a_folder_without_onnx(binary: FinishedStudy, tmp_path: Path) -> None:
    record = made(binary, "probe", "extension", "padded")
    found = export(binary, record, tmp_path / "out")
    assert found.onnx == "its members preprocess images differently, and one file takes one square of each image"
    assert not (found.folder / "predict.py").exists()
    together = load_together(found.folder)
    assert len(together.steps) == 3
    assert np.array([row.chances for row in predict(together, valid_files(binary))]) == pytest.approx(
        wanted(binary, record), abs=2e-3
    )


def test_the_commands(binary: FinishedStudy, folder: ExportedEnsemble, tmp_path: Path) -> None:
    files = [str(path) for path in valid_files(binary)[:4]]
    run = CliRunner().invoke(main, ["predict", str(folder.folder), *files, "--tta", "flips"])
    assert run.exit_code == 0, run.output
    rows = list(csv.DictReader(io.StringIO(run.stdout)))
    assert [row["file"] for row in rows] == files
    assert float(rows[0]["p_few"]) + float(rows[0]["p_many"]) == pytest.approx(1, abs=2e-6)
    refused = CliRunner().invoke(
        main, ["export", "study", "--ensemble", "ab", "--output", str(tmp_path / "x"), "--repeat", "1", *binary.options]
    )
    assert refused.exit_code == 2
    assert "--repeat: cannot be used with --ensemble" in refused.output
    unknown = CliRunner().invoke(
        main, ["export", "study", "--ensemble", "zz", "--output", str(tmp_path / "x"), *binary.options]
    )
    assert unknown.exit_code == 2
    assert "ensemble 'zz' of study 'study': expected the beginning of exactly one id, 0 match" in unknown.output
    record = made(binary, "probe", "unfreezing")
    asked = ["export", "study", "--ensemble", record.id, "--output", str(tmp_path / "out"), "--no-onnx", "--json"]
    done = CliRunner().invoke(main, [*asked, *binary.options])
    assert done.exit_code == 0, done.output
    data = json.loads(done.stdout)
    assert (data["models"], data["backbones"], data["no_onnx"]) == (4, 3, "it was not asked for")
    card = (tmp_path / "out" / "MODEL_CARD.md").read_text()
    assert "Not tested yet." in card
    assert "## Failure modes of its members\n\nFailure modes have not been looked for. `orch mistakes study`" in card
    assert record.id in card


def test_a_folder_that_was_changed_is_refused(binary: FinishedStudy, tmp_path: Path) -> None:
    out = export(binary, made(binary, "probe", "unfreezing"), tmp_path / "out", with_onnx=False).folder
    description = json.loads((out / "ensemble.json").read_text())
    for change, told in (
        ({"combine": "median"}, "combine"),
        ({"format": 9}, "format"),
        ({"parts": [{**description["parts"][0], "folder": "../elsewhere"}]}, "folder"),
        ({"parts": [{**description["parts"][0], "weight": -1.0}]}, "weight"),
    ):
        (out / "ensemble.json").write_text(json.dumps({**description, **change}))
        with pytest.raises(InputError, match="does not describe an ensemble") as raised:
            load_together(out)
        assert told in raised.value.message
    (out / "ensemble.json").write_text(json.dumps({**description, "classes": ["x", "y"]}))
    with pytest.raises(InputError, match="has the classes few, many, expected x, y"):
        load_together(out)
    (out / "ensemble.json").write_text(json.dumps(description))
    head = out / description["parts"][0]["folder"] / "head.safetensors"
    head.write_bytes(head.read_bytes()[:-1] + b"\x01")
    with pytest.raises(InputError, match=r"head\.safetensors is missing, or is not the file that was exported"):
        load_together(out)


def test_a_member_that_was_trained_on_is_not_exported(binary: FinishedStudy, tmp_path: Path) -> None:
    record = made(binary, "probe", "unfreezing")
    moved = record.members[0].model_copy(update={"epochs": (99, 99)})
    write_ensemble(
        binary.study.storage, record.model_copy(update={"id": "e" * 12, "members": (moved, record.members[1])})
    )
    with pytest.raises(InputError, match="got its weight from other epochs than the study selects now"):
        export(binary, record.model_copy(update={"id": "e" * 12}), tmp_path / "out")
    assert not (tmp_path / "out").exists()
