"""Everything that a model card says, gathered before a word of it is written."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.energy.cost import Cost
from orchestrator.evaluation.nested_record import NestedRecord
from orchestrator.evaluation.record import EvaluationRecord
from orchestrator.export.assemble import Agreement
from orchestrator.export.chosen import Chosen
from orchestrator.export.data_flow import DataFlow
from orchestrator.export.model import Model
from orchestrator.export.onnx_file import OnnxFile
from orchestrator.mistakes.record import MistakesRecord
from orchestrator.results.comparing import looked_at, ranked_with
from orchestrator.results.summary import Summary
from orchestrator.store.schema import FinalRecord, StudyRecord


@dataclass(frozen=True)
class CardFacts:
    """evaluation: of this configuration on the test split; None where nobody evaluated it there. looks: by now, for
    whatever result, at images of the study's own test split. external: evaluations on other images. nested: of the
    procedure, on all groups. mistakes: what `orch mistakes` said last; None where nobody asked. leak: what the leak
    experiment says, "" where there was none. onnx: the file, or why there is none. deviation: of the weights trained
    again from those of the search, 0.0 for the same bits."""

    study: StudyRecord
    summary: Summary
    chosen: Chosen
    record: FinalRecord
    model: Model
    agreement: Agreement
    deviation: float
    onnx: OnnxFile | str
    flow: DataFlow | None
    cost: Cost
    evaluation: EvaluationRecord | None
    looks: int
    external: tuple[EvaluationRecord, ...]
    nested: tuple[NestedRecord, ...]
    mistakes: MistakesRecord | None
    leak: str
    origin_of_weights: str

    @property
    def ranked_by(self) -> str:
        """What of the metric ranked the configuration among the others: `loss (valid)`."""
        member = self.chosen.member
        label = member.configuration.selection.words
        return f"{label} ({looked_at(ranked_with(member, self.summary.configurations))})"
