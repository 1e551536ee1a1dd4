"""The kept predictions of a study: logits of the validation images at each repeat's selected epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.finals import FinalKey, read_final
from orchestrator.results.summary import Summary
from orchestrator.statistics.bias_corrected import Predictions
from orchestrator.statistics.score_table import ScoreTable
from orchestrator.store import layout
from orchestrator.store.damage import passed_over
from orchestrator.store.errors import DamagedRecordError, InputError
from orchestrator.store.schema import RepeatState
from orchestrator.store.storage import Storage
from trainables.data.manifest import read_manifest
from trainables.data.partition import Partition, splits


@dataclass(frozen=True)
class ValidImages:
    """Images of a partition's validation split in manifest order: the order of the logits.

    truth: int64 [N], class index. group: int64 [N], 0 … G − 1 in the order of `groups`.
    """

    truth: NDArray[np.int64]
    group: NDArray[np.int64]
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Kept:
    """What could be read. members: row of each configuration in the table that was asked for.

    other_epochs: repeats whose predictions are of another epoch than their scores, because repeats of their
    configuration have different numbers of epochs.
    """

    predictions: Predictions
    members: tuple[int, ...]
    other_epochs: int


def valid_images(storage: Storage, partition_id: str, classes: tuple[str, ...]) -> ValidImages:
    """Read manifest and partition. Raises DamagedRecordError, FileNotFoundError or, where they differ, InputError."""
    manifest = read_manifest(storage.read(layout.MANIFEST))
    partition = Partition.from_bytes(storage.read(layout.partition(partition_id)), layout.partition(partition_id))
    rows = manifest[(splits(manifest, partition) == "valid").to_numpy()]
    index = {name: place for place, name in enumerate(classes)}
    names, group = np.unique(rows["group"].to_numpy(dtype=object), return_inverse=True)
    truth = np.array([index[label] for label in rows["label"]], dtype=np.int64)
    return ValidImages(truth, group.astype(np.int64), tuple(names.tolist()))


def read_predictions(storage: Storage, summary: Summary, table: ScoreTable) -> Kept | None:
    """Predictions of the table's configurations for the repeats that all of them have; None where there are none.

    A configuration with a record that is gone, damaged or of another number of images is left out.
    """
    try:
        images = valid_images(storage, table.partition, summary.study.classes)
    except (DamagedRecordError, FileNotFoundError, InputError, KeyError):  # the summary has noted what is damaged
        return None
    common = sorted(set.intersection(*(set(member.with_result) for member in table.members)))
    read = list(
        read_logits(storage, summary, table.partition, table.members, [common] * len(table.members), len(images.truth))
    )
    members = tuple(row for row, pair in enumerate(read) if pair is not None)
    if not members or not common:
        return None
    scored = [_scored(pair[0], images.truth) for pair in read if pair is not None]
    train = np.stack([_train_scores(table.members[row], common) for row in members])
    predictions = Predictions(
        images.truth,
        images.group,
        summary.study.classes,
        np.stack([predicted for predicted, _ in scored]),
        np.stack([losses for _, losses in scored]),
        train,
        summary.study.task,
    )
    return Kept(predictions, members, sum(pair[1] for pair in read if pair is not None))


def read_logits(
    storage: Storage,
    summary: Summary,
    partition: str,
    members: Sequence[ConfigurationSummary],
    repeats: Sequence[Sequence[int]],
    images: int,
) -> Iterator[tuple[np.ndarray, int] | None]:
    """Of one configuration after the other the logits float16 [repeats, N, outputs] of a partition's validation images;
    repeats: of each those that are read.

    Beside them, how many are of another epoch than the summary's selected one. None where a record is gone, damaged or
    of another number of images.
    """
    rows = _final_keys(summary, partition)
    return (
        _logits(storage, member, own, rows, images) if own else None
        for member, own in zip(members, repeats, strict=True)
    )


def _final_keys(summary: Summary, partition: str) -> dict[tuple[str, int], FinalKey]:
    table = summary.repeats.table
    table = table[table["partition"] == partition]
    columns = (table[name].tolist() for name in ("configuration", "repeat", "epochs", "state"))
    return {
        (name, int(repeat)): FinalKey(partition, name, int(repeat), int(epochs), RepeatState(state))
        for name, repeat, epochs, state in zip(*columns, strict=True)
    }


def _logits(
    storage: Storage,
    member: ConfigurationSummary,
    repeats: Sequence[int],
    keys: dict[tuple[str, int], FinalKey],
    images: int,
) -> tuple[np.ndarray, int] | None:
    """float16 [repeats, N, outputs], and how many are of another epoch than the summary's selected one."""
    logits, other = [], 0
    epochs = dict(zip(member.with_result, member.selected_epochs.values, strict=True)) if member.selected_epochs else {}
    for repeat in repeats:
        key = keys[member.id, repeat]
        record = None
        with passed_over(storage, key.path):
            _, record = read_final(key, storage.read(key.path))
        if record is None:
            return None
        if record.logits.shape != (images, member.configuration.outputs):
            return None
        logits.append(record.logits)
        other += int(record.meta.get("selected_epoch") != epochs.get(repeat))
    return np.stack(logits) if logits else np.zeros((0, images, member.configuration.outputs)), other


def _scored(logits: np.ndarray, truth: NDArray[np.int64]) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Predicted class int16 [R, N] and cross entropy float32 [R, N] of logits [R, N, outputs]."""
    values = logits.astype(np.float64)
    if values.shape[-1] == 1:
        values = np.concatenate([np.zeros_like(values), values], axis=-1)
    log_sum = np.logaddexp.reduce(values, axis=-1)
    losses = log_sum - np.take_along_axis(values, np.broadcast_to(truth[:, None], (*values.shape[:2], 1)), -1)[..., 0]
    return values.argmax(axis=-1).astype(np.int16), losses.astype(np.float32)


def _train_scores(member: ConfigurationSummary, repeats: list[int]) -> np.ndarray:
    """float64 [R], the selecting metric on train at the selected epoch; NaN where valid compares."""
    score = member.score(member.configuration.selection.metric, "train")
    if score is None or member.by_valid:
        return np.full(len(repeats), np.nan)
    place = {number: at for at, number in enumerate(member.with_result)}
    return score.values[[place[number] for number in repeats]]
