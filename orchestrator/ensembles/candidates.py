"""What may become a member: ranked configurations of one partition, with the predictions that were kept of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.choosing.kept_predictions import read_logits, valid_images
from orchestrator.ensembles.combining import wide
from orchestrator.ensembles.target import Target
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.names import counted
from orchestrator.results.summary import Summary
from orchestrator.statistics.partitions import partitions_of
from orchestrator.store.errors import InputError
from orchestrator.store.storage import Storage
from search_spaces.faults import did_you_mean, nearest

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Candidates:
    """C configurations, each with its repeats that did not diverge, in the places 0 … counts[c] − 1 of R.

    repeats: their numbers. logits: float32 [C, R, N, K], one for each class, NaN behind a configuration's last repeat.
    train: float64 [C, R], the target of the training split where it is compared too, else NaN. truth: int64 [N]. group:
    int64 [N], 0 … groups − 1. diverged: repeats that are left out. unread: ids whose predictions cannot be read.
    """

    partition: str
    members: tuple[ConfigurationSummary, ...]
    repeats: tuple[tuple[int, ...], ...]
    logits: NDArray[np.float32]
    train: Floats
    truth: NDArray[np.int64]
    group: NDArray[np.int64]
    groups: int
    diverged: int = 0
    unread: tuple[str, ...] = ()

    @property
    def counts(self) -> list[int]:
        """Repeats of each."""
        return [len(repeats) for repeats in self.repeats]


def read_candidates(storage: Storage, summary: Summary, partition: str, target: Target) -> Candidates:
    """Every configuration with all its repeats, whatever it selects by. Raises InputError where there is none."""
    study = summary.study.name
    ranked = [member for member in summary.configurations if member.partition == partition and member.may_rank]
    if not ranked:
        raise InputError(
            f"study {study!r}: no configuration has finished all its repeats on partition {partition} yet",
            f"orch resume {study} trains what is missing",
        )
    images = valid_images(storage, partition, summary.study.classes)
    used = [_not_diverged(member) for member in ranked]
    kept = read_logits(storage, summary, partition, ranked, used, len(images.truth))
    read = [None if one is None else one[0] for one in kept]
    there = [place for place, one in enumerate(read) if one is not None and np.isfinite(one).all()]
    if not there:
        raise InputError(
            f"study {study!r}, partition {partition}: expected stored validation predictions of at least one of "
            f"{counted(len(ranked), 'configuration')}, found none",
            f"orch resume {study} trains again what is damaged. If all repeats diverged, lower the learning rates",
        )
    members, repeats = tuple(ranked[place] for place in there), tuple(used[place] for place in there)
    width, classes = max(map(len, repeats)), len(summary.study.classes)
    logits = np.full((len(there), width, len(images.truth), classes), np.nan, dtype=np.float32)
    train = np.full((len(there), width), np.nan)
    for row, place in enumerate(there):
        own = read[place]
        assert own is not None
        logits[row, : len(own)] = wide(own)
        train[row, : len(own)] = _train(members[row], repeats[row], target)
    return Candidates(
        partition,
        members,
        repeats,
        logits,
        train,
        images.truth,
        images.group,
        len(images.groups),
        sum(member.diverged for member in ranked),
        tuple(ranked[place].id for place in range(len(ranked)) if place not in there and used[place]),
    )


def named(candidates: Candidates, summary: Summary, asked: Sequence[str]) -> tuple[int, ...]:
    """Rows of the configurations whose ids begin so. Raises InputError for one that is unknown, stands for several, is
    not ranked, or is of another partition."""
    study, rows = summary.study.name, []
    ids = [member.id for member in candidates.members]
    for text in asked:
        fits = [row for row, name in enumerate(ids) if name.startswith(text)]
        if len(fits) == 1:
            rows.append(fits[0])
            continue
        _refuse_other_partition(candidates, summary, text)
        every = [member for member in summary.configurations if member.id.startswith(text)]
        if len(fits) > 1:
            several = ", ".join(ids[row] for row in fits[:4])
            told = f"expected the beginning of exactly one id, {len(fits)} match: {several}"
        elif every:
            told = f"expected stored predictions of all {every[0].asked} repeats, found {every[0].n} with a result"
        else:
            near = nearest(text, ids) or nearest(text, [name[: len(text)] for name in ids])
            whole = [next(name for name in ids if name.startswith(one)) for one in near]
            told = f"expected the beginning of an id of this study, found none{did_you_mean(whole)}"
        raise InputError(f"--of {text}: {told}", f"orch table {study} lists the ids")
    return tuple(dict.fromkeys(rows))


def _refuse_other_partition(candidates: Candidates, summary: Summary, text: str) -> None:
    others = sorted({m.partition for m in summary.configurations if m.id.startswith(text)} - {candidates.partition})
    here = any(m.partition == candidates.partition and m.id.startswith(text) for m in summary.configurations)
    if others and not here:
        raise InputError(
            f"--of {text}: expected a configuration on partition {candidates.partition}, found it only on "
            f"{', '.join(others)}; members on different partitions train on each other's validation images, so that "
            "no image could score them together",
            f"orch ensemble {summary.study.name} --partition {others[0]}",
        )


def partition_asked(summary: Summary, asked: str | None) -> str:
    """The study's own, or the first there is, or the one whose id begins with `asked`. Raises InputError."""
    there, study = partitions_of(summary), summary.study.name
    if not there:
        raise InputError(
            f"study {study!r}: nothing has been searched yet, so there are no members", f"orch resume {study}"
        )
    fits = [one for one in there if one.startswith(asked or "")]
    if asked is not None and len(fits) != 1:
        raise InputError(
            f"--partition {asked!r}: expected the beginning of one of {', '.join(there)}, {len(fits)} match",
            f"orch ensemble {study}",
        )
    return fits[0]


def _not_diverged(member: ConfigurationSummary) -> tuple[int, ...]:
    return tuple(repeat for repeat, lost in zip(member.with_result, member.did_diverge, strict=True) if not lost)


def _train(member: ConfigurationSummary, repeats: Sequence[int], target: Target) -> Floats:
    """Of the metric that ranks the study where that looks at train too; then it is looked at here as well."""
    score = member.score(target.metric, "train")
    same = member.configuration.selection == target.configuration.selection
    if score is None or member.by_valid or not same:
        return np.full(len(repeats), np.nan)
    place = {number: at for at, number in enumerate(member.with_result)}
    scores: Floats = score.values[[place[number] for number in repeats]]
    return scores
