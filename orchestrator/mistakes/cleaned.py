"""A new table of a study's images after a review: what was excluded or relabelled, and why, stands in it and beside it.

Test images are as they were: nothing of them is in a list, so nothing of them changes.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from orchestrator.dividing.shared_table import how_to_search, shared_table, write_shared
from orchestrator.evaluation.choice import USER_PREFIX
from orchestrator.mistakes.found import Mistakes
from orchestrator.mistakes.gathered import Gathered
from orchestrator.mistakes.properties import NOTES
from orchestrator.mistakes.verdicts import Reviewed
from orchestrator.results.names import thousands
from orchestrator.results.report import Report
from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.study.studies import Study
from trainables.data.contents import COLUMN
from trainables.data.dataset import Dataset
from trainables.data.groups import INDEPENDENT
from trainables.data.manifest import reading_of
from trainables.data.near_duplicates import SIDE
from trainables.data.options import DatasetOptions
from trainables.data.partition import Partition

_OWN = ("file", "label", "group", "split", COLUMN)


@dataclass(frozen=True)
class Scores:
    """Of the first configuration's kept predictions the share that is right, 0–1: over images, and mean of classes."""

    images: int
    accuracy: float
    balanced: float


def scores(gathered: Gathered, label: dict[str, str]) -> Scores:
    """label: file → the label that counts; images that are not in it are left out."""
    files = gathered.images["file"].tolist()
    kept = np.array([file in label for file in files])
    index = {name: place for place, name in enumerate(gathered.classes)}
    truth = np.array([index[label[file]] for file in files if file in label], dtype=np.int64)
    right = gathered.called[0][kept][np.arange(len(truth)), truth] / gathered.trials[kept]
    classes = [float(right[truth == k].mean()) for k in np.unique(truth)]
    return Scores(len(truth), float(right.mean()), float(np.mean(classes)))


def new_table(study: Study, manifest: pd.DataFrame, reviewed: Reviewed, root: Path) -> tuple[bytes, Dataset]:
    """The table as CSV, and the images that it lists with their new labels.

    A row for each image that is left, in the order of the manifest; split: of the study's own partition. Columns of the
    user's own are kept. NOTES: label_before of what was relabelled, review (why), cleaned (what was done in all, in
    every row); those of a review before stay. Raises InputError where a name in it would be read otherwise.
    """
    path = layout.partition(study.record.partition)
    partition = Partition.from_bytes(study.storage.read(path), path)
    new = {change.listed.file: change for change in reviewed.changes}
    tested = manifest["group"].map(partition.groups) == "test"
    wrong = sorted(new.keys() & set(manifest["file"][tested]))
    if wrong:
        raise InputError(
            f"reviewed list {reviewed.of.id}: {wrong[0]} is a test image of the study's own partition",
            "Review images of that partition only: "
            f"orch mistakes {study.name} --partition {study.record.partition} --review FILE",
        )
    excluded = manifest["file"].map(lambda file: file in new and new[file].is_excluded).to_numpy(dtype=bool)
    left = manifest[~excluded].reset_index(drop=True)
    said = [new.get(file) for file in left["file"]]
    labels = [change.label if change else label for change, label in zip(said, left["label"], strict=True)]
    befores = [label if change else "" for change, label in zip(said, left["label"], strict=True)]
    whys = [(change.why or "no reason given") if change else "" for change in said]
    relabelled = len(new) - int(excluded.sum())
    what = (
        f"review {reviewed.of.id} of study {study.name}: {int(excluded.sum())} of {len(manifest)} images excluded, "
        f"{relabelled} relabelled"
    )
    changed = left.assign(label=pd.Series(labels, dtype=left["label"].dtype))
    pictures = np.zeros((len(changed), SIDE, SIDE), dtype=np.uint8)
    empty = pd.DataFrame(columns=["file", "reason"])
    dataset = Dataset(root, changed, empty, study.record.group_meaning, study.record.synthetic, pictures)
    table = pd.read_csv(io.BytesIO(shared_table(dataset, partition)), dtype=str, keep_default_na=False)
    contents = table.pop(COLUMN)
    for column in (name for name in left.columns if str(name).startswith(USER_PREFIX)):
        name = str(column).removeprefix(USER_PREFIX)
        if name not in NOTES:
            table[name if name not in _OWN else column] = left[column].to_numpy()
    for name, values in zip(NOTES, (befores, whys, [what] * len(left)), strict=True):
        table[name] = _after(left.get(f"{USER_PREFIX}{name}"), values)
    table[COLUMN] = contents
    return table.to_csv(index=False, lineterminator="\n").encode(), dataset


def changes_csv(reviewed: Reviewed) -> bytes:
    """A row for each image that was excluded or relabelled: file, label, verdict, why, how it came into the list."""
    rows = [
        (
            change.listed.file,
            change.listed.label,
            "excluded" if change.is_excluded else change.label,
            change.why or "no reason given",
            "suspected" if change.listed.suspected else "drawn at random",
        )
        for change in reviewed.changes
    ]
    frame = pd.DataFrame(rows, columns=["file", "label", "verdict", "why", "listed_as"])
    return frame.to_csv(index=False, lineterminator="\n").encode()


def clean(study: Study, mistakes: Mistakes, reviewed: Reviewed, root: Path, output: Path) -> Report:
    """Write the table and, beside it, the list of changes; say what the review found and what it does to the scores."""
    of = mistakes.gathered
    beside = output.with_name(f"{output.stem}-changes.csv")
    content, dataset = new_table(study, of.manifest, reviewed, root)
    if reviewed.changes:
        write_shared(beside, changes_csv(reviewed))
        write_shared(output, content)
    before = scores(of, dict(zip(of.images["file"], of.images["label"], strict=True)))
    after = scores(of, dict(zip(dataset.manifest["file"], dataset.manifest["label"], strict=True)))
    excluded = sum(change.is_excluded for change in reviewed.changes)
    relabelled = len(reviewed.changes) - excluded
    suspected, drawn = reviewed.count(True), reviewed.count(False)
    lines = [
        f"{study.name}, review {reviewed.of.id}: {len(reviewed.judged)} of {len(reviewed.of.rows)} images have a "
        "verdict.",
        f"Relabelled or excluded: {suspected[1]} of {suspected[0]} suspected images, {drawn[1]} of {drawn[0]} drawn at "
        "random.",
    ]
    search = ""
    if reviewed.changes:
        lines += [
            f"Accuracy of the kept predictions of {of.names[of.members[0].id]} [{of.members[0].id}]: "
            f"{before.accuracy:.3f} on {before.images} images before, {after.accuracy:.3f} on {after.images} after; "
            f"balanced accuracy {before.balanced:.3f} before, {after.balanced:.3f} after.",
            "Changing the labels of images that networks get wrong raises any such score; only a search with the new "
            "labels shows what they are worth.",
            f"Written: {output} with {thousands(len(dataset.manifest), 'image')}, {relabelled} relabelled, {excluded} "
            f"excluded; {beside} says which and why. Test images are unchanged.",
        ]
        search = _search(study, dataset, output)
        lines.append(f"Continue with: {search}")
    else:
        lines.append("Every reviewed label is kept, so there is no new table to write.")
    data: dict[str, Any] = {
        "study": study.name,
        "review": reviewed.of.id,
        "verdicts": len(reviewed.judged),
        "rows": len(reviewed.of.rows),
        "suspected": {"verdicts": suspected[0], "changed": suspected[1]},
        "drawn_at_random": {"verdicts": drawn[0], "changed": drawn[1]},
        "excluded": excluded,
        "relabelled": relabelled,
        "before": vars(before),
        "after": vars(after),
        "table": str(output) if reviewed.changes else None,
        "changes": str(beside) if reviewed.changes else None,
        "search": search or None,
    }
    return Report(tuple(lines), data)


def _search(study: Study, dataset: Dataset, output: Path) -> str:
    """The command that searches on the table, with its columns named: others may be called alike."""
    packed = Path(study.record.data_packed) if study.record.data_packed else None
    given = DatasetOptions(reading=reading_of(dataset.manifest))
    group = [] if dataset.group_meaning == INDEPENDENT else ["group"]
    named = " ".join(f"--{name}-column {name}" for name in ("file", "label", *group, "split"))
    return f"{how_to_search(output, dataset, given, packed)} {named}"


def _after(before: pd.Series[str] | None, values: list[str]) -> list[str]:
    """What an earlier review noted, then what this one does."""
    earlier = [""] * len(values) if before is None else before.fillna("").astype(str).tolist()
    return ["; ".join(filter(None, pair)) for pair in zip(earlier, values, strict=True)]
