"""From a study's ensemble to a folder that leaves it: every member's weights, one ONNX file of all, a card.

record → weights of each repeat → networks, checked on real images → files beside each other → renamed into place
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from orchestrator.ensembles.record import EnsembleRecord, Member, read_ensemble
from orchestrator.ensembles.report import ensemble_report
from orchestrator.evaluation.again import AGAIN, telling
from orchestrator.evaluation.ensemble_record import read_ensemble_evaluations
from orchestrator.evaluation.ensemble_text import ensemble_text
from orchestrator.export.assemble import Agreement, Assembled, assemble
from orchestrator.export.card_failures import found_lines
from orchestrator.export.folder import (
    CARD,
    SCRIPT,
    ExportOptions,
    Progress,
    Say,
    bench_for,
    check_output,
    made_whole,
    uncounted,
    write_part,
)
from orchestrator.export.model import BACKBONE, HEAD, ONNX, Preprocessing, file_hash, standardised
from orchestrator.export.model import DESCRIPTION as MODEL
from orchestrator.export.onnx_file import OnnxFile, write_graph
from orchestrator.export.script import predict_script
from orchestrator.export.together import (
    BACKBONES,
    DESCRIPTION,
    MEMBERS,
    Part,
    Placed,
    Together,
    backbone_key,
    described,
    read_alike,
)
from orchestrator.mistakes.record import read_mistakes
from orchestrator.results.names import counted
from orchestrator.results.summary import Summary, summarise
from orchestrator.store.errors import InputError
from orchestrator.study.studies import Study, versions
from trainables.bundles.trained import results, trained

_DIGITS = 16
"""Of a hash that names a file of a backbone."""


@dataclass(frozen=True)
class ExportedEnsemble:
    """What was written. agreement: of all networks, the least images and shares and the largest difference."""

    folder: Path
    ensemble: EnsembleRecord
    backbones: int
    agreement: Agreement
    deviation: float
    onnx: OnnxFile | str

    def as_text(self) -> str:
        lines = [
            f"{self.ensemble.name}, exported to {self.folder}",
            f"  weights: {MEMBERS}/, {BACKBONES}/ ({counted(self.backbones, 'file')}); each network was checked on "
            f"{self.agreement.images} valid images, at least {self.agreement.same:.1%} of which get the class that the "
            "search predicted",
        ]
        if isinstance(self.onnx, OnnxFile):
            lines.append(
                f"  {ONNX}: all members, opset {self.onnx.opset}, differs from PyTorch by at most "
                f"{self.onnx.largest:.1e}; {SCRIPT} runs it without orch"
            )
        else:
            lines.append(f"  no {ONNX}, and no {SCRIPT}, which runs it: {self.onnx}")
        return "\n".join([*lines, f"  {CARD}, {DESCRIPTION}", f"Next: orch predict {self.folder} IMAGES"])

    def as_json(self) -> dict[str, Any]:
        is_onnx = isinstance(self.onnx, OnnxFile)
        return {
            "folder": str(self.folder),
            "study": self.ensemble.study,
            "ensemble": self.ensemble.id,
            "models": self.ensemble.cost.models,
            "backbones": self.backbones,
            "valid_images": self.agreement.images,
            "same_class": self.agreement.same,
            "largest_logit_difference": self.agreement.largest,
            "deviation": self.deviation,
            "onnx_difference": self.onnx.largest if isinstance(self.onnx, OnnxFile) else None,
            "no_onnx": "" if is_onnx else str(self.onnx),
        }


class TogetherFromPixels(nn.Module):
    """Squares uint8 [N, S, S, 3] as Pillow gives them → probabilities float32 [N, K] of the ensemble."""

    def __init__(self, together: Together) -> None:
        super().__init__()
        self.together = together
        for number, steps in enumerate(together.steps):
            self.register_buffer(f"mean{number}", torch.tensor(steps.mean).view(1, 3, 1, 1))
            self.register_buffer(f"std{number}", torch.tensor(steps.std).view(1, 3, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.together.chances([self._standardised(pixels, n) for n in range(len(self.together.steps))]).float()

    def _standardised(self, pixels: torch.Tensor, number: int) -> torch.Tensor:
        steps = self.together.steps[number]
        first = (steps.store_size - steps.image_size) // 2
        inside = slice(first, first + steps.image_size)
        images = pixels[:, inside, inside].permute(0, 3, 1, 2).float() / 255.0
        scaled: torch.Tensor = (images - getattr(self, f"mean{number}")) / getattr(self, f"std{number}")
        return scaled


def export_ensemble(
    study: Study, asked: str, options: ExportOptions, say: Say, progress: Progress = uncounted
) -> ExportedEnsemble:
    """Write the folder; nothing lies at `options.output` until all of it is there. Raises InputError.

    progress(act, done, total): of what is trained again.
    """
    check_output(options.output)
    ensemble = read_ensemble(study.storage, study.name, asked)
    summary = summarise(study.storage)
    say(f"Exporting {ensemble.name} ({ensemble.id}).")
    with made_whole(options.output) as folder:
        (folder / BACKBONES).mkdir()
        parts: list[Part] = []
        placed, agreements, deviations = [], [], []
        squares = np.zeros(0, dtype=np.uint8)
        for member in ensemble.counting:
            for assembled, deviation in _networks(study, summary, ensemble, member, options, say, progress):
                weight = member.weight / len(member.repeats)
                part, place = _written(folder, assembled, weight, len(parts), parts)
                parts.append(part)
                placed.append(place)
                agreements.append(assembled.agreement)
                deviations.append(deviation)
                squares = assembled.squares if len(parts) == 1 else squares
        models = [part.model for part in parts]
        (folder / DESCRIPTION).write_bytes(described(placed, ensemble.combine, models, _origin(study, ensemble)))
        onnx = _onnx(folder / ONNX, ensemble, parts, squares, say) if options.with_onnx else "it was not asked for"
        if isinstance(onnx, OnnxFile):
            (folder / SCRIPT).write_text(predict_script(DESCRIPTION), encoding="utf-8")
        (folder / CARD).write_text(_card(study, ensemble), encoding="utf-8")
    agreement = Agreement(
        min(one.images for one in agreements),
        max(one.largest for one in agreements),
        min(one.same for one in agreements),
    )
    return ExportedEnsemble(
        options.output, ensemble, len({place.backbone for place in placed}), agreement, max(deviations), onnx
    )


def _networks(
    study: Study,
    summary: Summary,
    ensemble: EnsembleRecord,
    member: Member,
    options: ExportOptions,
    say: Say,
    progress: Progress,
) -> list[tuple[Assembled, float]]:
    """The networks of a member's repeats with their deviation. Raises InputError where they are not those weighed."""
    entry = next(
        (m for m in summary.configurations if (m.partition, m.id) == (ensemble.partition, member.configuration)), None
    )
    records = results(study.storage, ensemble.partition, member.configuration, member.repeats) if entry else {}
    if entry is None or [int(records[r].meta["selected_epoch"]) for r in member.repeats] != list(member.epochs):
        raise InputError(
            f"ensemble {ensemble.id}: configuration {member.configuration} got its weight from other epochs than the "
            "study selects now",
            f"It was trained further since. Choose an ensemble again: orch ensemble {study.name}",
        )
    say(f"{member.name} ({member.configuration}): {counted(len(member.repeats), 'repeat')}.")
    bench = bench_for(study, summary, entry.configuration, options, say)
    told = partial(progress, AGAIN), telling(say, bench.device)
    models = trained(bench, ensemble.partition, member.configuration, member.repeats, None, *told)
    where = bench, study.record, entry.configuration, ensemble.partition
    return [(assemble(*where, records[r], models[r].weights), models[r].deviation) for r in member.repeats]


def _written(
    folder: Path, assembled: Assembled, weight: float, number: int, others: Sequence[Part]
) -> tuple[Part, Placed]:
    """Write one network; a backbone that another one has already is there once, as a file and in memory."""
    name = f"{MEMBERS}/{number + 1}"
    (folder / name).mkdir(parents=True)
    write_part(folder / name / HEAD, assembled.head)
    write_part(folder / BACKBONES / BACKBONE, assembled.backbone)
    whole = file_hash(folder / BACKBONES / BACKBONE)
    backbone = f"{BACKBONES}/{whole[:_DIGITS]}.safetensors"
    (folder / BACKBONES / BACKBONE).replace(folder / backbone)
    model = replace(assembled.model, sha256={BACKBONE: whole, HEAD: file_hash(folder / name / HEAD)})
    (folder / name / MODEL).write_bytes(model.to_json())
    key = backbone_key(model)
    body = next((part.backbone for part in others if part.backbone_key == key), assembled.backbone)
    return Part(model, body, assembled.head, key, weight), Placed(folder=name, backbone=backbone, weight=weight)


def _onnx(path: Path, ensemble: EnsembleRecord, parts: Sequence[Part], squares: np.ndarray, say: Say) -> OnnxFile | str:
    """One file of all members, or why there is none."""
    if not read_alike([part.model.preprocessing for part in parts]):
        return "its members preprocess images differently, and one file takes one square of each image"
    say("Exporting all members to ONNX, and checking the file on real images.")
    together = Together(parts, ensemble.combine, {})

    def wanted(some: np.ndarray) -> tuple[np.ndarray, ...]:
        """Member by member, each through its own backbone."""
        return (_by_hand(ensemble.combine, parts, some),)

    return write_graph(TogetherFromPixels(together).eval(), ("probabilities",), squares, path, wanted)


def _by_hand(combine: str, parts: Sequence[Part], squares: np.ndarray) -> np.ndarray:
    """Probabilities float64 [N, K] as `orchestrator.ensembles` averages them."""
    from orchestrator.ensembles.combining import Combining, wide
    from orchestrator.ensembles.ways import COMBININGS

    combining: Combining = COMBININGS[combine].load()
    total = sum(part.weight for part in parts)
    weighted = []
    for part in parts:
        images = _images(squares, part.model.preprocessing)
        logits = part.head(part.backbone(images)).numpy()
        weighted.append(part.weight / total * combining.values(wide(logits)))
    return combining.chances(np.sum(weighted, axis=0))


def _images(squares: np.ndarray, steps: Preprocessing) -> torch.Tensor:
    return torch.from_numpy(np.stack([standardised(square, steps) for square in squares]))


def _origin(study: Study, ensemble: EnsembleRecord) -> dict[str, Any]:
    return {
        "study": study.name,
        "synthetic": study.record.synthetic,
        "ensemble": ensemble.id,
        "partition": ensemble.partition,
        "metric": ensemble.metric_words,
        "versions": versions(),
    }


def _card(study: Study, ensemble: EnsembleRecord) -> str:
    """What the study says of it, word for word; the members have cards of their own where they are exported alone."""
    lines = [f"# {ensemble.name}", "", f"Ensemble {ensemble.id} of study {study.name}.", ""]
    lines += ["## Chosen on validation images", "", "```text", ensemble_report(ensemble).as_text(), "```", ""]
    tested = [one for one in read_ensemble_evaluations(study.storage) if one.ensemble == ensemble.id]
    lines += ["## Test scores", ""]
    for one in tested:
        lines += ["```text", ensemble_text(one), "```", ""]
    if not tested:
        lines += ["Not tested yet.", ""]
    ids = [member.configuration for member in ensemble.counting]
    failures = found_lines(read_mistakes(study.storage), study.name, ids, ensemble.partition)
    lines += ["## Failure modes of its members", "", *failures, ""]
    lines += [
        "For a model card of one configuration, with its data, subgroups and limits, export that configuration alone "
        "with `orch export`.",
        "",
    ]
    return "\n".join(lines)
