"""A trained study and its evaluations, as a test asks for them."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from orchestrator.evaluation.plan import EvaluationOptions
from orchestrator.evaluation.record import EvaluationRecord
from orchestrator.evaluation.run import evaluate
from orchestrator.results.summary import summarise
from orchestrator.store import layout
from orchestrator.study.studies import Study
from search_spaces.configuration import Configuration
from tests.support.tiny_study import TinyStudy
from trainables.data.manifest import read_manifest


@dataclass
class EvaluatedStudy:
    """`said` holds what the evaluation asked for last told its user."""

    study: Study
    tiny: TinyStudy
    configurations: list[Configuration]

    def evaluate(self, **options: object) -> EvaluationRecord:
        said: list[str] = []
        record = evaluate(self.study, EvaluationOptions(**options), self.tiny.cache, said.append, _no_progress)  # type: ignore[arg-type]
        self.said = said
        return record

    @property
    def ranked(self) -> list[str]:
        return [entry.id for entry in summarise(self.study.storage).configurations]

    @property
    def manifest(self) -> pd.DataFrame:
        return read_manifest(self.study.storage.read(layout.MANIFEST))


def _no_progress(act: str, done: int, total: int) -> None:
    assert act
    assert 0 <= done <= total
