"""From a study to a folder that leaves it: weights, ONNX, description, card, script, tables.

chosen repeat → its weights → one plain network, checked on real images → files beside each other → renamed into place
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import nn

from orchestrator.energy.cost import cost_of
from orchestrator.energy.grid import intensity_of
from orchestrator.evaluation.again import AGAIN, telling
from orchestrator.evaluation.looks import count_looks, looks_by_now, short_hashes
from orchestrator.evaluation.nested_record import read_nested
from orchestrator.evaluation.record import EvaluationRecord, read_evaluations
from orchestrator.export.assemble import Assembled, assemble
from orchestrator.export.card import model_card
from orchestrator.export.chosen import Chosen, choose
from orchestrator.export.data_flow import data_flow
from orchestrator.export.facts import CardFacts
from orchestrator.export.model import BACKBONE, DESCRIPTION, HEAD, ONNX, file_hash
from orchestrator.export.onnx_file import OnnxFile, write_onnx
from orchestrator.export.script import predict_script
from orchestrator.export.tables import study_tables, write_tables
from orchestrator.leak.records import leak_sentence
from orchestrator.mistakes.record import read_mistakes
from orchestrator.results.names import describe_configuration
from orchestrator.results.reference_mode import reference_note
from orchestrator.results.summary import Summary, summarise
from orchestrator.store import layout
from orchestrator.store.errors import InputError, StorageError
from orchestrator.store.open import open_storage
from orchestrator.store.schema import FinalRecord
from orchestrator.store.storage import TEMPORARY_PREFIX, Storage
from orchestrator.study.asked import find_weights
from orchestrator.study.preparation import reopen
from orchestrator.study.studies import Study
from search_spaces.classes import check_confusion
from search_spaces.configuration import Configuration
from trainables.bundles.trained import Trained, results, trained
from trainables.bundles.workbench import Workbench, open_bench
from trainables.data.manifest import read_manifest
from trainables.data.partition import Partition
from trainables.machine.places import Places

CARD = "MODEL_CARD.md"
SCRIPT = "predict.py"
TABLES = "tables"
Say = Callable[[str], None]
Progress = Callable[[str, int, int], None]


def uncounted(act: str, done: int, total: int) -> None:
    """Nobody is told how far something is."""


@dataclass(frozen=True)
class ExportOptions:
    """What `orch export` takes. weights: hub, none or a file, where the pretrained weights lie on this machine."""

    output: Path
    cache: Path
    configuration: str | None = None
    repeat: int | None = None
    partition: str | None = None
    with_names: bool = False
    with_onnx: bool = True
    data_root: Path | None = None
    weights: str | None = None
    country: str | None = None
    kg_per_kwh: float | None = None


@dataclass(frozen=True)
class Exported:
    """What was written, for the reader and as data."""

    folder: Path
    chosen: Chosen
    assembled: Assembled
    deviation: float
    onnx: OnnxFile | str

    def as_text(self) -> str:
        agreement = self.assembled.agreement
        lines = [
            f"{describe_configuration(self.chosen.member.configuration)}, repeat {self.chosen.repeat}, exported to "
            f"{self.folder}",
            f"  weights: {BACKBONE}, {HEAD}; checked on {agreement.images} valid images, {agreement.same:.1%} of which "
            "get the class that the search predicted",
        ]
        if isinstance(self.onnx, OnnxFile):
            lines.append(
                f"  {ONNX}: opset {self.onnx.opset}, differs from PyTorch by at most {self.onnx.largest:.1e}; {SCRIPT} "
                "runs it without orch"
            )
        else:
            lines.append(f"  no {ONNX}, and no {SCRIPT}, which runs it: {self.onnx}")
        if said := reference_note([self.chosen.member.configuration]):
            lines.append(f"  {said}")
        return "\n".join([*lines, f"  {CARD}, {DESCRIPTION}, {TABLES}/", f"Next: orch predict {self.folder} IMAGES"])

    def as_json(self) -> dict[str, Any]:
        has_onnx = isinstance(self.onnx, OnnxFile)
        return {
            "folder": str(self.folder),
            **self.assembled.model.origin,
            "sha256": self.assembled.model.sha256,
            "valid_images": self.assembled.agreement.images,
            "same_class": self.assembled.agreement.same,
            "largest_logit_difference": self.assembled.agreement.largest,
            "deviation": self.deviation,
            "onnx_opset": self.onnx.opset if isinstance(self.onnx, OnnxFile) else None,
            "onnx_difference": self.onnx.largest if isinstance(self.onnx, OnnxFile) else None,
            "no_onnx": "" if has_onnx else str(self.onnx),
        }


def check_output(output: Path) -> None:
    """InputError where something lies in the place of the new folder."""
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        there = "a folder that is not empty" if output.is_dir() else "a file"
        raise InputError(
            f"--output {str(output)!r}: expected a new folder, found {there}", "Name another, or remove it first."
        )


@contextmanager
def made_whole(output: Path) -> Iterator[Path]:
    """A folder to fill, which lies at `output` once the block is done and is gone where it fails. Raises StorageError
    where it cannot be written."""
    folder = output.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True)
        yield folder
        if output.exists():
            output.rmdir()
        folder.rename(output)
    except OSError as error:
        raise StorageError(f"cannot write {output}: {error.strerror or error}", "Name another --output DIR.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def export_model(study: Study, options: ExportOptions, say: Say, progress: Progress = uncounted) -> Exported:
    """Write the model's folder; nothing lies at `options.output` until all of it is there. Raises InputError.

    progress(act, done, total): of what is trained again.
    """
    check_confusion(study.record.task, f"study {study.name}, export")
    check_output(options.output)
    intensity = intensity_of(options.country, options.kg_per_kwh)
    summary = summarise(study.storage)
    chosen = choose(study.storage, summary, options.configuration, options.repeat, options.partition)
    say(f"Exporting {describe_configuration(chosen.member.configuration)}, repeat {chosen.repeat}.")
    record = _record(study.storage, chosen)
    bench = bench_for(study, summary, chosen.member.configuration, options, say)
    model = _weights(bench, chosen, record, say, progress)
    partition, configuration = chosen.member.partition, chosen.member.configuration
    assembled = assemble(bench, study.record, configuration, partition, record, model.weights)
    with made_whole(options.output) as folder:
        assembled = _write_weights(folder, assembled, study, summary, options.with_names)
        onnx: OnnxFile | str = "it was not asked for"
        if options.with_onnx:
            say("Exporting to ONNX, and checking the file on real images.")
            onnx = write_onnx(assembled.network, assembled.model.preprocessing, assembled.squares, folder / ONNX)
        evaluations = _evaluations(study, chosen)
        facts = CardFacts(
            study=study.record,
            summary=summary,
            chosen=chosen,
            record=record,
            model=assembled.model,
            agreement=assembled.agreement,
            deviation=model.deviation,
            onnx=onnx,
            flow=data_flow(study.storage, partition),
            cost=cost_of(study.storage, intensity),
            evaluation=next((one for one in evaluations if not one.external), None),
            looks=_looks(study, partition),
            external=tuple(one for one in evaluations if one.external),
            nested=tuple(one for one in read_nested(study.storage) if one.partition == partition),
            mistakes=read_mistakes(study.storage),
            leak=leak_sentence(study.storage),
            origin_of_weights=_origin(summary, configuration.network.backbone),
        )
        (folder / DESCRIPTION).write_bytes(assembled.model.to_json())
        (folder / CARD).write_text(model_card(facts), encoding="utf-8")
        if isinstance(onnx, OnnxFile):
            (folder / SCRIPT).write_text(predict_script(), encoding="utf-8")
        write_tables(folder / TABLES, study_tables(study.storage, summary, options.with_names))
    return Exported(options.output, chosen, assembled, model.deviation, onnx)


def _record(storage: Storage, chosen: Chosen) -> FinalRecord:
    """With as many epochs as the summary looks at, where the repeat has such a record, else its longest."""
    where = chosen.member.partition, chosen.member.id, [chosen.repeat]
    try:
        return results(storage, *where, chosen.member.epochs)[chosen.repeat]
    except InputError:
        return results(storage, *where)[chosen.repeat]


def _weights(bench: Workbench, chosen: Chosen, record: FinalRecord, say: Say, progress: Progress) -> Trained:
    where = chosen.member.partition, chosen.member.id, [chosen.repeat]
    told = partial(progress, AGAIN), telling(say, bench.device)
    return trained(bench, *where, int(record.meta["epochs"]), *told)[chosen.repeat]


def bench_for(
    study: Study, summary: Summary, configuration: Configuration, options: ExportOptions, say: Say
) -> Workbench:
    """On the kind of device that its repeats were trained on, where there is one."""
    root = reopen(study, options.data_root, options.cache, say).data_root
    weights = find_weights([configuration], summary.searches, options.weights)
    return open_bench(study.storage, Places.here(root, options.cache, weights))


def write_part(path: Path, part: nn.Module) -> None:
    """The weights of a network as safetensors."""
    state = {key: value.detach().contiguous().clone() for key, value in part.state_dict().items()}
    path.write_bytes(save(state, metadata={"format": "pt"}))


def _write_weights(folder: Path, assembled: Assembled, study: Study, summary: Summary, with_names: bool) -> Assembled:
    for name, part in ((BACKBONE, assembled.backbone), (HEAD, assembled.head)):
        write_part(folder / name, part)
    sha256 = {name: file_hash(folder / name) for name in (BACKBONE, HEAD)}
    origin = dict(assembled.model.origin)
    if with_names:
        origin["data_source"] = study.record.data_source
        if study.record.data_packed:
            origin |= {"data_packed": study.record.data_packed, "data_sha256": study.record.data_sha256}
        origin["commands"] = [search.command for search in summary.searches]
    return replace(assembled, model=replace(assembled.model, sha256=sha256, origin=origin))


def _evaluations(study: Study, chosen: Chosen) -> list[EvaluationRecord]:
    """Of this configuration, the first look first, at the study's test split and at other images; with the number of
    looks that there are by now."""
    key, beside = (chosen.member.partition, chosen.member.id), open_storage(study.place.parent)
    return [
        record.model_copy(update={"looks": looks_by_now(study.storage, beside, record)})
        for record in read_evaluations(study.storage)
        if (record.partition, record.configuration) == key
    ]


def _looks(study: Study, partition: str) -> int:
    """By now, at images of the study's own test split."""
    manifest = read_manifest(study.storage.read(layout.MANIFEST))
    groups = Partition.from_bytes(study.storage.read(layout.partition(partition)), layout.partition(partition)).groups
    tested = manifest["content"][manifest["group"].map(groups) == "test"]
    return count_looks(study.storage, open_storage(study.place.parent), short_hashes(tested))


def _origin(summary: Summary, backbone: str) -> str:
    return next((search.weights[backbone] for search in summary.searches if backbone in search.weights), "")
