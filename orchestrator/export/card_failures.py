"""What a model card says of failures: what `orch mistakes` found, and classes with few images or none that is found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator.evaluation.record import EvaluationRecord
from orchestrator.export.data_flow import DataFlow
from orchestrator.export.facts import CardFacts
from orchestrator.export.markdown import cell, table
from orchestrator.mistakes.record import GroupNever, MistakesRecord, SliceScore
from orchestrator.results.class_recalls import FEW
from orchestrator.results.names import counted
from orchestrator.statistics.set_words import p_words
from search_spaces.settings.data import TASKS
from trainables.data.partition import SPLITS
from trainables.learning.tasks import confusion

_PAIRS = 5
_CAUTION = "These images served to choose epoch and configuration, so new images may show more errors, and other ones."


def failure_lines(facts: CardFacts) -> list[str]:
    """What was looked for among valid images, then what the study's records say of each class without that."""
    member = facts.chosen.member
    looked_for = found_lines(facts.mistakes, facts.study.name, [member.id], member.partition)
    return [*looked_for, "", *_few_images(facts.flow), *_never_found(facts)]


def found_lines(record: MistakesRecord | None, study: str, of: Sequence[str], partition: str) -> list[str]:
    """What `orch mistakes` said last; the command, where nobody asked. of: ids of the configurations of the card."""
    if record is None:
        return [
            f"Failure modes have not been looked for. `orch mistakes {study}` finds valid images that no model gets "
            "right, parts of the data with more errors than chance explains, and classes that are confused."
        ]
    repeats = counted(max(record.repeats), "repeat") + (" at most" if len({*record.repeats}) > 1 else "")
    count = len(record.configurations)
    members = f"{'each of ' if count > 1 else ''}{counted(count, 'configuration')}"
    return [
        f"Looked for on {record.created[:10]} (`orch mistakes {study}`) among {record.images:,} images of "
        f"{counted(record.groups, 'group')} while they were in valid, as predicted by {repeats} of "
        f"{members}. {_CAUTION} There may be failure modes that are not named here.",
        *_other(record, study, of, partition),
        "",
        *_never(record),
        *_confused(record),
        *_slices(record.slices),
        f"* Labels that may be wrong: confident learning suspects {record.suspected:,} of {record.images:,}; where "
        "networks make many errors, most of these labels are right.",
        "",
        *_classes(record),
    ]


def _other(record: MistakesRecord, study: str, of: Sequence[str], partition: str) -> list[str]:
    """Where what was looked at is not, or not only, what this card is of."""
    looked = {one.id: one.name for one in record.configurations}
    first, lines = record.configurations[0], []
    if not looked.keys() & set(of):
        command = f"orch mistakes {study} --of {','.join(of)}"
        lines.append(f"**No configuration of this card is among them**: run `{command}`.")
    elif first.id not in of or len(of) > 1:
        lines.append(
            f"Errors by class, by pair of classes and by slice are those of one of them: {cell(first.name)} "
            f"(`{first.id}`)."
        )
    if partition not in record.partitions:
        lines.append(f"The images were in the valid split of a partition other than `{partition}`.")
    return ["", *lines] if lines else []


def _never(record: MistakesRecord) -> list[str]:
    never, always = (sum(getattr(one, name) for one in record.classes) for name in ("never", "always"))
    of = f"of {record.images:,} images"
    told = f"* Always right: {always:,} {of}; never right, by any repeat of any configuration: {never:,}"
    if not record.never_in:
        return [f"{told}."]
    most: GroupNever = record.never_in[0]
    if len(record.never_in) == 1:
        return [f"{told}, all in one of {counted(record.groups, 'group')}, which has {most.images:,} images."]
    groups = f"{len(record.never_in):,} of {counted(record.groups, 'group')}"
    return [f"{told}, which lie in {groups}; most are in one group: {most.never:,} of its {most.images:,}."]


def _confused(record: MistakesRecord) -> list[str]:
    pairs = [
        f"{cell(one.label)} as {cell(one.called)} {one.share:.0%} (n = {one.images:,})"
        for one in record.confused[:_PAIRS]
    ]
    if not pairs:
        return ["* No class was confused with another."]
    return [f"* Most confused (share of the predictions for the n images of a class): {', '.join(pairs)}."]


def _slices(slices: Iterable[SliceScore]) -> list[str]:
    tested = [one for one in slices if one.corrected is not None]
    if not tested:
        return ["* No slice of the images was tested: none has enough groups, or there is nothing to slice by."]
    worse = [one for one in tested if one.is_worse]
    head = f"* Of {counted(len(tested), 'slice')} tested,"
    if not worse:
        return [f"{head} none is shown to be worse than chance explains."]
    these = "this one is" if len(worse) == 1 else f"these {len(worse)} are"
    return [f"{head} {these} worse than chance explains:", *(f"  * {_slice(one)}" for one in worse)]


def _slice(one: SliceScore) -> str:
    band = "" if one.low is None or one.high is None else f" [{one.low:.0%}, {one.high:.0%}]"
    return (
        f"{cell(one.name)} = {cell(one.value)}: {one.error:.0%}{band} of predictions are wrong; its mix of classes "
        f"explains {one.expected:.0%} (n = {one.images:,} images of {counted(one.groups, 'group')}; corrected p "
        f"{p_words(one.corrected if one.corrected is not None else 1.0).replace('<', '< ')})"
    )


def _classes(record: MistakesRecord) -> list[str]:
    rows = [
        (
            one.label,
            f"{one.images:,}",
            f"{one.groups:,}",
            f"{one.always:,}",
            f"{one.sometimes:,}",
            f"{one.never:,}",
            f"{one.error:.0%}",
            one.mostly_called or "–",
        )
        for one in record.classes
    ]
    heads = ("class", "images", "groups", "always right", "sometimes", "never", "wrong predictions", "mostly called")
    return table(heads, rows)


def _few_images(flow: DataFlow | None) -> list[str]:
    if flow is None:
        return []
    images = {(label, split): count for label, split, _, count in flow.rows}
    few = [
        f"{cell(label)} ({', '.join(f'{split} {images[label, split]}' for split in SPLITS)})"
        for label in dict.fromkeys(label for label, *_ in flow.rows)
        if min(images[label, split] for split in SPLITS) < FEW
    ]
    told = ", ".join(few) or "none"
    return [f"* Classes with fewer than {FEW} images in a split: {told}."]


def _never_found(facts: CardFacts) -> list[str]:
    """Classes of which nothing is found: by this file among the valid images, by all repeats among test images."""
    if not TASKS.variants[facts.study.task].has_confusion:
        return []
    history = facts.record.history
    counts = history.statistics[int(facts.record.meta["selected_epoch"]), history.splits.index("valid")]
    images, recall = confusion.images_of_classes(counts), confusion.recall(counts)
    names = [
        f"{cell(name)} (valid, this file, n = {int(images[k])})"
        for k, name in enumerate(facts.model.classes)
        if images[k] and recall[k] == 0
    ]
    for record, where in _tests(facts):
        names += [
            f"{cell(one.name)} ({where}, the procedure, n = {one.images})"
            for one in record.primary.image.classes
            if one.images and (score := one.scores.get("recall")) is not None and score.value == 0
        ]
    return [f"* Classes with a recall of zero: {', '.join(names) or 'none'}."]


def _tests(facts: CardFacts) -> list[tuple[EvaluationRecord, str]]:
    own = [(facts.evaluation, "test")] if facts.evaluation is not None else []
    return [*own, *((record, "images from elsewhere") for record in facts.external)]
