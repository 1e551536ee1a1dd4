"""What is going to be evaluated: decided and checked before any test image is opened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.evaluation.changed import EIGHT, Views
from orchestrator.evaluation.choice import Choice, Split, check_test_images, choose, split_images, subgroup_column
from orchestrator.evaluation.estimates import PRIMARY
from orchestrator.evaluation.external import External, Tested, external_images
from orchestrator.evaluation.looks import short_hashes, test_set_of
from orchestrator.evaluation.operating import Wanted, parse_point
from orchestrator.evaluation.record import Look
from orchestrator.results.summary import Summary, summarise
from orchestrator.store.errors import InputError
from orchestrator.store.record import short_hash
from orchestrator.store.schema import FinalRecord
from orchestrator.study.studies import Study
from search_spaces.classes import check_confusion
from search_spaces.settings.augmentation import Augmentation
from trainables.bundles.kept_weights import DEFAULT_BUDGET_BYTES
from trainables.bundles.trained import results


@dataclass(frozen=True)
class EvaluationOptions:
    """What `orch evaluate` takes. tta: test-time views, which are predicted too. augmented: what every test image is
    changed by once, for a score beside the clean one. external: in place of the study's own test split."""

    configuration: str | None = None
    partition: str | None = None
    at: tuple[str, ...] = ()
    at_class: str | None = None
    by: tuple[str, ...] = ()
    tta: Views | None = EIGHT
    augmented: Augmentation | None = None
    keep_bytes: int = DEFAULT_BUDGET_BYTES
    data_root: Path | None = None
    weights: str | None = None
    external: External | None = None


@dataclass(frozen=True)
class Plan:
    """All that follows from the study and the options."""

    summary: Summary
    choice: Choice
    tested: Tested
    finals: dict[int, FinalRecord]
    points: tuple[Wanted, ...]
    columns: tuple[str, ...]
    look: Look
    tta: Views | None
    augmented: Augmentation | None

    @property
    def repeats(self) -> tuple[int, ...]:
        return tuple(self.finals)

    @property
    def split(self) -> Split:
        return self.tested.split

    @property
    def classes(self) -> tuple[str, ...]:
        return self.choice.entry.configuration.data.classes


def make_plan(study: Study, options: EvaluationOptions, summary: Summary | None = None) -> Plan:
    """Choose and check; the look is described, not yet written. Raises InputError for whatever is missing or wrong.

    summary: of the study, which is read where none is given.
    """
    check_confusion(study.record.task, f"study {study.name}, evaluation")
    summary = summarise(study.storage) if summary is None else summary
    choice = choose(summary, options.configuration, options.partition)
    entry = choice.entry
    tested = _tested(study, split_images(study.storage, entry), choice, options)
    split = tested.split
    task = entry.configuration.data.task
    points = tuple(parse_point(text, entry.configuration.data.classes, task, options.at_class) for text in options.at)
    if options.at_class is not None and not points:
        raise InputError(
            "--class names the class of an operating point: expected --at as well", "--at specificity=0.95"
        )
    columns = tuple(subgroup_column(split.test, name) for name in options.by)
    finals = results(study.storage, entry.partition, entry.id, entry.with_result)
    test_set = test_set_of(split.test["content"])
    models = [[repeat, int(r.meta["epochs"]), int(r.meta["selected_epoch"])] for repeat, r in finals.items()]
    look = Look(
        id=short_hash([test_set, entry.partition, entry.id, models]),
        test_set=test_set,
        study=study.name,
        partition=entry.partition,
        configuration=entry.id,
        name=choice.name,
        repeats=tuple(finals),
        epochs=max(int(record.meta["epochs"]) for record in finals.values()),
        primary=PRIMARY,
        time=datetime.now(UTC).isoformat(timespec="microseconds"),
        images=short_hashes(split.test["content"]),
    )
    return Plan(summary, choice, tested, finals, points, columns, look, options.tta, options.augmented)


def _tested(study: Study, own: Split, choice: Choice, options: EvaluationOptions) -> Tested:
    if options.external is not None:
        return external_images(study.storage, choice.entry.configuration, own, options.external)
    check_test_images(own, choice.entry)
    return Tested(own, study.record.group_meaning, study.record.synthetic)
